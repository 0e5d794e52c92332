//! Nodes, upgrade mode: who runs where, what a lost node or upgrade mode does to tasks (J16 to J22, D9 to D11).

use super::{
    capacity::Found,
    core::{Call, Cluster},
    error::ApiError,
    model::{Delay, Event, FeedState, JobState, Node},
};

const UPGRADE: &str = "persistent task cannot be assigned while upgrade mode is enabled.";
const LOST: &str = "awaiting reassignment after node loss";

impl Cluster {
    /// Tries to place every task without a node.
    pub(super) fn reassign(&mut self) {
        if self.upgrade_mode || !self.assign_enabled || !self.master || self.recovery.is_some() {
            return;
        }
        let waiting: Vec<String> = self
            .tasks
            .iter()
            .filter(|(_, task)| task.place.node.is_none())
            .map(|(id, _)| id.clone())
            .collect();
        for id in waiting {
            let (memory, lazy) = self
                .jobs
                .get(&id)
                .map_or((0, false), |job| (job.memory, job.lazy));
            match self.find_node(&id, memory) {
                Found::Node(node) => self.place_job(&id, node),
                Found::None(why) if !why.is_empty() && !lazy && !self.capacity.lazy_nodes => {
                    if let Some(task) = self.tasks.get_mut(&id) {
                        task.place.explanation = why;
                    }
                }
                Found::Lazy | Found::None(_) => {}
            }
        }
        let waiting: Vec<String> = self
            .feed_tasks
            .iter()
            .filter(|(_, task)| task.place.node.is_none())
            .map(|(id, _)| id.clone())
            .collect();
        for feed in waiting {
            self.place_feed(&feed);
        }
    }

    fn place_job(&mut self, id: &str, node: String) {
        let alloc = self.next_alloc();
        let open = self.knobs_of(id).open;
        let Some(task) = self.tasks.get_mut(id) else {
            return;
        };
        task.place.alloc = alloc;
        task.place.node = Some(node);
        task.place.explanation = String::new();
        let state = task.state;
        self.version += 1;
        self.take_turn();
        match state {
            None | Some(JobState::Opened) => self.commit(open, Event::Opened(id.to_owned(), alloc)),
            // A closing job is completed by its new node: nothing is left to persist.
            Some(JobState::Closing) => {
                self.after(Delay::Ms(0), Event::NativeClosed(id.to_owned(), alloc));
            }
            Some(JobState::Failed) => {}
        }
    }

    fn place_feed(&mut self, feed: &str) {
        let Some(job) = self.feed_tasks.get(feed).map(|task| task.job.clone()) else {
            return;
        };
        let alive = self
            .tasks
            .get(&job)
            .filter(|task| task.live && task.state_alloc == task.place.alloc);
        let node = alive.and_then(|task| task.place.node.clone());
        let stale =
            format!("cannot start datafeed [{feed}], because the job's [{job}] state is stale");
        if node.is_none() {
            if let Some(task) = self.feed_tasks.get_mut(feed) {
                task.place.explanation = stale;
            }
            return;
        }
        let alloc = self.next_alloc();
        let start = self.knobs_of(&job).feed_start;
        let Some(task) = self.feed_tasks.get_mut(feed) else {
            return;
        };
        task.place.alloc = alloc;
        task.place.node = node;
        task.place.explanation = String::new();
        match task.state {
            None => self.commit(start, Event::FeedStarted(feed.to_owned(), alloc)),
            Some(FeedState::Started) => {}
            Some(FeedState::Stopping) => {
                self.commit(Delay::Ms(0), Event::FeedStopped(feed.to_owned(), alloc));
            }
        }
    }

    /// Takes a job's task from its node; `error` is what callers waiting on the node get.
    fn unassign_job(&mut self, id: &str, explanation: &str, error: &ApiError) {
        let alloc = self.next_alloc();
        self.maybe_unassigned = true;
        let Some(task) = self.tasks.get_mut(id) else {
            return;
        };
        task.place.alloc = alloc;
        task.place.node = None;
        task.place.explanation = explanation.into();
        task.live = false;
        self.version += 1;
        self.fail_node_stage(id, error);
        // A close in its last wait sees the task "moved": it succeeds and the task is removed behind it.
        let waited = self
            .watchers_of(id)
            .into_iter()
            .any(|ticket| matches!(self.calls.get(&ticket), Some(Call::Close(_))));
        if waited {
            self.commit(
                Delay::Ms(0),
                Event::RemoveJob(id.to_owned(), alloc, "moved while a close waited for it"),
            );
        }
    }

    fn unassign_feed(&mut self, feed: &str, explanation: &str) {
        let alloc = self.next_alloc();
        self.maybe_unassigned = true;
        if let Some(task) = self.feed_tasks.get_mut(feed) {
            task.place.alloc = alloc;
            task.place.node = None;
            task.place.explanation = explanation.into();
        }
    }

    /// `POST /_ml/set_upgrade_mode`; no effect if it is so already.
    pub fn set_upgrade_mode(&mut self, on: bool) {
        if self.upgrade_mode == on {
            return;
        }
        self.upgrade_mode = on;
        self.note(
            "cluster",
            "upgrade_mode",
            if on { "off" } else { "on" },
            if on { "on" } else { "off" },
            "set_upgrade_mode",
        );
        if on {
            let error = ApiError::status(409, "Close job interrupted by kill request");
            for id in self.tasks.keys().cloned().collect::<Vec<_>>() {
                self.unassign_job(&id, UPGRADE, &error);
            }
            for feed in self.feed_tasks.keys().cloned().collect::<Vec<_>>() {
                self.unassign_feed(&feed, UPGRADE);
            }
        } else {
            self.after(Delay::Ms(0), Event::Reassign);
        }
        self.settle();
    }

    /// A node dies: its tasks are lost and go to another node, if there is one. `None` takes the last node.
    pub fn lose_node(&mut self, name: Option<&str>) -> bool {
        let Some(node) = self.take_node(name) else {
            return false;
        };
        self.note("cluster", &node.name, "up", "lost", "node loss");
        let error = ApiError::new(
            500,
            "failed_node_exception",
            format!("Failed node [{}]", node.id),
        )
        .with("node_id", node.id.clone());
        let jobs: Vec<String> = self
            .tasks
            .iter()
            .filter(|(_, task)| task.place.node.as_deref() == Some(&node.id))
            .map(|(id, _)| id.clone())
            .collect();
        for id in jobs {
            self.unassign_job(&id, LOST, &error);
        }
        self.unassign_feeds_of(&node.id, LOST);
        self.after(Delay::Ms(0), Event::Reassign);
        self.settle();
        true
    }

    fn take_node(&mut self, name: Option<&str>) -> Option<Node> {
        let at = match name {
            Some(name) => self.nodes.iter().position(|node| node.name == name)?,
            None => self.nodes.len().checked_sub(1)?,
        };
        Some(self.nodes.remove(at))
    }

    fn unassign_feeds_of(&mut self, node: &str, explanation: &str) {
        let feeds: Vec<String> = self
            .feed_tasks
            .iter()
            .filter(|(_, task)| task.place.node.as_deref() == Some(node))
            .map(|(id, _)| id.clone())
            .collect();
        for feed in feeds {
            self.unassign_feed(&feed, explanation);
        }
    }

    /// A node is told to shut down: its jobs persist and go elsewhere with their tasks (J20); those that are closing
    /// already end there. False if there is no such node, or the version has no node shutdown (7.15).
    pub fn shut_node_down(&mut self, name: Option<&str>) -> bool {
        if !self.profile.node_shutdown() {
            return false;
        }
        let Some(node) = self.take_node(name) else {
            return false;
        };
        self.note("cluster", &node.name, "up", "shut down", "node shutdown");
        let why = format!("previously assigned node [{}] is shutting down", node.name);
        let jobs: Vec<String> = self
            .tasks
            .iter()
            .filter(|(_, task)| {
                task.place.node.as_deref() == Some(&node.id)
                    && task.state != Some(JobState::Closing)
            })
            .map(|(id, _)| id.clone())
            .collect();
        let error = ApiError::status(409, "Close job interrupted by kill request");
        for id in jobs {
            if self.tasks.get(&id).is_some_and(|task| task.live) {
                self.persist(&id);
            }
            self.unassign_job(&id, &why, &error);
        }
        self.unassign_feeds_of(&node.id, &why);
        self.after(Delay::Ms(0), Event::Reassign);
        self.settle();
        true
    }

    /// Sets the number of nodes: more join, or the last ones are lost.
    pub fn set_nodes(&mut self, count: usize) {
        while self.nodes.len() > count && self.lose_node(None) {}
        while self.nodes.len() < count {
            self.add_node();
        }
        self.look_for_nodes();
        self.settle();
    }

    /// The elected master goes or comes back.
    pub fn set_master(&mut self, present: bool) {
        if self.master != present {
            let word = |up: bool| if up { "elected" } else { "none" };
            self.note(
                "cluster",
                "master",
                word(self.master),
                word(present),
                "knob",
            );
            self.master = present;
            self.look_for_nodes();
            self.settle();
        }
    }
}
