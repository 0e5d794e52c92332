//! Ready: whether the jobs were seen as they are wanted, and if not, whether to wait or to act.
//!
//! The other conditions follow from what is said here. Nothing is decided here, and no text holds a number that ticks.

use super::super::input::{Trouble, Wanted};
use super::super::object::Object;
use super::super::{pace, untold};
use super::Surroundings;
use super::conditions::{Says, not_observed, says};
use super::sum::Sum;
use super::words::{barred, count, doing, moving, some_are};
use crate::api::{ConditionStatus, ConditionType, Reason};

/// Whether people are to wait or to act.
pub(super) enum Outlook {
    /// It is as it should be, or nothing is to be done.
    Settled,
    /// It goes on by itself.
    Moves,
    /// A human must act.
    Stalled,
}

fn is_ready(reason: Reason, message: String) -> (Says, Outlook) {
    let ready = says(ConditionType::Ready, ConditionStatus::True, reason, message);
    (ready, Outlook::Settled)
}

fn not_ready(reason: Reason, message: String, outlook: Outlook) -> (Says, Outlook) {
    let ready = says(
        ConditionType::Ready,
        ConditionStatus::False,
        reason,
        message,
    );
    (ready, outlook)
}

/// Ready, and what follows from it.
pub(super) fn ready(object: &Object, sum: &Sum, around: &Surroundings) -> (Says, Outlook) {
    let all_meant = object.unmet.unmatched.is_empty() && object.unmet.barred.is_empty();
    let all_there = object.resolved && sum.there == object.members.len() && all_meant;
    if let Some(trouble) = around.health.shut_out() {
        return in_trouble(&trouble, around);
    }
    let observes = object.enforces().is_none();
    let silent = around.unobserved || object.regaining;
    if silent && !object.desired.suspended && (all_there || observes) {
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
        return in_trouble(&trouble, around);
    }
    if observes {
        return observing(object, sum, around);
    }
    if object.members.is_empty() && object.resolved && all_meant {
        return nothing_matched(object);
    }
    // Whatever is decided of a job that is not where it should be undoes its arrival, but for silence.
    if all_there {
        return in_desired_state(object);
    }
    away(object, sum, around)
}

fn in_trouble(trouble: &Trouble, around: &Surroundings) -> (Says, Outlook) {
    let outlook = if around.stalled {
        Outlook::Stalled
    } else {
        Outlook::Moves
    };
    not_ready(trouble.reason, trouble.message.to_string(), outlook)
}

/// What keeps the object as a whole from what it wants.
fn in_the_way(object: &Object, around: &Surroundings) -> Option<(Says, Outlook)> {
    if let Some(obstacle) = &object.unmet.obstacle {
        let message = obstacle.message.to_string();
        return Some(not_ready(obstacle.reason, message, Outlook::Stalled));
    }
    if object.unmet.unmatched.is_empty() || around.health.trouble().is_some() {
        return None;
    }
    let late = object.unmet.unmatched_for >= pace::GRACE;
    let moves = object.members.iter().any(|(_, member)| !member.arrived);
    let outlook = if late && !moves {
        Outlook::Stalled
    } else {
        Outlook::Moves
    };
    let tokens: Vec<String> = object
        .unmet
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
    if sum.untold.count > 0 {
        let trouble = untold::trouble(&sum.untold.names());
        let message = trouble.message.to_string();
        let all_known = sum.sighted + sum.untold.count == object.members.len();
        let outlook = if sum.untold_for_long && all_known {
            Outlook::Stalled
        } else {
            Outlook::Moves
        };
        return not_ready(trouble.reason, message, outlook);
    }
    let what = count(object);
    let all_seen = object.resolved && sum.sighted == object.members.len();
    if let Some(message) = barred(object).filter(|_| all_seen) {
        return not_ready(Reason::NotAllowed, message, Outlook::Stalled);
    }
    if all_seen && object.unmet.unmatched.is_empty() {
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
    let refused = around
        .health
        .told()
        .filter(|_| sum.moving.count + sum.pending > 0);
    let moves = if let Some(trouble) = refused {
        Some((trouble.reason, trouble.message.to_string()))
    } else if let Some(reason) = sum.moves {
        Some((reason, moving(object, sum, reason, around)))
    } else if let Some(held) = sum.held {
        Some((held.reason, held.message.to_string()))
    } else {
        (around.shut && sum.pending > 0).then(|| (Reason::Overloaded, shut(object)))
    };
    if let Some((reason, message)) = moves {
        let message = format!("{message}{}", stuck(object, sum));
        return not_ready(reason, message, Outlook::Moves);
    }
    let known = object.resolved && sum.sighted == object.members.len();
    if sum.pending > 0 && known && around.health.trouble().is_none() {
        let message = format!("waiting for a turn to call {}", count(object));
        return not_ready(Reason::Pending, message, Outlook::Moves);
    }
    if sum.pending > 0 || !object.resolved {
        return pending(object, around);
    }
    if let Some(trouble) = sum.stall {
        return not_ready(
            trouble.reason,
            stalled(object, sum, trouble),
            Outlook::Stalled,
        );
    }
    let Some((job, member)) = sum.waiting.first.first() else {
        return match barred(object) {
            Some(message) => not_ready(Reason::NotAllowed, message, Outlook::Stalled),
            None => pending(object, around),
        };
    };
    let message = if object.members.len() == 1 {
        doing(object, job, member, Reason::Waiting, around)
    } else {
        still_closing(object, sum)
    };
    not_ready(Reason::Waiting, message, Outlook::Moves)
}

fn shut(object: &Object) -> String {
    let what = count(object);
    format!("Elasticsearch asks for fewer requests; waiting before {what} is called")
}

/// What to add about jobs that are stuck while others move.
fn stuck(object: &Object, sum: &Sum) -> String {
    let stall = sum.stall.map_or_else(String::new, |trouble| {
        format!("; stuck: {} ({})", sum.stalled.names(), trouble.reason)
    });
    format!("{stall}{}", and_barred(object))
}

fn and_barred(object: &Object) -> String {
    barred(object).map_or_else(String::new, |barred| format!("; {barred}"))
}

fn stalled(object: &Object, sum: &Sum, trouble: &Trouble) -> String {
    let barred = and_barred(object);
    if object.members.len() == 1 {
        return format!("{}{barred}", trouble.message);
    }
    let stuck = match trouble.reason {
        Reason::Conflict => "left to another object",
        Reason::NotAllowed => "not touched",
        _ => "stuck",
    };
    format!(
        "{} {stuck}: {}; {}{barred}",
        some_are(sum.stalled.count, object),
        sum.stalled.names(),
        trouble.message
    )
}

fn still_closing(object: &Object, sum: &Sum) -> String {
    format!(
        "{} still closing after {}, and close.onTimeout is Wait: {}",
        some_are(sum.waiting.count, object),
        object.desired.close.timeout,
        sum.waiting.names()
    )
}
