//! Between the words of Kubernetes and Elasticsearch and the plain data of the brain. Total functions, no I/O.

use std::sync::Arc;
use std::time::SystemTime;

use crate::api::{AnomalyJob, DatafeedId, JobState, RECONCILE_REQUESTED, Reason, WantedState};
use crate::elasticsearch::{self, Error, Scope};
use crate::reconciler::input::{
    Call, Delivered, Desired, Millis, MoreConfig, ObjectKey, OnNode, Refusal, Scope as Meant,
    SeenConfig, SeenDatafeed, SeenSnapshot, SeenState, SeenTask, Tasks, Trouble, Uid, Wanted,
};
use crate::reconciler::seldom::Seldom;
use k8s_openapi::jiff::Timestamp;

/// An object as the brain takes it.
pub(super) fn delivered(key: ObjectKey, object: AnomalyJob) -> Delivered {
    let AnomalyJob {
        metadata: meta,
        spec,
        status,
    } = object;
    let max_jobs = spec.max_jobs();
    let wanted = match spec.state {
        None => Wanted::Observed,
        Some(WantedState::Closed) => Wanted::Closed,
        Some(WantedState::Opened) => Wanted::Opened,
    };
    let requested = meta
        .annotations
        .as_ref()
        .and_then(|all| all.get(RECONCILE_REQUESTED));
    Delivered {
        key,
        uid: Uid::from(&*meta.uid.unwrap_or_default()),
        created_at: meta
            .creation_timestamp
            .map_or(Timestamp::UNIX_EPOCH, |at| at.0),
        generation: meta.generation.unwrap_or_default(),
        resource_version: Arc::from(meta.resource_version.unwrap_or_default()),
        finalizers: meta.finalizers.unwrap_or_default(),
        desired: Desired {
            scope: Meant {
                expression: spec.job_id,
                exclude: spec.exclude,
                allow_no_match: spec.allow_no_match,
                max_jobs,
            },
            wanted,
            suspended: spec.suspend,
            deleting: meta.deletion_timestamp.map(|at| at.0),
            close: spec.close,
            open: spec.open,
            drift: spec.drift_policy,
            deletion: spec.deletion_policy,
            requested: requested.map(|request| Arc::from(request.as_str())),
        },
        status: status.unwrap_or_default(),
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
    Trouble {
        retry_after: error.retry_after(),
        ..Trouble::new(reason, error.to_string())
    }
}

/// There is no client for the moment.
pub(super) fn trouble_of_connection() -> Trouble {
    Trouble::new(Reason::Pending, "the connection is being made anew")
}

/// What a call that was not answered with success means.
pub(super) fn refusal(error: &Error, call: &Call, list_room: usize) -> Refusal {
    let list = call.jobs().len() > 1;
    match error {
        Error::UpgradeMode => Refusal::UpgradeMode,
        Error::DatafeedRunning => Refusal::DatafeedRuns,
        Error::NoSuchJob(ids) if list => Refusal::Unknown(ids.clone()),
        Error::LineTooLong if list => Refusal::ListTooLong(list_room),
        Error::Overloaded { .. } => Refusal::Overloaded(trouble_of(error)),
        Error::StillClosing
        | Error::InterruptedByKill
        | Error::TaskGone
        | Error::NodeLost
        | Error::JobProcessDied
        | Error::JobFailed(_)
        | Error::AlreadyOpen
        | Error::JobBlocked
        | Error::ClosedWhileOpening
        | Error::OpenTimedOut
        | Error::OpenFailed
        | Error::DatafeedAlreadyStarted
        | Error::DatafeedJobNotOpen
        | Error::DatafeedStartTimedOut
        | Error::NoSuchJob(_)
        | Error::NoSuchDatafeed(_) => Refusal::LookAgain { answered: true },
        Error::TimedOut(_) => Refusal::LookAgain { answered: false },
        // Reads may be allowed where calls are not, so this is no trouble of the whole cluster.
        Error::MissingPrivilege(_) | Error::LicenseMissing | Error::UnexpectedAnswer { .. } => {
            Refusal::Refused(trouble_of(error))
        }
        other => match other.scope() {
            Scope::Connection | Scope::Cluster => Refusal::Cluster(trouble_of(other)),
            Scope::Call => Refusal::Refused(trouble_of(other)),
        },
    }
}

/// `_stats` of one job.
pub(super) fn seen_state(stats: &elasticsearch::JobStats) -> SeenState {
    let explanation = stats.assignment_explanation.as_deref();
    let unassigned = explanation.filter(|text| !stats.has_node && !text.is_empty());
    SeenState {
        state: stats.state,
        assigned: unassigned.is_none(),
        upgrade_mode: explanation.is_some_and(|text| text.contains("upgrade mode")),
        on_node: Seldom::from(OnNode {
            explanation: unassigned.map(Arc::from),
            open_for: stats.open_for,
        }),
        latest_record: stats.latest_record.and_then(timestamp).and_then(Millis::of),
    }
}

fn timestamp(at: SystemTime) -> Option<Timestamp> {
    at.try_into().ok()
}

/// A datafeed with its state.
pub(super) fn seen_datafeed(id: DatafeedId, stats: &elasticsearch::DatafeedStats) -> SeenDatafeed {
    SeenDatafeed {
        id,
        state: stats.state,
        real_time: stats.real_time,
    }
}

/// The newest model snapshot, where it says when it was taken.
pub(super) fn seen_snapshot(snapshot: elasticsearch::Snapshot) -> Option<SeenSnapshot> {
    Some(SeenSnapshot {
        taken_at: snapshot.taken_at.and_then(timestamp)?,
        latest_record: snapshot.latest_record.and_then(timestamp),
    })
}

/// The tasks of a cluster.
pub(super) fn seen_tasks(tasks: elasticsearch::Tasks) -> Tasks {
    // A state that is not known is no reason to believe that there is no task: as `opening` it is looked at.
    let opening = SeenTask {
        state: JobState::Opening,
        assigned: true,
    };
    let odd = tasks.unreadable.into_iter().map(|id| (id, opening));
    let jobs = tasks.jobs.into_iter().map(|(id, task)| {
        let elasticsearch::JobTask { state, assigned } = task;
        (id, SeenTask { state, assigned })
    });
    let datafeeds = tasks.datafeeds.into_iter().filter_map(|(id, task)| {
        let feed = SeenDatafeed {
            id,
            state: task.state,
            real_time: Some(!task.has_end),
        };
        Some((task.job_id?, (feed, task.has_end)))
    });
    Tasks {
        jobs: jobs.chain(odd).collect(),
        datafeeds: datafeeds.collect(),
    }
}

/// The config of one job.
pub(super) fn seen_config(config: elasticsearch::JobConfig) -> SeenConfig {
    let blocked = config
        .blocked
        .as_ref()
        .map(|reason| format!("{reason:?}").to_lowercase());
    let deleting = config.deleting.then(|| "delete".to_owned());
    SeenConfig {
        created_at: config.create_time.and_then(timestamp).and_then(Millis::of),
        more: Seldom::from(MoreConfig {
            blocked: blocked.or(deleting).map(Arc::from),
            groups: config.groups,
            deleting: config.deleting,
        }),
    }
}
