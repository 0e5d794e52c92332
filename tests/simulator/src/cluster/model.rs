//! The variables of reference 10.1: configurations, persistent tasks, nodes, settings and the knobs that steer durations.
//! Plain data; every transition lives in the sibling files.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Names one waiting request; the shell turns it into an answer when the cluster has finished it.
pub type Ticket = u64;

/// How long something takes on the simulated clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delay {
    /// Milliseconds.
    Ms(u64),
    /// Never ends by itself.
    Hang,
}

/// What a plain close that is closing the process answers when a force close kills it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnKill {
    /// 409 "Close job interrupted by kill request".
    #[default]
    Interrupted,
    /// 404 "the task with id job-X and allocation id N doesn't exist", as recorded on 7.10.
    TaskGone,
    /// 200: the waiter only saw the task vanish.
    Closed,
}

impl Default for Delay {
    fn default() -> Self {
        Self::Ms(0)
    }
}

/// Durations and faults of one job; the cluster's defaults have the same shape.
#[derive(Debug, Clone, Copy, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fault of its own, any combination is possible"
)]
pub struct Knobs {
    /// Process start: `opening` lasts this long.
    pub open: Delay,
    /// Native close: `closing` lasts this long.
    pub close: Delay,
    /// From the end of the native close to the removal of the task.
    pub remove: Delay,
    /// From a force close to the removal of the task.
    pub force: Delay,
    /// So many coming closes are lost on the way to the node (reference 3.8).
    pub lost_closes: u32,
    /// The process cannot restore its state: the open ends in `failed`.
    pub open_fails: bool,
    /// The native close fails: the job becomes `failed`, the caller gets 500.
    pub persist_fails: bool,
    /// Finalising fails: the job closes without `finished_time`.
    pub finalise_fails: bool,
    /// See [`OnKill`].
    pub on_kill: OnKill,
    /// From a datafeed's start to its first search.
    pub feed_start: Delay,
    /// From a datafeed's stop to `stopped`.
    pub feed_stop: Delay,
    /// Stopping the datafeed fails.
    pub feed_stop_fails: bool,
    /// A datafeed started with an end reaches it after this long.
    pub lookback: Delay,
    /// A started datafeed notices that its job has failed after this long.
    pub feed_notice: Delay,
}

/// State of a job's persistent task; no state at all is `opening`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Running, or believed to be.
    Opened,
    /// A plain close is under way.
    Closing,
    /// The process died or could not start.
    Failed,
}

impl JobState {
    /// The word of `_stats`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Closing => "closing",
            Self::Failed => "failed",
        }
    }
}

/// A persistent task's place: allocation, node, explanation.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// Grows with each assignment.
    pub alloc: u64,
    /// Node id while assigned.
    pub node: Option<String>,
    /// `""` when assigned.
    pub explanation: String,
}

/// A job's persistent task.
#[derive(Debug, Clone)]
pub struct JobTask {
    /// `None` is `opening`.
    pub state: Option<JobState>,
    /// Allocation that wrote `state`; stale when it is not the place's.
    pub state_alloc: u64,
    /// Why it failed.
    pub reason: Option<String>,
    /// Where it runs.
    pub place: Place,
    /// A live process answers on the node.
    pub live: bool,
    /// Clock ms of the start of the process.
    pub opened_at: u64,
    /// The open call's timeout, shown in the task's parameters.
    pub timeout: String,
    /// Removal has been asked for by a force close and is on its way.
    pub removing: bool,
    /// The configuration at the time of opening, as the task's parameters show it.
    pub config: Value,
}

/// State of a datafeed's task; no state is `starting`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedState {
    /// Searching.
    Started,
    /// Told to stop.
    Stopping,
}

/// A datafeed's persistent task.
#[derive(Debug, Clone)]
pub struct FeedTask {
    /// `None` is `starting`.
    pub state: Option<FeedState>,
    /// Where it runs.
    pub place: Place,
    /// Its job.
    pub job: String,
    /// Parameters of the task, as the cluster state shows them.
    pub params: Value,
    /// Started with an end: its stop closes the job.
    pub has_end: bool,
    /// Isolated by a force close: its stop does not close the job.
    pub isolated: bool,
}

/// Configuration of a job. `fields` is everything that is only stored and shown.
#[derive(Debug, Clone, Default)]
pub struct Job {
    /// Id.
    pub id: String,
    /// Groups in the order given.
    pub groups: Vec<String>,
    /// Epoch ms.
    pub create_time: u64,
    /// Epoch ms; set by a close, removed by an open.
    pub finished_time: Option<u64>,
    /// Bytes of `model_memory_limit`.
    pub memory: u64,
    /// `allow_lazy_open`.
    pub lazy: bool,
    /// Marked deleting in its configuration.
    pub deleting: bool,
    /// `blocked.reason`.
    pub blocked: Option<String>,
    /// The active model snapshot: `model_snapshot_id`.
    pub snapshot: Option<String>,
    /// All model snapshots.
    pub snapshots: Vec<Snapshot>,
    /// There was work since the last snapshot.
    pub dirty: bool,
    /// The other fields, normalised, in order.
    pub fields: Map<String, Value>,
    /// Counts of records.
    pub counts: Counts,
}

/// A model snapshot.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Id: seconds since 1970, as a process names them.
    pub id: String,
    /// Epoch ms at which it was taken.
    pub timestamp: u64,
    /// Epoch ms of the last record in it.
    pub latest_record: Option<u64>,
    /// Epoch ms of the last result before it.
    pub latest_result: Option<u64>,
    /// The oldest version that can read it.
    pub min_version: String,
    /// Why it was taken.
    pub description: String,
}

/// What `_stats` shows of a job's data.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Records accepted.
    pub records: u64,
    /// Bytes of input.
    pub bytes: u64,
    /// Epoch ms of records.
    pub earliest: Option<u64>,
    /// Epoch ms of records.
    pub latest: Option<u64>,
    /// Epoch ms.
    pub last_data_time: Option<u64>,
    /// Whether the analysis has ever seen an earliest record, also one that was lost with its process.
    pub seen: bool,
}

/// Configuration of a datafeed.
#[derive(Debug, Clone)]
pub struct Datafeed {
    /// Its job.
    pub job: String,
    /// Normalised configuration, in order.
    pub config: Map<String, Value>,
}

/// A node that can run jobs.
#[derive(Debug, Clone)]
pub struct Node {
    /// Node id.
    pub id: String,
    /// Name, `node-1` and so on.
    pub name: String,
}

/// Limits of the ML nodes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Capacity {
    /// `xpack.ml.max_open_jobs`.
    pub max_open_jobs: Option<u64>,
    /// Jobs that may be opening at once on one node (`xpack.ml.node_concurrent_job_allocations`).
    pub max_opening: Option<u64>,
    /// Bytes for ML on one node.
    pub memory: u64,
    /// Whether the memory of a node's jobs is added up; otherwise only a single job may be too big.
    pub sums: bool,
    /// `xpack.ml.max_lazy_ml_nodes` above the number of nodes: opens become lazy.
    pub lazy_nodes: bool,
}

/// One message of `.ml-notifications`.
#[derive(Debug, Clone)]
pub struct Notice {
    /// Clock ms.
    pub at: u64,
    /// Job id.
    pub job: String,
    /// The text.
    pub message: &'static str,
}

/// One line of the log of changes: the ground truth for tests.
#[derive(Debug, Clone)]
pub struct Change {
    /// Order.
    pub seq: u64,
    /// Clock ms.
    pub at: u64,
    /// `job`, `datafeed`, `cluster`.
    pub subject: &'static str,
    /// Id.
    pub id: String,
    /// State before.
    pub from: String,
    /// State after.
    pub to: String,
    /// Cause.
    pub why: String,
}

/// What is not there yet after a restart (reference 17.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// The cluster state.
    State,
    /// Shards; tasks wait for their first assignment.
    Initial,
    /// Shards; tasks name the indices they wait for.
    Shards,
    /// The memory requirements of jobs.
    Memory,
}

/// Something that will happen at a time on the simulated clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An update is asked of the master.
    Asked(Box<Event>),
    /// The task of an open is created.
    CreateJob(Ticket),
    /// The task of this allocation says `closing`, for this reason.
    Closing(String, u64, &'static str),
    /// The process of this allocation is up.
    Opened(String, u64),
    /// The native close of this allocation has ended.
    NativeClosed(String, u64),
    /// The task of this allocation is to be removed.
    RemoveJob(String, u64, &'static str),
    /// The datafeed's first search.
    FeedStarted(String, u64),
    /// The datafeed has stopped.
    FeedStopped(String, u64),
    /// The datafeed has reached its end.
    LookbackEnded(String, u64),
    /// Unassigned tasks look for a node.
    Reassign,
    /// The nightly maintenance.
    Night,
    /// The next phase of this restart, `None` = all is up.
    Recovered(u64, Option<Recovery>),
    /// The call's own timeout.
    Deadline(Ticket),
}

/// Stored calendars: id to job ids.
pub type Calendars = BTreeMap<String, Vec<String>>;
