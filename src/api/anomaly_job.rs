//! The kind AnomalyJob: which anomaly detection job, and what shall become of it.
//!
//! Only data and schema. The descriptions are the manual: `kubectl explain`, docs/reference.md and
//! the error texts of the API server are made from them, so each value of an enum is explained at the
//! field that holds it. `jobId` and `connectionRef` may be edited: a new target is a new beginning.

#![allow(
    clippy::duplicated_attributes,
    reason = "every printed column says its type"
)]

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::id::JobId;
use super::status::AnomalyJobStatus;
use super::time_span::TimeSpan;

/// What is wanted: which job, on which Elasticsearch, in which state, and how it gets there.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "anomalyjob.dev",
    version = "v1alpha1",
    kind = "AnomalyJob",
    namespaced,
    doc = "An anomaly detection job of an Elasticsearch cluster, and the state it shall have. `kubectl patch aj NAME --type=merge -p '{\"spec\":{\"state\":\"Closed\"}}'` closes the job; `kubectl wait aj NAME --for=condition=Closed` returns when Elasticsearch says that it is closed. The job itself must exist in Elasticsearch: this object does not create or delete it.",
    status = "AnomalyJobStatus",
    derive = "PartialEq",
    shortname = "aj",
    category = "ml",
    category = "elastic",
    selectable = ".spec.jobId",
    selectable = ".spec.connectionRef.name",
    selectable = ".spec.state",
    printcolumn(
        name = "Job",
        type_ = "string",
        json_path = ".spec.jobId",
        description = "The id of the job in Elasticsearch"
    ),
    printcolumn(
        name = "Desired",
        type_ = "string",
        json_path = ".spec.state",
        description = "The wanted state; empty: only observed"
    ),
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = ".status.summary",
        description = "The state as Elasticsearch said it last"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Was the job seen in the wanted state"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        description = "Why it is ready or not; docs/conditions.md explains each"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Age of this object"
    ),
    printcolumn(
        name = "Connection",
        type_ = "string",
        json_path = ".spec.connectionRef.name",
        description = "The ElasticsearchConnection in use",
        priority = 1
    ),
    printcolumn(
        name = "Deadline",
        type_ = "string",
        json_path = ".status.targets[0].deadline",
        description = "When close.timeout will probably be used up",
        priority = 1
    ),
    printcolumn(
        name = "Forced",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Forced\")].status",
        description = "Did the last close use force",
        priority = 1
    ),
    printcolumn(
        name = "Attempts",
        type_ = "integer",
        json_path = ".status.targets[0].attempts",
        description = "Calls that were sent for the close in progress",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        description = "Ready in words",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct AnomalyJobSpec {
    /// The ElasticsearchConnection to use, in the namespace of this object.
    /// Default: the one named `default`. May be changed; the job on the other cluster is a new target.
    #[serde(default)]
    pub connection_ref: ConnectionRef,

    /// The id of one anomaly detection job, as Elasticsearch knows it. Example: `low_request_rate`.
    /// Lower-case letters, digits, `_`, `-` and `.`; begins and ends with a letter or digit; at most 64
    /// characters. No wildcard, list, or `_all`. May be changed; the other job is a new target, and
    /// the old one is left as it is.
    #[schemars(extend("x-kubernetes-validations" = super::schema::job_id_rules()))]
    pub job_id: JobId,

    /// The state that the job shall have.
    /// - `Closed`: the job is closed, and closed again when somebody else opens it.
    /// - Absent (default): the job is observed and reported, and nothing is ever called.
    ///
    /// Removing the field ends enforcement and changes nothing in Elasticsearch. Example: `Closed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "WantedState")]
    pub state: Option<WantedState>,

    /// Whether the operator holds still. Never blocks the deletion of this object.
    /// - `true`: keep reporting, but call nothing, whatever `state` says; a close that Elasticsearch has
    ///   accepted already goes on there.
    /// - `false` (default): act.
    #[serde(default)]
    pub suspend: bool,

    /// How the job is closed: gracefully or at once, how long that may take, and when force may be
    /// used. A graceful close lets the job finish its data, write a model snapshot and lose nothing.
    /// A forced close ends its process at once: what it learned since its last model snapshot is lost.
    /// Default: gracefully, by force when that took 30 minutes or when the job has failed.
    #[serde(default)]
    pub close: ClosePolicy,
}

/// Which ElasticsearchConnection, always of the same namespace: no reference crosses one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ConnectionRef {
    /// The name of the ElasticsearchConnection. Default: `default`. Example: `logs`.
    #[schemars(schema_with = "super::schema::object_name")]
    pub name: String,
}

impl Default for ConnectionRef {
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
        }
    }
}

/// The state that a job shall have. `Opened` is refused until it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WantedState {
    /// No task in Elasticsearch; the job takes no data.
    Closed,
}

/// How a job is closed. The default is the whole policy: graceful, and force as the last resort.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClosePolicy {
    /// How the close begins.
    /// - `Graceful` (default): ask, and let the job finish and save what it learned.
    /// - `Immediate`: force at once, for jobs whose results nobody wants. `timeout` and `onTimeout` then
    ///   have no effect.
    pub mode: CloseMode,

    /// How long Elasticsearch may work on a graceful close that it has accepted. Only time in which
    /// the job was seen closing counts: an outage never brings a force nearer.
    ///
    /// One whole number from 1 and one unit of `s`, `m`, `h`, `d`. Default: `30m`, as in Elasticsearch.
    /// Examples: `90s`, `30m`, `2h`, `1d`.
    #[schemars(extend("x-kubernetes-validations" = super::schema::time_span_rules()))]
    pub timeout: TimeSpan,

    /// What happens when `timeout` is used up and the job still is not closed.
    /// - `Force` (default): close it by force; what it learned since its last model snapshot is lost.
    /// - `Wait`: go on waiting, for as long as it takes.
    /// - `Stall`: call nothing more and say so (condition Stalled), until a human decides.
    pub on_timeout: OnTimeout,

    /// What happens when the job is `failed`: Elasticsearch then refuses every close but a forced one.
    /// - `Force` (default): close it by force.
    /// - `Stall`: call nothing and say so (condition Stalled), so that the failure can be looked into.
    pub on_failed: OnFailed,
}

impl Default for ClosePolicy {
    fn default() -> Self {
        Self {
            mode: CloseMode::Graceful,
            timeout: TimeSpan::minutes(30),
            on_timeout: OnTimeout::Force,
            on_failed: OnFailed::Force,
        }
    }
}

/// How a close begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CloseMode {
    /// Ask, and wait.
    Graceful,
    /// Force at once.
    Immediate,
}

/// What happens when `timeout` is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnTimeout {
    /// Close by force.
    Force,
    /// Go on waiting.
    Wait,
    /// Call nothing more and say so.
    Stall,
}

/// What happens to a failed job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnFailed {
    /// Close by force.
    Force,
    /// Call nothing and say so.
    Stall,
}
