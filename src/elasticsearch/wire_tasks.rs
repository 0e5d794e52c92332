//! How the tasks of the cluster state and the snapshots of a job are written.
//!
//! The list of tasks is shared by all plugins, and a task is known by its name, not by its id alone: the
//! upgrade of a snapshot has a task `job-snapshot-upgrade-...` that is no job's. It decides nothing: what an
//! absent task means is for the caller.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::answers::{DatafeedTask, JobTask, Snapshot, Tasks};
use super::error::{Error, Malformed};
use super::wire::{AtMost, NOT_FORMED, is_uuid, time};
use crate::api::id::{DatafeedId, JobId};
use crate::api::state::{DatafeedState, JobState};

/// More tasks than any cluster has: some thousand nodes would have to run them.
const TASKS: usize = 50_000;

/// The cluster state, as far as it is asked for. `filter_path` drops what is empty, up to `{}`.
#[derive(Deserialize)]
pub(super) struct ClusterState {
    cluster_uuid: Option<String>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    persistent_tasks: PersistentTasks,
}

#[derive(Default, Deserialize)]
struct PersistentTasks {
    #[serde(default)]
    tasks: AtMost<Entry, TASKS>,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
    #[serde(default)]
    task: Task,
    assignment: Option<Assignment>,
}

/// By the name of the task. Those of other plugins may have any form.
#[derive(Default, Deserialize)]
struct Task {
    #[serde(rename = "xpack/ml/job")]
    job: Option<Body>,
    #[serde(rename = "xpack/ml/datafeed")]
    datafeed: Option<Body>,
}

#[derive(Deserialize)]
struct Body {
    state: Option<State>,
    params: Option<Params>,
}

#[derive(Deserialize)]
struct State {
    state: Option<String>,
}

#[derive(Deserialize)]
struct Params {
    job_id: Option<String>,
    end: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Assignment {
    executor_node: Option<String>,
}

impl ClusterState {
    /// The tasks of jobs and datafeeds; those of others are passed over.
    pub(super) fn tasks(self) -> Result<Tasks, Error> {
        match self.cluster_uuid.as_deref() {
            Some(NOT_FORMED) => return Err(Error::NotFormed),
            Some(uuid) if !is_uuid(uuid) => {
                return Err(Error::UnexpectedAnswer {
                    status: 200,
                    what: Malformed::WrongShape,
                });
            }
            _ => {}
        }
        let mut tasks = Tasks {
            cluster_uuid: self.cluster_uuid,
            ..Tasks::default()
        };
        for entry in &self.metadata.persistent_tasks.tasks.0 {
            entry.add_to(&mut tasks);
        }
        Ok(tasks)
    }
}

impl Entry {
    fn add_to(&self, tasks: &mut Tasks) {
        if let (Some(body), Some(id)) = (&self.task.job, self.id.strip_prefix("job-")) {
            let Ok(id) = JobId::parse(id) else { return };
            match body.word().map(JobState::parse) {
                Some(Err(_)) => tasks.unreadable.push(id),
                known => {
                    let state = known.and_then(Result::ok).unwrap_or(JobState::Opening);
                    let assigned = self.is_assigned();
                    tasks.jobs.insert(id, JobTask { state, assigned });
                }
            }
        } else if let (Some(body), Some(id)) =
            (&self.task.datafeed, self.id.strip_prefix("datafeed-"))
        {
            let Ok(id) = DatafeedId::parse(id) else {
                return;
            };
            match body.word().map(DatafeedState::parse) {
                Some(Err(_)) => tasks.unreadable_datafeeds.push(id),
                known => {
                    let state = known.and_then(Result::ok);
                    tasks.datafeeds.insert(id, body.datafeed(state));
                }
            }
        }
    }

    fn is_assigned(&self) -> bool {
        let node = self.assignment.as_ref();
        node.and_then(|at| at.executor_node.as_deref())
            .is_some_and(|node| !node.is_empty())
    }
}

impl Body {
    fn word(&self) -> Option<&str> {
        self.state.as_ref()?.state.as_deref()
    }

    fn datafeed(&self, state: Option<DatafeedState>) -> DatafeedTask {
        let params = self.params.as_ref();
        DatafeedTask {
            job_id: params.and_then(|params| JobId::parse(params.job_id.as_deref()?).ok()),
            state: state.unwrap_or(DatafeedState::Starting),
            has_end: params.is_some_and(|params| params.end.is_some()),
        }
    }
}

/// `{"count":n,"model_snapshots":[..]}`.
#[derive(Deserialize)]
pub(super) struct Snapshots {
    count: u64,
    #[serde(default)]
    model_snapshots: AtMost<WireSnapshot, 10>,
}

#[derive(Deserialize)]
struct WireSnapshot {
    timestamp: Option<u64>,
    latest_record_time_stamp: Option<u64>,
}

impl Snapshots {
    /// The newest of those that were listed.
    pub(super) fn newest(self) -> Result<Option<Snapshot>, Malformed> {
        if self.count > 0 && self.model_snapshots.0.is_empty() {
            return Err(Malformed::WrongShape);
        }
        let newest = self
            .model_snapshots
            .0
            .into_iter()
            .max_by_key(|s| s.timestamp);
        Ok(newest.map(|snapshot| Snapshot {
            taken_at: snapshot.timestamp.and_then(time),
            latest_record: snapshot.latest_record_time_stamp.and_then(time),
        }))
    }
}

#[cfg(test)]
#[path = "wire_tasks_tests.rs"]
mod tests;
