//! Persistent tasks: creation, removal, and who is told when one goes. The only file that removes a task.

use serde_json::{Map, Value, json};

use super::{
    core::{Call, Cluster},
    model::{Delay, Event, FeedTask, JobState, JobTask, Place, Ticket},
};

impl Cluster {
    /// The word `_stats` has for the job.
    pub(super) fn state_word(&self, id: &str) -> &'static str {
        self.tasks.get(id).map_or("closed", |task| {
            task.state.map_or("opening", JobState::word)
        })
    }

    pub(super) fn watch(&mut self, key: &str, ticket: Ticket) {
        self.watchers
            .entry(key.to_owned())
            .or_default()
            .push(ticket);
    }

    pub(super) fn watchers_of(&self, key: &str) -> Vec<Ticket> {
        self.watchers.get(key).cloned().unwrap_or_default()
    }

    pub(super) fn next_alloc(&mut self) -> u64 {
        self.last_alloc += 1;
        self.last_alloc
    }

    pub(super) fn add_job_task(
        &mut self,
        id: &str,
        timeout: &str,
        node: Option<String>,
        explanation: &str,
        config: Value,
    ) -> u64 {
        let alloc = self.next_alloc();
        self.had_tasks = true;
        let place = Place {
            alloc,
            node,
            explanation: explanation.into(),
        };
        let task = JobTask {
            state: None,
            state_alloc: alloc,
            reason: None,
            place,
            live: false,
            opened_at: self.now,
            timeout: timeout.into(),
            removing: false,
            config,
        };
        self.tasks.insert(id.to_owned(), task);
        self.note("job", id, "closed", "opening", "open");
        alloc
    }

    /// Removes a job's task if it is still of this allocation, and tells the calls that wait for it.
    pub(super) fn remove_job_task(&mut self, id: &str, alloc: u64, why: &'static str) {
        if self
            .tasks
            .get(id)
            .is_none_or(|task| task.place.alloc != alloc)
        {
            return;
        }
        let was = self.state_word(id);
        let live = self.tasks.remove(id).is_some_and(|task| task.live);
        self.note("job", id, was, "closed", why);
        let forced = why == "force close";
        let wall = self.wall();
        // The node whose process was killed still notes the end in the configuration (seen on 7.10).
        if let Some(job) = self.jobs.get_mut(id).filter(|_| forced && live) {
            job.finished_time = Some(wall);
            job.dirty = false;
        }
        for ticket in self.watchers.remove(id).unwrap_or_default() {
            match self.calls.get(&ticket) {
                Some(Call::Close(_)) => self.close_sees_removal(ticket, id, alloc, forced),
                Some(Call::Open(_)) => self.open_sees_removal(ticket, id, forced),
                Some(Call::Start(_) | Call::Stop(_) | Call::Fixed(_)) | None => {}
            }
        }
        self.look_for_nodes();
    }

    /// Unassigned tasks try again, since room or the rules have changed.
    pub(super) fn look_for_nodes(&mut self) {
        self.maybe_unassigned = self.maybe_unassigned && self.unassigned();
        if self.maybe_unassigned {
            self.after(Delay::Ms(0), Event::Reassign);
        }
    }

    fn unassigned(&self) -> bool {
        self.tasks.values().any(|task| task.place.node.is_none())
            || self
                .feed_tasks
                .values()
                .any(|task| task.place.node.is_none())
    }

    /// Removes a datafeed's task, tells who waits, and lets a lookback close its job.
    pub(super) fn remove_feed_task(&mut self, feed: &str, why: &str) {
        let Some(task) = self.feed_tasks.remove(feed) else {
            return;
        };
        self.note("datafeed", feed, feed_word(&task), "stopped", why);
        self.audit(&task.job, "Datafeed stopped");
        for ticket in self
            .watchers
            .remove(&format!("datafeed-{feed}"))
            .unwrap_or_default()
        {
            match self.calls.get(&ticket) {
                Some(Call::Close(_)) => self.close_sees_feed_gone(ticket, feed),
                Some(Call::Stop(_)) => self.stop_sees_feed_gone(ticket, feed),
                Some(Call::Start(_) | Call::Open(_) | Call::Fixed(_)) | None => {}
            }
        }
        let ended = why == "lookback ended";
        let closes = ended || !self.profile.close_job();
        if task.has_end && !task.isolated && task.place.node.is_some() && closes {
            let why = if ended {
                "lookback ended"
            } else {
                "datafeed with an end stopped"
            };
            self.close_by_itself(&task.job, why);
        }
    }

    /// `metadata.persistent_tasks` of the cluster state; `None` while there never was one, and while the state is not
    /// recovered. The dear part, each job's configuration, is left out where nobody keeps it.
    pub fn persistent_tasks(&self, wanted: &dyn Fn(&[&str]) -> bool) -> Option<Value> {
        const TASKS: [&str; 3] = ["metadata", "persistent_tasks", "tasks"];
        if !self.had_tasks || self.state_hidden() {
            return None;
        }
        let whole = wanted(&[&TASKS[..], &["task", JOB_TASK, "params", "job"]].concat());
        let jobs = self
            .tasks
            .iter()
            .map(|(id, task)| job_entry(id, task, whole));
        let feeds = self
            .feed_tasks
            .iter()
            .map(|(id, task)| feed_entry(id, task));
        let mut shown = Map::with_capacity(2);
        shown.insert("last_allocation_id".into(), self.last_alloc.into());
        shown.insert("tasks".into(), jobs.chain(feeds).collect());
        Some(shown.into())
    }

    /// How many tasks have a live process, for the node's task list.
    pub fn running_tasks(&self) -> usize {
        self.tasks
            .values()
            .filter(|task| task.place.node.is_some())
            .count()
    }
}

pub(super) fn feed_word(task: &FeedTask) -> &'static str {
    match task.state {
        None => "starting",
        Some(super::model::FeedState::Started) => "started",
        Some(super::model::FeedState::Stopping) => "stopping",
    }
}

/// The task's name in the cluster state.
const JOB_TASK: &str = "xpack/ml/job";

fn job_entry(id: &str, task: &JobTask, whole: bool) -> Value {
    let mut body = json!({"params": {"job_id": id, "timeout": task.timeout}});
    if let (true, Some(params)) = (whole, body.get_mut("params").and_then(Value::as_object_mut)) {
        params.insert("job".into(), task.config.clone());
    }
    if let (Some(state), Some(map)) = (task.state, body.as_object_mut()) {
        let mut shown = json!({"state": state.word(), "allocation_id": task.state_alloc});
        if let (Some(reason), Some(shown)) = (&task.reason, shown.as_object_mut()) {
            shown.insert("reason".into(), reason.clone().into());
        }
        map.insert("state".into(), shown);
    }
    entry(
        &format!("job-{id}"),
        JOB_TASK,
        body,
        &task.place,
        task.state.is_some().then_some(task.state_alloc),
    )
}

fn feed_entry(id: &str, task: &FeedTask) -> Value {
    let mut body = json!({"params": task.params});
    if let (true, Some(map)) = (task.state.is_some(), body.as_object_mut()) {
        map.insert("state".into(), json!({"state": feed_word(task)}));
    }
    entry(
        &format!("datafeed-{id}"),
        "xpack/ml/datafeed",
        body,
        &task.place,
        task.state.is_some().then_some(task.place.alloc),
    )
}

fn entry(id: &str, name: &str, body: Value, place: &Place, status_alloc: Option<u64>) -> Value {
    let mut entry = json!({"id": id, "task": {}, "allocation_id": place.alloc, "assignment": {"executor_node": place.node, "explanation": place.explanation}});
    if let Some(map) = entry.as_object_mut() {
        if let Some(task) = map.get_mut("task").and_then(Value::as_object_mut) {
            task.insert(name.into(), body);
        }
        if let Some(alloc) = status_alloc {
            map.insert("allocation_id_on_last_status_update".into(), alloc.into());
        }
    }
    entry
}
