//! What status says: conditions and targets as a function of facts, for people and for kstatus.
//!
//! Pure. Nothing here decides what is done, and no text holds a number that only ticks, so an unchanged situation
//! gives an unchanged status.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::health::Health;
use super::input::{Event, Finish, Moment, SeenJob};
use super::job::Job;
use super::object::{Held, Object};
use super::target::Decision;
use crate::api::{
    AnomalyJobStatus, CloseMode, ConditionStatus, ConditionType, ConnectionSeen, DatafeedSeen,
    Elapsed, JobCounts, JobState, LastClose, LastError, Reason, Step, Target, humane,
    new_condition, stamp,
};

/// One condition before it is written.
struct Says {
    of: ConditionType,
    status: ConditionStatus,
    reason: Reason,
    message: String,
}

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
        connection: Some(ConnectionSeen {
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

fn conditions(object: &Object, seen: Option<&SeenJob>, health: &Health, now: Moment) -> Vec<Says> {
    let seen_now = seen.filter(|_| object.sighted);
    let ready = ready(object, health, now);
    let settled = object.arrived && health.trouble().is_some();
    let (reason, message) = (ready.reason, ready.message.clone());
    let mut all = vec![ready, closed(object, seen_now, health, now)];
    match &object.decision {
        _ if settled => {}
        Some(Decision::Done | Decision::Rest(_)) => {}
        Some(Decision::Stall(_)) => all.push(says(
            ConditionType::Stalled,
            ConditionStatus::True,
            reason,
            message,
        )),
        Some(_) | None => all.push(says(
            ConditionType::Reconciling,
            ConditionStatus::True,
            reason,
            message,
        )),
    }
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

fn not_observed(health: &Health) -> String {
    let why = health
        .trouble()
        .map(|trouble| trouble.message)
        .unwrap_or_default();
    format!(
        "Elasticsearch has not answered for {}: {why}",
        humane(super::pace::NOT_OBSERVED_AFTER)
    )
}

fn ready(object: &Object, health: &Health, now: Moment) -> Says {
    let job = &object.desired.job;
    let no = |reason, message: String| {
        says(
            ConditionType::Ready,
            ConditionStatus::False,
            reason,
            message,
        )
    };
    let yes = |reason, message: String| {
        says(ConditionType::Ready, ConditionStatus::True, reason, message)
    };
    let rests = matches!(object.decision, Some(Decision::Rest(Reason::Observing)));
    if health.not_observed(now) && (object.arrived || rests) {
        return no(Reason::NotObserved, not_observed(health));
    }
    let in_desired_state = || yes(Reason::InDesiredState, format!("job {job} is closed"));
    match &object.decision {
        Some(Decision::Rest(Reason::Observing)) if object.sighted => yes(
            Reason::Observing,
            format!("observing job {job}; spec.state is absent, so nothing is called"),
        ),
        Some(Decision::Rest(Reason::Suspended)) => no(
            Reason::Suspended,
            "spec.suspend is true, so nothing is called".to_owned(),
        ),
        Some(Decision::Done) => in_desired_state(),
        Some(Decision::Hold(_) | Decision::Observe(_) | Decision::Stall(_)) if object.arrived => {
            in_desired_state()
        }
        Some(Decision::Hold(trouble) | Decision::Stall(trouble)) => {
            no(trouble.reason, trouble.message.to_string())
        }
        Some(Decision::Wait(_, reason, _)) => no(*reason, waiting(object, *reason)),
        Some(Decision::NoteForce | Decision::Verify) => {
            no(Reason::ForceClosing, waiting(object, Reason::ForceClosing))
        }
        Some(
            Decision::Rest(_)
            | Decision::Observe(_)
            | Decision::NoteDatafeed(_)
            | Decision::Call(_),
        )
        | None => {
            let known = health.trouble();
            let message = known.map_or_else(
                || format!("about to look at job {job}"),
                |trouble| trouble.message.to_string(),
            );
            no(Reason::Pending, message)
        }
    }
}

fn waiting(object: &Object, reason: Reason) -> String {
    let (job, close) = (&object.desired.job, &object.desired.close);
    match reason {
        Reason::Closing if object.facts.accepted_at.is_some() => format!(
            "Elasticsearch is closing job {job} and saves its model; close.onTimeout: {:?} applies after {} of it",
            close.on_timeout, close.timeout
        ),
        Reason::Closing => format!("asked Elasticsearch to close job {job}"),
        Reason::ForceClosing => format!(
            "closing job {job} by force; changes to its model since the last snapshot are lost"
        ),
        Reason::StoppingDatafeed => format!("stopping the datafeed of job {job}"),
        Reason::JobBlocked => format!(
            "Elasticsearch is resetting, reverting or deleting job {job}; waiting until that ends"
        ),
        Reason::JobNotFound => format!("Elasticsearch knows no job {job} yet"),
        Reason::ConfigLost => format!("job {job} has a running task but no config"),
        Reason::Waiting => format!(
            "job {job} is still closing after {}, and close.onTimeout is Wait",
            close.timeout
        ),
        Reason::ReopenedElsewhere => {
            format!("job {job} keeps being opened by somebody else; closing it again after a pause")
        }
        Reason::RetryingAfterError => object.facts.last_error.as_ref().map_or_else(
            || format!("trying again to close job {job}"),
            |error| format!("trying again to close job {job}: {}", error.message),
        ),
        other => other.meaning().to_owned(),
    }
}

fn closed(object: &Object, seen: Option<&SeenJob>, health: &Health, now: Moment) -> Says {
    let job = &object.desired.job;
    let said =
        |status, reason, message: String| says(ConditionType::Closed, status, reason, message);
    if health.not_observed(now) {
        return said(
            ConditionStatus::Unknown,
            Reason::NotObserved,
            not_observed(health),
        );
    }
    let Some(seen) = seen else {
        return said(
            ConditionStatus::Unknown,
            Reason::Pending,
            format!("job {job} was not looked at yet"),
        );
    };
    match seen.state.map(|state| state.state) {
        None => said(
            ConditionStatus::False,
            Reason::JobNotFound,
            format!("Elasticsearch knows no job {job}"),
        ),
        Some(JobState::Closed) => said(
            ConditionStatus::True,
            Reason::AllClosed,
            format!("job {job} is closed"),
        ),
        Some(JobState::Closing) => said(
            ConditionStatus::False,
            Reason::StillClosing,
            format!("job {job} is closing"),
        ),
        Some(JobState::Failed) => said(
            ConditionStatus::False,
            Reason::SomeFailed,
            format!("job {job} has failed"),
        ),
        Some(state @ (JobState::Opened | JobState::Opening)) => said(
            ConditionStatus::False,
            Reason::StillOpen,
            format!("job {job} is {}", state.as_str()),
        ),
    }
}

fn forced(object: &Object) -> Option<Says> {
    let last = object
        .last_close
        .as_ref()
        .filter(|last| !last.forced.is_empty())?;
    let ids: Vec<&str> = last.forced.iter().map(crate::api::JobId::as_str).collect();
    Some(says(
        ConditionType::Forced,
        ConditionStatus::True,
        object.force_reason.unwrap_or(Reason::DeadlinePassed),
        format!(
            "closed by force: {}; changes to the model since its last snapshot are lost",
            ids.join(", ")
        ),
    ))
}

fn drifted(object: &Object) -> Option<Says> {
    let job = &object.desired.job;
    Some(if object.drift?.corrected {
        let message = format!("somebody else had opened job {job}; it was closed again");
        says(
            ConditionType::Drifted,
            ConditionStatus::False,
            Reason::Corrected,
            message,
        )
    } else {
        let message = format!("somebody else opened job {job}; it is being closed again");
        says(
            ConditionType::Drifted,
            ConditionStatus::True,
            Reason::ReopenedElsewhere,
            message,
        )
    })
}

/// Why this force is being used.
pub(super) fn why_forced(object: &Object, job: &Job) -> Reason {
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
pub(super) fn force_event(object: &Object, reason: Reason) -> Event {
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
        reason: "ForceClose",
        note: format!(
            "Closing job {job} by force: {why}; changes to its model since the last snapshot are lost"
        ),
        warning: true,
    }
}

/// Records a close that came to its end, and says how. Nothing where there was none of ours.
pub(super) fn finish(object: &mut Object, now: Moment) -> Option<(Finish, Duration, Event)> {
    let facts = &object.facts;
    let started = facts.requested_at.or(facts.forced_at)?;
    let took = Duration::try_from(now.wall.duration_since(started)).unwrap_or_default();
    let job = object.desired.job.clone();
    let (outcome, how) = match (facts.forced_at.is_some(), facts.unsaved) {
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
    });
    Some((outcome, took, event))
}

/// Events for what changes with this write: a trouble, a stall, a close that takes its time, drift.
pub(super) fn events(
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
            Reason::Pending => None,
            Reason::Closing | Reason::StoppingDatafeed | Reason::ForceClosing => Some(false),
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
