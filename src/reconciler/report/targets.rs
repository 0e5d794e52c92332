//! The jobs that a status lists: those that are not where they should be, the urgent ones first, then the latest that arrived.
//!
//! What must survive a crash stands in them, so a job whose force was noted is always listed.

use k8s_openapi::jiff::Timestamp;

use super::super::decision::Decision;
use super::super::input::Wanted;
use super::super::member::Member;
use super::super::object::Object;
use super::Surroundings;
use crate::api::{DatafeedSeen, DriftSeen, Elapsed, JobId, LastError, Reason, Step, Target, stamp};

/// How many jobs are listed, however many are meant.
pub(in super::super) const LISTED: usize = 100;

pub(super) fn listed(object: &Object, around: &Surroundings) -> Vec<Target> {
    if !object.resolved {
        // Who is meant is not known yet: what was stored of them must survive this write too.
        return object.unfinished.restoring.to_vec();
    }
    let mut all: Vec<(u8, u64, &JobId, &Member)> = object
        .members
        .iter()
        .map(|(job, member)| (rank(member), u64::MAX - member.arrival, job, member))
        .collect();
    if all.len() > LISTED {
        let by = |one: &(u8, u64, &JobId, &Member)| (one.0, one.1, one.2.clone());
        all.select_nth_unstable_by_key(LISTED, by);
        all.truncate(LISTED);
    }
    all.sort_unstable_by_key(|(rank, arrival, job, _)| (*rank, *arrival, (*job).clone()));
    let members = all
        .into_iter()
        .map(|(_, _, job, member)| target(object, job, member, around));
    // Of what is not allowed nothing is told but that it waits.
    let barred = object.unmet.barred.named.iter().map(|job| Target {
        step: Step::Waiting,
        ..Target::new(job.clone())
    });
    members.chain(barred).take(LISTED).collect()
}

fn rank(member: &Member) -> u8 {
    let facts = member.facts();
    if facts.forced_at.is_some() {
        return 0;
    }
    match &member.decision {
        Some(Decision::Stall(_)) => 1,
        _ if facts.accepted_at.is_some() => 2,
        _ if facts.in_progress() => 3,
        _ if member.drifting.drift.is_some_and(|drift| !drift.corrected) => 4,
        _ if !member.arrived => 5,
        _ => 6,
    }
}

fn target(object: &Object, job: &JobId, member: &Member, around: &Surroundings) -> Target {
    let facts = member.facts();
    let seen = around.jobs.get(job).and_then(|job| job.seen.as_ref());
    let micro = |at: Option<Timestamp>| at.map(stamp);
    Target {
        state: seen
            .and_then(|seen| seen.state.as_ref())
            .map(|state| state.state),
        datafeed: seen
            .and_then(|seen| seen.datafeed.as_ref())
            .map(|datafeed| DatafeedSeen {
                id: datafeed.id.clone(),
                state: datafeed.state,
            }),
        step: step(object, member),
        requested_at: micro(facts.requested_at),
        accepted_at: micro(facts.accepted_at),
        evidence: Some(facts.checkpoint)
            .filter(|evidence| !evidence.is_zero())
            .map(Elapsed::from),
        deadline: micro(facts.deadline.filter(|_| facts.accepted_at.is_some())),
        forced_at: micro(facts.forced_at),
        attempts: facts.attempts,
        failures: facts.failures,
        last_error: facts.last_error.as_ref().map(|error| {
            Box::new(LastError {
                category: error.reason.as_str().to_owned(),
                message: error.message.to_string(),
            })
        }),
        corrections: member.drifting.corrections,
        corrected_at: micro(member.drifting.corrected_at),
        drift: member.drifting.drift.map(|drift| {
            Box::new(DriftSeen {
                cause: drift.cause.as_str().to_owned(),
                state: drift.seen,
                at: stamp(drift.at),
                corrected: drift.corrected,
            })
        }),
        ..Target::new(job.clone())
    }
}

fn step(object: &Object, member: &Member) -> Step {
    match &member.decision {
        Some(Decision::Done) => Step::Done,
        Some(Decision::Rest(Reason::Observing)) if member.sighted => Step::Done,
        Some(Decision::Wait(step, ..)) => *step,
        Some(Decision::Hold(_)) if member.arrived => Step::Done,
        Some(Decision::NoteForce) => Step::ForceClosing,
        Some(Decision::Hold(_) | Decision::Stall(_) | Decision::Rest(_)) => Step::Waiting,
        Some(
            Decision::Observe | Decision::NoteDatafeed(_) | Decision::Verify | Decision::Call(_),
        )
        | None => {
            if member.facts().requested_at.is_none() {
                Step::Pending
            } else if object.enforces() == Some(Wanted::Opened) {
                Step::Opening
            } else {
                Step::ClosingGracefully
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::JobState;
    use crate::reconciler::decision::Ask;
    use crate::reconciler::input::{Delivered, Ticket, Trouble};
    use crate::reconciler::member::Drift;
    use crate::reconciler::tests::{desired, key, moment, policy};

    fn member(change: impl FnOnce(&mut Member)) -> Member {
        let mut member = Member::default();
        change(&mut member);
        member
    }

    fn drifted(corrected: bool) -> Member {
        member(|member| {
            member.arrived = true;
            member.drifting.drift = Some(Drift {
                cause: Reason::ReopenedElsewhere,
                seen: JobState::Opened,
                at: Timestamp::UNIX_EPOCH,
                corrected,
            });
        })
    }

    fn trouble() -> Trouble {
        Trouble::new(Reason::JobFailed, "failed")
    }

    #[test]
    fn the_urgent_ones_stand_first() {
        let now = Some(Timestamp::UNIX_EPOCH);
        let ordered = [
            member(|member| member.facts_mut().forced_at = now),
            member(|member| member.decision = Some(Decision::Stall(trouble()))),
            member(|member| member.facts_mut().accepted_at = now),
            member(|member| member.facts_mut().requested_at = now),
            drifted(false),
            Member::default(),
            drifted(true),
        ];
        for (place, member) in (0..).zip(&ordered) {
            assert_eq!(rank(member), place);
        }
    }

    /// The step that is told of a member of an object that wants this.
    fn told(wanted: Wanted, change: impl FnOnce(&mut Member)) -> Step {
        let delivered = Delivered {
            key: key("a"),
            uid: "uid".into(),
            created_at: Timestamp::UNIX_EPOCH,
            generation: 1,
            resource_version: "1".into(),
            finalizers: Vec::new(),
            desired: desired("a", wanted, policy()),
            status: crate::api::AnomalyJobStatus::default(),
        };
        let now = moment(std::time::Duration::ZERO);
        let object = Object::new(delivered, 0, Ticket(0), now);
        step(&object, &member(change))
    }

    #[test]
    fn a_job_at_rest_is_done_where_it_was_seen_and_else_it_waits() {
        let rest = |sighted| {
            told(Wanted::Observed, |member| {
                member.decision = Some(Decision::Rest(Reason::Observing));
                member.sighted = sighted;
            })
        };
        assert_eq!((rest(true), rest(false)), (Step::Done, Step::Waiting));
        let hold = |arrived| {
            told(Wanted::Closed, |member| {
                member.decision = Some(Decision::Hold(trouble()));
                member.arrived = arrived;
            })
        };
        assert_eq!((hold(true), hold(false)), (Step::Done, Step::Waiting));
    }

    #[test]
    fn between_two_calls_a_step_is_that_of_what_was_asked_for() {
        let between = |wanted, asked: bool| {
            told(wanted, |member| {
                member.decision = Some(Decision::Call(Ask::Close));
                let facts = member.facts_mut();
                facts.requested_at = asked.then_some(Timestamp::UNIX_EPOCH);
            })
        };
        assert_eq!(between(Wanted::Closed, false), Step::Pending);
        assert_eq!(between(Wanted::Closed, true), Step::ClosingGracefully);
        assert_eq!(between(Wanted::Opened, true), Step::Opening);
    }
}
