//! A full restart of the cluster (reference 17.2): its phases, what each of them hides, and when tasks may run again.
//! It must not lose a configuration or a task: a restart only takes the processes away.

use super::{
    core::Cluster,
    error::ApiError,
    model::{Delay, Event, Recovery},
};

/// How long the phases last, in ms on the simulated clock; the defaults are what was measured.
#[derive(Debug, Clone, Copy)]
pub struct RestartTimes {
    /// State not recovered: no tasks are shown, searches are blocked.
    pub state: u64,
    /// Tasks are back, shards are not: searches fail.
    pub initial: u64,
    /// The same; tasks say now which shards they wait for.
    pub shards: u64,
    /// Searches work; jobs wait for their memory requirements.
    pub memory: u64,
}

impl Default for RestartTimes {
    fn default() -> Self {
        Self {
            state: 100,
            initial: 800,
            shards: 900,
            memory: 15_800,
        }
    }
}

const INITIAL: &str = "waiting for initial assignment";
const INDICES: &str = ".ml-config,.ml-anomalies-shared,.ml-state-000001";

impl Cluster {
    /// All nodes stop and come back. Calls under way are never answered.
    pub fn restart(&mut self, times: RestartTimes) {
        self.restarts += 1;
        self.note("cluster", "nodes", "up", "restarted", "restart");
        self.calls.clear();
        self.watchers.clear();
        self.master_idle_at = 0;
        for id in self.tasks.keys().cloned().collect::<Vec<_>>() {
            let alloc = self.next_alloc();
            if let Some(task) = self.tasks.get_mut(&id) {
                task.place.alloc = alloc;
                task.place.node = None;
                task.live = false;
                task.removing = false;
            }
        }
        for feed in self.feed_tasks.keys().cloned().collect::<Vec<_>>() {
            let alloc = self.next_alloc();
            if let Some(task) = self.feed_tasks.get_mut(&feed) {
                task.place.alloc = alloc;
                task.place.node = None;
            }
        }
        self.maybe_unassigned = true;
        self.recovery = Some(Recovery::State);
        self.explain();
        let mut after = 0;
        for (lasts, next) in [
            (times.state, Some(Recovery::Initial)),
            (times.initial, Some(Recovery::Shards)),
            (times.shards, Some(Recovery::Memory)),
            (times.memory, None),
        ] {
            after += lasts;
            self.after(Delay::Ms(after), Event::Recovered(self.restarts, next));
        }
        self.settle();
    }

    /// The next phase of a restart has come, unless another restart has come between.
    pub(super) fn recovered(&mut self, restart: u64, phase: Option<Recovery>) {
        if restart != self.restarts {
            return;
        }
        self.recovery = phase;
        self.version += 1;
        if phase.is_some() {
            self.explain();
        } else {
            self.after(Delay::Ms(0), Event::Reassign);
        }
    }

    /// Writes into every unassigned task why it waits.
    fn explain(&mut self) {
        let Some(phase) = self.recovery else { return };
        let short = self.profile.short_assignment_texts();
        for (id, task) in &mut self.tasks {
            let job = if short { "" } else { "job " };
            task.place.explanation = match phase {
                Recovery::State | Recovery::Initial => INITIAL.to_owned(),
                Recovery::Shards => format!(
                    "Not opening {job}[{id}], because not all primary shards are active for the following indices [{INDICES}]"
                ),
                Recovery::Memory => format!(
                    "Not opening job [{id}] because job memory requirements are stale - refresh requested"
                ),
            };
        }
        for (feed, task) in &mut self.feed_tasks {
            task.place.explanation = match phase {
                Recovery::State | Recovery::Initial => INITIAL.to_owned(),
                Recovery::Shards | Recovery::Memory => format!(
                    "cannot start datafeed [{feed}], because the job's [{}] state is stale",
                    task.job
                ),
            };
        }
    }

    /// Whether the cluster state is not read yet: no task is shown.
    pub(super) fn state_hidden(&self) -> bool {
        self.recovery == Some(Recovery::State)
    }

    /// Whether ML calls work; all of them search in `.ml-config` first.
    ///
    /// # Errors
    /// 503 in the words of the restart's phase.
    pub fn searchable(&self) -> Result<(), ApiError> {
        match self.recovery {
            Some(Recovery::State) => Err(ApiError::new(
                503,
                "cluster_block_exception",
                "blocked by: [SERVICE_UNAVAILABLE/1/state not recovered / initialized];",
            )),
            Some(Recovery::Initial | Recovery::Shards) => {
                let mut error =
                    ApiError::new(503, "search_phase_execution_exception", "all shards failed")
                        .with("phase", "query")
                        .with("grouped", true)
                        .with("failed_shards", serde_json::json!([]));
                error.rootless = true;
                Err(error)
            }
            Some(Recovery::Memory) | None => Ok(()),
        }
    }

    /// `status` of `GET /_cluster/health`.
    pub(super) fn health_word(&self) -> &'static str {
        match self.recovery {
            Some(Recovery::State | Recovery::Initial | Recovery::Shards) => "red",
            Some(Recovery::Memory) | None => "green",
        }
    }
}
