//! How an object goes: at once, or after its jobs were closed, and never later than it may take.
//!
//! Only `deletionPolicy: Close` has a finalizer. It is bounded by the wall clock, because nothing else is left of an object
//! whose cluster or namespace is gone: the deletion timestamp says since when it waits.

use std::sync::Arc;
use std::time::Duration;

use super::input::{Event, Moment, ObjectKey, Output};
use super::object::Object;
use super::writing::Writing;
use super::{Reconciler, pace};
use crate::api::{DeletionPolicy, Reason, humane};
use crate::finalizer;

/// Whether our finalizer is to be put on or taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    PutOn,
    TakeOff,
}

impl Reconciler {
    /// What is to be done about the finalizer, if anything.
    pub(super) fn hold(&mut self, key: &ObjectKey, now: Moment) -> Option<Hold> {
        let object = self.objects.get(key)?;
        let Some(since) = object.desired.deleting else {
            let wanted = object.desired.deletion == DeletionPolicy::Close;
            return match (wanted, object.is_held()) {
                (true, false) => Some(Hold::PutOn),
                (false, true) => Some(Hold::TakeOff),
                (true, true) | (false, false) => None,
            };
        };
        if !object.is_held() {
            return None;
        }
        let waited = Duration::try_from(now.wall.duration_since(since)).unwrap_or_default();
        let most = object.desired.close.timeout.as_duration() + pace::DELETION_MARGIN;
        let enforced = object.enforces().is_some();
        if object.dealings.leaving || !enforced || closed(&object) {
            return Some(Hold::TakeOff);
        }
        let lost = waited >= pace::GRACE && self.health.stalled(now).is_some();
        let left = most.saturating_sub(waited);
        if !left.is_zero() && !lost {
            let troubled = self.health.trouble().is_some();
            let soon = if troubled {
                left.min(pace::SWEEP)
            } else {
                left
            };
            self.wake_object_at(now.monotonic + soon, key);
            return None;
        }
        self.give_up(key, waited);
        Some(Hold::TakeOff)
    }

    /// The object goes although its jobs were not seen closed.
    fn give_up(&mut self, key: &ObjectKey, waited: Duration) {
        let Some(object) = self.objects.get_mut(key) else {
            return;
        };
        object.dealings.leaving = true;
        let event = Event {
            reason: "DeletedBeforeClosed",
            note: format!(
                "The object goes after {} although its jobs were not seen closed; they are left as they are",
                humane(waited)
            ),
            warning: true,
        };
        self.event(key, None, event);
        self.claim(key);
        self.wake_members(key);
    }

    /// Writes the finalizers, in the turn that was given.
    pub(super) fn write_finalizers(&mut self, key: &ObjectKey, hold: Hold) {
        let ticket = self.ticket();
        let Some(object) = self.objects.get_mut(key) else {
            return;
        };
        let finalizers = finalizer::with(&object.finalizers, hold == Hold::PutOn);
        object.dealings.leaving |= hold == Hold::TakeOff && object.desired.deleting.is_some();
        object.dealings.writing = Some(Box::new(Writing::finalizers(ticket, finalizers.clone())));
        self.writes.insert(ticket, key.clone());
        self.outputs.push(Output::Finalize {
            ticket,
            key: key.clone(),
            uid: object.uid.clone(),
            resource_version: Arc::clone(&object.resource_version),
            finalizers,
        });
    }
}

/// All that it means was seen closed since it is being deleted, or there is nothing that could be.
fn closed(object: &Object) -> bool {
    object.resolved
        && object.members.iter().all(|(_, member)| {
            use super::decision::Decision;
            match &member.decision {
                Some(Decision::Done) => member.sighted,
                // Another object has it, it must not be touched, or there is no such job: nothing is left to be closed here.
                Some(Decision::Stall(trouble)) => matches!(
                    trouble.reason,
                    Reason::Conflict | Reason::NotAllowed | Reason::JobNotFound
                ),
                _ => false,
            }
        })
}
