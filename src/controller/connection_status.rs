//! The status of an ElasticsearchConnection as a function of what the last probe found. Pure.

use std::fmt::Write as _;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;

use super::source::Source;
use super::writer::Precondition;
use crate::api::{
    ConditionStatus, ConditionType, ElasticsearchConnectionStatus, Reason, new_condition,
};
use crate::elasticsearch::privileges;
use crate::reconciler::health::needs_a_human;
use crate::reconciler::input::Trouble;

/// What is missing may still be created for so many seconds before a human is called.
const GRACE: i64 = 120;

/// What a successful probe found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Probe {
    /// `cluster_uuid`, where `GET /` may be read.
    pub(super) cluster_uuid: Option<Arc<str>>,
    /// `cluster_name`, likewise.
    pub(super) cluster_name: Option<Arc<str>>,
    /// `version.number`, likewise.
    pub(super) version: Option<Arc<str>>,
    /// The actions that the credentials lack, where that could be asked.
    pub(super) lacks: Vec<&'static str>,
    /// 7.14 or later: a close stops running datafeeds.
    pub(super) stops_datafeeds: bool,
    /// It may be of a version that closes idle jobs by itself.
    pub(super) closes_idle_jobs: bool,
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

/// Connected, and what the credentials may not do: nothing of that keeps a connection from being used.
fn connected(probe: &Probe) -> String {
    let mut text = "connected".to_owned();
    if probe.version.is_none() {
        text.push_str("; the credentials may not read GET / (privilege monitor), so version and uuid are unknown, and what others do to jobs is noticed later");
    }
    let lacking = |(action, _): &&(&str, &str)| probe.lacks.contains(action);
    let changes: Vec<_> = privileges::CHANGES.iter().filter(lacking).collect();
    if !changes.is_empty() {
        let words: Vec<&str> = changes.iter().map(|(_, words)| *words).collect();
        let actions: Vec<&str> = changes.iter().map(|(action, _)| *action).collect();
        let (words, actions) = (words.join(", "), actions.join(", "));
        let _ = write!(
            text,
            "; they may not {words}: give them the cluster privilege manage_ml, or {actions}"
        );
    }
    let reads = privileges::READS
        .iter()
        .filter(|action| probe.lacks.contains(action));
    let reads: Vec<&str> = reads.copied().collect();
    if !reads.is_empty() {
        let _ = write!(
            text,
            "; they lack {}, which manage_ml has",
            reads.join(", ")
        );
    }
    text
}

/// Whether a human is waited for, or it goes on by itself. A connection that is suspended does neither.
fn outlook(trouble: &Trouble, seconds: i64) -> Option<ConditionType> {
    match trouble.reason {
        // A Secret may come a moment after the connection that names it.
        Reason::SecretNotFound if seconds < GRACE => Some(ConditionType::Reconciling),
        Reason::ConnectionSuspended => None,
        Reason::InvalidObject => Some(ConditionType::Stalled),
        reason if needs_a_human(reason) => Some(ConditionType::Stalled),
        _ => Some(ConditionType::Reconciling),
    }
}

/// The status that follows from the probe, or nothing where it is stored already.
pub(super) fn next(
    object: &Source,
    outcome: &Result<Probe, Trouble>,
    now: Timestamp,
) -> Option<(At, ElasticsearchConnectionStatus)> {
    let before = object.status.clone().unwrap_or_default();
    let generation = object.metadata.generation.unwrap_or_default();
    let (status, reason, message) = match outcome {
        Ok(probe) => (ConditionStatus::True, Reason::Connected, connected(probe)),
        Err(trouble) => (
            ConditionStatus::False,
            trouble.reason,
            trouble.message.to_string(),
        ),
    };
    let since = |of: ConditionType, status: ConditionStatus| {
        let stored = before.conditions.iter();
        let mut stored = stored.filter(|stored| stored.type_ == of.as_str());
        let same = stored.find(|stored| stored.status == status.as_str());
        same.map_or(now, |stored| stored.last_transition_time.0)
    };
    let say = |of: ConditionType, status: ConditionStatus| {
        new_condition(of, status, reason, &message, generation, since(of, status))
    };
    let mut conditions = vec![say(ConditionType::Ready, status)];
    let lasts = now.duration_since(since(ConditionType::Ready, status));
    let outlook = outcome
        .as_ref()
        .err()
        .and_then(|trouble| outlook(trouble, lasts.as_secs()));
    conditions.extend(outlook.map(|of| say(of, ConditionStatus::True)));
    let mut after = ElasticsearchConnectionStatus {
        observed_generation: generation,
        conditions,
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
