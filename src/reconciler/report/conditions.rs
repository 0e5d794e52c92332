//! The six conditions. Each rule of them stands here and nowhere else.
//!
//! They are outputs only: nothing reads them back to decide.

use super::super::health::Health;
use super::super::input::{Moment, SeenJob};
use super::super::object::Object;
use super::super::pace;
use super::super::target::Decision;
use crate::api::{ConditionStatus, ConditionType, JobState, Reason, humane};

/// One condition before it is written.
pub(super) struct Says {
    pub(super) of: ConditionType,
    pub(super) status: ConditionStatus,
    pub(super) reason: Reason,
    pub(super) message: String,
}

/// All conditions of an object, in the order in which people read them.
pub(super) fn conditions(
    object: &Object,
    seen: Option<&SeenJob>,
    health: &Health,
    now: Moment,
) -> Vec<Says> {
    let seen_now = seen.filter(|_| object.sighted);
    let ready = ready(object, health, now);
    let looks = matches!(
        object.decision,
        Some(Decision::Observe(_) | Decision::Hold(_))
    );
    let settled = object.arrived && (looks || health.trouble().is_some());
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
        humane(pace::NOT_OBSERVED_AFTER)
    )
}

fn ready(object: &Object, health: &Health, now: Moment) -> Says {
    let observing = matches!(object.decision, Some(Decision::Rest(Reason::Observing)));
    if health.not_observed(now) && (object.arrived || observing) {
        return not_ready(Reason::NotObserved, not_observed(health));
    }
    let job = &object.desired.job;
    match &object.decision {
        Some(Decision::Rest(Reason::Observing)) if object.sighted => is_ready(
            Reason::Observing,
            format!("observing job {job}; spec.state is absent, so nothing is called"),
        ),
        Some(Decision::Rest(Reason::Suspended)) => not_ready(
            Reason::Suspended,
            "spec.suspend is true, so nothing is called".to_owned(),
        ),
        Some(Decision::Done) => in_desired_state(object),
        Some(Decision::Hold(_) | Decision::Observe(_)) if object.arrived => {
            in_desired_state(object)
        }
        // Only of the cluster as a whole: what is wrong with the job itself was seen after it had arrived.
        Some(Decision::Stall(_)) if object.arrived && health.trouble().is_some() => {
            in_desired_state(object)
        }
        Some(Decision::Hold(trouble) | Decision::Stall(trouble)) => {
            not_ready(trouble.reason, trouble.message.to_string())
        }
        Some(Decision::Wait(_, reason, _)) => not_ready(*reason, waiting(object, *reason)),
        Some(Decision::NoteForce | Decision::Verify) => {
            not_ready(Reason::ForceClosing, waiting(object, Reason::ForceClosing))
        }
        Some(
            Decision::Rest(_)
            | Decision::Observe(_)
            | Decision::NoteDatafeed(_)
            | Decision::Call(_),
        )
        | None => pending(object, health),
    }
}

fn is_ready(reason: Reason, message: String) -> Says {
    says(ConditionType::Ready, ConditionStatus::True, reason, message)
}

fn not_ready(reason: Reason, message: String) -> Says {
    says(
        ConditionType::Ready,
        ConditionStatus::False,
        reason,
        message,
    )
}

fn in_desired_state(object: &Object) -> Says {
    is_ready(
        Reason::InDesiredState,
        format!("job {} is closed", object.desired.job),
    )
}

fn pending(object: &Object, health: &Health) -> Says {
    let message = health.trouble().map_or_else(
        || format!("about to look at job {}", object.desired.job),
        |trouble| trouble.message.to_string(),
    );
    not_ready(Reason::Pending, message)
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
