//! Between the words of Kubernetes and Elasticsearch and the plain data of the brain. Total functions, no I/O.

use std::sync::Arc;

use kube::ResourceExt as _;

use crate::api::{AnomalyJob, Reason, WantedState};
use crate::elasticsearch::{self, Error, Scope};
use crate::reconciler::input::{
    Delivered, Desired, ObjectKey, Refusal, SeenConfig, SeenState, Trouble, Wanted,
};

/// The key of an object.
pub(super) fn key(namespace: &str, name: &str) -> ObjectKey {
    ObjectKey {
        namespace: Arc::from(namespace),
        name: Arc::from(name),
    }
}

/// An object as the brain takes it.
/// None where it means anything but one literal id.
pub(super) fn delivered(object: AnomalyJob) -> Option<Delivered> {
    let job = object.spec.job_id.literal()?;
    let meta = object.metadata;
    let namespace = meta.namespace.unwrap_or_default();
    let name = meta.name.unwrap_or_default();
    let wanted = match object.spec.state {
        Some(WantedState::Closed) => Wanted::Closed,
        _ => Wanted::Observed,
    };
    Some(Delivered {
        key: key(&namespace, &name),
        uid: Arc::from(meta.uid.unwrap_or_default()),
        generation: meta.generation.unwrap_or_default(),
        resource_version: Arc::from(meta.resource_version.unwrap_or_default()),
        desired: Desired {
            job,
            wanted,
            suspended: object.spec.suspend,
            deleting: meta.deletion_timestamp.is_some(),
            close: object.spec.close,
        },
        status: object.status.unwrap_or_default(),
    })
}

/// The connection that an object names.
pub(super) fn connection_of(object: &AnomalyJob) -> (String, String) {
    (
        object.namespace().unwrap_or_default(),
        object.spec.connection_ref.name.clone(),
    )
}

/// A trouble of this reason.
pub(super) fn trouble(reason: Reason, message: impl Into<Arc<str>>) -> Trouble {
    Trouble {
        reason,
        message: message.into(),
    }
}

/// An error of the client in the words of conditions.
pub(super) fn trouble_of(error: &Error) -> Trouble {
    let reason = match error {
        // Shards and state come back by themselves after a restart.
        Error::StateNotRecovered => Reason::Overloaded,
        Error::StillClosing | Error::InterruptedByKill | Error::TaskGone | Error::NodeLost => {
            Reason::RetryingAfterError
        }
        other => Reason::parse(other.category()).unwrap_or(Reason::RetryingAfterError),
    };
    trouble(reason, error.to_string())
}

/// What a call that was not answered with success means.
pub(super) fn refusal(error: &Error) -> Refusal {
    match error {
        Error::UpgradeMode => Refusal::UpgradeMode,
        Error::DatafeedRunning => Refusal::DatafeedRuns,
        Error::StillClosing
        | Error::InterruptedByKill
        | Error::TaskGone
        | Error::NodeLost
        | Error::JobProcessDied
        | Error::JobFailed(_)
        | Error::NoSuchJob(_)
        | Error::NoSuchDatafeed(_) => Refusal::LookAgain { answered: true },
        Error::TimedOut(_) => Refusal::LookAgain { answered: false },
        // Reads may be allowed where calls are not, so this is no trouble of the whole cluster.
        Error::MissingPrivilege(_)
        | Error::LicenseMissing
        | Error::UnexpectedAnswer { .. }
        | Error::Overloaded { .. } => Refusal::Refused(trouble_of(error)),
        other => match other.scope() {
            Scope::Connection | Scope::Cluster => Refusal::Cluster(trouble_of(other)),
            Scope::Call => Refusal::Refused(trouble_of(other)),
        },
    }
}

/// `_stats` of one job.
pub(super) fn seen_state(stats: &elasticsearch::JobStats) -> SeenState {
    let explanation = stats.assignment_explanation.as_deref();
    SeenState {
        state: stats.state,
        assigned: stats.has_node || explanation.is_none_or(str::is_empty),
        upgrade_mode: explanation.is_some_and(|text| text.contains("upgrade mode")),
        open_for: stats.open_for,
    }
}

/// The config of one job.
pub(super) fn seen_config(config: &elasticsearch::JobConfig) -> SeenConfig {
    let blocked = config
        .blocked
        .as_ref()
        .map(|reason| format!("{reason:?}").to_lowercase());
    let deleting = config.deleting.then(|| "delete".to_owned());
    SeenConfig {
        created_at: config.create_time.and_then(|at| at.try_into().ok()),
        blocked: blocked.or(deleting).map(Arc::from),
    }
}
