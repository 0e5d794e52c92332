//! How closes ended: counted while they go on, summed up when the last one of an object has ended.

use std::time::Duration;

use super::super::decision::Decision;
use super::super::facts::Facts;
use super::super::input::{Event, Finish, Moment};
use super::super::member::Member;
use super::super::object::Object;
use super::words::{after, lost};
use crate::api::{Elapsed, JobId, LastClose, Loss, stamp};

/// The most jobs that are named.
const NAMED: usize = 100;

const LOST_ITS_NODE: &str = "without its model being saved: it had lost its node";

/// The end of one job's close.
pub(in super::super) struct End {
    pub(in super::super) outcome: Finish,
    pub(in super::super) took: Duration,
    /// For an object of one job; many are told of together.
    pub(in super::super) event: Event,
}

/// Records a close that came to its end, and says how. Nothing where there was none of ours.
pub(in super::super) fn finish(object: &mut Object, job: &JobId, now: Moment) -> Option<End> {
    let alone = object.members.len() == 1;
    let member = object.members.get(job)?;
    let facts = member.facts();
    let started = facts.requested_at.or(facts.forced_at)?;
    let took = Duration::try_from(now.wall.duration_since(started)).unwrap_or_default();
    let cost = facts.cost;
    let (outcome, how) = outcome(object, job, facts);
    let mut last = begun(object, started);
    let loss = cost
        .map(|cost| loss(job, &cost))
        .or_else(|| noted_loss(&last, job));
    forget(&mut last, job);
    match outcome {
        Finish::Graceful => last.graceful = last.graceful.saturating_add(1),
        Finish::Unsaved => add(&mut last.unsaved, Some(job.clone())),
        Finish::Forced => {
            add(&mut last.forced, Some(job.clone()));
            add(&mut last.losses, loss);
        }
    }
    if alone {
        last.finished_at = Some(stamp(now.wall));
        last.duration = Some(Elapsed::from(took));
    }
    let cost = if outcome == Finish::Forced {
        format!("; {}", lost(&last))
    } else {
        String::new()
    };
    object.last_close = Some(last);
    let event = Event {
        reason: "JobClosed",
        note: format!("Closed job {job} {}, {how}{cost}", after(took)),
        warning: outcome != Finish::Graceful,
    };
    Some(End {
        outcome,
        took,
        event,
    })
}

fn outcome(object: &Object, job: &JobId, facts: &Facts) -> (Finish, &'static str) {
    // What was noted and never sent did not close anything.
    if facts.force_sent.is_some() {
        (Finish::Forced, "by force")
    } else if facts.unsaved || is_noted_unsaved(object, job) {
        (Finish::Unsaved, LOST_ITS_NODE)
    } else {
        (Finish::Graceful, "gracefully")
    }
}

/// A force is being noted: what it will cost is known now, and must be known after a crash.
pub(in super::super) fn note_cost(object: &mut Object, job: &JobId) {
    let Some(facts) = object.members.get(job).map(Member::facts) else {
        return;
    };
    if let (Some(started), Some(cost)) = (facts.requested_at.or(facts.forced_at), facts.cost) {
        let mut last = begun(object, started);
        last.losses.retain(|known| known.job_id != *job);
        add(&mut last.losses, Some(loss(job, &cost)));
        object.last_close = Some(last);
    }
}

/// The job lost its node while it closed; that must be known after a crash, too.
pub(in super::super) fn note_unsaved(object: &mut Object, job: &JobId) {
    let Some(facts) = object
        .members
        .get(job)
        .map(Member::facts)
        .filter(|facts| facts.unsaved && facts.in_progress())
    else {
        return;
    };
    if let Some(started) = facts.requested_at.or(facts.accepted_at)
        && !is_noted_unsaved(object, job)
    {
        let mut last = begun(object, started);
        add(&mut last.unsaved, Some(job.clone()));
        object.last_close = Some(last);
    }
}

fn is_noted_unsaved(object: &Object, job: &JobId) -> bool {
    let goes_on = object
        .last_close
        .as_ref()
        .filter(|last| last.finished_at.is_none());
    goes_on.is_some_and(|last| last.unsaved.contains(job))
}

/// A close that is not wanted any more: where its force was sent, that is not forgotten.
pub(in super::super) fn cut_short(object: &mut Object, job: &JobId) {
    let Some(facts) = object.members.get(job).map(Member::facts) else {
        return;
    };
    let (sent, noted, cost) = (facts.force_sent.is_some(), facts.forced_at, facts.cost);
    let Some(started) = facts
        .requested_at
        .or(noted)
        .filter(|_| sent && noted.is_some())
    else {
        return;
    };
    let mut last = begun(object, started);
    let loss = cost
        .map(|cost| loss(job, &cost))
        .or_else(|| noted_loss(&last, job));
    forget(&mut last, job);
    add(&mut last.forced, Some(job.clone()));
    add(&mut last.losses, loss);
    object.last_close = Some(last);
    if let Some(member) = object.members.get_mut(job) {
        member.resuming = true;
        member.start_over();
    }
}

fn noted_loss(last: &LastClose, job: &JobId) -> Option<Loss> {
    last.losses
        .iter()
        .find(|known| known.job_id == *job)
        .cloned()
}

fn forget(last: &mut LastClose, job: &JobId) {
    last.forced.retain(|known| known != job);
    last.unsaved.retain(|known| known != job);
    last.losses.retain(|known| known.job_id != *job);
}

fn add<T>(list: &mut Vec<T>, new: Option<T>) {
    if list.len() < NAMED {
        list.extend(new);
    }
}

/// The close in progress; a new one remembers the jobs of which the last word still is a force.
fn begun(object: &mut Object, started: k8s_openapi::jiff::Timestamp) -> LastClose {
    match object.last_close.take() {
        Some(mut last) if last.finished_at.is_none() => {
            let first = last.started_at.map_or(started, |at| at.0.min(started));
            last.started_at = Some(stamp(first));
            last
        }
        before => {
            let mut next = LastClose {
                started_at: Some(stamp(started)),
                ..LastClose::default()
            };
            if let Some(before) = before {
                let stays = |job: &JobId| object.members.get(job).is_some();
                next.forced = before.forced.into_iter().filter(stays).collect();
                next.losses = before
                    .losses
                    .into_iter()
                    .filter(|loss| stays(&loss.job_id))
                    .collect();
            }
            next
        }
    }
}

fn loss(job: &JobId, cost: &super::super::facts::Cost) -> Loss {
    let age = cost
        .snapshot_at
        .map(|taken| Duration::try_from(cost.at.duration_since(taken)).unwrap_or_default());
    Loss {
        job_id: job.clone(),
        snapshot_at: cost.snapshot_at.map(stamp),
        snapshot_age: age.map(Elapsed::from),
        lost_from: cost.from.map(stamp),
        lost_until: cost.until.map(stamp),
    }
}

/// A close is in progress, or waits for its turn: jobs of an object may close in waves.
fn goes_on(member: &Member) -> bool {
    let waits = matches!(
        member.decision,
        Some(
            Decision::NoteDatafeed(_) | Decision::NoteForce | Decision::Verify | Decision::Call(_)
        )
    );
    waits || member.facts().in_progress()
}

/// Sums up, when no close of the object is in progress any more; as long as it is not known who is meant nobody knows that.
/// Returns what is told of it.
pub(in super::super) fn end_close(object: &mut Object, now: Moment) -> Option<Event> {
    if !object.resolved {
        return None;
    }
    let under_way = object.members.iter().any(|(_, member)| goes_on(member));
    let last = object
        .last_close
        .as_mut()
        .filter(|last| last.finished_at.is_none() && !under_way)?;
    if last.graceful == 0 && last.unsaved.is_empty() && last.forced.is_empty() {
        // It was begun, and not wanted any more before it had an effect.
        object.last_close = None;
        return None;
    }
    let took = last
        .started_at
        .as_ref()
        .map(|at| Duration::try_from(now.wall.duration_since(at.0)).unwrap_or_default());
    last.finished_at = Some(stamp(now.wall));
    last.duration = took.map(Elapsed::from);
    let mut parts = vec![format!("{} gracefully", last.graceful)];
    if !last.unsaved.is_empty() {
        parts.push(format!(
            "{} without their models being saved",
            last.unsaved.len()
        ));
    }
    if !last.forced.is_empty() {
        parts.push(format!("{} by force; {}", last.forced.len(), lost(last)));
    }
    let warning = !(last.unsaved.is_empty() && last.forced.is_empty());
    Some(Event {
        reason: "JobsClosed",
        note: format!(
            "Closed jobs {}: {}",
            after(took.unwrap_or_default()),
            parts.join(", ")
        ),
        warning,
    })
}
