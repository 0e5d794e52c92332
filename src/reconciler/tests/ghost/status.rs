//! What the ghost makes of a status that is being written: nothing is claimed that the brain was not told in time.
//!
//! It judges by what was told and by nothing that the status says of itself.

use super::Ghost;
use super::policy::{closes, opens};
use crate::api::{AnomalyJobStatus, JobState};
use crate::reconciler::input::*;
use crate::reconciler::tests::meant::meant;

impl Ghost {
    /// A status is being written.
    pub(in super::super) fn write(&self, key: &ObjectKey, uid: &Uid, status: &AnomalyJobStatus) {
        let Some(told) = self.told.get(key) else {
            panic!("a write to {key}, which the brain was not told of");
        };
        let Some(object) = told
            .object
            .as_ref()
            .filter(|object| object.uid == *uid && object.generation == status.observed_generation)
        else {
            return;
        };
        assert!(
            status
                .conditions
                .iter()
                .all(|c| c.observed_generation == Some(status.observed_generation))
        );
        let is = |of: &str, value: &str| {
            status
                .conditions
                .iter()
                .any(|c| c.type_ == of && c.status == value)
        };
        let ready = is("Ready", "True") && (closes(&object.desired) || opens(&object.desired));
        let claimed = match () {
            () if ready && opens(&object.desired) => JobState::Opened,
            () if ready || is("Closed", "True") => JobState::Closed,
            () => return,
        };
        for id in meant(&object.desired, &self.listed) {
            let before = self.or_before.get(&id);
            let seen = self.seen.get(&id);
            let seen = seen.map(|(_, seen)| seen.state.as_ref().map(|state| state.state));
            assert!(
                self.was_seen(told, object, &id, claimed == JobState::Opened),
                "{key} claims what was not read at generation {}: {:#?}",
                object.generation,
                status.conditions
            );
            assert!(
                seen.is_none_or(|state| state == Some(claimed)) || before == Some(&Some(claimed)),
                "{key} claims {claimed:?}, but was told {seen:?}: {:#?}",
                status.conditions
            );
        }
        assert!(
            !ready || !is("Reconciling", "True") && !is("Stalled", "True"),
            "{:#?}",
            status.conditions
        );
    }
}
