//! What status says, as a function of facts: for people and for kstatus.
//!
//! Pure. Nothing here decides what is done, and no text holds a number that only ticks, so an unchanged situation
//! gives an unchanged status. `conditions` has the six conditions, `events` what is told once.

mod conditions;
mod events;

use k8s_openapi::jiff::Timestamp;

use super::health::Health;
use super::input::{Moment, SeenJob};
use super::job::Job;
use super::object::{Held, Object};
use super::target::Decision;
use crate::api::{
    AnomalyJobStatus, ConnectionKind, ConnectionSeen, DatafeedSeen, Elapsed, JobCounts, JobState,
    LastError, Reason, Step, Target, new_condition, stamp,
};
use conditions::{Says, conditions};
pub(super) use events::{events, finish, force_event, why_forced};

/// The whole status of an object, and its conditions as the object keeps them.
pub(super) fn status(
    object: &Object,
    job: Option<&Job>,
    health: &Health,
    connection: &str,
    now: Moment,
) -> (AnomalyJobStatus, Vec<Held>) {
    let seen = job.and_then(|job| job.seen.as_ref()).map(|seen| &seen.job);
    let said = conditions(object, seen, health, now);
    let held: Vec<Held> = said.iter().map(|said| hold(object, said, now)).collect();
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
    let (cluster_uuid, version) = health.identity();
    let status = AnomalyJobStatus {
        observed_generation: object.generation,
        summary: summary(seen),
        jobs: seen.map(counts),
        targets: vec![target(object, seen)],
        last_close: object.last_close.clone(),
        resume_datafeeds: object.resume.clone(),
        last_handled_reconcile_at: None,
        connection: Some(ConnectionSeen {
            kind: ConnectionKind::default(),
            name: connection.to_owned(),
            cluster_uuid: cluster_uuid.map(|uuid| uuid.to_string()),
            version: version.map(|version| version.to_string()),
        }),
        conditions: written.collect(),
    };
    (status, held)
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

fn summary(seen: Option<&SeenJob>) -> String {
    match seen {
        None => "unknown".to_owned(),
        Some(seen) => seen
            .state
            .map_or("missing", |state| state.state.as_str())
            .to_owned(),
    }
}

fn counts(seen: &SeenJob) -> JobCounts {
    let is = |state| u32::from(seen.state.is_some_and(|seen| seen.state == state));
    JobCounts {
        matched: u32::from(seen.state.is_some() || seen.config.is_some()),
        opened: is(JobState::Opened),
        opening: is(JobState::Opening),
        closing: is(JobState::Closing),
        closed: is(JobState::Closed),
        failed: is(JobState::Failed),
    }
}

fn target(object: &Object, seen: Option<&SeenJob>) -> Target {
    let facts = &object.facts;
    let micro = |at: Option<Timestamp>| at.map(stamp);
    Target {
        state: seen.and_then(|seen| seen.state).map(|state| state.state),
        datafeed: seen
            .and_then(|seen| seen.datafeed.as_ref())
            .map(|datafeed| DatafeedSeen {
                id: datafeed.id.clone(),
                state: datafeed.state,
            }),
        step: step(object),
        requested_at: micro(facts.requested_at),
        accepted_at: micro(facts.accepted_at),
        evidence: Some(facts.checkpoint)
            .filter(|evidence| !evidence.is_zero())
            .map(Elapsed::from),
        deadline: micro(facts.deadline.filter(|_| facts.accepted_at.is_some())),
        forced_at: micro(facts.forced_at),
        attempts: facts.attempts,
        failures: facts.failures,
        last_error: facts.last_error.as_ref().map(|error| LastError {
            category: error.reason.as_str().to_owned(),
            message: error.message.to_string(),
        }),
        ..Target::new(object.desired.job.clone())
    }
}

fn step(object: &Object) -> Step {
    match &object.decision {
        Some(Decision::Done | Decision::Rest(Reason::Observing)) => Step::Done,
        Some(Decision::Wait(step, ..)) => *step,
        Some(Decision::Hold(_)) if object.arrived => Step::Done,
        Some(Decision::NoteForce) => Step::ForceClosing,
        Some(Decision::Hold(_) | Decision::Stall(_) | Decision::Rest(_)) => Step::Waiting,
        Some(
            Decision::Observe(_) | Decision::NoteDatafeed(_) | Decision::Verify | Decision::Call(_),
        )
        | None => {
            if object.facts.requested_at.is_some() {
                Step::ClosingGracefully
            } else {
                Step::Pending
            }
        }
    }
}
