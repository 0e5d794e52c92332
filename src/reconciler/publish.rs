//! When a status is written: once for each outcome, never where nothing differs, and at once where a call depends on it.
//!
//! What it says is the report's. Progress that ends within two seconds, or a minute where nobody waits, is not worth a
//! write of its own, and what is written is made when its turn has come, so that only the latest is ever sent.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use super::decision::Decision;
use super::input::{Moment, ObjectKey, Output, Ticket, Urgency, WriteRefused};
use super::member::Member;
use super::object::Object;
use super::stored::{Conditions, Held, Published, durable};
use super::turns::Lane;
use super::writing::{Said, Writing};
use super::{Reconciler, pace, report};
use crate::api::{AnomalyJobStatus, ConditionStatus, ConditionType, Reason};

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
    let forces = object
        .members
        .iter()
        .any(|(_, member)| member.waits_for_the_note());
    forces
        || object.resume != object.durable.resume
            && object
                .members
                .iter()
                .any(|(_, member)| matches!(member.decision, Some(Decision::NoteDatafeed(_))))
}

/// Every job is at an outcome rather than at a step on the way.
fn is_outcome(object: &Object) -> bool {
    object.resolved
        && object
            .members
            .iter()
            .all(|(_, member)| match &member.decision {
                Some(Decision::Done | Decision::Stall(_)) => true,
                Some(Decision::Rest(_)) => member.sighted,
                Some(
                    Decision::Hold(_)
                    | Decision::Observe
                    | Decision::Wait(..)
                    | Decision::NoteDatafeed(_)
                    | Decision::NoteForce
                    | Decision::Verify
                    | Decision::Call(_),
                )
                | None => false,
            })
}

/// It was said that nothing is called for its jobs, and what changes from then on is what others do to many of them.
fn only_ticks(object: &Object) -> bool {
    let rests = object.enforces().is_none() && object.members.len() > 1;
    let ready = object.stored(ConditionType::Ready).map(|held| held.reason);
    let told = matches!(ready, Some(Reason::Observing | Reason::Suspended));
    rests && told && object.dealings.progress_at.is_some()
}

/// Of jobs that are restored as they were stored nothing new is known, and a start is no reason to write. A trouble of the
/// cluster is news, but not of what is stored, at this generation, as being where it should be: that stands until the silence
/// is long.
fn only_remembers(object: &Object, troubled: bool) -> bool {
    let ready = object.stored(ConditionType::Ready);
    let there = |held: &Held| held.status == ConditionStatus::True && object.looked_at;
    let stands = ready.is_some_and(|held| !troubled || there(held));
    !object.resolved && object.unmet.obstacle.is_none() && stands
}

/// A status that differs from what is stored.
struct Unwritten {
    /// When it is to be written.
    due: Duration,
    /// The status, where that time has come.
    made: Option<(Box<AnomalyJobStatus>, Published)>,
}

/// It is an outcome, or a call waits for it.
fn is_spoken_at_once(object: &Object) -> bool {
    is_outcome(object) && !only_ticks(object) || gates_a_call(object)
}

/// What is told, though it is a word on the way, because somebody waits for it or relies on it.
fn is_spoken_soon(object: &Object) -> bool {
    // What is stored as being where it should be, and is not any more, is no word on the way.
    let ready = object.stored(ConditionType::Ready);
    let stands = ready.is_some_and(|held| held.status == ConditionStatus::True);
    // Evidence counts after a crash as far as it is stored.
    let counts = |(_, member): (_, &Member)| !member.facts().checkpoint.is_zero();
    object.lane == Lane::Fresh
        || stands
        || is_spoken_at_once(object)
        || object.members.iter().any(counts)
}

/// When a status that differs since then is to be written; `patience` is for what nobody waits for.
fn due_at(object: &Object, since: Duration, patience: Duration) -> Duration {
    if is_spoken_at_once(object) {
        return object.dealings.not_before;
    }
    // Progress of many jobs ticks; of one job each step is a word of its own.
    let many = object.members.len() > 1;
    let spaced = object.dealings.progress_at.filter(|_| many);
    let spaced = spaced.map_or(Duration::ZERO, |at| at + pace::PROGRESS);
    let quiet_for = if is_spoken_soon(object) {
        pace::QUIET_FOR
    } else {
        patience
    };
    (since + quiet_for)
        .max(spaced)
        .max(object.dealings.not_before)
}

/// What somebody waited for is told: whatever happens to the object later is no edit.
fn rest_at_outcome(object: &mut Object) {
    if is_outcome(object) {
        object.lane = Lane::Slow;
    }
}

impl Reconciler {
    /// Asks for a turn to write where the object's status differs and the time for it has come.
    pub(super) fn publish(&mut self, key: &ObjectKey, now: Moment) {
        self.objects.unfold(key);
        let held = self.hold(key, now).is_some();
        let Some(object) = self.objects.get(key) else {
            return;
        };
        if object.dealings.writing.is_some() {
            return;
        }
        // Asked first, because to make a status only to put it off costs more than all else.
        if !held && self.waits_for_outcomes(key, now) {
            return self.wake_object_at(now.monotonic + pace::PROGRESS, key);
        }
        let due = if held {
            self.objects
                .get(key)
                .map(|object| object.dealings.not_before)
        } else {
            self.unwritten(key, now).map(|unwritten| unwritten.due)
        };
        let Some(due) = due else {
            return;
        };
        if now.monotonic < due {
            self.wake_object_at(due, key);
            return;
        }
        self.want_turn(key);
    }

    /// Asks for a turn; again where it became more urgent than what was asked for.
    fn want_turn(&mut self, key: &ObjectKey) {
        let Some(object) = self.objects.get_mut(key) else {
            return;
        };
        let said = if is_spoken_at_once(object) {
            Said::Outcome
        } else {
            Said::OnTheWay
        };
        let urgency = if object.lane == Lane::Fresh {
            Urgency::ForEdit
        } else if gates_a_call(object) {
            Urgency::ForCall
        } else {
            Urgency::None
        };
        let (before, told) = (
            object.dealings.wants_turn,
            object.dealings.is_outcome_wanted(),
        );
        object.dealings.wants_turn = before.map_or(Some((said, urgency)), |(was, asked)| {
            Some((was.max(said), asked.max(urgency)))
        });
        self.outcomes_waiting += usize::from(!told && object.dealings.is_outcome_wanted());
        if before.is_none_or(|(_, asked)| urgency > asked) {
            self.outputs.push(Output::WantTurn(key.clone(), urgency));
        }
    }

    /// A word on the way that nobody waits for is not spoken while there are outcomes to tell: most likely it is one by then.
    fn waits_for_outcomes(&mut self, key: &ObjectKey, now: Moment) -> bool {
        let Some(object) = self.objects.get_mut(key) else {
            return false;
        };
        if self.outcomes_waiting == 0
            || object.dealings.wants_turn.is_some()
            || is_spoken_soon(object)
        {
            return false;
        }
        let since = object.dealings.unwritten_since.get_or_insert(now.monotonic);
        now.monotonic < *since + pace::NOT_OBSERVED_AFTER
    }

    /// Nothing is written of an object that goes at once, or of which nothing is known but what is stored.
    fn is_silent(&self, key: &ObjectKey, now: Moment) -> bool {
        let Some(object) = self.objects.get(key) else {
            return true;
        };
        let goes = object.desired.deleting.is_some() && object.enforces().is_none();
        let trouble = self.health.trouble();
        let troubled = trouble.is_some_and(|trouble| trouble.reason != Reason::Pending);
        let shut_out = self.health.shut_out().is_some();
        let silent = only_remembers(&object, troubled)
            && !(self.unobserved || shut_out)
            && self.health.stalled(now).is_none();
        goes || silent
    }

    /// What is to be written, and when; `None` where it is stored as it should be.
    fn unwritten(&mut self, key: &ObjectKey, now: Moment) -> Option<Unwritten> {
        if self.is_silent(key, now) {
            return None;
        }
        let object = self.objects.get_mut(key)?;
        let is_seen = object.members.iter().all(|(_, member)| member.sighted);
        object.regaining &= !(object.resolved && is_seen);
        if let Some(event) = report::end_close(object, now) {
            self.event(key, None, event);
        }
        let shut = self.calls.window.opens_at().is_some();
        let patience = if shut || self.health.trouble().is_some() {
            pace::QUIET_IN_TROUBLE
        } else {
            pace::QUIET_FOR_MANY
        };
        let object = self.objects.get(key)?;
        let due = |since| due_at(&object, since, patience);
        // To make a status costs more than all else, and one that waits is made when its time has come.
        let waits = object
            .dealings
            .unwritten_since
            .map(due)
            .filter(|due| *due > now.monotonic);
        if let Some(due) = waits {
            return Some(Unwritten { due, made: None });
        }
        let due = due(object.dealings.unwritten_since.unwrap_or(now.monotonic));
        let (status, conditions) = self.report(&object, now);
        let digest = digest(&status);
        let unchanged = digest == object.published.digest;
        let object = self.objects.get_mut(key)?;
        if unchanged {
            object
                .dealings
                .lessen(|dealings| dealings.unwritten_since = None);
            rest_at_outcome(object);
            return None;
        }
        object.dealings.unwritten_since.get_or_insert(now.monotonic);
        let made = Some((Box::new(status), Published { digest, conditions }));
        Some(Unwritten { due, made })
    }

    pub(super) fn report(&self, object: &Object, now: Moment) -> (AnomalyJobStatus, Conditions) {
        report::status(
            object,
            &report::Surroundings {
                jobs: &self.jobs,
                untold: &self.reads.untold,
                catalogue: &self.catalogue,
                health: &self.health,
                connection: &self.connection,
                unobserved: self.unobserved,
                stalled: self.health.stalled(now).is_some(),
                shut: self.calls.window.opens_at().is_some(),
            },
            now,
        )
    }

    /// It is the object's turn: what is true now is written, if it still differs.
    pub(super) fn write_now(&mut self, key: &ObjectKey, now: Moment) {
        let Some(object) = self.objects.get_mut(key) else {
            return;
        };
        self.outcomes_waiting -= usize::from(object.dealings.is_outcome_wanted());
        object.dealings.wants_turn = None;
        if object.dealings.writing.is_some() {
            return;
        }
        if let Some(hold) = self.hold(key, now) {
            return self.write_finalizers(key, hold);
        }
        let unwritten = self.unwritten(key, now);
        let made = unwritten.filter(|unwritten| unwritten.due <= now.monotonic);
        match made.and_then(|unwritten| unwritten.made) {
            Some((status, published)) => self.write(key, published, status, now),
            None => drop(self.unsaid.insert(key.clone())),
        }
    }

    fn write(
        &mut self,
        key: &ObjectKey,
        published: Published,
        status: Box<AnomalyJobStatus>,
        now: Moment,
    ) {
        let ticket = self.ticket();
        let Some(object) = self.objects.get_mut(key) else {
            return;
        };
        let events = report::events(object, &published.conditions, &status);
        object.dealings.writing = Some(Box::new(Writing::status(
            ticket,
            published,
            durable(&status),
        )));
        // Of one job alone each step is a word of its own, and nothing is kept for it at rest.
        let many = object.members.len() > 1;
        object.dealings.progress_at = many.then_some(now.monotonic);
        object.handled_request = status.last_handled_reconcile_at.as_deref().map(Arc::from);
        rest_at_outcome(object);
        let resource_version = Arc::clone(&object.resource_version);
        self.writes.insert(ticket, key.clone());
        self.outputs.push(Output::Write {
            ticket,
            key: key.clone(),
            uid: object.uid.clone(),
            resource_version,
            status,
        });
        for event in events {
            self.event(key, None, event);
        }
    }

    /// What is there now has to be known before the next write. Where that brings no news, or does not come, the next
    /// try is made all the same.
    fn refresh(&mut self, key: &ObjectKey, now: Moment) {
        let Some(object) = self.objects.get_mut(key) else {
            return;
        };
        object.dealings.refreshing = true;
        let again = object.dealings.not_before.max(now.monotonic) + REFRESHED_WITHIN;
        let uid = object.uid.clone();
        self.outputs.push(Output::Refresh(key.clone(), uid));
        self.wake_object_at(again, key);
    }

    /// A write was acknowledged, or not.
    pub(super) fn acknowledged(
        &mut self,
        ticket: Ticket,
        answer: Result<Arc<str>, WriteRefused>,
        now: Moment,
    ) {
        let Some(key) = self.writes.remove(&ticket) else {
            return;
        };
        let ours = |writing: &mut Box<Writing>| writing.ticket == ticket;
        let Some(object) = self.objects.get_mut(&key) else {
            return;
        };
        let Some(writing) = object.dealings.writing.take_if(ours) else {
            return;
        };
        let finalizers = writing.content.is_none();
        match answer.or_else(|refused| writing.echoed.clone().ok_or(refused)) {
            Ok(version) => {
                if !object.written(*writing, version) {
                    self.refresh(&key, now);
                    return;
                }
            }
            Err(refused) => {
                object.dealings.failures = object.dealings.failures.saturating_add(1);
                let at_once = refused == WriteRefused::Conflict && object.dealings.failures == 1;
                let delay = if at_once {
                    Duration::ZERO
                } else {
                    pace::retry_delay(object.dealings.failures, ticket.0)
                };
                object.dealings.not_before = now.monotonic + delay;
                if refused != WriteRefused::Failed {
                    self.refresh(&key, now);
                    return;
                }
            }
        }
        if finalizers {
            self.wake_members(&key);
        } else {
            self.wake_waiting(&key);
        }
        self.unsaid.insert(key);
    }

    /// What waited for the write goes on.
    fn wake_waiting(&mut self, key: &ObjectKey) {
        let Some(object) = self.objects.get(key) else {
            return;
        };
        let waits = object.members.iter().filter(|(_, member)| {
            matches!(
                member.decision,
                Some(Decision::NoteForce | Decision::NoteDatafeed(_))
            )
        });
        self.due
            .extend(waits.map(|(job, _)| (key.clone(), job.clone())));
    }
}
