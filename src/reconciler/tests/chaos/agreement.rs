//! What must hold at the end of a walk, when nothing goes wrong any more: status and world agree, for ever.

use super::*;

impl Chaos {
    pub(super) fn agree(&self) {
        for (key, object) in &self.world.stored {
            if object.desired.deleting {
                continue;
            }
            let status = &object.status;
            let find = |of: &str| {
                status
                    .conditions
                    .iter()
                    .find(|c| c.type_ == of)
                    .map(|c| (c.status.as_str(), c.reason.as_str()))
            };
            let (ready, closed, stalled, reconciling) = (
                find("Ready"),
                find("Closed"),
                find("Stalled"),
                find("Reconciling"),
            );
            let told = format!(
                "{key} {:?} {:#?} {status:#?}",
                object.desired,
                self.world.jobs.get(&object.desired.job)
            );
            assert_eq!(status.observed_generation, object.generation, "{told}");
            let fake = self
                .world
                .jobs
                .get(&object.desired.job)
                .filter(|fake| fake.config || fake.state != JobState::Closed);
            let state = fake.map(|fake| fake.state);
            assert_eq!(
                closed.map(|c| c.0),
                Some(if state == Some(JobState::Closed) {
                    "True"
                } else {
                    "False"
                }),
                "{told}"
            );
            if object.desired.suspended {
                assert_eq!(ready, Some(("False", "Suspended")), "{told}");
                continue;
            }
            if object.desired.wanted == Wanted::Observed {
                assert_eq!(ready, Some(("True", "Observing")), "{told}");
                continue;
            }
            let close = &object.desired.close;
            let expected = match (state, fake.is_some_and(|fake| fake.config)) {
                (None, _) => "JobNotFound",
                (Some(_), false) if close.on_failed == OnFailed::Stall => "ConfigLost",
                (Some(_), true) if fake.is_some_and(|fake| fake.blocked) => "JobBlocked",
                (Some(JobState::Closed), true) => "InDesiredState",
                (Some(JobState::Failed), true) if close.on_failed == OnFailed::Stall => "JobFailed",
                (Some(JobState::Closing), true) if close.on_timeout == OnTimeout::Stall => {
                    "CloseTimedOut"
                }
                (Some(JobState::Opened | JobState::Opening), true)
                    if close.on_timeout == OnTimeout::Stall =>
                {
                    "CloseNotAccepted"
                }
                (Some(JobState::Opened | JobState::Opening | JobState::Closing), true)
                    if close.on_timeout == OnTimeout::Wait =>
                {
                    "Waiting"
                }
                _ => panic!("it should be closed by now: {told}"),
            };
            assert_eq!(ready.map(|c| c.1), Some(expected), "{told}");
            let waits = matches!(expected, "Waiting" | "JobBlocked").then_some(("True", expected));
            assert_eq!(reconciling, waits, "{told}");
            let fine = matches!(expected, "InDesiredState" | "Waiting" | "JobBlocked");
            assert_eq!(stalled, (!fine).then_some(("True", expected)), "{told}");
            assert_eq!(
                ready.map(|c| c.0),
                Some(if expected == "InDesiredState" {
                    "True"
                } else {
                    "False"
                }),
                "{told}"
            );
            if expected == "InDesiredState" {
                let feed = fake.and_then(|fake| fake.datafeed.as_ref());
                assert!(
                    feed.is_none_or(|(_, state)| *state == DatafeedState::Stopped),
                    "{told}"
                );
            }
        }
    }
}
