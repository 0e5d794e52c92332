//! Model snapshots (reference 8): what a graceful close persists, how they are listed, and the revert to one.
//! It must not look at records; whether there is something to persist is said by who changes the counts.

use serde_json::{Value, json};

use super::{
    core::Cluster,
    error::ApiError,
    expression::plain,
    model::{Job, Snapshot},
};

/// Which snapshots are asked for.
#[derive(Debug, Clone)]
pub struct SnapshotQuery {
    /// One id.
    pub job: String,
    /// Ids and wildcards of snapshots; empty, `_all` and `*` are all.
    pub expression: String,
    /// Field to sort by; `timestamp` if not said.
    pub sort: Option<String>,
    /// Largest first.
    pub descending: bool,
    /// Of the sorted ones, so many are passed over.
    pub from: usize,
    /// At most so many are answered.
    pub size: usize,
    /// Epoch ms, inclusive.
    pub start: Option<u64>,
    /// Epoch ms, exclusive.
    pub end: Option<u64>,
}

impl SnapshotQuery {
    fn takes(&self, snapshot: &Snapshot) -> bool {
        let all = matches!(self.expression.as_str(), "" | "_all" | "*");
        let named = all
            || self
                .expression
                .split(',')
                .any(|token| plain(token, &snapshot.id));
        named
            && self.start.is_none_or(|start| snapshot.timestamp >= start)
            && self.end.is_none_or(|end| snapshot.timestamp < end)
    }

    fn sort(&self, list: &mut [&Snapshot]) -> Result<(), ApiError> {
        match self.sort.as_deref().filter(|sort| !sort.is_empty()) {
            None | Some("timestamp") => list.sort_by_key(|snapshot| snapshot.timestamp),
            Some("latest_record_time_stamp") => {
                list.sort_by_key(|snapshot| snapshot.latest_record);
            }
            Some("latest_result_time_stamp") => {
                list.sort_by_key(|snapshot| snapshot.latest_result);
            }
            Some("snapshot_id") => list.sort_by(|one, other| one.id.cmp(&other.id)),
            Some("description" | "snapshot_doc_count" | "min_version" | "retain" | "job_id") => {}
            Some(_) => {
                return Err(ApiError::new(
                    400,
                    "search_phase_execution_exception",
                    "all shards failed",
                )
                .with("phase", "query")
                .with("grouped", true));
            }
        }
        if self.descending {
            list.reverse();
        }
        Ok(())
    }
}

/// A version's parts.
fn numbers(version: &str) -> Vec<u64> {
    let parts = version.split('.');
    parts.map(|part| part.parse().unwrap_or(0)).collect()
}

fn shown(job: &Job, snapshot: &Snapshot) -> Value {
    let mut shown = json!({
        "job_id": job.id, "min_version": snapshot.min_version, "timestamp": snapshot.timestamp, "description": snapshot.description,
        "snapshot_id": snapshot.id, "snapshot_doc_count": 1,
        "model_size_stats": {
            "job_id": job.id, "result_type": "model_size_stats", "model_bytes": job.counts.records * 64, "total_by_field_count": 0,
            "total_over_field_count": 0, "total_partition_field_count": 0, "bucket_allocation_failures_count": 0, "memory_status": "ok",
            "categorized_doc_count": 0, "total_category_count": 0, "frequent_category_count": 0, "rare_category_count": 0,
            "dead_category_count": 0, "failed_category_count": 0, "categorization_status": "ok", "log_time": snapshot.timestamp,
        },
    });
    if let Some(map) = shown.as_object_mut() {
        for (name, value) in [
            ("latest_record_time_stamp", snapshot.latest_record),
            ("latest_result_time_stamp", snapshot.latest_result),
        ] {
            if let Some(value) = value {
                map.insert(name.into(), value.into());
            }
        }
        map.insert("retain".into(), false.into());
    }
    shown
}

impl Cluster {
    /// What a graceful end of a process leaves: a snapshot, if there was work since the last one.
    pub(super) fn persist(&mut self, id: &str) {
        let timestamp = self.wall();
        let Some(job) = self.jobs.get_mut(id).filter(|job| job.dirty) else {
            return;
        };
        job.dirty = false;
        let latest = job.counts.latest;
        // An id is the second of its snapshot, or the next that is free.
        let newest = job
            .snapshots
            .iter()
            .filter_map(|known| known.id.parse().ok());
        let free = newest.max().map_or(0, |newest: u64| newest + 1);
        let name = (timestamp / 1000).max(free).to_string();
        job.snapshot = Some(name.clone());
        job.snapshots.push(Snapshot {
            id: name,
            timestamp,
            latest_record: latest,
            latest_result: latest,
            min_version: self.profile.snapshot_version().into(),
            description: "State persisted due to job close".into(),
        });
    }

    /// Sets a job's snapshots; the newest is the active one. False if there is no such job.
    pub fn set_snapshots(&mut self, id: &str, snapshots: Vec<Snapshot>) -> bool {
        let Some(job) = self.jobs.get_mut(id) else {
            return false;
        };
        let newest = snapshots.iter().max_by_key(|snapshot| snapshot.timestamp);
        job.snapshot = newest.map(|snapshot| snapshot.id.clone());
        job.snapshots = snapshots;
        true
    }

    /// `GET|POST .../model_snapshots[/{expr}]`; `count` is of all that fit, not of those that are answered.
    ///
    /// # Errors
    /// 404 for an unknown job, 400 for an unknown sort field.
    pub fn snapshots(&self, query: &SnapshotQuery) -> Result<Value, ApiError> {
        self.searched(1);
        let id = query.job.as_str();
        let job = self.jobs.get(id).ok_or_else(|| ApiError::no_job(id))?;
        let mut list: Vec<&Snapshot> = job
            .snapshots
            .iter()
            .filter(|snapshot| query.takes(snapshot))
            .collect();
        query.sort(&mut list)?;
        let page: Vec<Value> = list
            .iter()
            .skip(query.from)
            .take(query.size)
            .map(|snapshot| shown(job, snapshot))
            .collect();
        Ok(json!({"count": list.len(), "model_snapshots": page}))
    }

    /// Refuses to open a job whose active snapshot is too old for this version (reference 4).
    pub(super) fn check_snapshot(&self, job: &Job) -> Result<(), ApiError> {
        let Some(oldest) = self.profile.oldest_snapshot() else {
            return Ok(());
        };
        let active = job.snapshots.iter().find(|known| {
            job.snapshot.as_ref() == Some(&known.id)
                && numbers(&known.min_version) < numbers(oldest)
        });
        match active {
            None => Ok(()),
            Some(snapshot) => Err(ApiError::status(
                400,
                format!(
                    "[{}] job model snapshot [{}] has min version before [{oldest}], please revert to a newer model snapshot or reset the job",
                    job.id, snapshot.id
                ),
            )),
        }
    }

    /// Whether a job is configured.
    ///
    /// # Errors
    /// 404 if not.
    pub fn known_job(&self, id: &str) -> Result<(), ApiError> {
        if self.jobs.contains_key(id) {
            Ok(())
        } else {
            Err(ApiError::no_job(id))
        }
    }

    /// `POST .../model_snapshots/{snapshot}/_revert`.
    ///
    /// # Errors
    /// 404 for the job or snapshot, 409 while open or blocked by something else.
    pub fn revert_job(&mut self, id: &str, snapshot: &str) -> Result<Value, ApiError> {
        let open = self.tasks.contains_key(id);
        let job = self.jobs.get_mut(id).ok_or_else(|| ApiError::no_job(id))?;
        let found = job.snapshots.iter().find(|known| known.id == snapshot);
        if snapshot != "empty" && found.is_none() {
            return Err(ApiError::not_found(format!(
                "No model snapshot with id [{snapshot}] exists for job [{id}]"
            )));
        }
        if open {
            return Err(ApiError::status(
                409,
                "Can only revert to a model snapshot when the job is closed.",
            ));
        }
        if let Some(reason) = job.blocked.as_deref().filter(|reason| *reason != "revert") {
            return Err(ApiError::status(
                409,
                format!(
                    "cannot revert job [{id}] to snapshot [{snapshot}] while it is blocked with [{reason}]"
                ),
            ));
        }
        let empty = || json!({"job_id": id, "min_version": "6.4.0", "description": "empty", "snapshot_id": "empty", "snapshot_doc_count": 0, "retain": false});
        let model = found.map_or_else(empty, |found| shown(job, found));
        job.blocked = None;
        job.dirty = false;
        job.snapshot = (snapshot != "empty").then(|| snapshot.to_owned());
        Ok(json!({"model": model}))
    }
}
