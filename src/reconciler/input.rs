//! What the reconciler is told and what it asks for: plain data, both ways.
//!
//! This is the whole seam between the brain and the shell. It holds no behaviour, knows no HTTP and no
//! Kubernetes client, and a test can write every value of it by hand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use crate::api::{
    AnomalyJobStatus, ClosePolicy, DatafeedId, DatafeedState, JobId, JobState, Reason,
};

/// A moment, told from outside. The monotonic part decides; the wall clock is only written down for people and
/// compared with what Elasticsearch itself says of a session's age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Time since some fixed point of this process.
    pub monotonic: Duration,
    /// The wall clock at the same moment.
    pub wall: Timestamp,
}

/// Namespace and name of an `AnomalyJob`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// The namespace.
    pub namespace: Arc<str>,
    /// The name.
    pub name: Arc<str>,
}

impl std::fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What is wanted of the matched jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// `state` is absent: report, call nothing.
    Observed,
    /// `state: Closed`.
    Closed,
}

/// The spec of one object, as the brain needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The job that is meant.
    pub job: JobId,
    /// What is wanted of it.
    pub wanted: Wanted,
    /// `spec.suspend`.
    pub suspended: bool,
    /// A deletion timestamp is set.
    pub deleting: bool,
    /// How to close.
    pub close: ClosePolicy,
}

/// An object as the watch, or a live read, delivered it.
#[derive(Debug, Clone)]
pub struct Delivered {
    /// Who it is.
    pub key: ObjectKey,
    /// The uid: an object of the same name and another uid is another object.
    pub uid: Arc<str>,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.resourceVersion`, for the compare-and-swap of the next status write.
    pub resource_version: Arc<str>,
    /// What it asks for.
    pub desired: Desired,
    /// Its status as stored.
    pub status: AnomalyJobStatus,
}

/// Why nothing can be said or done about a whole cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The closed word for it.
    pub reason: Reason,
    /// A sentence for people: what is wrong and what would mend it. Never holds a secret or an answer's body.
    pub message: Arc<str>,
}

/// What the shell knows of the connection to the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connection {
    /// A client exists and the cluster proved to be the right one.
    Usable {
        /// The cluster's uuid, where `GET /` may be read.
        cluster_uuid: Option<Arc<str>>,
        /// The version number, where it is known.
        version: Option<Arc<str>>,
        /// Elasticsearch before 7.14 answers 409 to a close while a datafeed runs, so that has to be stopped first.
        stops_datafeeds: bool,
    },
    /// There is no client, or the cluster must not be called.
    Unusable(Trouble),
}

/// How much a read is to find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Depth {
    /// The states of the named jobs and datafeeds: one or two requests.
    States,
    /// Configs, blocks, datafeeds, upgrade mode and states: a handful of requests for any number of jobs.
    Full,
}

/// What `_stats` said of a job that has a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenState {
    /// The raw state, stale or not.
    pub state: JobState,
    /// Some node runs the task: the assignment explanation is empty.
    pub assigned: bool,
    /// The assignment explanation speaks of upgrade mode.
    pub upgrade_mode: bool,
    /// How long the job has been open on its node, to the second; absent without a live process.
    pub open_for: Option<Duration>,
}

/// What the job's config said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenConfig {
    /// `create_time`.
    pub created_at: Option<Timestamp>,
    /// `blocked.reason` or `deleting`: reset, revert or delete works on the job.
    pub blocked: Option<Arc<str>>,
}

/// A job's datafeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenDatafeed {
    /// Its id.
    pub id: DatafeedId,
    /// Its state.
    pub state: DatafeedState,
}

/// What one read found out about one job.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeenJob {
    /// From `_stats`; `None` when it did not know the id.
    pub state: Option<SeenState>,
    /// From the configs; meaningful after a full read only.
    pub config: Option<SeenConfig>,
    /// Its datafeed; after a read of states only where that was asked for.
    pub datafeed: Option<SeenDatafeed>,
}

/// The answer to a read: one entry for each job that was asked about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// By job.
    pub jobs: BTreeMap<JobId, SeenJob>,
    /// From `_ml/info`, in a full read.
    pub upgrade_mode: Option<bool>,
}

/// How a call ended that was not answered with success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The answer says nothing final: the states tell (500 timed out, interrupted by a kill, no answer in time).
    LookAgain {
        /// Elasticsearch itself answered.
        answered: bool,
    },
    /// 409 of Elasticsearch before 7.14: a datafeed runs.
    DatafeedRuns,
    /// 429 of upgrade mode.
    UpgradeMode,
    /// The cluster as a whole did not answer: unreachable, no master, credentials refused.
    Cluster(Trouble),
    /// This call was refused; trying again later may help.
    Refused(Trouble),
}

/// A numbered request to the shell; the answer carries the number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// How a status write ended that was not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteRefused {
    /// Somebody wrote the object meanwhile.
    Conflict,
    /// The object is no more.
    Gone,
    /// The API server did not take it for another reason; to be tried again.
    Failed,
}

/// What the brain is told.
#[derive(Debug, Clone)]
pub enum Input {
    /// An object appeared or changed.
    Delivered(Box<Delivered>),
    /// An object went, changed its connection, or can no longer be decoded.
    Gone(ObjectKey),
    /// An object was read again, as was asked for under this uid; `None`: gone, or not of this cluster any more.
    Refreshed(ObjectKey, Arc<str>, Option<Box<Delivered>>),
    /// The connection changed.
    Connection(Connection),
    /// A read was answered, or failed as a whole.
    Read(Ticket, Result<View, Trouble>),
    /// A call was answered.
    Called(Ticket, Result<(), Refusal>),
    /// The live reads before a force: the object (or `None`: gone, or another uid), and what Elasticsearch says.
    Verified(Ticket, Result<(Option<Box<Delivered>>, View), Refusal>),
    /// A status write was acknowledged with the new resource version, or not.
    Written(Ticket, Result<Arc<str>, WriteRefused>),
    /// Time passed.
    Tick,
}

/// A mutating call to Elasticsearch. Close carries literal ids only; force is always one id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Close gracefully.
    Close(Vec<JobId>),
    /// Close a job again that is closing already: nothing is started by that, and the answer comes from the master.
    Confirm(JobId),
    /// Force-close one job.
    ForceClose(JobId),
    /// Stop a job's datafeed.
    StopDatafeed {
        /// The job it belongs to.
        job: JobId,
        /// The datafeed.
        datafeed: DatafeedId,
        /// Not waiting for its running search.
        force: bool,
    },
}

impl Call {
    /// The jobs it concerns.
    pub fn jobs(&self) -> &[JobId] {
        match self {
            Self::Close(jobs) => jobs,
            Self::Confirm(job) | Self::ForceClose(job) | Self::StopDatafeed { job, .. } => {
                std::slice::from_ref(job)
            }
        }
    }
}

/// How a close came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// Elasticsearch saved the model.
    Graceful,
    /// The job had no node any more, so nothing was saved.
    Unsaved,
    /// By force.
    Forced,
}

/// A Kubernetes event to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// CamelCase, one for each situation.
    pub reason: &'static str,
    /// For people.
    pub note: String,
    /// Somebody should look.
    pub warning: bool,
}

/// What the brain asks for.
#[derive(Debug, Clone)]
pub enum Output {
    /// Read these jobs.
    Read {
        /// The answer carries it.
        ticket: Ticket,
        /// How much.
        depth: Depth,
        /// Which jobs; never empty.
        jobs: Vec<JobId>,
        /// Datafeeds whose state is wanted as well in a read of states.
        datafeeds: Vec<(JobId, DatafeedId)>,
    },
    /// Call Elasticsearch.
    Call {
        /// The answer carries it.
        ticket: Ticket,
        /// What.
        call: Call,
        /// The objects that mean its jobs, for the log.
        objects: Vec<ObjectKey>,
    },
    /// The answer of this call is not waited for any longer; dropping it changes nothing in Elasticsearch.
    LetGo(Ticket),
    /// Read the object live, and `_ml/info`, config, datafeed and states of the job.
    Verify {
        /// The answer carries it.
        ticket: Ticket,
        /// The object.
        key: ObjectKey,
        /// Its uid; another one counts as gone.
        uid: Arc<str>,
        /// The job.
        job: JobId,
    },
    /// Write this status, if the object still has this resource version.
    Write {
        /// The answer carries it.
        ticket: Ticket,
        /// The object.
        key: ObjectKey,
        /// Its uid, so that an object of the same name is not written.
        uid: Arc<str>,
        /// The precondition.
        resource_version: Arc<str>,
        /// The whole status.
        status: Box<AnomalyJobStatus>,
    },
    /// A close of ours came to its end; for the metrics.
    Finished {
        /// How.
        outcome: Finish,
        /// Since it was asked for.
        took: Duration,
    },
    /// Read this object of this uid again.
    Refresh(ObjectKey, Arc<str>),
    /// Publish an event about this object.
    Event {
        /// The object.
        key: ObjectKey,
        /// Its uid.
        uid: Arc<str>,
        /// The job it speaks of, for the log.
        job: JobId,
        /// The event.
        event: Event,
    },
}
