//! The claims of the whole process, and the way from a ruling to the brain that it is for.
//!
//! It decides nothing: who acts is decided by [`Claims`]. Two connections may lead to one cluster, so it stands above them. All
//! rulings go by the inboxes, so that each brain hears them in the order in which they were made, and behind the objects
//! that it was told of before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::cluster::Message;
use crate::api::JobId;
use crate::reconciler::claims::{Claim, Claims, Rulings};
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
    /// A place for a brain that is reached through this inbox. One that is going to be told of what was there at the start
    /// `waits` for [`Seat::complete`].
    pub(super) fn join(&self, inbox: mpsc::UnboundedSender<Message>, waits: bool) -> Seat {
        let mut inner = self.lock();
        inner.last += 1;
        let number = inner.last;
        inner.brains.insert(number, inbox);
        if waits {
            inner.claims.wait(number);
        }
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
    /// Claims jobs.
    pub(super) fn claim(&self, new: &[Claim]) {
        self.change(|claims, brain| claims.claim(brain, new));
    }

    /// Gives up jobs.
    pub(super) fn release(&self, key: &ObjectKey, jobs: &[JobId]) {
        self.change(|claims, brain| claims.release(brain, key, jobs));
    }

    /// Lets an older object act.
    pub(super) fn give_way(&self, key: &ObjectKey, job: JobId) {
        self.change(|claims, brain| claims.give_way(brain, key, &[job]));
    }

    /// The brain knows all objects that were there at the start.
    pub(super) fn complete(&self) {
        self.change(Claims::complete);
    }

    fn change(&self, change: impl FnOnce(&mut Claims, u64) -> Rulings) {
        let mut inner = self.registry.lock();
        let rulings = change(&mut inner.claims, self.number);
        inner.tell(rulings);
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

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::*;
    use crate::reconciler::input::{Ticket, Uid};

    fn claim(name: &str, created: i64) -> Claim {
        Claim {
            cluster: Arc::from("uuid"),
            key: ObjectKey::new("ns", name),
            uid: Uid::from(name),
            through: crate::api::ConnectionKind::default(),
            created_at: Timestamp::from_second(created).unwrap(),
            ticket: Ticket(1),
            jobs: vec![JobId::parse("a").unwrap()],
        }
    }

    /// What a brain was told: who acts, and who is told of a rival.
    fn heard(inbox: &mut mpsc::UnboundedReceiver<Message>) -> Vec<(String, bool)> {
        let messages = std::iter::from_fn(|| inbox.try_recv().ok());
        let rulings = messages.flat_map(|message| match message {
            Message::Ruled(rulings) => rulings,
            _ => Vec::new(),
        });
        rulings
            .map(|ruling| (ruling.key.name().to_string(), ruling.rival.is_none()))
            .collect()
    }

    #[test]
    fn at_the_start_nobody_acts_before_all_objects_were_delivered() {
        let registry = Registry::default();
        let (inbox, mut messages) = mpsc::unbounded_channel();
        let seat = registry.join(inbox, true);
        seat.claim(&[claim("young", 20)]);
        assert!(heard(&mut messages).is_empty());
        seat.claim(&[claim("old", 10)]);
        assert_eq!(heard(&mut messages), [("young".to_owned(), false)]);
        seat.complete();
        assert_eq!(heard(&mut messages), [("old".to_owned(), true)]);
        drop(seat);
        registry.assert_empty();
    }

    #[test]
    fn rulings_are_heard_in_the_order_in_which_they_were_made() {
        let registry = Registry::default();
        let (inbox, mut messages) = mpsc::unbounded_channel();
        let (other_inbox, _other) = mpsc::unbounded_channel();
        let (seat, other) = (
            registry.join(inbox, false),
            registry.join(other_inbox, false),
        );
        other.claim(&[claim("oldest", 1)]);
        seat.claim(&[claim("young", 20)]);
        // That the young one acts is said while its own brain is about to claim for an older one.
        other.release(&claim("oldest", 1).key, &claim("oldest", 1).jobs);
        seat.claim(&[claim("old", 10)]);
        assert_eq!(
            heard(&mut messages),
            [("young", false), ("young", true), ("young", false)]
                .map(|(name, acts)| (name.to_owned(), acts))
        );
    }
}
