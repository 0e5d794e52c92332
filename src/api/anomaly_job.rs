//! The kind AnomalyJob: which anomaly detection jobs, and what shall become of them.
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

use super::connection::{ConnectionKind, DEFAULT_CONNECTION};
use super::expression::{JobExpression, JobPattern};
use super::policy::{ClosePolicy, DeletionPolicy, DriftPolicy, OpenPolicy, WantedState};
use super::status::AnomalyJobStatus;

/// The most jobs that an object may mean which does not say `maxJobs`.
pub const DEFAULT_MAX_JOBS: u32 = 100;
/// The finalizer of `deletionPolicy: Close`.
pub const FINALIZER: &str = "anomalyjob.dev/close";
/// The annotation that asks for a look now; `status.lastHandledReconcileAt` echoes its value.
pub const RECONCILE_REQUESTED: &str = "anomalyjob.dev/reconcile-requested-at";

/// What is wanted: which jobs, on which Elasticsearch, in which state, and how they get there.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "anomalyjob.dev",
    version = "v1alpha1",
    kind = "AnomalyJob",
    namespaced,
    doc = "An anomaly detection job of an Elasticsearch cluster, or many of them, and the state they shall have. `kubectl patch aj NAME --type=merge -p '{\"spec\":{\"state\":\"Closed\"}}'` closes the jobs; `kubectl wait aj NAME --for=condition=Closed` returns when Elasticsearch says that each of them is closed. The jobs themselves must exist in Elasticsearch: this object does not create or delete them.",
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
        description = "The id, group, wildcard or list that says which jobs of Elasticsearch are meant"
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
        description = "The state as Elasticsearch said it last; of several jobs how many are where they should be, as in 3/5 closed"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Was each job seen in the wanted state"
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
        json_path = ".status.connection.name",
        description = "The connection in use",
        priority = 1
    ),
    printcolumn(
        name = "Deadline",
        type_ = "string",
        json_path = ".status.targets[0].deadline",
        description = "When close.timeout will probably be used up; of several jobs that of the first in status.targets",
        priority = 1
    ),
    printcolumn(
        name = "Forced",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Forced\")].status",
        description = "Did the last close of a job use force",
        priority = 1
    ),
    printcolumn(
        name = "Attempts",
        type_ = "integer",
        json_path = ".status.targets[0].attempts",
        description = "Calls that were sent for the close or open in progress; of several jobs those of the first in status.targets",
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
#[schemars(extend("x-kubernetes-validations" = super::schema::job_rules()))]
pub struct AnomalyJobSpec {
    /// The connection to use. Absent: the ElasticsearchConnection `default` of this namespace; where there is none, the
    /// ClusterElasticsearchConnection `default` if it allows this namespace. `status.connection` says which one is in use.
    /// May be changed; the job on the other cluster is a new target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ConnectionRef")]
    pub connection_ref: Option<ConnectionRef>,

    /// Which anomaly detection jobs are meant: the `<job_id>` of Elasticsearch's API, with its rules.
    /// - An id. Example: `low_request_rate`.
    /// - A group. Example: `nightly`: every job that has it.
    /// - A wildcard over ids and groups. Example: `web-*`.
    /// - A list of these. Example: `low_request_rate,nightly,web-*`.
    /// - `_all` or `*`: every job of the cluster. `maxJobs` must then be said.
    ///
    /// In YAML a text that begins with `*` needs quotes.
    ///
    /// A job that comes to match later is a target too, with a clock of its own; one that matches no
    /// longer is left as it is. Elasticsearch is asked for its jobs and groups every five minutes, and before anything
    /// is called after an edit; no call ever names a group or a wildcard. An id or group that Elasticsearch does not have is never passed over: Ready says
    /// JobNotFound. May be changed; the other jobs are new targets, and the old ones are left as they are.
    pub job_id: JobExpression,

    /// Jobs that are left out of what `jobId` matches. An entry is an id, or a wildcard in which `*`
    /// is any run of characters; groups do not count. Default: none. Examples: `web-canary-1`, `web-canary-*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "set"))]
    pub exclude: Vec<JobPattern>,

    /// Whether wildcards, `_all` and `*` may match no job; the API's flag of this name. An id or a group
    /// must always be there.
    /// - `true` (default): that is well; Ready and Closed are True with the reason NoJobsMatched.
    /// - `false`: it is an error; Ready says JobNotFound, or NoJobsMatched where `exclude` leaves none.
    #[serde(default = "allowed")]
    pub allow_no_match: bool,

    /// The most jobs that this object may mean. Where `jobId` matches more, nothing is called for any of them, and
    /// the condition Stalled says TooManyJobs: a slip in a wildcard does not close a whole cluster.
    /// From 1 to 100000. Absent: 100. Must be said where `jobId` means every job: `_all`, `*`, or an entry of
    /// nothing but `*` and `?`. Example: 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::schema::max_jobs")]
    pub max_jobs: Option<u32>,

    /// The state that the jobs shall have.
    /// - `Closed`: they are closed, and closed again when somebody else opens them (see `driftPolicy`).
    /// - `Opened`: they are open, and their datafeeds run as `open.datafeed` says.
    /// - Absent (default): they are observed and reported, and nothing is ever called.
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

    /// How the job is opened: how long that may take, and what becomes of its datafeed.
    /// Default: for 30 minutes, and the datafeed that ran when the operator closed the job runs again.
    #[serde(default)]
    pub open: OpenPolicy,

    /// What happens when somebody else changes the state of a job that was where it should be.
    /// - `Correct` (default): put it back, the first time at once, then with a growing gap (a minute, two, ..); after
    ///   five times, each within a day, the condition Stalled says Flapping and nothing more is called for the job.
    /// - `Report`: call nothing and say so (condition Stalled), until the job is back or the spec is changed.
    ///
    /// What Elasticsearch itself closes under `Opened` (a datafeed that reached its end, a job that was idle) is said
    /// and never undone, whatever stands here.
    #[serde(default)]
    pub drift_policy: DriftPolicy,

    /// What becomes of the jobs when this object is deleted.
    /// - `Retain` (default): nothing; the object goes at once, also while the operator is down.
    /// - `Close`: they are closed first, as `close` says. The object goes when they are closed, and at the
    ///   latest one minute after `close.timeout`, whatever Elasticsearch answers; after two minutes already where
    ///   it cannot be reached before a human acts (credentials rejected, no connection). Not while `suspend` is true or
    ///   `state` is absent: then nothing is called and the object goes at once. Jobs that this object may not call (Conflict,
    ///   NotAllowed), or cannot find (TooManyJobs, ExpressionRefused, ViewIncomplete), are not waited for.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

fn allowed() -> bool {
    true
}

impl AnomalyJobSpec {
    /// The most jobs that may match: `maxJobs`, or [`DEFAULT_MAX_JOBS`].
    pub fn max_jobs(&self) -> u32 {
        self.max_jobs.unwrap_or(DEFAULT_MAX_JOBS)
    }
}

/// Which connection: of the same namespace, or of none. No reference crosses a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ConnectionRef {
    /// Its kind.
    /// - `ElasticsearchConnection` (default): one of this namespace.
    /// - `ClusterElasticsearchConnection`: one that belongs to no namespace, and allows this one.
    pub kind: ConnectionKind,

    /// Its name. Default: `default`. Example: `logs`.
    #[schemars(schema_with = "super::schema::object_name")]
    pub name: String,
}

impl Default for ConnectionRef {
    fn default() -> Self {
        Self {
            kind: ConnectionKind::default(),
            name: DEFAULT_CONNECTION.to_owned(),
        }
    }
}
