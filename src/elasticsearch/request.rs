//! The requests: method, path, query. The only place that builds a URL.
//!
//! A path is made of fixed words and typed ids, a query of fixed words, booleans and durations; no text from
//! outside has a way in. Options go into the query and never into a body, because Elasticsearch reads one or
//! the other (reference 1, point 10).

use std::fmt::Display;
use std::time::Duration;

use reqwest::{Method, Url};

use super::ids::Ids;
use super::parts::Prefixes;
use crate::api::JobPattern;
use crate::api::id::{DatafeedId, JobId};

/// Body limits by kind of call, in bytes.
const CALL_LIMIT: usize = 64 * 1024;
const READ_LIMIT: usize = 12 * 1024 * 1024;

const JOB_FIELDS: &str = "count,jobs.job_id,jobs.groups,jobs.create_time,jobs.finished_time,jobs.blocked.reason,jobs.deleting";
const JOB_STATS_FIELDS: &str = "count,jobs.job_id,jobs.state,jobs.node.id,jobs.assignment_explanation,jobs.open_time,jobs.data_counts.latest_record_timestamp";
const DATAFEED_FIELDS: &str = "count,datafeeds.datafeed_id,datafeeds.job_id";
const DATAFEED_STATS_FIELDS: &str = "count,datafeeds.datafeed_id,datafeeds.state,datafeeds.node.id,datafeeds.assignment_explanation,datafeeds.running_state.real_time_configured";
const TASK_FIELDS: &str = "cluster_uuid,metadata.persistent_tasks.tasks.id,metadata.persistent_tasks.tasks.task.*.state.state,metadata.persistent_tasks.tasks.task.*.params.job_id,metadata.persistent_tasks.tasks.task.*.params.end,metadata.persistent_tasks.tasks.assignment.executor_node";
const SNAPSHOT_FIELDS: &str =
    "count,model_snapshots.timestamp,model_snapshots.latest_record_time_stamp";
const INFO_FIELDS: &str = "upgrade_mode,defaults.datafeeds.scroll_size";

/// Whom a call names, so that ids in a refusal can be told from invented ones.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    /// Nobody in particular.
    Cluster,
    /// These jobs.
    Jobs(Ids<JobId>),
    /// These datafeeds.
    Datafeeds(Ids<DatafeedId>),
    /// All with one of so many prefixes.
    Prefixes(usize),
}

/// Which proof of the product an answer without header may bring by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// `/`: name and version say it.
    Root,
    /// `_ml/info`: its form says it where `/` is refused.
    MlInfo,
    /// None.
    None,
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    segments: Vec<String>,
    query: String,
    /// JSON that goes with it, where the call takes its options from nowhere else.
    pub(super) body: Option<String>,
    /// The cluster privilege that it needs at least (reference 17, point 16).
    pub(super) privilege: &'static str,
    pub(super) subject: Subject,
    pub(super) proof: Proof,
    /// The largest body of a good answer, in bytes.
    pub(super) body_limit: usize,
}

impl Call {
    fn read(segments: &[&str], fields: &str, subject: Subject) -> Self {
        Self {
            method: Method::GET,
            segments: segments.iter().map(ToString::to_string).collect(),
            query: format!("filter_path={fields}"),
            body: None,
            privilege: "monitor_ml",
            subject,
            proof: Proof::None,
            body_limit: READ_LIMIT,
        }
    }

    fn change(segments: &[&str], query: String, subject: Subject) -> Self {
        Self {
            method: Method::POST,
            segments: segments.iter().map(ToString::to_string).collect(),
            query,
            body: None,
            privilege: "manage_ml",
            subject,
            proof: Proof::None,
            body_limit: CALL_LIMIT,
        }
    }

    /// `GET /` (reference 9.1).
    pub(super) fn root() -> Self {
        let call = Self::read(&[], "", Subject::Cluster);
        Self {
            query: String::new(),
            privilege: "monitor",
            proof: Proof::Root,
            body_limit: CALL_LIMIT,
            ..call
        }
    }

    /// `GET /_license` (reference 9.2).
    pub(super) fn license() -> Self {
        let fields = "license.status,license.type";
        let call = Self::read(&["_license"], fields, Subject::Cluster);
        Self {
            privilege: "monitor",
            body_limit: CALL_LIMIT,
            ..call
        }
    }

    /// `GET /_ml/info` (reference 8).
    pub(super) fn ml_info() -> Self {
        let call = Self::read(&["_ml", "info"], INFO_FIELDS, Subject::Cluster);
        Self {
            proof: Proof::MlInfo,
            body_limit: CALL_LIMIT,
            ..call
        }
    }

    /// `POST /_security/user/_has_privileges` (reference 9.2). It changes nothing, and takes a body only.
    pub(super) fn has_privileges(actions: &[&str]) -> Self {
        let segments = ["_security", "user", "_has_privileges"];
        let body = serde_json::json!({ "cluster": actions }).to_string();
        Self {
            query: String::new(),
            body: Some(body),
            ..Self::change(&segments, String::new(), Subject::Cluster)
        }
    }

    /// `GET /_ml/anomaly_detectors`, all of them (reference 5.1).
    pub(super) fn all_jobs() -> Self {
        Self::read(&["_ml", "anomaly_detectors"], JOB_FIELDS, Subject::Cluster)
    }

    /// `GET /_ml/anomaly_detectors/{prefixes}`, of a list that is too long for one answer.
    pub(super) fn jobs_below(prefixes: &Prefixes) -> Self {
        Self::read(
            &["_ml", "anomaly_detectors", &prefixes.joined()],
            JOB_FIELDS,
            Subject::Prefixes(prefixes.len()),
        )
    }

    /// `GET /_ml/anomaly_detectors/{ids}`.
    pub(super) fn jobs(ids: &Ids<JobId>) -> Self {
        Self::read(
            &["_ml", "anomaly_detectors", &ids.joined()],
            JOB_FIELDS,
            Subject::Jobs(ids.clone()),
        )
    }

    /// `GET /_ml/anomaly_detectors/{ids}/_stats` (reference 5.2).
    pub(super) fn job_stats(ids: &Ids<JobId>) -> Self {
        let segments = ["_ml", "anomaly_detectors", &ids.joined(), "_stats"];
        Self::read(&segments, JOB_STATS_FIELDS, Subject::Jobs(ids.clone()))
    }

    /// `GET /_ml/anomaly_detectors/{wildcards}/_stats`: of jobs, and of tasks whose job has lost its config.
    pub(super) fn job_stats_like(wildcards: &[JobPattern]) -> Self {
        let words: Vec<&str> = wildcards.iter().map(JobPattern::as_str).collect();
        let segments = ["_ml", "anomaly_detectors", &words.join(","), "_stats"];
        Self::read(
            &segments,
            JOB_STATS_FIELDS,
            Subject::Prefixes(wildcards.len()),
        )
    }

    /// `GET /_ml/anomaly_detectors/{id}/model_snapshots`, the newest one (reference 8).
    pub(super) fn newest_snapshot(id: &JobId) -> Self {
        let segments = ["_ml", "anomaly_detectors", id.as_str(), "model_snapshots"];
        let subject = Subject::Jobs(Ids::one(id.clone()));
        let call = Self::read(&segments, SNAPSHOT_FIELDS, subject);
        Self {
            query: format!("size=1&sort=timestamp&desc=true&{}", call.query),
            body_limit: CALL_LIMIT,
            ..call
        }
    }

    /// `GET /_cluster/state/metadata`, of it only the tasks (reference 17, point 17).
    pub(super) fn persistent_tasks() -> Self {
        let segments = ["_cluster", "state", "metadata"];
        let call = Self::read(&segments, TASK_FIELDS, Subject::Cluster);
        Self {
            privilege: "monitor",
            ..call
        }
    }

    /// `GET /_ml/datafeeds`, all of them (reference 7).
    pub(super) fn all_datafeeds() -> Self {
        Self::read(&["_ml", "datafeeds"], DATAFEED_FIELDS, Subject::Cluster)
    }

    /// `GET /_ml/datafeeds/{prefixes}`.
    pub(super) fn datafeeds_below(prefixes: &Prefixes) -> Self {
        Self::read(
            &["_ml", "datafeeds", &prefixes.joined()],
            DATAFEED_FIELDS,
            Subject::Prefixes(prefixes.len()),
        )
    }

    /// `GET /_ml/datafeeds/{ids}`.
    pub(super) fn datafeeds(ids: &Ids<DatafeedId>) -> Self {
        Self::read(
            &["_ml", "datafeeds", &ids.joined()],
            DATAFEED_FIELDS,
            Subject::Datafeeds(ids.clone()),
        )
    }

    /// `GET /_ml/datafeeds/_stats`, of all datafeeds.
    pub(super) fn all_datafeed_stats() -> Self {
        let segments = ["_ml", "datafeeds", "_stats"];
        Self::read(&segments, DATAFEED_STATS_FIELDS, Subject::Cluster)
    }

    /// `GET /_ml/datafeeds/{ids}/_stats`.
    pub(super) fn datafeed_stats(ids: &Ids<DatafeedId>) -> Self {
        let segments = ["_ml", "datafeeds", &ids.joined(), "_stats"];
        Self::read(
            &segments,
            DATAFEED_STATS_FIELDS,
            Subject::Datafeeds(ids.clone()),
        )
    }

    /// `POST /_ml/anomaly_detectors/{ids}/_close` (reference 3).
    pub(super) fn close(ids: &Ids<JobId>, server_timeout: Duration) -> Self {
        let segments = ["_ml", "anomaly_detectors", &ids.joined(), "_close"];
        Self::change(
            &segments,
            format!("timeout={}", duration(server_timeout)),
            Subject::Jobs(ids.clone()),
        )
    }

    /// `POST /_ml/anomaly_detectors/{id}/_close?force=true`: one id, and no timeout, which it ignores.
    pub(super) fn force_close(id: &JobId) -> Self {
        let segments = ["_ml", "anomaly_detectors", id.as_str(), "_close"];
        Self::change(
            &segments,
            "force=true".to_owned(),
            Subject::Jobs(Ids::one(id.clone())),
        )
    }

    /// `POST /_ml/anomaly_detectors/{id}/_open` (reference 4).
    pub(super) fn open(id: &JobId, server_timeout: Duration) -> Self {
        let segments = ["_ml", "anomaly_detectors", id.as_str(), "_open"];
        Self::change(
            &segments,
            format!("timeout={}", duration(server_timeout)),
            Subject::Jobs(Ids::one(id.clone())),
        )
    }

    /// `POST /_ml/datafeeds/{id}/_start` (reference 7). Without `start` it goes on behind the last record.
    pub(super) fn start_datafeed(id: &DatafeedId, server_timeout: Duration) -> Self {
        let segments = ["_ml", "datafeeds", id.as_str(), "_start"];
        Self::change(
            &segments,
            format!("timeout={}", duration(server_timeout)),
            Subject::Datafeeds(Ids::one(id.clone())),
        )
    }

    /// `POST /_ml/datafeeds/{id}/_stop` (reference 7).
    pub(super) fn stop_datafeed(id: &DatafeedId, force: bool, server_timeout: Duration) -> Self {
        let mut query = format!("timeout={}", duration(server_timeout));
        if force {
            query.push_str("&force=true");
        }
        let segments = ["_ml", "datafeeds", id.as_str(), "_stop"];
        Self::change(&segments, query, Subject::Datafeeds(Ids::one(id.clone())))
    }

    /// It names several things, so it can be asked in smaller parts.
    pub(super) fn is_list(&self) -> bool {
        match &self.subject {
            Subject::Cluster => false,
            Subject::Jobs(ids) => ids.as_slice().len() > 1,
            Subject::Datafeeds(ids) => ids.as_slice().len() > 1,
            Subject::Prefixes(count) => *count > 1,
        }
    }

    /// The whole URL below `base`, or nothing where `base` cannot have a path.
    pub(super) fn url(&self, base: &Url) -> Option<Url> {
        let mut url = base.clone();
        url.path_segments_mut()
            .ok()?
            .pop_if_empty()
            .extend(&self.segments);
        url.set_query((!self.query.is_empty()).then_some(&self.query));
        Some(url)
    }

    /// The length of the request line without its line break, in bytes.
    pub(super) fn line_length(&self, url: &Url) -> usize {
        let query = url.query().map_or(0, |query| 1 + query.len());
        self.method.as_str().len() + 1 + url.path().len() + query + " HTTP/1.1".len()
    }
}

/// The ids in as few parts as fit into request lines of `limit` bytes.
pub(super) fn split<T>(
    ids: &Ids<T>,
    base: &Url,
    limit: usize,
    call: impl Fn(&Ids<T>) -> Call,
) -> Vec<Ids<T>>
where
    T: Ord + Clone + Display,
{
    let Some(first) = ids.as_slice().first() else {
        return Vec::new();
    };
    let one = call(&Ids::one(first.clone()));
    ids.split(room(base, limit, &one, first.to_string().len()))
}

/// How many bytes the ids may have in a line of `limit` bytes, when `call` has ids of `length` bytes.
pub(super) fn room(base: &Url, limit: usize, call: &Call, length: usize) -> usize {
    let line = call.url(base).map_or(limit, |url| call.line_length(&url));
    limit.saturating_sub(line.saturating_sub(length))
}

/// How many bytes of joined ids fit into one close with any server timeout.
pub(super) fn close_room(base: &Url, limit: usize) -> usize {
    let placeholder = ["_ml", "anomaly_detectors", "a", "_close"];
    // In ms, it has as many digits as a duration can have here.
    let longest = duration(Duration::from_millis(86_399_999));
    let call = Call::change(&placeholder, format!("timeout={longest}"), Subject::Cluster);
    room(base, limit, &call, 1)
}

/// A duration as Elasticsearch reads it: a whole number and a unit, never `0`, which has a meaning of its
/// own (reference 17, point 13).
fn duration(of: Duration) -> String {
    let millis = of.as_millis().clamp(1, 86_400_000);
    if millis.is_multiple_of(1000) {
        format!("{}s", millis / 1000)
    } else {
        format!("{millis}ms")
    }
}

#[cfg(test)]
#[path = "request_properties.rs"]
mod properties;
#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
