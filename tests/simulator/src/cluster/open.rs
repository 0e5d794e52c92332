//! Open: reference section 4. Its checks in their order, its wait, and what a close during the wait does to it.

use serde_json::json;

use super::{
    capacity::Found,
    config::valid_id,
    core::{Call, Cluster, Reply},
    error::ApiError,
    model::{Delay, Event, JobState, Ticket},
    time_value::TimeValue,
};

/// An open as the API takes it.
#[derive(Debug, Clone)]
pub struct OpenRequest {
    /// One literal id.
    pub job: String,
    /// Bound of the wait.
    pub timeout: TimeValue,
}

/// An open that waits for its process.
#[derive(Debug)]
pub(super) struct OpenCall {
    job: String,
    alloc: u64,
    timeout: TimeValue,
}

/// 403 of open and start without a fitting licence.
pub(super) fn licence_error() -> ApiError {
    ApiError::new(
        403,
        "security_exception",
        "current license is non-compliant for [ml]",
    )
    .with("license.expired.feature", "ml")
}

/// The 400 of something that is no id where one id is needed.
pub(super) fn invalid_id(field: &str, id: &str) -> String {
    format!(
        "Invalid {field}; '{id}' can contain lowercase alphanumeric (a-z and 0-9), hyphens or underscores; must start and end with alphanumeric"
    )
}

impl Cluster {
    /// `POST /_ml/anomaly_detectors/{job_id}/_open`.
    pub fn open(&mut self, request: &OpenRequest) -> Reply {
        if !self.master {
            return self.without_master();
        }
        if let Err(error) = self.check_open(&request.job) {
            return Reply::Now(Err(error));
        }
        let ticket = self.ticket();
        let call = OpenCall {
            job: request.job.clone(),
            alloc: 0,
            timeout: request.timeout,
        };
        self.calls.insert(ticket, Call::Open(call));
        self.commit_now(Event::CreateJob(ticket));
        self.wait_for(ticket)
    }

    /// The master creates the task of an open, if it still may.
    pub(super) fn create_job_task(&mut self, ticket: Ticket) {
        let Some(Call::Open(call)) = self.calls.get(&ticket) else {
            return;
        };
        let (id, timeout) = (call.job.clone(), call.timeout);
        match self.begin_open(&id, timeout) {
            Ok((alloc, Found::Node(node))) => {
                if let Some(Call::Open(call)) = self.calls.get_mut(&ticket) {
                    call.alloc = alloc;
                }
                self.watch(&id, ticket);
                if let Some(task) = self.tasks.get_mut(&id) {
                    task.place.node = Some(node);
                }
                self.commit(self.knobs_of(&id).open, Event::Opened(id, alloc));
                self.after(Delay::Ms(timeout.millis()), Event::Deadline(ticket));
            }
            Ok((_, Found::Lazy)) => {
                self.maybe_unassigned = true;
                self.finish(ticket, Ok(json!({"opened": true, "node": ""})));
            }
            Ok((_, Found::None(explanation))) => {
                self.finish(ticket, Err(no_capacity(&explanation)));
            }
            Err(error) => self.finish(ticket, Err(error)),
        }
    }

    /// The checks that stand before everything else, in their order.
    fn check_open(&self, id: &str) -> Result<(), ApiError> {
        if !self.licence_valid {
            return Err(licence_error());
        }
        if !valid_id(id) {
            return Err(ApiError::bad_argument(invalid_id("job_id", id)));
        }
        let job = self.jobs.get(id).ok_or_else(|| ApiError::no_job(id))?;
        self.check_snapshot(job)?;
        if self.tasks.contains_key(id) {
            let cause = ApiError::exists(format!("task with id {{job-{id}}} already exist"));
            return Err(ApiError::status(
                409,
                format!("Cannot open job [{id}] because it has already been opened"),
            )
            .caused_by(cause));
        }
        if let Some(reason) = job.blocked.as_deref().or(job.deleting.then_some("delete")) {
            let text = if self.profile.blocked_and_reset() {
                format!("Cannot open job [{id}] because it is executing [{reason}]")
            } else {
                format!("Cannot open job [{id}] because it is being deleted")
            };
            return Err(ApiError::status(409, text));
        }
        if !self.assign_enabled {
            return Err(ApiError::status(
                429,
                "Cannot open jobs because persistent task assignment is disabled by the [cluster.persistent_tasks.allocation.enable] setting",
            ));
        }
        Ok(())
    }

    fn begin_open(&mut self, id: &str, timeout: TimeValue) -> Result<(u64, Found), ApiError> {
        self.check_open(id)?;
        let job = self.jobs.get(id).ok_or_else(|| ApiError::no_job(id))?;
        let lazy = job.lazy || self.capacity.lazy_nodes;
        let config = self.job_json(job, false);
        let found = match self.find_node(id, job.memory) {
            Found::Node(node) => Found::Node(node),
            Found::Lazy | Found::None(_) if lazy => Found::Lazy,
            Found::Lazy => Found::Lazy,
            Found::None(why) => Found::None(why),
        };
        if let Found::None(explanation) = found {
            return Ok((0, Found::None(explanation)));
        }
        let explanation = if matches!(found, Found::Lazy) {
            AWAITING
        } else {
            ""
        };
        let alloc = self.add_job_task(id, &timeout.to_string(), None, explanation, config);
        Ok((alloc, found))
    }

    /// The process of this allocation is up: `opening` becomes `opened`, a stale `opened` becomes a true one.
    pub(super) fn process_is_up(&mut self, id: &str, alloc: u64) {
        let now = self.now;
        let was = self.state_word(id);
        let Some(task) = self
            .tasks
            .get(id)
            .filter(|task| task.place.alloc == alloc && task.place.node.is_some())
        else {
            return;
        };
        if !matches!(task.state, None | Some(JobState::Opened)) {
            return;
        }
        if self.knobs_of(id).open_fails {
            self.fail_job(id, "simulated failure to restore the state");
            return;
        }
        let Some(task) = self.tasks.get_mut(id) else {
            return;
        };
        task.state = Some(JobState::Opened);
        task.state_alloc = alloc;
        task.live = true;
        task.opened_at = now;
        if was != "opened" {
            self.note("job", id, was, "opened", "process is up");
        }
        for ticket in self.watchers_of(id) {
            self.open_is_done(ticket, id, alloc);
        }
        self.start_waiting_feed(id);
        self.look_for_nodes();
    }

    /// A datafeed that was started while its job was opening begins now.
    fn start_waiting_feed(&mut self, id: &str) {
        let start = self.knobs_of(id).feed_start;
        let feed = self.feed_of_job.get(id).and_then(|feed| {
            let task = self.feed_tasks.get(feed)?;
            (task.state.is_none() && task.place.node.is_some())
                .then(|| Event::FeedStarted(feed.clone(), task.place.alloc))
        });
        if let Some(event) = feed {
            self.commit(start, event);
        }
    }

    fn open_is_done(&mut self, ticket: Ticket, id: &str, alloc: u64) {
        if !matches!(self.calls.get(&ticket), Some(Call::Open(call)) if call.alloc == alloc) {
            return;
        }
        if let Some(job) = self.jobs.get_mut(id) {
            job.finished_time = None;
        }
        let node = self
            .tasks
            .get(id)
            .and_then(|task| task.place.node.clone())
            .unwrap_or_default();
        self.finish(ticket, Ok(json!({"opened": true, "node": node})));
    }

    /// A plain close took the task away: 409. A force close: the open takes "no task" for "not yet" and waits on.
    pub(super) fn open_sees_removal(&mut self, ticket: Ticket, _id: &str, forced: bool) {
        if !forced {
            self.finish(
                ticket,
                Err(ApiError::status(
                    409,
                    "The job has been closed while waiting to be opened",
                )),
            );
        }
    }

    /// The job failed while an open waited for it.
    pub(super) fn open_sees_failure(&mut self, id: &str, reason: &str) {
        for ticket in self.watchers_of(id) {
            if matches!(self.calls.get(&ticket), Some(Call::Open(_))) {
                let text = format!(
                    "Unexpected job state [failed] with reason [{reason}] while waiting for job to be opened"
                );
                self.finish(ticket, Err(ApiError::new(500, "exception", text)));
            }
        }
    }

    /// The wait ran out; the task stays and the job may still open.
    pub(super) fn open_deadline(&mut self, ticket: Ticket) {
        let Some(Call::Open(call)) = self.calls.get(&ticket) else {
            return;
        };
        let text = format!(
            "Opening job [{}] timed out after [{}]",
            call.job, call.timeout
        );
        let error = if self.profile.timeouts_408() {
            ApiError::status(408, text)
        } else {
            ApiError::new(500, "exception", text)
        };
        self.finish(ticket, Err(error));
    }
}

/// Explanation of a task that waits for room.
pub(super) const AWAITING: &str = "persistent task is awaiting node assignment.";

fn no_capacity(explanation: &str) -> ApiError {
    let cause = ApiError::new(
        429,
        "illegal_state_exception",
        format!(
            "Could not open job because no suitable nodes were found, allocation explanation [{explanation}]"
        ),
    );
    ApiError::status(
        429,
        "Could not open job because no ML nodes with sufficient capacity were found",
    )
    .caused_by(cause)
}
