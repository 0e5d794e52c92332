//! The kinds: what a user writes and what the operator answers, as plain data with its schema.
//!
//! Everything else builds on these types, so this room uses nothing else of the operator, does no
//! I/O and decides nothing. A field stands here only when it works: one that is accepted and ignored
//! would be a lie.

pub mod access;
pub mod allow;
pub mod anomaly_job;
pub mod condition;
pub mod connection;
pub mod expression;
pub(crate) mod glob;
pub mod id;
pub mod namespaces;
pub mod policy;
mod schema;
#[cfg(test)]
mod schema_rules;
pub mod state;
pub mod status;
pub mod time_span;

pub use access::{
    Access, Auth, CaKeyRef, CaSource, EckRef, Limits, SecretKeyRef, SecretRef, Tls, TokenKeyRef,
};
pub use allow::{Allow, AllowForce};
pub use anomaly_job::{
    AnomalyJob, AnomalyJobSpec, ConnectionRef, DEFAULT_MAX_JOBS, FINALIZER, RECONCILE_REQUESTED,
};
pub use condition::{Condition, ConditionStatus, ConditionType, Reason, new_condition};
pub use connection::{
    ClusterElasticsearchConnection, ClusterElasticsearchConnectionSpec, ConnectionKind,
    DEFAULT_CONNECTION, ElasticsearchConnection, ElasticsearchConnectionSpec,
    ElasticsearchConnectionStatus, Lacking, Privileges,
};
pub use expression::{InvalidExpression, InvalidPattern, JobExpression, JobPattern};
pub use id::{DatafeedId, InvalidId, JobId};
pub use namespaces::{
    AllowedNamespaces, Granted, LabelOperator, LabelRequirement, Labels, NamespaceSelector,
};
pub use policy::{
    CloseMode, ClosePolicy, DeletionPolicy, DriftPolicy, OnFailed, OnTimeout, OpenDatafeed,
    OpenPolicy, WantedState,
};
pub use schema::crds;
pub use state::{DatafeedState, JobState, UnknownState};
pub use status::{
    AnomalyJobStatus, ConnectionSeen, DatafeedSeen, DriftSeen, JobCounts, LastClose, LastError,
    Loss, Step, Target, stamp,
};
pub use time_span::{Elapsed, InvalidTimeSpan, TimeSpan, humane, parse_humane};

/// The API group of all kinds.
pub const GROUP: &str = "anomalyjob.dev";
/// The version of all kinds.
pub const VERSION: &str = "v1alpha1";
