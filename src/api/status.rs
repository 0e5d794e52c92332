//! The status of an AnomalyJob: what the operator saw, and the few facts that must survive a crash.
//!
//! Conditions are outputs and never inputs. What a decision after a restart needs (`requestedAt`,
//! `acceptedAt`, `evidence`, `forcedAt`, `resumeDatafeeds`) stands in plain fields. Points in time
//! have microseconds, because a job's `open_time` is compared with them: cut to seconds, a job opened
//! just before a close was accepted would look as if it had been opened after it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::{Timestamp, Unit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::Condition;
use super::connection::ConnectionKind;
use super::id::{DatafeedId, JobId};
use super::schema;
use super::state::{DatafeedState, JobState};
use super::time_span::Elapsed;

/// A point in time as status keeps it: cut to microseconds, so that it equals what is read back.
pub fn stamp(at: Timestamp) -> MicroTime {
    let options = k8s_openapi::jiff::TimestampRound::new()
        .smallest(Unit::Microsecond)
        .mode(k8s_openapi::jiff::RoundMode::Trunc);
    MicroTime(at.round(options).unwrap_or(at))
}

/// What the operator last saw and did. Written by the operator only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = {"observedGeneration": -1}))]
pub struct AnomalyJobStatus {
    /// The generation of the spec that this status answers. -1 (default): the operator has not looked
    /// at the object yet. Example: 3.
    #[serde(default = "unobserved")]
    #[schemars(range(min = -1, max = 9_007_199_254_740_991_i64))]
    pub observed_generation: i64,

    /// The state in a few words, for the STATE column: the job's state as Elasticsearch said it last, or
    /// how many of several jobs are where they should be. Examples: `closing`, `3/5 closed`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(schema_with = "schema::short_text")]
    pub summary: String,

    /// How many matched jobs were seen in which state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "JobCounts")]
    pub jobs: Option<JobCounts>,

    /// The jobs that are not yet where they should be, and the latest that arrived; at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["jobId"]))]
    pub targets: Vec<Target>,

    /// The last close: of one job, or of all that were closed together. While it goes on it has no
    /// `finishedAt`, and tells of the jobs that have arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "LastClose")]
    pub last_close: Option<LastClose>,

    /// The datafeeds that ran, without an end, when their jobs were closed, so that they can be started again.
    /// Example: `datafeed-low_request_rate`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10000), extend("x-kubernetes-list-type" = "set"))]
    pub resume_datafeeds: Vec<DatafeedId>,

    /// The value of the annotation `anomalyjob.dev/reconcile-requested-at` that was answered last: the jobs were
    /// looked at after it was set. Example: `2026-11-23T21:58:04Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::annotation")]
    pub last_handled_reconcile_at: Option<String>,

    /// The Elasticsearch that this status speaks of. While it is not known which one that is now, it is the one of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ConnectionSeen")]
    pub connection: Option<ConnectionSeen>,

    /// The state of affairs for people and tools; docs/conditions.md explains each type and reason.
    /// - Ready: each job was seen in the wanted state.
    /// - Closed: each job was seen closed, whatever is wanted.
    /// - Reconciling: present while the operator works.
    /// - Stalled: present while a human must act.
    /// - Forced: the last close of a job used force.
    /// - Drifted: somebody else, or Elasticsearch itself, changed the state of a job.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

fn unobserved() -> i64 {
    -1
}

impl Default for AnomalyJobStatus {
    fn default() -> Self {
        Self {
            observed_generation: unobserved(),
            summary: String::new(),
            jobs: None,
            targets: Vec::new(),
            last_close: None,
            resume_datafeeds: Vec::new(),
            last_handled_reconcile_at: None,
            connection: None,
            conditions: Vec::new(),
        }
    }
}

/// How many matched jobs were seen in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobCounts {
    /// Jobs that `jobId` means. Example: 1.
    #[schemars(schema_with = "schema::count")]
    pub matched: u32,
    /// Jobs seen `opened`. Example: 0.
    #[schemars(schema_with = "schema::count")]
    pub opened: u32,
    /// Jobs seen `opening`. Example: 0.
    #[schemars(schema_with = "schema::count")]
    pub opening: u32,
    /// Jobs seen `closing`. Example: 1.
    #[schemars(schema_with = "schema::count")]
    pub closing: u32,
    /// Jobs seen `closed`. Example: 0.
    #[schemars(schema_with = "schema::count")]
    pub closed: u32,
    /// Jobs seen `failed`. Example: 0.
    #[schemars(schema_with = "schema::count")]
    pub failed: u32,
}

/// One job on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// The id of the job. Example: `low_request_rate`.
    pub job_id: JobId,

    /// The state that Elasticsearch said last, in its own words: `opening`, `opened`, `closing`,
    /// `closed` or `failed`. Absent: not seen yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "JobState")]
    pub state: Option<JobState>,

    /// The datafeed of the job. Absent: it has none, or none was seen yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DatafeedSeen")]
    pub datafeed: Option<DatafeedSeen>,

    /// How far the operator is.
    /// - `Pending`: nothing was asked yet.
    /// - `StoppingDatafeed`: the datafeed is being stopped first.
    /// - `ClosingGracefully`: a close was asked for.
    /// - `ForceClosing`: a forced close was asked for.
    /// - `Opening`: an open was asked for.
    /// - `StartingDatafeed`: the job is open, and its datafeed is being started.
    /// - `Waiting`: something else must end first, conditions say what.
    /// - `Done`: seen where it should be.
    pub step: Step,

    /// When the close or open in progress was first asked for. Example: `2026-11-23T21:58:04.120000Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub requested_at: Option<MicroTime>,

    /// When Elasticsearch was first seen to have accepted the close; `close.timeout` counts from
    /// here. Example: `2026-11-23T21:58:04.310000Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub accepted_at: Option<MicroTime>,

    /// How long the job was seen closing, which is what `close.timeout` is compared with. Written
    /// from time to time, not at each look. Example: `7m30s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Elapsed")]
    pub evidence: Option<Elapsed>,

    /// When `close.timeout` will probably be used up; an estimate for people, and nothing is decided
    /// by it. Example: `2026-11-23T22:28:04.310000Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub deadline: Option<MicroTime>,

    /// When the operator decided to use force; written before the call is sent.
    /// Example: `2026-11-23T22:28:05.000000Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub forced_at: Option<MicroTime>,

    /// Calls that were sent for the close or open in progress. Example: 1.
    #[serde(default)]
    #[schemars(schema_with = "schema::count")]
    pub attempts: u32,

    /// Calls that failed in a row; the next one comes the later, the more there are. Example: 0.
    #[serde(default)]
    #[schemars(schema_with = "schema::count")]
    pub failures: u32,

    /// What went wrong last. Absent: the last call went well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "LastError")]
    pub last_error: Option<Box<LastError>>,

    /// How often of late the job was put back after somebody else had changed its state; the next time comes the later,
    /// the more there are. Example: 0.
    #[serde(default)]
    #[schemars(schema_with = "schema::count")]
    pub corrections: u32,

    /// When the job was put back last. Example: `2026-11-23T21:58:04.120000Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub corrected_at: Option<MicroTime>,

    /// What somebody else, or Elasticsearch itself, did to the job after it had been where it should be. Absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DriftSeen")]
    pub drift: Option<Box<DriftSeen>>,
}

impl Target {
    /// A job of which nothing is known yet.
    pub fn new(job_id: JobId) -> Self {
        Self {
            job_id,
            state: None,
            datafeed: None,
            step: Step::Pending,
            requested_at: None,
            accepted_at: None,
            evidence: None,
            deadline: None,
            forced_at: None,
            attempts: 0,
            failures: 0,
            last_error: None,
            corrections: 0,
            corrected_at: None,
            drift: None,
        }
    }
}

/// A change of a job's state that nobody here asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DriftSeen {
    /// Who or what did it, one of the reasons of conditions. Example: `ReopenedElsewhere`.
    #[schemars(schema_with = "schema::reason")]
    pub cause: String,
    /// The state that was seen: `opening`, `opened`, `closing`, `closed` or `failed`.
    pub state: JobState,
    /// When it was seen. Example: `2026-11-23T21:58:04.120000Z`.
    #[schemars(schema_with = "schema::time")]
    pub at: MicroTime,
    /// Whether the job is back where it should be.
    /// - `true`: it is.
    /// - `false` (default): not yet, or it is left as it is.
    #[serde(default)]
    pub corrected: bool,
}

/// How far the operator is with a job; the field `step` explains each.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Step {
    /// Nothing was asked yet.
    Pending,
    /// The datafeed is being stopped first.
    StoppingDatafeed,
    /// A close was asked for.
    ClosingGracefully,
    /// A forced close was asked for.
    ForceClosing,
    /// An open was asked for.
    Opening,
    /// The job is open, and its datafeed is being started.
    StartingDatafeed,
    /// Something else must end first.
    Waiting,
    /// Seen where it should be.
    Done,
}

/// A datafeed as it was last seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DatafeedSeen {
    /// The id of the datafeed. Example: `datafeed-low_request_rate`.
    pub id: DatafeedId,
    /// The state that Elasticsearch said last: `starting`, `started`, `stopping` or `stopped`.
    pub state: DatafeedState,
}

/// An error without any text of a response body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastError {
    /// The kind of error, one of the reasons of conditions. Example: `ClusterUnreachable`.
    #[schemars(schema_with = "schema::reason")]
    pub category: String,
    /// What happened and what to look at. Example: `connection refused by es.example:9200`.
    #[schemars(schema_with = "schema::message")]
    pub message: String,
}

/// The last close, of one job or of all that were closed together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastClose {
    /// When the close was first asked for. Example: `2026-11-23T21:58:04.120000Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub started_at: Option<MicroTime>,

    /// When the last job was seen closed. Absent: the close goes on. Example: `2026-11-23T22:05:34.000000Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub finished_at: Option<MicroTime>,

    /// How long it took. Example: `7m30s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Elapsed")]
    pub duration: Option<Elapsed>,

    /// How many jobs were closed gracefully and saved what they learned. Example: 1.
    #[serde(default)]
    #[schemars(schema_with = "schema::count")]
    pub graceful: u32,

    /// Jobs that closed without force but could not save what they learned, because they had no node
    /// or lost it. Example: `low_request_rate`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "set"))]
    pub unsaved: Vec<JobId>,

    /// Jobs that were closed by force; what they learned since their last model snapshot is lost.
    /// Example: `low_request_rate`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "set"))]
    pub forced: Vec<JobId>,

    /// What the forced closes cost: the newest model snapshot of each such job, and the data whose effect on
    /// the model is lost. Results are never lost. At most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["jobId"]))]
    pub losses: Vec<Loss>,
}

/// What one forced close cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Loss {
    /// The id of the job. Example: `low_request_rate`.
    pub job_id: JobId,

    /// When its newest model snapshot was taken; the model begins from it when the job is opened again. Absent:
    /// there is none, or it could not be read. Example: `2026-11-23T19:30:00.000000Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub snapshot_at: Option<MicroTime>,

    /// How old that snapshot was when the force was sent. Example: `2h58m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Elapsed")]
    pub snapshot_age: Option<Elapsed>,

    /// The time of the last record that the snapshot knows, where the lost interval of data begins.
    /// Absent: not known. Example: `2026-11-23T19:29:12.000000Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub lost_from: Option<MicroTime>,

    /// The time of the last record that the job had taken, where the lost interval of data ends.
    /// Absent: not known. Example: `2026-11-23T22:28:00.000000Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub lost_until: Option<MicroTime>,
}

/// The Elasticsearch that a status speaks of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionSeen {
    /// The kind of the object that says how Elasticsearch is reached.
    /// - `ElasticsearchConnection` (default): of the namespace of this object.
    /// - `ClusterElasticsearchConnection`: of no namespace.
    #[serde(default)]
    pub kind: ConnectionKind,

    /// Its name. Example: `default`.
    #[schemars(schema_with = "schema::long_text")]
    pub name: String,

    /// The cluster's own id. Nothing is called on a cluster that tells another one. Absent: the credentials
    /// may not read it (`monitor`). Example: `tWIJ7ufnTgqhx6CQ3OV_sA`.
    #[serde(
        rename = "clusterUUID",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(schema_with = "schema::short_text")]
    pub cluster_uuid: Option<String>,

    /// The version of Elasticsearch. Absent: the credentials may not read it. Example: `9.2.1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::short_text")]
    pub version: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_nobody_wrote_is_of_no_generation() {
        let status: AnomalyJobStatus = serde_json::from_str("{}").unwrap();
        assert_eq!(status, AnomalyJobStatus::default());
        assert_eq!(
            serde_json::to_value(&status).unwrap(),
            serde_json::json!({"observedGeneration": -1})
        );
    }

    #[test]
    fn durable_facts_come_back_as_they_were_written() {
        let at = |nanos: i128| {
            stamp(Timestamp::from_nanosecond(1_790_000_000_000_000_000 + nanos).unwrap())
        };
        let mut target = Target::new(JobId::parse("rate").unwrap());
        target.state = Some(JobState::Closing);
        target.requested_at = Some(at(0));
        target.accepted_at = Some(at(123_456_789));
        target.forced_at = Some(at(999_999_999));
        target.evidence = Some(std::time::Duration::from_millis(450_900).into());
        let status = AnomalyJobStatus {
            targets: vec![target],
            ..Default::default()
        };
        let text = serde_json::to_string(&status).unwrap();
        assert_eq!(
            serde_json::from_str::<AnomalyJobStatus>(&text).unwrap(),
            status
        );
    }
}
