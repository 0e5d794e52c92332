//! The kinds ElasticsearchConnection and ClusterElasticsearchConnection: where an Elasticsearch is, with what to speak to it,
//! and who may do what through it.
//!
//! URL and credentials stand only here, so that who may write an AnomalyJob cannot send anybody's credentials elsewhere.
//! The two differ in where they stand and whom they serve; all that they have in common is in `access`, and their status.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::access::Access;
use super::allow::Allow;
use super::condition::Condition;
use super::namespaces::AllowedNamespaces;
use super::schema;

/// The name of the connection that is used where none is named.
pub const DEFAULT_CONNECTION: &str = "default";

/// The kind of the object that says how Elasticsearch is reached.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum ConnectionKind {
    /// Of the namespace of the job.
    #[default]
    ElasticsearchConnection,
    /// Of no namespace; it says whom it serves.
    ClusterElasticsearchConnection,
}

impl std::fmt::Display for ConnectionKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ElasticsearchConnection => "ElasticsearchConnection",
            Self::ClusterElasticsearchConnection => "ClusterElasticsearchConnection",
        })
    }
}

/// Where the Elasticsearch is, and with what the operator speaks to it. Secrets and ConfigMaps are those of this namespace.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "anomalyjob.dev",
    version = "v1alpha1",
    kind = "ElasticsearchConnection",
    namespaced,
    doc = "An Elasticsearch cluster and the credentials for it, for the AnomalyJobs of its namespace. They name it in `connectionRef`, or use the one named `default`. The credentials need the cluster privilege `manage_ml` and nothing else; with `monitor` too, version and cluster id are shown, and what others do to jobs is noticed sooner.",
    status = "ElasticsearchConnectionStatus",
    derive = "PartialEq",
    shortname = "esconn",
    category = "ml",
    category = "elastic"
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::connection_rules()))]
pub struct ElasticsearchConnectionSpec {
    /// How it is reached.
    #[serde(flatten)]
    pub access: Access,

    /// What AnomalyJobs may do through this connection, for whoever owns the cluster and lets others write
    /// AnomalyJobs. Default: everything.
    #[serde(default)]
    pub allow: Allow,
}

/// Where the Elasticsearch is, with what the operator speaks to it, and whom that serves. Secrets and ConfigMaps are those of
/// the operator's own namespace, or of the one that `--cluster-connections-namespace` names.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "anomalyjob.dev",
    version = "v1alpha1",
    kind = "ClusterElasticsearchConnection",
    doc = "An Elasticsearch cluster and the credentials for it, for the AnomalyJobs of the namespaces that it allows. They name it in `connectionRef` with `kind: ClusterElasticsearchConnection`; the one named `default` is used where an AnomalyJob names none and its namespace has no ElasticsearchConnection `default`. Its Secrets and ConfigMaps are in the namespace of the operator, where tenants cannot read them.",
    status = "ElasticsearchConnectionStatus",
    derive = "PartialEq",
    shortname = "cesconn",
    category = "ml",
    category = "elastic"
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::connection_rules()))]
pub struct ClusterElasticsearchConnectionSpec {
    /// How it is reached.
    #[serde(flatten)]
    pub access: Access,

    /// The namespaces whose AnomalyJobs may use this connection, and what they may do. Of several entries that mean a namespace
    /// the first one counts. An empty list: none. A change holds at once: for an AnomalyJob of a namespace that is not
    /// allowed any more nothing is called, and it says NamespaceNotAllowed.
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub allowed_namespaces: Vec<AllowedNamespaces>,
}

/// What the operator last saw of the cluster. Written by the operator only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = {"observedGeneration": -1}))]
pub struct ElasticsearchConnectionStatus {
    /// The generation of the spec that this status answers. -1 (default): the operator has not looked
    /// at the object yet. Example: 1.
    #[serde(default = "unobserved")]
    #[schemars(range(min = -1, max = 9_007_199_254_740_991_i64))]
    pub observed_generation: i64,

    /// The state of affairs for people and tools; docs/conditions.md explains each type and reason.
    /// - Ready: Elasticsearch answers and the credentials may manage jobs.
    /// - Reconciling: present while the operator tries.
    /// - Stalled: present while a human must act.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,

    /// The cluster's own id. Absent: never seen; it needs the privilege `monitor`, and stays when that is lost. Example: `tWIJ7ufnTgqhx6CQ3OV_sA`.
    #[serde(
        rename = "clusterUUID",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(schema_with = "schema::short_text")]
    pub cluster_uuid: Option<String>,

    /// The cluster's name. Absent as above. Example: `logs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::long_text")]
    pub cluster_name: Option<String>,

    /// The version of Elasticsearch. Absent as above. Example: `9.2.1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::short_text")]
    pub version: Option<String>,

    /// Whether the cluster has machine learning: it is switched on, and in the licence as far as the credentials may read
    /// that. Absent: not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub ml_available: Option<bool>,

    /// Whether machine learning is in upgrade mode, in which nothing can be called. Absent: not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub upgrade_mode: Option<bool>,

    /// What the credentials may do of what the operator asks for. Absent: not known yet, or the cluster has no security.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Privileges")]
    pub privileges: Option<Privileges>,
}

/// What the credentials may do. The privilege `manage_ml` has all that is needed; `monitor` has the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Privileges {
    /// The actions that are granted. Example: `cluster:admin/xpack/ml/job/close`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::actions")]
    pub granted: Vec<String>,

    /// The actions that are not, and what that means.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["action"])
    )]
    pub lacking: Vec<Lacking>,
}

/// An action that is not granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lacking {
    /// The action. Example: `cluster:monitor/main`.
    #[schemars(schema_with = "schema::long_text")]
    pub action: String,

    /// What does not work without it, and the privilege that has it. Example: `version and cluster id are unknown
    /// (privilege monitor)`.
    #[schemars(schema_with = "schema::long_text")]
    pub consequence: String,
}

fn unobserved() -> i64 {
    -1
}

impl Default for ElasticsearchConnectionStatus {
    fn default() -> Self {
        Self {
            observed_generation: unobserved(),
            conditions: Vec::new(),
            cluster_uuid: None,
            cluster_name: None,
            version: None,
            ml_available: None,
            upgrade_mode: None,
            privileges: None,
        }
    }
}
