//! Small helpers that every story is told with.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::api::{
    CloseMode, ClosePolicy, ConnectionKind, DeletionPolicy, DriftPolicy, JobExpression, JobId,
    OnFailed, OnTimeout, OpenPolicy, Reason, TimeSpan,
};
use crate::reconciler::Reconciler;
use crate::reconciler::input::*;

pub(in crate::reconciler) fn job(id: &str) -> JobId {
    JobId::parse(id).unwrap()
}

/// A key of the usual namespace; `other/a` is `a` of another one.
pub(in crate::reconciler) fn key(name: &str) -> ObjectKey {
    let (namespace, name) = name.split_once('/').unwrap_or(("ns", name));
    ObjectKey::new(namespace, name)
}

pub(in crate::reconciler) fn policy() -> ClosePolicy {
    ClosePolicy {
        mode: CloseMode::Graceful,
        timeout: TimeSpan::parse("10m").unwrap(),
        on_timeout: OnTimeout::Force,
        on_failed: OnFailed::Force,
    }
}

pub(in super::super) fn trouble(reason: Reason) -> Trouble {
    Trouble::new(reason, "as the test says")
}

/// An object's wish for the job of this name.
pub(in crate::reconciler) fn desired(
    expression: &str,
    wanted: Wanted,
    close: ClosePolicy,
) -> Desired {
    Desired {
        scope: Scope {
            expression: JobExpression::parse(expression).unwrap(),
            exclude: Vec::new(),
            allow_no_match: true,
            max_jobs: 100_000,
        },
        wanted,
        suspended: false,
        deleting: None,
        close,
        open: OpenPolicy::default(),
        drift: DriftPolicy::Correct,
        deletion: DeletionPolicy::Retain,
        requested: None,
    }
}

pub(in super::super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The uid of the object that was made as the so manyth.
pub(in crate::reconciler) fn uid(number: u64) -> Uid {
    Uid::from(uuid::Uuid::from_u64_pair(0, number))
}

pub(in crate::reconciler) fn moment(clock: Duration) -> Moment {
    let start = Timestamp::from_second(1_795_000_000).unwrap();
    Moment {
        monotonic: clock,
        wall: start + SignedDuration::try_from(clock).unwrap(),
    }
}

/// A brain that knows of nothing yet.
pub(in crate::reconciler) fn brain(clock: Duration) -> Reconciler {
    Reconciler::new(ConnectionKind::default(), "default", moment(clock))
}

/// A cluster that answers.
pub(in crate::reconciler) fn usable() -> Usable {
    Usable {
        identity: Arc::from("uuid"),
        cluster_uuid: Some(Arc::from("uuid")),
        version: Some(Arc::from("9.4.1")),
        stops_datafeeds: true,
        closes_idle_jobs: true,
        list_room: 4000,
        max_closing: 64,
        max_in_flight: 8,
    }
}
