//! Closed: whether the jobs were seen closed, whatever is wanted of them. `kubectl wait --for=condition=Closed` waits for it.
//!
//! It speaks of what was seen and of nothing else: not of what is being done.

use super::super::object::Object;
use super::super::untold;
use super::Surroundings;
use super::conditions::{Says, not_observed, says};
use super::sum::Sum;
use super::words::{barred, count, some_are};
use crate::api::{ConditionStatus, ConditionType, JobState, Reason};

/// The condition Closed.
pub(super) fn closed(object: &Object, sum: &Sum, around: &Surroundings) -> Says {
    let (status, reason, message) = not_known(object, sum, around)
        .map(|(reason, message)| (ConditionStatus::Unknown, reason, message))
        .or_else(|| {
            let (reason, message) = missing(object, sum)?;
            Some((ConditionStatus::False, reason, message))
        })
        .unwrap_or_else(|| seen(object, sum));
    says(ConditionType::Closed, status, reason, message)
}

fn not_known(object: &Object, sum: &Sum, around: &Surroundings) -> Option<(Reason, String)> {
    if let Some(trouble) = around.health.shut_out() {
        return Some((trouble.reason, trouble.message.to_string()));
    }
    if around.unobserved || object.regaining {
        return Some((Reason::NotObserved, not_observed(around)));
    }
    if let Some(obstacle) = &object.unmet.obstacle {
        return Some((obstacle.reason, obstacle.message.to_string()));
    }
    if let Some(message) = barred(object) {
        return Some((Reason::NotAllowed, message));
    }
    if sum.untold.count > 0 {
        let trouble = untold::trouble(&sum.untold.names());
        return Some((trouble.reason, trouble.message.to_string()));
    }
    let all = object.members.len();
    (!object.resolved || sum.sighted < all).then(|| {
        let one = all == 1 || all == 0 && object.literal().is_some();
        let were = if one { "was" } else { "were" };
        let message = format!("{} {were} not looked at yet", count(object));
        (Reason::Pending, message)
    })
}

fn missing(object: &Object, sum: &Sum) -> Option<(Reason, String)> {
    let message = if sum.missing.count > 0 {
        format!("Elasticsearch knows no job {}", sum.missing.names())
    } else if object.unmet.unmatched.is_empty() {
        return None;
    } else {
        "part of spec.jobId matches nothing".to_owned()
    };
    Some((Reason::JobNotFound, message))
}

fn seen(object: &Object, sum: &Sum) -> (ConditionStatus, Reason, String) {
    let all = object.members.len();
    let only = object.members.only().map(|(job, _)| job);
    let Some(worst) = sum.worst else {
        let (reason, message) = match only {
            None if all == 0 => (Reason::NoJobsMatched, "no job is meant".to_owned()),
            Some(job) => (Reason::AllClosed, format!("job {job} is closed")),
            None => (Reason::AllClosed, format!("all {all} jobs are closed")),
        };
        return (ConditionStatus::True, reason, message);
    };
    let (reason, word) = match worst {
        JobState::Closing => (Reason::StillClosing, "is closing"),
        JobState::Failed => (Reason::SomeFailed, "has failed"),
        JobState::Opening => (Reason::StillOpen, "is opening"),
        JobState::Opened | JobState::Closed => (Reason::StillOpen, "is opened"),
    };
    let message = match only {
        Some(job) => format!("job {job} {word}"),
        None => format!(
            "{} not closed: {}",
            some_are(sum.not_closed.count, object),
            sum.not_closed.names()
        ),
    };
    (ConditionStatus::False, reason, message)
}
