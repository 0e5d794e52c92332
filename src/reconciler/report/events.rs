//! What is told once: the end of a close, a force, a trouble, drift. Kubernetes events for people.
//!
//! An event repeats nothing that did not change, so a cluster that is down for a day is told of once.

use std::time::Duration;

use super::super::input::{Event, Finish, Moment};
use super::super::job::Job;
use super::super::object::{Held, Object};
use crate::api::{
    AnomalyJobStatus, CloseMode, ConditionStatus, ConditionType, Elapsed, JobState, LastClose,
    Reason, humane, stamp,
};

/// Why this force is being used.
pub(in super::super) fn why_forced(object: &Object, job: &Job) -> Reason {
    let seen = job.seen.as_ref().map(|seen| &seen.job);
    let state = seen.and_then(|seen| seen.state).map(|state| state.state);
    if seen.is_some_and(|seen| seen.config.is_none()) {
        Reason::ConfigLost
    } else if state == Some(JobState::Failed) {
        Reason::JobFailed
    } else if object.desired.close.mode == CloseMode::Immediate {
        Reason::RequestedByUser
    } else if state == Some(JobState::Closing) {
        Reason::DeadlinePassed
    } else {
        Reason::CloseNotAccepted
    }
}

/// The event that says a force is being sent.
pub(in super::super) fn force_event(object: &Object, reason: Reason) -> Event {
    let job = &object.desired.job;
    let why = match reason {
        Reason::JobFailed => "it has failed and Elasticsearch refuses all else".to_owned(),
        Reason::RequestedByUser => "close.mode is Immediate".to_owned(),
        Reason::ConfigLost => "its config is lost and its task still runs".to_owned(),
        Reason::CloseNotAccepted => format!(
            "Elasticsearch did not take the close within {}",
            object.desired.close.timeout
        ),
        _ => format!(
            "it was still closing after {}",
            object.desired.close.timeout
        ),
    };
    Event {
        reason: Reason::ForceClosing.as_str(),
        note: format!(
            "Closing job {job} by force: {why}; changes to its model since the last snapshot are lost"
        ),
        warning: true,
    }
}

/// Records a close that came to its end, and says how. Nothing where there was none of ours.
pub(in super::super) fn finish(
    object: &mut Object,
    now: Moment,
) -> Option<(Finish, Duration, Event)> {
    let facts = &object.facts;
    let started = facts.requested_at.or(facts.forced_at)?;
    let took = Duration::try_from(now.wall.duration_since(started)).unwrap_or_default();
    let job = object.desired.job.clone();
    // What was noted and never sent did not close anything.
    let (outcome, how) = match (facts.force_sent.is_some(), facts.unsaved) {
        (true, _) => (Finish::Forced, "by force"),
        (false, true) => (
            Finish::Unsaved,
            "without its model being saved: it had lost its node",
        ),
        (false, false) => (Finish::Graceful, "gracefully"),
    };
    let event = Event {
        reason: "JobClosed",
        note: format!("Closed job {job} after {}, {how}", humane(took)),
        warning: outcome != Finish::Graceful,
    };
    let listed = |of: Finish| {
        if outcome == of {
            vec![job.clone()]
        } else {
            Vec::new()
        }
    };
    object.last_close = Some(LastClose {
        started_at: Some(stamp(started)),
        finished_at: Some(stamp(now.wall)),
        duration: Some(Elapsed::from(took)),
        graceful: u32::from(outcome == Finish::Graceful),
        unsaved: listed(Finish::Unsaved),
        forced: listed(Finish::Forced),
        losses: Vec::new(),
    });
    Some((outcome, took, event))
}

/// Events for what changes with this write: a trouble, a stall, a close that takes its time, drift.
pub(in super::super) fn events(
    object: &Object,
    conditions: &[Held],
    status: &AnomalyJobStatus,
) -> Vec<Event> {
    let message = |of: ConditionType| {
        let found = status
            .conditions
            .iter()
            .find(|condition| condition.type_ == of.as_str());
        found
            .map(|condition| condition.message.clone())
            .unwrap_or_default()
    };
    let news = |held: &&Held| {
        object
            .stored(held.of)
            .is_none_or(|before| before.reason != held.reason)
    };
    let worth_telling = |held: &Held| match (held.of, held.status) {
        (ConditionType::Stalled | ConditionType::Drifted, ConditionStatus::True) => Some(true),
        (ConditionType::Reconciling, _) => match held.reason {
            // A force is told when it is sent.
            Reason::Pending | Reason::ForceClosing => None,
            Reason::Closing | Reason::StoppingDatafeed => Some(false),
            _ => Some(true),
        },
        _ => None,
    };
    conditions
        .iter()
        .filter(news)
        .filter_map(|held| {
            Some(Event {
                reason: held.reason.as_str(),
                note: message(held.of),
                warning: worth_telling(held)?,
            })
        })
        .collect()
}
