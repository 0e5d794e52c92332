//! The status of an ElasticsearchConnection as a function of what the last probe found. Pure.

use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;

use super::writer::Precondition;
use crate::api::{
    ConditionStatus, ConditionType, ElasticsearchConnection, ElasticsearchConnectionStatus, Reason,
    new_condition,
};
use crate::reconciler::input::Trouble;

/// What a successful probe found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Probe {
    /// `cluster_uuid`, where `GET /` may be read.
    pub(super) cluster_uuid: Option<Arc<str>>,
    /// `cluster_name`, likewise.
    pub(super) cluster_name: Option<Arc<str>>,
    /// `version.number`, likewise.
    pub(super) version: Option<Arc<str>>,
    /// 7.14 or later: a close stops running datafeeds.
    pub(super) stops_datafeeds: bool,
    /// It may be of a version that closes idle jobs by itself.
    pub(super) closes_idle_jobs: bool,
    /// `limits.maxClosing` of the connection.
    pub(super) max_closing: usize,
}

/// The preconditions of a write, owned.
pub(super) struct At {
    namespace: String,
    name: String,
    uid: String,
    resource_version: String,
}

impl At {
    pub(super) fn borrowed(&self) -> Precondition<'_> {
        Precondition {
            namespace: &self.namespace,
            name: &self.name,
            uid: &self.uid,
            resource_version: &self.resource_version,
        }
    }
}

/// The status that follows from the probe, or nothing where it is stored already.
pub(super) fn next(
    object: &ElasticsearchConnection,
    outcome: &Result<Probe, Trouble>,
    now: Timestamp,
) -> Option<(At, ElasticsearchConnectionStatus)> {
    let before = object.status.clone().unwrap_or_default();
    let generation = object.metadata.generation.unwrap_or_default();
    let (status, reason, message) = match outcome {
        Ok(probe) if probe.version.is_none() => (
            ConditionStatus::True,
            Reason::Connected,
            "connected; the credentials may not read GET / (privilege monitor), so version and uuid are unknown".to_owned(),
        ),
        Ok(_) => (ConditionStatus::True, Reason::Connected, "connected".to_owned()),
        Err(trouble) => (ConditionStatus::False, trouble.reason, trouble.message.to_string()),
    };
    let ready = ConditionType::Ready;
    let stored = before
        .conditions
        .iter()
        .find(|condition| condition.type_ == ready.as_str());
    let since = stored
        .filter(|stored| stored.status == status.as_str())
        .map(|stored| stored.last_transition_time.0);
    let condition = new_condition(
        ready,
        status,
        reason,
        &message,
        generation,
        since.unwrap_or(now),
    );
    let mut after = ElasticsearchConnectionStatus {
        observed_generation: generation,
        conditions: vec![condition],
        ..before.clone()
    };
    if let Ok(probe) = outcome {
        let text = |value: &Option<Arc<str>>| value.as_ref().map(ToString::to_string);
        // A uuid that was known stays recorded where it can no longer be read.
        after.cluster_uuid = text(&probe.cluster_uuid).or(before.cluster_uuid.clone());
        after.cluster_name = text(&probe.cluster_name).or(before.cluster_name.clone());
        after.version = text(&probe.version);
    }
    let meta = &object.metadata;
    (after != before).then(|| {
        let at = At {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            resource_version: meta.resource_version.clone().unwrap_or_default(),
        };
        (at, after)
    })
}
