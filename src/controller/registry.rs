//! The claims of the whole process, and the way from a ruling to the brain that it is for.
//!
//! It decides nothing: who acts is decided by [`Claims`]. Two connections may lead to one cluster, so it stands above them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::cluster::Message;
use crate::api::JobId;
use crate::reconciler::claims::{Claim, Claims, Ruling, Rulings};
use crate::reconciler::input::ObjectKey;

/// Shared by all clusters of a run; cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Registry(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    claims: Claims,
    brains: HashMap<u64, mpsc::UnboundedSender<Message>>,
    last: u64,
}

/// One brain's place in it; what it has claimed goes when it is dropped.
pub(super) struct Seat {
    registry: Registry,
    number: u64,
}

impl Registry {
    /// A place for a brain that is reached through this inbox.
    pub(super) fn join(&self, inbox: mpsc::UnboundedSender<Message>) -> Seat {
        let mut inner = self.lock();
        inner.last += 1;
        let number = inner.last;
        inner.brains.insert(number, inbox);
        drop(inner);
        Seat {
            registry: self.clone(),
            number,
        }
    }

    /// Each change is made whole, so a panic elsewhere leaves it as it should be.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Claims jobs. Returns the rulings for this brain; others are told by message.
    pub(super) fn claim(&self, claim: Claim) -> Vec<Ruling> {
        self.change(|claims, brain| claims.claim(brain, claim))
    }

    /// Gives up jobs.
    pub(super) fn release(&self, key: &ObjectKey, jobs: &[JobId]) -> Vec<Ruling> {
        self.change(|claims, brain| claims.release(brain, key, jobs))
    }

    /// Lets an older object act.
    pub(super) fn give_way(&self, key: &ObjectKey, job: JobId) -> Vec<Ruling> {
        self.change(|claims, brain| claims.give_way(brain, key, &[job]))
    }

    fn change(&self, change: impl FnOnce(&mut Claims, u64) -> Rulings) -> Vec<Ruling> {
        let mut inner = self.registry.lock();
        let mut rulings = change(&mut inner.claims, self.number);
        let ours = rulings.remove(&self.number).unwrap_or_default();
        inner.tell(rulings);
        ours
    }
}

impl Inner {
    fn tell(&self, rulings: Rulings) {
        for (brain, rulings) in rulings {
            if let Some(inbox) = self.brains.get(&brain) {
                // A brain that is gone has no claims any more.
                let _ = inbox.send(Message::Ruled(rulings));
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut inner = self.registry.lock();
        inner.brains.remove(&self.number);
        let rulings = inner.claims.forget(self.number);
        inner.tell(rulings);
    }
}

#[cfg(test)]
impl Registry {
    /// No brain has a place in it, and nothing is claimed.
    pub(super) fn assert_empty(&self) {
        let Inner {
            claims,
            brains,
            last: _,
        } = &*self.lock();
        assert!(brains.is_empty(), "{} brains", brains.len());
        assert!(claims.is_empty(), "{claims:?}");
    }
}
