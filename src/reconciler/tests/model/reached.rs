//! What did happen somewhere in a search, so that no rule holds only because nothing ever happens.
//!
//! It is told by the world, and by what the API server stores, where the question is what people were told.

use super::scene::Scene;
use crate::api::JobState;
use crate::reconciler::input::Wanted;

/// What came to pass in some situation.
#[derive(Debug, Clone, Copy, Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a question of its own"
)]
pub(super) struct Reached {
    pub closed_gracefully: bool,
    pub closed_by_force: bool,
    pub closed_after_a_crash: bool,
    pub conflict: bool,
    pub conflict_solved: bool,
    pub stalled: bool,
    pub opened: bool,
    pub gone_after_closing: bool,
}

impl Reached {
    /// A step was made.
    pub(super) fn note(&mut self, scene: &Scene) {
        self.gone_after_closing |= scene.world.stored.is_empty()
            && scene.ghost.closes > 0
            && scene
                .world
                .jobs
                .values()
                .all(|fake| fake.state == JobState::Closed);
    }

    /// A situation was reached for the first time.
    pub(super) fn settled(&mut self, scene: &Scene, agrees: bool) {
        if !agrees {
            return;
        }
        let jobs = || scene.world.jobs.values();
        let enforced =
            scene.world.stored.values().find(|object| {
                object.desired.wanted != Wanted::Observed && !object.desired.suspended
            });
        let Some(object) = enforced else {
            return;
        };
        let wanted = object.desired.wanted;
        let closed = wanted == Wanted::Closed && jobs().all(|fake| fake.state == JobState::Closed);
        let ghost = &scene.ghost;
        self.closed_gracefully |= closed && ghost.closes > 0 && ghost.forces == 0;
        self.closed_by_force |= closed && ghost.forces > 0;
        self.closed_after_a_crash |=
            closed && scene.past.crashed && ghost.closes + ghost.forces > 0;
        self.opened |=
            wanted == Wanted::Opened && jobs().all(|fake| fake.state == JobState::Opened);
        let is = |of: &str, reason: &str| {
            let mut all = scene
                .world
                .stored
                .values()
                .flat_map(|object| &object.status.conditions);
            all.any(|c| {
                c.type_ == of && c.status == "True" && (reason.is_empty() || c.reason == reason)
            })
        };
        let conflict = is("Stalled", "Conflict");
        self.conflict |= conflict;
        self.conflict_solved |= scene.past.rivals && !conflict && closed;
        self.stalled |= is("Stalled", "") && !conflict;
    }

    /// All of it did happen; without faults, all that needs none.
    pub(super) fn is_everything(self, with_faults: bool) -> bool {
        let closed = self.closed_gracefully && self.closed_by_force;
        let after_faults =
            self.closed_after_a_crash && self.conflict_solved && self.gone_after_closing;
        closed && self.conflict && self.stalled && self.opened && (after_faults || !with_faults)
    }

    /// All that either of the two saw.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            closed_gracefully: self.closed_gracefully | other.closed_gracefully,
            closed_by_force: self.closed_by_force | other.closed_by_force,
            closed_after_a_crash: self.closed_after_a_crash | other.closed_after_a_crash,
            conflict: self.conflict | other.conflict,
            conflict_solved: self.conflict_solved | other.conflict_solved,
            stalled: self.stalled | other.stalled,
            opened: self.opened | other.opened,
            gone_after_closing: self.gone_after_closing | other.gone_after_closing,
        }
    }
}
