//! What a status that is stored tells: conditions, the facts on which calls depend, and what was begun.
//!
//! Read once, when an object is delivered; the status itself is not kept. What follows from it is not decided here.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::Timestamp;
use smallvec::SmallVec;

use super::seldom::{Seldom, rare};
use crate::api::{
    AnomalyJobStatus, ConditionStatus, ConditionType, DatafeedId, JobId, Reason, Target,
};

/// A condition as far as the next decision about writing needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Which.
    pub of: ConditionType,
    /// Its value.
    pub status: ConditionStatus,
    /// Its reason.
    pub reason: Reason,
    /// Since when the value holds.
    pub since: Timestamp,
}

/// Conditions as they are held; an object at rest of which there is nothing to tell has two.
pub type Conditions = SmallVec<[Held; 2]>;

/// What is stored of us at the API server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// A digest of the whole status.
    pub digest: u64,
    /// Its conditions.
    pub conditions: Conditions,
}

/// The facts of a status on which calls depend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Durable {
    /// Forces that were noted.
    pub forced: Seldom<BTreeMap<JobId, Timestamp>>,
    /// Datafeeds that ran when their jobs were closed.
    pub resume: Seldom<BTreeSet<DatafeedId>>,
}

rare!(BTreeMap<JobId, Timestamp>);
rare!(BTreeSet<DatafeedId>);

/// Of a status of an earlier generation only what was begun is still true; where a job is, is to be seen anew. A slice, for a
/// list that was decoded has room for four, and at a start ten thousand objects wait with it for the first list of jobs.
pub fn restorable(
    targets: impl IntoIterator<Item = Target>,
    looked_at: bool,
    asked: bool,
) -> Box<[Target]> {
    let keep = |mut target: Target| {
        // As in a process that lives: after an edit, or a human's request, everything is worth another try, and an edit ends a drift.
        if !looked_at || asked {
            (target.corrected_at, target.last_error) = (None, None);
            (target.corrections, target.failures) = (0, 0);
        }
        if !looked_at {
            target.drift = None;
            if target.step == crate::api::Step::Done {
                target.step = crate::api::Step::Pending;
            }
        }
        target
    };
    targets.into_iter().map(keep).collect()
}

/// The facts of a status on which calls depend.
pub fn durable(status: &AnomalyJobStatus) -> Durable {
    let forced = status
        .targets
        .iter()
        .filter_map(|target| Some((target.job_id.clone(), target.forced_at.as_ref()?.0)));
    let forced: BTreeMap<JobId, Timestamp> = forced.collect();
    let resume: BTreeSet<DatafeedId> = status.resume_datafeeds.iter().cloned().collect();
    Durable {
        forced: Seldom::from(forced),
        resume: Seldom::from(resume),
    }
}

pub(super) fn held(status: &AnomalyJobStatus) -> Conditions {
    let held = status.conditions.iter().filter_map(|condition| {
        Some(Held {
            of: ConditionType::parse(&condition.type_)?,
            status: ConditionStatus::parse(&condition.status)?,
            reason: Reason::parse(&condition.reason)?,
            since: condition.last_transition_time.0,
        })
    });
    // Where there are more, a list that grows by itself has room for four.
    let mut held: Conditions = held.collect();
    held.shrink_to_fit();
    held
}
