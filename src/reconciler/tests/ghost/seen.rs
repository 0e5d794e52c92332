//! Which jobs were seen closed or opened while the brain knew of a generation: what a status of that generation may claim.
//!
//! Kept as the newest such read of a job, which is compared when it is asked for; most reads are never asked for.

use std::collections::BTreeSet;

use super::{Ghost, Told};
use crate::api::{JobId, JobState};
use crate::reconciler::input::*;

/// Uid and generation of an object, a job, and whether that was seen opened, or otherwise closed.
pub(super) type Seen = (Uid, i64, JobId, bool);

impl Ghost {
    /// A read that was sent at `order` has said this of a job.
    pub(super) fn hear_of(&mut self, id: &JobId, state: Option<JobState>, order: u64) {
        let opened = match state {
            Some(JobState::Closed) => false,
            Some(JobState::Opened) => true,
            _ => return,
        };
        if !self.said.contains_key(id) {
            self.said.insert(id.clone(), [0, 0]);
        }
        if let Some(said) = self.said.get_mut(id) {
            said[usize::from(opened)] = order.max(said[usize::from(opened)]);
        }
    }

    /// What is known by now of a generation that the brain is being told anew of, or never again.
    pub(super) fn keep(&mut self, told: &Told) {
        let seen = self.seen_since(told);
        self.seen_in.extend(seen);
    }

    fn seen_since(&self, told: &Told) -> Vec<Seen> {
        let Some(object) = &told.object else {
            return Vec::new();
        };
        let both = self
            .said
            .iter()
            .flat_map(|(id, [closed, opened])| [(id, *closed, false), (id, *opened, true)]);
        both.filter(|(_, order, _)| *order > told.since)
            .map(|(id, _, opened)| (object.uid.clone(), object.generation, id.clone(), opened))
            .collect()
    }

    /// Whether a job was seen closed, or opened, while the brain knew of this generation.
    pub(super) fn was_seen(
        &self,
        told: &Told,
        object: &Delivered,
        id: &JobId,
        opened: bool,
    ) -> bool {
        let now = self.said.get(id);
        now.is_some_and(|said| said[usize::from(opened)] > told.since)
            || self
                .seen_in
                .contains(&(object.uid.clone(), object.generation, id.clone(), opened))
    }

    /// All of it.
    pub(super) fn all_seen(&self) -> BTreeSet<Seen> {
        let now = self.told.values().flat_map(|told| self.seen_since(told));
        now.chain(self.seen_in.iter().cloned()).collect()
    }
}
