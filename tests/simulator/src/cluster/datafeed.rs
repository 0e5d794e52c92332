//! Datafeeds at run time: start, stop, lookback end, and the close a lookback gives its job (reference section 7, D1 to D12).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    core::{Call, Cluster, Reply},
    error::ApiError,
    expression::Expression,
    model::{Delay, Event, FeedState, FeedTask, JobState, Place, Ticket},
    open::licence_error,
    time_value::TimeValue,
};

/// A start as the API takes it.
#[derive(Debug, Clone)]
pub struct StartRequest {
    /// Datafeed id.
    pub feed: String,
    /// As given, for the task's parameters.
    pub start: String,
    /// Epoch ms; a datafeed with an end is a lookback.
    pub end: Option<i64>,
    /// Bound of the wait.
    pub timeout: TimeValue,
}

/// A stop as the API takes it.
#[derive(Debug, Clone)]
pub struct StopRequest {
    /// Id expression.
    pub expression: String,
    /// Whether wildcards may match nothing.
    pub allow_no_match: bool,
    /// Remove the task at once.
    pub force: bool,
    /// Bound of the wait.
    pub timeout: TimeValue,
    /// Close the job afterwards (9.3).
    pub close_job: bool,
}

#[derive(Debug)]
pub(super) struct StartCall {
    feed: String,
    timeout: TimeValue,
}

#[derive(Debug)]
pub(super) struct StopCall {
    feeds: BTreeSet<String>,
    timeout: TimeValue,
    close_jobs: Vec<String>,
}

impl Cluster {
    /// `POST /_ml/datafeeds/{id}/_start`.
    pub fn start_feed(&mut self, request: &StartRequest) -> Reply {
        if !self.master {
            return self.without_master();
        }
        let feed = request.feed.clone();
        let (alloc, job) = match self.begin_start(request) {
            Ok(begun) => begun,
            Err(error) => return Reply::Now(Err(error)),
        };
        if self.maybe_unassigned
            && self
                .feed_tasks
                .get(&feed)
                .is_some_and(|task| task.place.node.is_none())
        {
            // Its job has no node yet: it starts when the job has one.
            return Reply::Now(Ok(json!({"started": true, "node": ""})));
        }
        let ticket = self.ticket();
        self.calls.insert(
            ticket,
            Call::Start(StartCall {
                feed: feed.clone(),
                timeout: request.timeout,
            }),
        );
        self.watch(&format!("start-{feed}"), ticket);
        self.take_turn();
        self.commit(
            self.knobs_of(&job).feed_start,
            Event::FeedStarted(feed, alloc),
        );
        self.after(Delay::Ms(request.timeout.millis()), Event::Deadline(ticket));
        self.wait_for(ticket)
    }

    fn begin_start(&mut self, request: &StartRequest) -> Result<(u64, String), ApiError> {
        let feed = request.feed.as_str();
        if !self.licence_valid {
            return Err(licence_error());
        }
        let config = self
            .feeds
            .get(feed)
            .ok_or_else(|| ApiError::no_datafeed(feed))?;
        let job = config.job.clone();
        self.check_startable(feed, &job)?;
        let task = self.tasks.get(&job);
        let indices = config.config.get("indices").cloned().unwrap_or_default();
        self.check_indices(feed, &indices)?;
        let options = config.config.get("indices_options").cloned();
        let params = self.start_params(request, &job, indices, options);
        let node = task.and_then(|task| task.place.node.clone());
        let alloc = self.next_alloc();
        self.maybe_unassigned |= node.is_none();
        let place = Place {
            alloc,
            node,
            explanation: String::new(),
        };
        let has_end = request.end.is_some();
        self.feed_tasks.insert(
            feed.to_owned(),
            FeedTask {
                state: None,
                place,
                job: job.clone(),
                params,
                has_end,
                isolated: false,
            },
        );
        self.note("datafeed", feed, "stopped", "starting", "start");
        Ok((alloc, job))
    }

    /// The task's parameters, as the cluster state shows them.
    fn start_params(
        &self,
        request: &StartRequest,
        job: &str,
        indices: Value,
        options: Option<Value>,
    ) -> Value {
        let mut params = json!({"datafeed_id": request.feed, "start": request.start});
        if let Some(params) = params.as_object_mut() {
            if let Some(end) = request.end {
                // `now` is the moment of the start.
                let now = self.wall().to_string();
                let end = if end == i64::MAX {
                    now
                } else {
                    end.to_string()
                };
                params.insert("end".into(), end.into());
            }
            params.insert("timeout".into(), request.timeout.to_string().into());
            params.insert("job_id".into(), job.into());
            params.insert("indices".into(), indices);
            params.insert("indices_options".into(), options.unwrap_or_default());
        }
        params
    }

    /// Only a stopped datafeed of an opening or opened job starts.
    fn check_startable(&self, feed: &str, job: &str) -> Result<(), ApiError> {
        let task = self.tasks.get(job);
        if !task.is_some_and(|task| matches!(task.state, None | Some(JobState::Opened))) {
            return Err(ApiError::status(
                409,
                format!(
                    "cannot start datafeed [{feed}] because job [{job}] is {}",
                    self.state_word(job)
                ),
            ));
        }
        if self.feed_tasks.contains_key(feed) {
            return Err(ApiError::status(
                409,
                format!("cannot start datafeed [{feed}] because it has already been started"),
            ));
        }
        if !self.assign_enabled {
            return Err(ApiError::status(
                409,
                format!(
                    "No node found to start datafeed [{feed}], allocation explanation [no persistent task assignments are allowed due to cluster settings]"
                ),
            ));
        }
        Ok(())
    }

    fn check_indices(&self, feed: &str, indices: &Value) -> Result<(), ApiError> {
        let names = indices.as_array().map(Vec::as_slice).unwrap_or_default();
        for name in names.iter().filter_map(Value::as_str) {
            // Only what the index API made is known; without any, every index counts as there.
            if !self.indices.is_empty() && !name.contains('*') && !self.indices.contains(name)
                || (self.profile.recorded() && self.indices.is_empty())
            {
                return Err(ApiError::not_found(format!(
                    "datafeed [{feed}] cannot retrieve data because index [{name}] does not exist"
                )));
            }
        }
        Ok(())
    }

    /// The first search has begun.
    pub(super) fn feed_is_up(&mut self, feed: &str, alloc: u64) {
        let ready = self
            .feed_tasks
            .get(feed)
            .and_then(|task| self.tasks.get(&task.job))
            .is_some_and(|job| job.live);
        // It waits for its job to be opened, which tries again.
        let Some(task) = self.feed_tasks.get_mut(feed).filter(|task| {
            ready && task.place.alloc == alloc && task.state.is_none() && task.place.node.is_some()
        }) else {
            return;
        };
        task.state = Some(FeedState::Started);
        let (job, has_end, node) = (task.job.clone(), task.has_end, task.place.node.clone());
        self.note("datafeed", feed, "starting", "started", "first search");
        if has_end {
            self.commit(
                self.knobs_of(&job).lookback,
                Event::LookbackEnded(feed.to_owned(), alloc),
            );
        }
        for ticket in self
            .watchers
            .remove(&format!("start-{feed}"))
            .unwrap_or_default()
        {
            self.finish(
                ticket,
                Ok(json!({"started": true, "node": node.clone().unwrap_or_default()})),
            );
        }
    }

    pub(super) fn start_deadline(&mut self, ticket: Ticket) {
        let Some(Call::Start(call)) = self.calls.get(&ticket) else {
            return;
        };
        let text = format!(
            "Starting datafeed [{}] timed out after [{}]",
            call.feed, call.timeout
        );
        let error = if self.profile.timeouts_408() {
            ApiError::status(408, text)
        } else {
            ApiError::new(500, "exception", text)
        };
        self.finish(ticket, Err(error));
    }

    pub(super) fn feed_stop_fails(&self, feed: &str) -> bool {
        self.feed_tasks
            .get(feed)
            .is_some_and(|task| self.knobs_of(&task.job).feed_stop_fails)
    }

    /// Tells one datafeed to stop. With `force` its task goes at once; a force close isolates it first.
    pub(super) fn stop_feed(&mut self, feed: &str, force: bool, for_close: bool, why: &str) {
        let Some(task) = self.feed_tasks.get_mut(feed) else {
            return;
        };
        task.isolated |= force && for_close;
        let (alloc, unassigned, was, job) = (
            task.place.alloc,
            task.place.node.is_none(),
            task.state,
            task.job.clone(),
        );
        let stop = self.knobs_of(&job).feed_stop;
        if force || unassigned {
            self.take_turn();
            self.remove_feed_task(feed, why);
            return;
        }
        if was == Some(FeedState::Stopping) {
            return;
        }
        let word = self
            .feed_tasks
            .get(feed)
            .map_or("stopped", super::tasks::feed_word);
        if let Some(task) = self.feed_tasks.get_mut(feed) {
            task.state = Some(FeedState::Stopping);
        }
        self.note("datafeed", feed, word, "stopping", why);
        self.take_turn();
        self.commit(stop, Event::FeedStopped(feed.to_owned(), alloc));
    }

    pub(super) fn feed_has_stopped(&mut self, feed: &str, alloc: u64, why: &str) {
        if self
            .feed_tasks
            .get(feed)
            .is_some_and(|task| task.place.alloc == alloc)
        {
            self.remove_feed_task(feed, why);
        }
    }

    pub(super) fn lookback_ended(&mut self, feed: &str, alloc: u64) {
        if self
            .feed_tasks
            .get(feed)
            .is_some_and(|task| task.place.alloc == alloc && task.state == Some(FeedState::Started))
        {
            self.remove_feed_task(feed, "lookback ended");
        }
    }

    /// `POST /_ml/datafeeds/{id}/_stop`.
    pub fn stop_feeds(&mut self, request: &StopRequest) -> Reply {
        if !self.master {
            return Reply::Now(Err(ApiError::no_master()));
        }
        let ids = match self.feed_ids(&request.expression, request.allow_no_match, request.force) {
            Ok(ids) => ids,
            Err(error) => return Reply::Now(Err(error)),
        };
        if let Some(feed) = ids.iter().find(|feed| self.feed_stop_fails(feed)) {
            let text = format!(
                "Failed to stop datafeed [{feed}] after 10 due to inconsistencies between local and persistent tasks within the cluster"
            );
            return Reply::Now(Err(ApiError::status(500, text)));
        }
        let feeds: BTreeSet<String> = ids
            .into_iter()
            .filter(|feed| self.feed_tasks.contains_key(feed))
            .collect();
        let jobs = feeds
            .iter()
            .filter_map(|feed| self.feed_tasks.get(feed))
            .map(|task| task.job.clone());
        let close_jobs = if request.close_job {
            jobs.collect()
        } else {
            Vec::new()
        };
        if feeds.is_empty() {
            return Reply::Now(Ok(json!({"stopped": true})));
        }
        let ticket = self.ticket();
        self.calls.insert(
            ticket,
            Call::Stop(StopCall {
                feeds: feeds.clone(),
                timeout: request.timeout,
                close_jobs,
            }),
        );
        for feed in &feeds {
            self.watch(&format!("datafeed-{feed}"), ticket);
            self.stop_feed(
                feed,
                request.force,
                false,
                if request.force { "force stop" } else { "stop" },
            );
        }
        self.after(Delay::Ms(request.timeout.millis()), Event::Deadline(ticket));
        self.wait_for(ticket)
    }

    pub(super) fn stop_sees_feed_gone(&mut self, ticket: Ticket, feed: &str) {
        let Some(Call::Stop(call)) = self.calls.get_mut(&ticket) else {
            return;
        };
        call.feeds.remove(feed);
        if call.feeds.is_empty() {
            let jobs = std::mem::take(&mut call.close_jobs);
            self.finish(ticket, Ok(json!({"stopped": true})));
            for job in jobs {
                self.close_by_itself(&job, "stop with close_job");
            }
        }
    }

    pub(super) fn stop_deadline(&mut self, ticket: Ticket) {
        let Some(Call::Stop(call)) = self.calls.get(&ticket) else {
            return;
        };
        let error = ApiError::new(
            500,
            "illegal_state_exception",
            format!(
                "Timed out when waiting for persistent tasks after {}",
                call.timeout
            ),
        );
        self.finish(ticket, Err(error));
    }

    /// Ids an expression names; with `tasks` also those known only by their task.
    pub(super) fn feed_ids(
        &self,
        text: &str,
        allow_no_match: bool,
        tasks: bool,
    ) -> Result<Vec<String>, ApiError> {
        const NO_GROUPS: &[&str] = &[];
        let expression = Expression::parse(text);
        self.searched(1);
        expression.check()?;
        let entries = self.feeds.keys().map(|id| (id.as_str(), NO_GROUPS));
        let running = self.feed_tasks.keys().filter(|_| tasks).map(String::as_str);
        expression
            .resolve(entries, running, allow_no_match)
            .map_err(|tokens| ApiError::no_datafeed(&tokens))
    }
}
