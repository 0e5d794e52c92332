//! Close: reference section 3, plain and forced, with its two waits and without any rollback.
//! A close is never cancelled: a caller that leaves only leaves its ticket behind.

use std::collections::BTreeSet;

use serde_json::json;

use super::{
    core::{Call, Cluster, Reply},
    error::ApiError,
    expression::Expression,
    model::{Delay, Event, JobState, OnKill, Ticket},
    time_value::TimeValue,
};

/// A close as the API takes it.
#[derive(Debug, Clone)]
pub struct CloseRequest {
    /// Id expression.
    pub expression: String,
    /// Whether wildcards may match nothing.
    pub allow_no_match: bool,
    /// Remove tasks instead of closing processes.
    pub force: bool,
    /// Bound of the last wait only.
    pub timeout: TimeValue,
}

/// Job ids and the allocations of their tasks.
type Bucket = Vec<(String, u64)>;

/// A close under way.
#[derive(Debug)]
pub(super) struct CloseCall {
    request: CloseRequest,
    /// Who closes, for the log of changes.
    why: &'static str,
    /// The tasks of the first snapshot: job id and allocation.
    open: Bucket,
    closing: Bucket,
    /// Datafeeds whose stop is awaited.
    feeds: BTreeSet<String>,
    /// Jobs whose node has not replied.
    pub(super) nodes: BTreeSet<String>,
    /// Jobs whose task is still there.
    tasks: BTreeSet<String>,
    stage: Stage,
    /// Removals that failed in a forced close.
    failures: Vec<String>,
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Stage {
    Datafeeds,
    Nodes,
    Tasks,
}

impl Cluster {
    /// `POST /_ml/anomaly_detectors/{job_id}/_close`.
    pub fn close(&mut self, request: CloseRequest) -> Reply {
        match self.begin_close(request, "close") {
            Ok(None) => Reply::Now(Ok(json!({"closed": true}))),
            Ok(Some(ticket)) => self.wait_for(ticket),
            Err(error) => Reply::Now(Err(error)),
        }
    }

    /// Steps 1 to 7 of reference 3.2. `None`: nothing to close.
    pub(super) fn begin_close(
        &mut self,
        request: CloseRequest,
        why: &'static str,
    ) -> Result<Option<Ticket>, ApiError> {
        if !self.master {
            return Err(ApiError::no_master());
        }
        let ids = self.close_ids(&request)?;
        let refuses = !self.profile.close_stops_datafeeds();
        if refuses {
            self.searched(1);
            self.refuse_running_datafeeds(&ids)?;
        }
        let (mut open, closing, mut failed) = self.buckets(&ids);
        if request.force {
            open.append(&mut failed);
        } else if let Some((id, _)) = failed.first() {
            return Err(ApiError::status(
                409,
                if ids.len() == 1 {
                    format!("cannot close job [{id}] because it failed, use force close")
                } else {
                    "one or more jobs have state failed, use force close".into()
                },
            ));
        }
        if !refuses {
            self.searched(1);
        }
        if open.is_empty() && closing.is_empty() {
            return Ok(None);
        }
        let ticket = self.ticket();
        let call = CloseCall {
            request,
            why,
            open,
            closing,
            feeds: BTreeSet::new(),
            nodes: BTreeSet::new(),
            tasks: BTreeSet::new(),
            stage: Stage::Datafeeds,
            failures: Vec::new(),
        };
        self.stop_feeds_of(ticket, call)?;
        Ok(Some(ticket))
    }

    /// Step 5: open, closing and failed jobs, each with its allocation.
    fn buckets(&self, ids: &[String]) -> (Bucket, Bucket, Bucket) {
        let (mut open, mut closing, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for id in ids {
            let Some(task) = self.tasks.get(id) else {
                continue;
            };
            let entry = (id.clone(), task.place.alloc);
            match task.state {
                Some(JobState::Closing) => closing.push(entry),
                Some(JobState::Failed) => failed.push(entry),
                Some(JobState::Opened) | None => open.push(entry),
            }
        }
        (open, closing, failed)
    }

    fn close_ids(&self, request: &CloseRequest) -> Result<Vec<String>, ApiError> {
        let expression = Expression::parse(&request.expression);
        self.searched(1);
        expression.check()?;
        // The common case, one known id, needs no walk over ten thousand jobs.
        if let Some(id) = expression.single_literal()
            && self.jobs.get(id).is_some_and(|job| !job.deleting)
        {
            return Ok(vec![id.to_owned()]);
        }
        let entries = self
            .jobs
            .values()
            .filter(|job| !job.deleting)
            .map(|job| (job.id.as_str(), job.groups.as_slice()));
        let tasks = self
            .tasks
            .keys()
            .filter(|_| request.force)
            .map(String::as_str);
        expression
            .resolve(entries, tasks, request.allow_no_match)
            .map_err(|tokens| ApiError::no_job(&tokens))
    }

    /// Before 7.14: any resolved job, closed ones too, with force too.
    fn refuse_running_datafeeds(&self, ids: &[String]) -> Result<(), ApiError> {
        for feed in ids.iter().filter_map(|id| self.feed_of_job.get(id)) {
            if self.feed_tasks.contains_key(feed) {
                return Err(ApiError::status(
                    409,
                    format!("cannot close job datafeed [{feed}] hasn't been stopped"),
                ));
            }
        }
        Ok(())
    }

    /// Step 6: datafeeds of the jobs to close, not of those that are closing or closed already.
    fn stop_feeds_of(&mut self, ticket: Ticket, mut call: CloseCall) -> Result<(), ApiError> {
        let feeds: BTreeSet<String> = call
            .open
            .iter()
            .filter_map(|(id, _)| self.feed_of_job.get(id))
            .filter(|feed| self.feed_tasks.contains_key(*feed))
            .cloned()
            .collect();
        let failing: Vec<&String> = feeds
            .iter()
            .filter(|feed| self.feed_stop_fails(feed))
            .collect();
        if !failing.is_empty() {
            let names = feeds
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(",");
            let error = failing
                .iter()
                .map(|feed| format!("Failed to stop datafeed [{feed}]"))
                .collect::<Vec<_>>()
                .join(", ");
            for feed in feeds
                .iter()
                .filter(|feed| !self.feed_stop_fails(feed))
                .cloned()
                .collect::<Vec<_>>()
            {
                self.stop_feed(&feed, call.request.force, true, "close");
            }
            return Err(ApiError::status(
                409,
                format!(
                    "failed to close jobs as one or more had started datafeeds that could not be stopped: started datafeeds [{names}], error stopping them [{error}]"
                ),
            ));
        }
        call.feeds.clone_from(&feeds);
        self.calls.insert(ticket, Call::Close(call));
        for feed in &feeds {
            self.watch(&format!("datafeed-{feed}"), ticket);
            let force = self
                .close_call(ticket)
                .is_some_and(|call| call.request.force);
            self.stop_feed(feed, force, true, "close");
        }
        if feeds.is_empty() {
            self.datafeeds_are_stopped(ticket);
        }
        Ok(())
    }

    pub(super) fn close_call(&mut self, ticket: Ticket) -> Option<&mut CloseCall> {
        match self.calls.get_mut(&ticket) {
            Some(Call::Close(call)) => Some(call),
            Some(Call::Open(_) | Call::Start(_) | Call::Stop(_) | Call::Fixed(_)) | None => None,
        }
    }

    fn datafeeds_are_stopped(&mut self, ticket: Ticket) {
        let Some(call) = self.close_call(ticket) else {
            return;
        };
        let all: Vec<(String, u64)> = call.open.iter().chain(&call.closing).cloned().collect();
        let (open, force, why) = (call.open.clone(), call.request.force, call.why);
        call.stage = Stage::Nodes;
        call.tasks = all.iter().map(|(id, _)| id.clone()).collect();
        for (id, _) in &all {
            self.watch(id, ticket);
        }
        for (id, _) in &open {
            self.audit(
                id,
                if force {
                    "Job is closing (forced)"
                } else {
                    "Job is closing"
                },
            );
        }
        if force {
            self.force_removal(ticket, &all);
        } else {
            for (id, alloc) in &open {
                self.close_on_node(Some(ticket), id, *alloc, why);
            }
        }
        self.drop_vanished(ticket, &all);
        self.check_close(ticket);
    }

    /// Tasks of the snapshot that went away while datafeeds were being stopped count as gone.
    fn drop_vanished(&mut self, ticket: Ticket, all: &[(String, u64)]) {
        let gone: Vec<String> = all
            .iter()
            .filter(|(id, alloc)| {
                self.tasks
                    .get(id)
                    .is_none_or(|task| task.place.alloc != *alloc)
            })
            .map(|(id, _)| id.clone())
            .collect();
        if let Some(call) = self.close_call(ticket) {
            for id in gone {
                call.tasks.remove(&id);
                call.nodes.remove(&id);
            }
        }
    }

    /// Step 8: ask for removal of every task; no timeout applies.
    fn force_removal(&mut self, ticket: Ticket, all: &[(String, u64)]) {
        for (id, alloc) in all {
            let delay = self.knobs_of(id).force;
            let Some(task) = self.tasks.get_mut(id) else {
                continue;
            };
            let again = task.removing;
            task.removing = true;
            if again {
                let told = !self.profile.force_ignores_missing();
                if let Some(call) = self.close_call(ticket) {
                    // 7.x reports the loser of the race unless all jobs were meant; later versions ignore it.
                    if told && !Expression::parse(&call.request.expression).is_all() {
                        call.failures
                            .push(format!("the task with id job-{id} doesn't exist"));
                    }
                }
            } else {
                self.commit(delay, Event::RemoveJob(id.clone(), *alloc, "force close"));
            }
        }
    }

    /// The node has closed the job: its callers go on to the last wait. True: one of them does not wait at all.
    pub(super) fn node_replied(&mut self, id: &str) -> bool {
        let mut impatient = false;
        for ticket in self.watchers_of(id) {
            if let Some(call) = self.close_call(ticket) {
                call.nodes.remove(id);
                impatient |= call.request.timeout.is_none();
            }
            self.check_close(ticket);
        }
        impatient
    }

    /// Ends the calls whose node-level request for this job is open.
    pub(super) fn fail_node_stage(&mut self, id: &str, error: &ApiError) {
        for ticket in self.watchers_of(id) {
            if self
                .close_call(ticket)
                .is_some_and(|call| call.nodes.contains(id))
            {
                self.finish(ticket, Err(error.clone()));
            }
        }
    }

    /// A task has been removed: tells the closes that wait for it.
    pub(super) fn close_sees_removal(
        &mut self,
        ticket: Ticket,
        id: &str,
        alloc: u64,
        forced: bool,
    ) {
        let on_kill = self.knobs_of(id).on_kill;
        let Some(call) = self.close_call(ticket) else {
            return;
        };
        call.tasks.remove(id);
        if call.nodes.remove(id) && forced && !call.request.force {
            let error = match on_kill {
                OnKill::Closed => None,
                OnKill::Interrupted => Some(ApiError::status(
                    409,
                    "Close job interrupted by kill request",
                )),
                OnKill::TaskGone => Some(ApiError::not_found(format!(
                    "the task with id job-{id} and allocation id {alloc} doesn't exist"
                ))),
            };
            if let Some(error) = error {
                self.finish(ticket, Err(error));
                return;
            }
        }
        self.check_close(ticket);
    }

    /// A datafeed's task has gone: a close that waited for it goes on.
    pub(super) fn close_sees_feed_gone(&mut self, ticket: Ticket, feed: &str) {
        let Some(call) = self
            .close_call(ticket)
            .filter(|call| call.stage == Stage::Datafeeds)
        else {
            return;
        };
        call.feeds.remove(feed);
        if call.feeds.is_empty() {
            self.datafeeds_are_stopped(ticket);
        }
    }

    /// Goes from the nodes' replies to the last wait, and ends the call when nothing is left.
    fn check_close(&mut self, ticket: Ticket) {
        let Some(call) = self
            .close_call(ticket)
            .filter(|call| call.stage != Stage::Datafeeds)
        else {
            return;
        };
        if !call.nodes.is_empty() {
            return;
        }
        if call.tasks.is_empty() {
            let outcome = force_outcome(call);
            self.finish(ticket, outcome);
            return;
        }
        if call.stage == Stage::Nodes && !call.request.force {
            call.stage = Stage::Tasks;
            let timeout = call.request.timeout.millis();
            self.after(Delay::Ms(timeout), Event::Deadline(ticket));
        }
    }

    /// Step 10 ran out: the job goes on closing, the caller gets 500.
    pub(super) fn close_deadline(&mut self, ticket: Ticket) {
        let Some(call) = self
            .close_call(ticket)
            .filter(|call| call.stage == Stage::Tasks)
        else {
            return;
        };
        let error = ApiError::new(
            500,
            "illegal_state_exception",
            format!(
                "Timed out when waiting for persistent tasks after {}",
                call.request.timeout
            ),
        );
        self.finish(ticket, Err(error));
    }
}

fn force_outcome(call: &CloseCall) -> Result<serde_json::Value, ApiError> {
    if call.failures.is_empty() {
        return Ok(json!({"closed": true}));
    }
    let reason = format!(
        "Failed to force close job [{}] with [{}] failures, rethrowing last, all Exceptions: [{}]",
        call.request.expression,
        call.failures.len(),
        call.failures.join(", ")
    );
    Err(ApiError::new(500, "exception", reason))
}
