//! What `/livez` and `/readyz` answer. Liveness says that the process still gets anything done, and must depend on nothing
//! outside it: restarting the operator heals neither Elasticsearch nor the API server. Readiness says that the replica
//! does its part, which for a standby is to wait.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const STARTING: u8 = 0;
const STANDBY: u8 = 1;
const LISTING: u8 = 2;
const ACTING: u8 = 3;
const STOPPING: u8 = 4;

/// Whether the replica does its part. Starts as not ready; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicU8>);

impl Readiness {
    /// It is not known who holds the lease: not ready.
    pub fn electing(&self) {
        self.set(STARTING);
    }

    /// Another replica has the lease, and this one waits for it: ready.
    pub fn standby(&self) {
        self.set(STANDBY);
    }

    /// The lease was acquired, and the objects are not known yet: not ready.
    pub fn listing(&self) {
        self.set(LISTING);
    }

    /// The first list of objects was delivered: ready. For the controller to say.
    pub fn listed(&self) {
        // A controller that is being dropped may still say this; it must not hide that the process stops.
        let _ = self
            .0
            .compare_exchange(LISTING, ACTING, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The process stops: not ready, for good.
    pub fn stopping(&self) {
        self.0.store(STOPPING, Ordering::Relaxed);
    }

    /// Why it is not ready, if so.
    pub fn problem(&self) -> Option<&'static str> {
        match self.0.load(Ordering::Relaxed) {
            STANDBY | ACTING => None,
            LISTING => Some("the first list of objects was not delivered yet"),
            STOPPING => Some("stopping"),
            _ => Some("the lease was not read yet"),
        }
    }

    fn set(&self, state: u8) {
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                (now != STOPPING).then_some(state)
            });
    }
}

/// Whether the loops of the process still turn: each beats at least once in [`Liveness::LIMIT`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Liveness(Arc<Mutex<Instant>>);

impl Liveness {
    /// Longer silence than this means that the process hangs. Six beats: a machine that is short of CPU is no reason to
    /// restart, and a claim on the lease has long run out by then.
    pub const LIMIT: Duration = Duration::from_secs(30);
    /// How often [`Liveness::keep_beating`] beats.
    pub const BEAT: Duration = Duration::from_secs(5);

    /// Alive now.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    /// Something got done.
    pub fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Beats for ever. To be polled by the task whose life is in question.
    pub async fn keep_beating(&self) {
        loop {
            self.beat();
            tokio::time::sleep(Self::BEAT).await;
        }
    }

    /// Why the process counts as dead, if so.
    pub fn problem(&self) -> Option<&'static str> {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (last.elapsed() > Self::LIMIT).then_some("the main loop has not turned for 30 seconds")
    }
}

impl Default for Liveness {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standby_is_ready_and_a_leader_only_after_its_first_list() {
        let readiness = Readiness::default();
        assert!(readiness.problem().is_some());
        readiness.standby();
        assert_eq!(readiness.problem(), None);
        readiness.listing();
        assert!(readiness.problem().is_some());
        readiness.listed();
        assert_eq!(readiness.problem(), None);
    }

    #[test]
    fn nothing_makes_a_stopping_process_ready_again() {
        let readiness = Readiness::default();
        readiness.listing();
        readiness.stopping();
        readiness.listed();
        readiness.standby();
        assert_eq!(readiness.problem(), Some("stopping"));
    }

    #[test]
    fn a_list_that_arrives_after_the_lease_was_lost_does_not_count() {
        let readiness = Readiness::default();
        readiness.standby();
        readiness.listed();
        readiness.listing();
        assert!(readiness.problem().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_does_not_turn_is_dead_after_the_limit_and_alive_with_the_next_beat() {
        let liveness = Liveness::new();
        tokio::time::advance(Liveness::LIMIT).await;
        assert_eq!(liveness.problem(), None);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(liveness.problem().is_some());
        liveness.beat();
        assert_eq!(liveness.problem(), None);
    }
}
