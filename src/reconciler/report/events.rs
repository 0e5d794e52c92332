//! What is told once: a force, a trouble, drift, an open. Kubernetes events for people.
//!
//! An event repeats nothing that did not change, so a cluster that is down for a day is told of once.

use std::time::Duration;

use super::super::decision::Ask;
use super::super::input::{Event, Moment, SeenConfig};
use super::super::job::Job;
use super::super::member::Member;
use super::super::object::Object;
use super::super::stored::Held;
use super::super::target::running;
use super::words::after;
use crate::api::{AnomalyJobStatus, ConditionStatus, ConditionType, JobId, Reason};

/// Why this force is being used.
fn why_forced(object: &Object, job: &Job, config: Option<&SeenConfig>) -> Reason {
    match config {
        None => Reason::ConfigLost,
        Some(_) => Member::why_forced(job.state(), object.desired.close.mode),
    }
}

/// A force is being sent: notes why, and says it.
pub(in super::super) fn forcing(
    object: &mut Object,
    id: &JobId,
    job: &Job,
    config: Option<&SeenConfig>,
) -> Event {
    let reason = why_forced(object, job, config);
    if let Some(member) = object.members.get_mut(id) {
        member.force_reason = Some(reason);
    }
    let timeout = &object.desired.close.timeout;
    let why = match reason {
        Reason::JobFailed => "it has failed and Elasticsearch refuses all else".to_owned(),
        Reason::RequestedByUser => "close.mode is Immediate".to_owned(),
        Reason::ConfigLost => "its config is lost and its task still runs".to_owned(),
        Reason::CloseNotAccepted => {
            format!("Elasticsearch did not take the close within {timeout}")
        }
        _ => format!("it was still closing after {timeout}"),
    };
    Event {
        reason: Reason::ForceClosing.as_str(),
        note: format!(
            "Closing job {id} by force: {why}; changes to its model since the last snapshot are lost"
        ),
        warning: true,
    }
}

/// A datafeed is being stopped of which it is not known that it ran without an end: it is not started again by itself.
pub(in super::super) fn not_resumed(
    object: &mut Object,
    id: &JobId,
    job: &Job,
    ask: &Ask,
) -> Option<Event> {
    if !matches!(ask, Ask::Close | Ask::Force | Ask::StopDatafeed { .. }) {
        return None;
    }
    let feed = running(job.seen.as_ref()?).filter(|feed| feed.real_time != Some(true))?;
    if !object.unfinished.told_not_resumable.insert(feed.id.clone()) {
        return None;
    }
    let why = match feed.real_time {
        Some(_) => "it was started with an end",
        None => "it cannot be seen whether it was started with an end",
    };
    Some(Event {
        reason: "DatafeedNotResumed",
        note: format!(
            "Datafeed {} of job {id} stops with it and will not be started again by itself: {why}",
            feed.id
        ),
        warning: false,
    })
}

/// A job was brought to `opened`. Nothing where it was not by us.
pub(in super::super) fn opened(object: &Object, id: &JobId, now: Moment) -> Option<Event> {
    let started = object.members.get(id)?.facts().requested_at?;
    let took = Duration::try_from(now.wall.duration_since(started)).unwrap_or_default();
    Some(Event {
        reason: "JobOpened",
        note: format!("Opened job {id} {}", after(took)),
        warning: false,
    })
}

/// A drift was put right.
pub(in super::super) fn corrected(id: &JobId, opened: bool) -> Event {
    let (done, undone) = if opened {
        ("Opened", "closed")
    } else {
        ("Closed", "opened")
    };
    Event {
        reason: "DriftCorrected",
        note: format!("{done} job {id} again after somebody else had {undone} it"),
        warning: false,
    }
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
        (ConditionType::Ready, ConditionStatus::True) if held.reason == Reason::NoJobsMatched => {
            Some(true)
        }
        (ConditionType::Reconciling, _) => match held.reason {
            // A force is told when it is sent.
            Reason::Pending | Reason::ForceClosing => None,
            Reason::Closing
            | Reason::StoppingDatafeed
            | Reason::Opening
            | Reason::StartingDatafeed => Some(false),
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
