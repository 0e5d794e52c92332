//! When a status is written: once for each outcome, never where nothing differs, and at once where a call depends on it.
//!
//! What it says is the report's. Progress that ends within two seconds is not worth a write of its own.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use super::input::{Moment, ObjectKey, Output, Ticket, WriteRefused};
use super::object::{Object, Published, Writing};
use super::target::Decision;
use super::{Reconciler, pace, report};
use crate::api::AnomalyJobStatus;

/// After a conflict the object is read again, and that takes a moment.
const REFRESHED_WITHIN: Duration = Duration::from_secs(1);

/// A digest of a status: equal for equal statuses within this process.
pub(super) fn digest(status: &AnomalyJobStatus) -> u64 {
    let mut hasher = DefaultHasher::new();
    // A status is plain data and always serialises; were it not so, the write itself would say it.
    serde_json::to_vec(status)
        .unwrap_or_default()
        .hash(&mut hasher);
    hasher.finish()
}

/// A call waits for this write.
fn gates_a_call(object: &Object) -> bool {
    let force = object.facts.forced_at.is_some() && !object.facts.force_is_durable();
    let datafeed = matches!(object.decision, Some(Decision::NoteDatafeed(_)));
    force || datafeed
}

/// The decision is an outcome rather than a step on the way.
fn is_outcome(object: &Object) -> bool {
    match &object.decision {
        Some(Decision::Done | Decision::Stall(_)) => true,
        Some(Decision::Rest(_)) => object.sighted,
        Some(
            Decision::Hold(_)
            | Decision::Observe(_)
            | Decision::Wait(..)
            | Decision::NoteDatafeed(_)
            | Decision::NoteForce
            | Decision::Verify
            | Decision::Call(_),
        )
        | None => false,
    }
}

impl Reconciler {
    /// Writes the object's status if it differs and the time for it has come.
    pub(super) fn publish(&mut self, key: &ObjectKey, now: Moment) {
        let Some(object) = self
            .objects
            .get(key)
            .filter(|object| !object.desired.deleting)
        else {
            return;
        };
        if object.writing.is_some() {
            return;
        }
        let (status, conditions) = report::status(
            object,
            self.jobs.get(&object.desired.job),
            &self.health,
            &self.connection,
            now,
        );
        let digest = digest(&status);
        let unchanged = digest == object.published.digest;
        let urgent = is_outcome(object) || gates_a_call(object);
        let Some(object) = self.objects.get_mut(key) else {
            return;
        };
        if unchanged {
            object.unwritten_since = None;
            return;
        }
        let since = *object.unwritten_since.get_or_insert(now.monotonic);
        let quiet_until = if urgent {
            Duration::ZERO
        } else {
            since + pace::QUIET_FOR
        };
        let due = quiet_until.max(object.write_after);
        if now.monotonic < due {
            self.wake_at(due, key);
            return;
        }
        let ticket = self.ticket();
        let published = Published { digest, conditions };
        self.write(key, ticket, published, status);
    }

    fn write(
        &mut self,
        key: &ObjectKey,
        ticket: Ticket,
        published: Published,
        status: AnomalyJobStatus,
    ) {
        let Some(object) = self.objects.get_mut(key) else {
            return;
        };
        let events = report::events(object, &published.conditions, &status);
        object.writing = Some(Writing::new(ticket, published, object));
        let resource_version = Arc::clone(&object.resource_version);
        self.writes.insert(ticket, key.clone());
        self.outputs.push(Output::Write {
            ticket,
            key: key.clone(),
            uid: Arc::clone(&object.uid),
            resource_version,
            status: Box::new(status),
        });
        for event in events {
            self.event(key, event);
        }
    }

    /// What is there now has to be known before the next write. Where that brings no news, or does not come, the next
    /// try is made all the same.
    fn refresh(&mut self, key: &ObjectKey, now: Moment) {
        let Some(object) = self.objects.get_mut(key) else {
            return;
        };
        object.refreshing = true;
        let again = object.write_after.max(now.monotonic) + REFRESHED_WITHIN;
        let uid = Arc::clone(&object.uid);
        self.outputs.push(Output::Refresh(key.clone(), uid));
        self.wake_at(again, key);
    }

    /// A status write was acknowledged, or not.
    pub(super) fn acknowledged(
        &mut self,
        ticket: Ticket,
        answer: Result<Arc<str>, WriteRefused>,
        now: Moment,
    ) {
        let Some(key) = self.writes.remove(&ticket) else {
            return;
        };
        let ours = |writing: &mut Writing| writing.ticket == ticket;
        let Some(object) = self.objects.get_mut(&key) else {
            return;
        };
        let Some(writing) = object.writing.take_if(ours) else {
            return;
        };
        match answer.or_else(|refused| writing.echoed.clone().ok_or(refused)) {
            Ok(version) => {
                if !object.written(writing, version) {
                    self.refresh(&key, now);
                    return;
                }
            }
            Err(refused) => {
                object.write_failures = object.write_failures.saturating_add(1);
                let at_once = refused == WriteRefused::Conflict && object.write_failures == 1;
                let delay = if at_once {
                    Duration::ZERO
                } else {
                    pace::retry_delay(object.write_failures, ticket.0)
                };
                object.write_after = now.monotonic + delay;
                if refused != WriteRefused::Failed {
                    self.refresh(&key, now);
                    return;
                }
            }
        }
        self.due.insert(key);
    }
}
