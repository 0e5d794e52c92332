//! The six conditions. Each rule of them stands here and nowhere else.
//!
//! They are outputs only: nothing reads them back to decide. Reconciling and Stalled are never there together, for
//! kstatus takes the first for progress and the second for failure: as long as anything moves, nothing has failed.

use super::super::decision::Decision;
use super::super::input::Wanted;
use super::super::member::Drift;
use super::super::object::Object;
use super::super::pace;
use super::Surroundings;
use super::closed::closed;
use super::ready::{Outlook, ready};
use super::sum::Sum;
use super::words::lost;
use crate::api::{ConditionStatus, ConditionType, Reason, humane};

/// One condition before it is written.
pub(super) struct Says {
    pub(super) of: ConditionType,
    pub(super) status: ConditionStatus,
    pub(super) reason: Reason,
    pub(super) message: String,
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

pub(super) fn says(
    of: ConditionType,
    status: ConditionStatus,
    reason: Reason,
    message: String,
) -> Says {
    Says {
        of,
        status,
        reason,
        message,
    }
}

pub(super) fn not_observed(around: &Surroundings) -> String {
    let trouble = around.health.trouble();
    let why = trouble.map_or_else(
        || "it answers again and everything is being looked at".into(),
        |trouble| trouble.message,
    );
    let silence = humane(pace::NOT_OBSERVED_AFTER);
    format!("Elasticsearch has not answered for {silence}: {why}")
}

fn forced(object: &Object) -> Option<Says> {
    let last = object
        .last_close
        .as_ref()
        .filter(|last| !last.forced.is_empty())?;
    // Open again, a job is not one that was closed by force any more.
    let opened = |job: &&crate::api::JobId| {
        let member = object
            .members
            .get(job)
            .filter(|_| object.enforces() == Some(Wanted::Opened));
        member.is_some_and(|member| member.arrived)
    };
    let ids: Vec<&str> = last
        .forced
        .iter()
        .filter(|job| !opened(job))
        .map(crate::api::JobId::as_str)
        .collect();
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
        .filter_map(|(job, member)| Some((job, member, member.drifting.drift?)));
    let (job, member, drift) = drifts.max_by_key(|(_, _, drift)| (!drift.corrected, drift.at))?;
    let Drift {
        cause,
        seen,
        at,
        corrected,
    } = drift;
    let saw = format!("job {job} was seen {seen} at {at:.0}");
    let done = if object.enforces() == Some(Wanted::Opened) {
        "opened"
    } else {
        "closed"
    };
    let (status, reason, message) = if corrected {
        (
            ConditionStatus::False,
            Reason::Corrected,
            format!("{saw}; it was {done} again"),
        )
    } else {
        let what = match &member.decision {
            Some(Decision::Stall(trouble)) => trouble.message.to_string(),
            _ => format!("it is being {done} again"),
        };
        (ConditionStatus::True, cause, format!("{saw}; {what}"))
    };
    Some(says(ConditionType::Drifted, status, reason, message))
}
