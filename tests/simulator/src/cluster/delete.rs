//! DELETE of a job and `_reset` (reference section 6).

use serde_json::{Value, json};

use super::{config::valid_id, core::Cluster, error::ApiError, open::invalid_id};

/// A delete as the API takes it.
#[derive(Debug, Clone)]
pub struct DeleteRequest {
    /// One literal id.
    pub job: String,
    /// Kill the process and remove the task first.
    pub force: bool,
    /// Answer when done, not with a task.
    pub wait: bool,
}

impl Cluster {
    /// `DELETE /_ml/anomaly_detectors/{job_id}`.
    ///
    /// # Errors
    /// 400 for no id, 404, 409 while it is open or has a datafeed (7.x).
    pub fn delete_job(&mut self, request: &DeleteRequest) -> Result<Value, ApiError> {
        let id = request.job.as_str();
        if !self.master {
            return Err(ApiError::no_master());
        }
        if !valid_id(id) {
            return Err(ApiError::bad_argument(invalid_id("job_id", id)));
        }
        if !self.jobs.contains_key(id) {
            return Err(ApiError::no_job(id));
        }
        if !request.force && self.tasks.contains_key(id) {
            return Err(ApiError::status(
                409,
                format!(
                    "Cannot delete job [{id}] because the job is {}",
                    self.state_word(id)
                ),
            ));
        }
        self.drop_datafeed_of(id, request.force)?;
        if let Some(alloc) = self.tasks.get(id).map(|task| task.place.alloc) {
            self.remove_job_task(id, alloc, "force close");
        }
        self.take_job(id);
        self.knobs.remove(id);
        for members in self.calendars.values_mut() {
            members.retain(|member| member != id);
        }
        self.note("job", id, "closed", "deleted", "delete");
        self.settle();
        Ok(if request.wait {
            json!({"acknowledged": true})
        } else {
            json!({"task": self.task_name()})
        })
    }

    /// A job's datafeed goes with it since 8; before, it stands in the way.
    fn drop_datafeed_of(&mut self, id: &str, force: bool) -> Result<(), ApiError> {
        let Some(feed) = self.feed_of_job.get(id).cloned() else {
            return Ok(());
        };
        let refusal = if self.profile.is_7() {
            format!("Cannot delete job [{id}] because datafeed [{feed}] refers to it")
        } else if self.delete_datafeed(&feed, force).is_err() {
            format!("failed to delete job [{id}] as its datafeed [{feed}] could not be deleted")
        } else {
            return Ok(());
        };
        Err(ApiError::status(409, refusal))
    }

    fn task_name(&self) -> String {
        format!(
            "{}:{}",
            self.nodes.first().map_or("node", |node| node.id.as_str()),
            1000 + self.version
        )
    }

    /// `POST .../_reset` (7.14).
    ///
    /// # Errors
    /// 404, 409 while open or blocked by something else.
    pub fn reset_job(&mut self, id: &str, wait: bool) -> Result<Value, ApiError> {
        let open = self.tasks.contains_key(id);
        let task = self.task_name();
        let job = self.jobs.get_mut(id).ok_or_else(|| ApiError::no_job(id))?;
        if open {
            return Err(ApiError::status(
                409,
                "Can only reset a job when it is closed.",
            ));
        }
        if let Some(reason) = job.blocked.as_deref().filter(|reason| *reason != "reset") {
            return Err(ApiError::status(
                409,
                format!("cannot reset job while it is blocked with [{reason}]"),
            ));
        }
        job.blocked = None;
        job.snapshot = None;
        job.snapshots.clear();
        job.dirty = false;
        job.finished_time = None;
        job.counts = super::model::Counts::default();
        Ok(if wait {
            json!({"acknowledged": true})
        } else {
            json!({"task": task})
        })
    }
}
