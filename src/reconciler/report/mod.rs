//! What status says, as a function of facts: for people and for kstatus.
//!
//! Pure. Nothing here decides what is done, and no text holds a number that only ticks, so an unchanged situation
//! gives an unchanged status. `sum` counts the members, `conditions` has the six conditions, `ready` and
//! `closed` the first two, in the words of `words`,
//! `targets` the jobs that are listed, `tally` how closes ended, `events` what is told once.

mod closed;
mod conditions;
mod events;
#[cfg(test)]
mod properties;
mod ready;
mod sum;
mod tally;
mod targets;
mod words;

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;

use super::catalogue::Catalogue;
use super::health::Health;
use super::input::{Moment, Wanted};
use super::job::Job;
use super::object::Object;
use super::stored::{Conditions, Held};
use super::untold::Untold;
use crate::api::{AnomalyJobStatus, ConnectionSeen, JobCounts, JobId, JobState, new_condition};
use conditions::{Says, conditions};
pub(super) use events::{corrected, events, forcing, not_resumed, opened};
use sum::Sum;
pub(super) use tally::{cut_short, end_close, finish, note_cost, note_unsaved};
pub(super) use targets::LISTED;

/// What is around an object when its status is made.
pub(super) struct Surroundings<'a> {
    pub(super) jobs: &'a BTreeMap<JobId, Box<Job>>,
    pub(super) untold: &'a Untold,
    pub(super) catalogue: &'a Catalogue,
    pub(super) health: &'a Health,
    pub(super) connection: &'a ConnectionSeen,
    /// The cluster was silent for so long that nothing is claimed of it.
    pub(super) unobserved: bool,
    /// The trouble of the cluster is a human's matter by now.
    pub(super) stalled: bool,
    /// Calls are held back, because Elasticsearch asked for fewer.
    pub(super) shut: bool,
}

/// The whole status of an object, and its conditions as the object keeps them.
pub(super) fn status(
    object: &Object,
    around: &Surroundings,
    now: Moment,
) -> (AnomalyJobStatus, Conditions) {
    let sum = Sum::of(object, around);
    let said = conditions(object, &sum, around);
    let held: Conditions = said.iter().map(|said| hold(object, said, now)).collect();
    let written = said.iter().zip(&held).map(|(said, held)| {
        new_condition(
            said.of,
            said.status,
            said.reason,
            &said.message,
            object.generation,
            held.since,
        )
    });
    let status = AnomalyJobStatus {
        observed_generation: object.generation,
        summary: summary(object, &sum),
        jobs: object.resolved.then(|| counts(object, &sum)),
        targets: targets::listed(object, around),
        last_close: object.last_close.clone(),
        resume_datafeeds: object.resume.iter().cloned().collect(),
        connection: Some(connection(object, around)),
        last_handled_reconcile_at: handled(object),
        conditions: written.collect(),
    };
    (status, held)
}

/// Where that was seen what the status tells: here, or where it was before, until the cluster of here is known.
fn connection(object: &Object, around: &Surroundings) -> ConnectionSeen {
    let (cluster_uuid, version) = around.health.identity();
    object.from.as_deref().cloned().unwrap_or(ConnectionSeen {
        cluster_uuid: cluster_uuid.map(|uuid| uuid.to_string()),
        version: version.map(|version| version.to_string()),
        ..around.connection.clone()
    })
}

/// So much of a request is told when it was answered, in characters.
pub(super) const REQUEST_TOLD: usize = 256;

/// The newest request that was answered: everything was looked at since.
fn handled(object: &Object) -> Option<String> {
    let unfinished = &object.unfinished;
    let answered = object.resolved && !unfinished.asked && unfinished.requested.1.is_empty();
    let newest = object.desired.requested.as_ref().filter(|_| answered);
    newest
        .or(object.handled_request.as_ref())
        .map(|request| request.chars().take(REQUEST_TOLD).collect())
}

fn hold(object: &Object, said: &Says, now: Moment) -> Held {
    let before = object
        .stored(said.of)
        .filter(|held| held.status == said.status);
    let whole = Timestamp::from_second(now.wall.as_second()).unwrap_or(now.wall);
    Held {
        of: said.of,
        status: said.status,
        reason: said.reason,
        since: before.map_or(whole, |held| held.since),
    }
}

/// The state of the one job that is meant by its id, or how many of all are where they should be.
fn summary(object: &Object, sum: &Sum) -> String {
    // The name of a group looks like an id.
    if let Some((job, _)) = object.members.only()
        && object.literal().is_some_and(|literal| literal == *job)
    {
        return match (sum.seen, sum.only_state) {
            (0, _) => "unknown".to_owned(),
            (_, None) => "missing".to_owned(),
            (_, Some(state)) => state.as_str().to_owned(),
        };
    }
    let named_only = object.unmet.barred.named.len() == 1 && object.literal().is_some();
    if !object.resolved || named_only {
        return "unknown".to_owned();
    }
    if let Some(matched) = object.unmet.too_many {
        return format!("{matched} jobs");
    }
    let (word, there) = match object.enforces() {
        Some(Wanted::Opened) => ("opened", sum.counts.opened),
        _ => ("closed", sum.counts.closed),
    };
    format!("{there}/{} {word}", sum.counts.matched)
}

fn counts(object: &Object, sum: &Sum) -> JobCounts {
    let mut counts = sum.counts;
    if let Some(matched) = object.unmet.too_many {
        counts.matched = u32::try_from(matched).unwrap_or(u32::MAX);
    }
    counts
}

fn is(state: JobState, seen: Option<JobState>) -> u32 {
    u32::from(seen == Some(state))
}
