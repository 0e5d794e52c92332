//! The six conditions. Each rule of them stands here and nowhere else.
//!
//! They are outputs only: nothing reads them back to decide. Reconciling and Stalled are never there together, for
//! kstatus takes the first for progress and the second for failure: as long as anything moves, nothing has failed.

use super::super::input::Wanted;
use super::super::member::Drift;
use super::super::object::Object;
use super::super::pace;
use super::super::target::Decision;
use super::sum::Sum;
use super::words::{count, doing, lost, moving};
use super::Surroundings;
use crate::api::{ConditionStatus, ConditionType, JobState, Reason, humane};

/// One condition before it is written.
pub(super) struct Says {
    pub(super) of: ConditionType,
    pub(super) status: ConditionStatus,
    pub(super) reason: Reason,
    pub(super) message: String,
}

/// Whether people are to wait or to act.
enum Outlook {
    /// It is as it should be, or nothing is to be done.
    Settled,
    /// It goes on by itself.
    Moves,
    /// A human must act.
    Stalled,
}

/// All conditions of an object, in the order in which people read them.
pub(super) fn conditions(object: &Object, sum: &Sum, around: &Surroundings) -> Vec<Says> {
    let (ready, outlook) = ready(object, sum, around);
    let (reason, message) = (ready.reason, ready.message.clone());
    let mut all = vec![ready, closed(object, sum, around)];
    let aspect = match outlook {
        Outlook::Settled => None,
        Outlook::Moves => Some(ConditionType::Reconciling),
        Outlook::Stalled => Some(ConditionType::Stalled),
    };
    all.extend(aspect.map(|of| says(of, ConditionStatus::True, reason, message)));
    all.extend(forced(object));
    all.extend(drifted(object));
    all
}

fn says(of: ConditionType, status: ConditionStatus, reason: Reason, message: String) -> Says {
    Says {
        of,
        status,
        reason,
        message,
    }
}

fn is_ready(reason: Reason, message: String) -> (Says, Outlook) {
    let ready = says(ConditionType::Ready, ConditionStatus::True, reason, message);
    (ready, Outlook::Settled)
}

fn not_ready(reason: Reason, message: String, outlook: Outlook) -> (Says, Outlook) {
    let ready = says(ConditionType::Ready, ConditionStatus::False, reason, message);
    (ready, outlook)
}

fn not_observed(around: &Surroundings) -> String {
    let trouble = around.health.trouble();
    let why = trouble.map_or_else(
        || "it answers again and everything is being looked at".into(),
        |trouble| trouble.message,
    );
    let silence = humane(pace::NOT_OBSERVED_AFTER);
    format!("Elasticsearch has not answered for {silence}: {why}")
}

fn ready(object: &Object, sum: &Sum, around: &Surroundings) -> (Says, Outlook) {
    let all_there = object.resolved && sum.there == object.members.len() && object.unmatched.is_empty();
    let rests = object.enforces().is_none();
    let silent = around.unobserved || object.regaining;
    if silent && !object.desired.suspended && (all_there || rests) {
        return not_ready(Reason::NotObserved, not_observed(around), Outlook::Settled);
    }
    if object.desired.suspended {
        let message = "spec.suspend is true, so nothing is called".to_owned();
        return not_ready(Reason::Suspended, message, Outlook::Settled);
    }
    if let Some(in_the_way) = in_the_way(object, around) {
        return in_the_way;
    }
    if let Some(trouble) = around.health.trouble().filter(|_| !object.resolved) {
        let outlook = if around.stalled { Outlook::Stalled } else { Outlook::Moves };
        return not_ready(trouble.reason, trouble.message.to_string(), outlook);
    }
    if rests {
        return observing(object, sum, around);
    }
    if object.members.is_empty() && object.resolved {
        return nothing_matched(object);
    }
    if all_there && (around.health.trouble().is_some() || sum.stalled.count + sum.moving.count == 0) {
        return in_desired_state(object);
    }
    away(object, sum, around)
}

/// What keeps the object as a whole from what it wants.
fn in_the_way(object: &Object, around: &Surroundings) -> Option<(Says, Outlook)> {
    if let Some(obstacle) = &object.obstacle {
        let message = obstacle.message.to_string();
        return Some(not_ready(obstacle.reason, message, Outlook::Stalled));
    }
    if object.unmatched.is_empty() || around.health.trouble().is_some() {
        return None;
    }
    let late = object.unmatched_for >= pace::GRACE;
    let moves = object.members.iter().any(|(_, member)| !member.arrived);
    let outlook = if late && !moves { Outlook::Stalled } else { Outlook::Moves };
    let tokens: Vec<String> = object
        .unmatched
        .iter()
        .take(super::sum::NAMED)
        .map(|token| token.escape_debug().to_string())
        .collect();
    let message = format!(
        "Elasticsearch knows no job or group {}; create it, or mend spec.jobId",
        tokens.join(", ")
    );
    Some(not_ready(Reason::JobNotFound, message, outlook))
}

fn observing(object: &Object, sum: &Sum, around: &Surroundings) -> (Says, Outlook) {
    let what = count(object);
    if object.resolved && sum.sighted == object.members.len() {
        return is_ready(
            Reason::Observing,
            format!("observing {what}; spec.state is absent, so nothing is called"),
        );
    }
    pending(object, around)
}

fn nothing_matched(object: &Object) -> (Says, Outlook) {
    let message = format!(
        "spec.jobId {} matches no job",
        object.desired.scope.expression.as_str().escape_debug()
    );
    if object.desired.scope.allow_no_match {
        return is_ready(Reason::NoJobsMatched, message);
    }
    not_ready(Reason::NoJobsMatched, message, Outlook::Stalled)
}

fn in_desired_state(object: &Object) -> (Says, Outlook) {
    let state = match object.enforces() {
        Some(Wanted::Opened) => "opened",
        _ => "closed",
    };
    let message = match object.members.only() {
        Some((job, _)) => format!("job {job} is {state}"),
        None => format!("all {} jobs are {state}", object.members.len()),
    };
    is_ready(Reason::InDesiredState, message)
}

fn pending(object: &Object, around: &Surroundings) -> (Says, Outlook) {
    let message = around.health.trouble().map_or_else(
        || format!("about to look at {}", count(object)),
        |trouble| trouble.message.to_string(),
    );
    not_ready(Reason::Pending, message, Outlook::Moves)
}

/// Not all are where they should be: what moves comes before what is stuck, and names it too.
fn away(object: &Object, sum: &Sum, around: &Surroundings) -> (Says, Outlook) {
    let stuck = (sum.stalled.count > 0 && object.members.len() > 1)
        .then(|| sum.stall.map(|trouble| format!("; stuck: {} ({})", sum.stalled.names(), trouble.reason)))
        .flatten()
        .unwrap_or_default();
    let refused = around.health.told().filter(|_| sum.moving.count + sum.pending > 0);
    if let Some(trouble) = refused.filter(|_| around.health.trouble().is_none()) {
        return not_ready(trouble.reason, format!("{}{stuck}", trouble.message), Outlook::Moves);
    }
    if let Some(reason) = sum.moves {
        let message = moving(object, sum, reason, around);
        return not_ready(reason, format!("{message}{stuck}"), Outlook::Moves);
    }
    if let Some(held) = sum.held {
        let reason = held.reason;
        return not_ready(reason, format!("{}{stuck}", held.message), Outlook::Moves);
    }
    if sum.pending > 0 || !object.resolved {
        if around.shut {
            let message = format!(
                "Elasticsearch asks for fewer requests; waiting before {} is called{stuck}",
                count(object)
            );
            return not_ready(Reason::Overloaded, message, Outlook::Moves);
        }
        return pending(object, around);
    }
    if let Some(trouble) = sum.stall {
        let message = if object.members.len() == 1 {
            trouble.message.to_string()
        } else {
            format!("{} of {} jobs are stuck: {}; {}", sum.stalled.count, object.members.len(), sum.stalled.names(), trouble.message)
        };
        return not_ready(trouble.reason, message, Outlook::Stalled);
    }
    let (job, member) = match sum.waiting.first.first() {
        Some((job, member)) => (*job, *member),
        None => return pending(object, around),
    };
    let message = if object.members.len() == 1 {
        doing(object, job, member, Reason::Waiting, around)
    } else {
        format!("{} of {} jobs are still closing after {}, and close.onTimeout is Wait: {}", sum.waiting.count, object.members.len(), object.desired.close.timeout, sum.waiting.names())
    };
    not_ready(Reason::Waiting, message, Outlook::Moves)
}

fn closed(object: &Object, sum: &Sum, around: &Surroundings) -> Says {
    let said = |status, reason, message: String| says(ConditionType::Closed, status, reason, message);
    if around.unobserved || object.regaining {
        return said(ConditionStatus::Unknown, Reason::NotObserved, not_observed(around));
    }
    let what = count(object);
    let all = object.members.len();
    if let Some(obstacle) = &object.obstacle {
        return said(ConditionStatus::Unknown, obstacle.reason, obstacle.message.to_string());
    }
    if !object.resolved || sum.sighted < all {
        return said(ConditionStatus::Unknown, Reason::Pending, format!("{what} {} not looked at yet", was(object)));
    }
    if sum.missing.count > 0 {
        let message = format!("Elasticsearch knows no job {}", sum.missing.names());
        return said(ConditionStatus::False, Reason::JobNotFound, message);
    }
    if !object.unmatched.is_empty() {
        let message = "part of spec.jobId matches nothing".to_owned();
        return said(ConditionStatus::False, Reason::JobNotFound, message);
    }
    let (reason, word) = match sum.worst {
        None if all == 0 => {
            return said(ConditionStatus::True, Reason::NoJobsMatched, "no job is meant".to_owned());
        }
        None => {
            let message = match object.members.only() {
                Some((job, _)) => format!("job {job} is closed"),
                None => format!("all {all} jobs are closed"),
            };
            return said(ConditionStatus::True, Reason::AllClosed, message);
        }
        Some(JobState::Closing) => (Reason::StillClosing, "closing"),
        Some(JobState::Failed) => (Reason::SomeFailed, "failed"),
        Some(state) => (Reason::StillOpen, state.as_str()),
    };
    let message = match object.members.only() {
        Some((job, _)) if reason == Reason::SomeFailed => format!("job {job} has failed"),
        Some((job, _)) => format!("job {job} is {word}"),
        None => format!("{} of {all} jobs are not closed: {}", sum.not_closed.count, sum.not_closed.names()),
    };
    said(ConditionStatus::False, reason, message)
}

fn was(object: &Object) -> &'static str {
    if object.members.len() == 1 { "was" } else { "were" }
}

fn forced(object: &Object) -> Option<Says> {
    let last = object
        .last_close
        .as_ref()
        .filter(|last| !last.forced.is_empty())?;
    // Open again, a job is not one that was closed by force any more.
    let opened = |job: &&crate::api::JobId| {
        let member = object.members.get(job).filter(|_| object.enforces() == Some(Wanted::Opened));
        member.is_some_and(|member| member.arrived)
    };
    let ids: Vec<&str> = last.forced.iter().filter(|job| !opened(job)).map(crate::api::JobId::as_str).collect();
    if ids.is_empty() {
        return None;
    }
    let reason = last
        .forced
        .iter()
        .find_map(|job| object.members.get(job)?.force_reason);
    Some(says(
        ConditionType::Forced,
        ConditionStatus::True,
        reason.unwrap_or(Reason::DeadlinePassed),
        format!("closed by force: {}; {}", ids.join(", "), lost(last)),
    ))
}

/// What was seen of others' doing, when, and what was done about it: of what is not put right, else of the latest.
fn drifted(object: &Object) -> Option<Says> {
    let drifts = object
        .members
        .iter()
        .filter_map(|(job, member)| Some((job, member, member.drift?)));
    let (job, member, drift) =
        drifts.max_by_key(|(_, _, drift)| (!drift.corrected, drift.at))?;
    let Drift { cause, seen, at, corrected } = drift;
    let saw = format!("job {job} was seen {seen} at {at:.0}");
    let (status, reason, message) = if corrected {
        let done = if object.enforces() == Some(Wanted::Opened) { "opened" } else { "closed" };
        (ConditionStatus::False, Reason::Corrected, format!("{saw}; it was {done} again"))
    } else {
        let what = match (&member.decision, cause) {
            (Some(Decision::Stall(trouble)), _) => trouble.message.to_string(),
            (_, Reason::ClosedElsewhere) => "it is being opened again".to_owned(),
            _ => "it is being closed again".to_owned(),
        };
        (ConditionStatus::True, cause, format!("{saw}; {what}"))
    };
    Some(says(ConditionType::Drifted, status, reason, message))
}
