//! What the reconciler is told and what it asks for: plain data, both ways.
//!
//! This is the whole seam between the brain and the shell. It holds no behaviour, knows no HTTP and no
//! Kubernetes client, and a test can write every value of it by hand. What is seen of Elasticsearch is in `seen`.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

pub use super::allowances::{Allowances, NOTHING};
pub use super::claims::{Claim, Ruling};
pub use super::seen::*;
pub use super::turns::Lane;
pub use super::uid::Uid;
use crate::api::{
    Allow, AnomalyJobStatus, ClosePolicy, DatafeedId, DeletionPolicy, DriftPolicy, JobExpression,
    JobId, JobPattern, OpenPolicy, Reason,
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

/// Namespace and name of an `AnomalyJob`. One word wide: at rest most of what is kept of an object is its place in maps.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(Arc<(Arc<str>, Box<str>)>);

impl ObjectKey {
    /// The object of this name in this namespace.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Box<str>>) -> Self {
        Self(Arc::new((namespace.into(), name.into())))
    }

    /// The namespace.
    pub fn namespace(&self) -> &Arc<str> {
        &self.0.0
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0.1
    }
}

impl std::fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace(), self.name())
    }
}

/// What is wanted of the matched jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// `state` is absent: report, call nothing.
    Observed,
    /// `state: Closed`.
    Closed,
    /// `state: Opened`.
    Opened,
}

/// Which jobs are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// `spec.jobId`.
    pub expression: JobExpression,
    /// `spec.exclude`.
    pub exclude: Vec<JobPattern>,
    /// `spec.allowNoMatch`.
    pub allow_no_match: bool,
    /// `spec.maxJobs`, or its default.
    pub max_jobs: u32,
}

/// The spec of one object, as the brain needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The jobs that are meant.
    pub scope: Scope,
    /// What is wanted of them.
    pub wanted: Wanted,
    /// `spec.suspend`.
    pub suspended: bool,
    /// The deletion timestamp, where one is set.
    pub deleting: Option<Timestamp>,
    /// How to close.
    pub close: ClosePolicy,
    /// How to open.
    pub open: OpenPolicy,
    /// What to do where somebody else changed the state.
    pub drift: DriftPolicy,
    /// What a deletion of the object does.
    pub deletion: DeletionPolicy,
    /// The annotation that asks for everything to be looked at again.
    pub requested: Option<Arc<str>>,
}

/// An object as the watch, or a live read, delivered it.
#[derive(Debug, Clone)]
pub struct Delivered {
    /// Who it is.
    pub key: ObjectKey,
    /// The uid: an object of the same name and another uid is another object.
    pub uid: Uid,
    /// When it was created: of two objects that mean one job the older one acts.
    pub created_at: Timestamp,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.resourceVersion`, for the compare-and-swap of the next status write.
    pub resource_version: Arc<str>,
    /// `metadata.finalizers`, ours among them.
    pub finalizers: Vec<String>,
    /// What it asks for.
    pub desired: Desired,
    /// Its status as stored.
    pub status: AnomalyJobStatus,
}

/// Why nothing can be said or done about a job or a whole cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The closed word for it.
    pub reason: Reason,
    /// A sentence for people: what is wrong and what would mend it. Never holds a secret or an answer's body.
    pub message: Arc<str>,
    /// How long Elasticsearch asked to be left alone.
    pub retry_after: Option<Duration>,
}

impl Trouble {
    /// A trouble of this reason.
    pub fn new(reason: Reason, message: impl Into<Arc<str>>) -> Self {
        Self {
            reason,
            message: message.into(),
            retry_after: None,
        }
    }
}

/// What the shell knows of the connection to the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connection {
    /// A client exists and the cluster proved to be the right one.
    Usable(Usable),
    /// There is no client, or the cluster must not be called.
    Unusable(Trouble),
}

/// A cluster that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usable {
    /// Who the cluster is for claims: its uuid, or where that may not be read its address and authority.
    pub identity: Arc<str>,
    /// The cluster's uuid, where `GET /` may be read.
    pub cluster_uuid: Option<Arc<str>>,
    /// The version number, where it is known.
    pub version: Option<Arc<str>>,
    /// Elasticsearch before 7.14 answers 409 to a close while a datafeed runs, so that has to be stopped first.
    pub stops_datafeeds: bool,
    /// From 9.4 on, or where the version is not known, it may be Elasticsearch itself that closes an idle job.
    pub closes_idle_jobs: bool,
    /// Bytes of joined ids that fit into one list.
    pub list_room: usize,
    /// `limits.maxClosing`: jobs closing at once.
    pub max_closing: usize,
    /// `limits.maxInFlight`: calls on their way at once.
    pub max_in_flight: usize,
}

/// How a call ended that was not answered with success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The answer says nothing final: the states tell (500 timed out, interrupted by a kill, no answer in time).
    LookAgain {
        /// Elasticsearch itself answered.
        answered: bool,
    },
    /// 404 that names these of the ids as unknown; none of the list was touched.
    Unknown(Vec<JobId>),
    /// The list does not fit into a request line; this many bytes of ids do. None of it was touched.
    ListTooLong(usize),
    /// 409 of Elasticsearch before 7.14: a datafeed runs.
    DatafeedRuns,
    /// 429 of upgrade mode.
    UpgradeMode,
    /// 429 or 503: fewer requests are wanted. Nothing was touched.
    Overloaded(Trouble),
    /// The cluster as a whole did not answer: unreachable, no master, credentials refused.
    Cluster(Trouble),
    /// This call was refused; trying again later may help.
    Refused(Trouble),
}

/// A numbered request to the shell; the answer carries the number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// How a write to the API server ended that was not acknowledged.
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
    Refreshed(ObjectKey, Uid, Option<Box<Delivered>>),
    /// What may be done through the connection, told before it is usable, and whenever that changes.
    Allowed(Allowances),
    /// The same, where it changes for the objects of one namespace alone.
    AllowedTo(Arc<str>, Allow),
    /// The connection changed.
    Connection(Connection),
    /// A read was answered, or failed as a whole.
    Read(Ticket, Result<Answer, Trouble>),
    /// A call was answered.
    Called(Ticket, Result<(), Refusal>),
    /// The live reads before a force were answered.
    Verified(Ticket, Result<Box<Live>, Refusal>),
    /// It is this object's turn to be written.
    Turn(ObjectKey),
    /// A status write was acknowledged with the new resource version, or not.
    Written(Ticket, Result<Arc<str>, WriteRefused>),
    /// Who acts on jobs that objects of this brain claim.
    Ruled(Vec<Ruling>),
    /// Time passed.
    Tick,
}

/// A mutating call to Elasticsearch. Close carries literal ids only; all others one id.
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
    /// Open one job.
    Open(JobId),
    /// Start a job's datafeed behind the last record that it has seen.
    StartDatafeed {
        /// The job it belongs to.
        job: JobId,
        /// The datafeed.
        datafeed: DatafeedId,
    },
}

impl Call {
    /// The jobs it concerns.
    pub fn jobs(&self) -> &[JobId] {
        match self {
            Self::Close(jobs) => jobs,
            Self::Confirm(job)
            | Self::ForceClose(job)
            | Self::Open(job)
            | Self::StopDatafeed { job, .. }
            | Self::StartDatafeed { job, .. } => std::slice::from_ref(job),
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

/// Why a write is urgent, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Nobody waits for it.
    None,
    /// A call waits for it.
    ForCall,
    /// Somebody who edited waits for it.
    ForEdit,
}

impl Urgency {
    /// The lane in which its turn comes.
    pub fn lane(self) -> Lane {
        match self {
            Self::None => Lane::Slow,
            Self::ForCall | Self::ForEdit => Lane::Fresh,
        }
    }
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
    /// Read this.
    Read {
        /// The answer carries it.
        ticket: Ticket,
        /// What.
        question: Question,
    },
    /// Call Elasticsearch.
    Call {
        /// The answer carries it.
        ticket: Ticket,
        /// What.
        call: Call,
        /// The objects that asked for it, for the log.
        objects: Vec<ObjectKey>,
    },
    /// The answer of this call is not waited for any longer; dropping it changes nothing in Elasticsearch.
    LetGo(Ticket),
    /// Read the object live, and what Elasticsearch says of the job right now.
    Verify {
        /// The answer carries it.
        ticket: Ticket,
        /// The object.
        key: ObjectKey,
        /// Its uid; another one counts as gone.
        uid: Uid,
        /// The job.
        job: JobId,
        /// Its datafeed, where it has one.
        datafeed: Option<DatafeedId>,
    },
    /// This object wants to be written; [`Input::Turn`] says when.
    WantTurn(ObjectKey, Urgency),
    /// Write this status, if the object still has this resource version. It uses the turn that was just given.
    Write {
        /// The answer carries it.
        ticket: Ticket,
        /// The object.
        key: ObjectKey,
        /// Its uid, so that an object of the same name is not written.
        uid: Uid,
        /// The precondition.
        resource_version: Arc<str>,
        /// The whole status.
        status: Box<AnomalyJobStatus>,
    },
    /// Put our finalizer on the object, or take it off; answered by [`Input::Written`], and it uses the turn.
    Finalize {
        /// The answer carries it.
        ticket: Ticket,
        /// The object.
        key: ObjectKey,
        /// Its uid.
        uid: Uid,
        /// The precondition.
        resource_version: Arc<str>,
        /// All finalizers that it shall have.
        finalizers: Vec<String>,
    },
    /// These objects mean to act on jobs; [`Input::Ruled`] says whether they may.
    Claim(Vec<Claim>),
    /// This object does not mean these jobs any more.
    Release(ObjectKey, Vec<JobId>),
    /// This object gives way on this job, for which no call is on its way.
    GiveWay(ObjectKey, JobId),
    /// A close of ours came to its end; for the metrics.
    Finished {
        /// How.
        outcome: Finish,
        /// Since it was asked for.
        took: Duration,
    },
    /// Read this object of this uid again.
    Refresh(ObjectKey, Uid),
    /// Publish an event about this object.
    Event {
        /// The object.
        key: ObjectKey,
        /// Its uid.
        uid: Uid,
        /// The job it speaks of, for the log.
        job: Option<JobId>,
        /// The event.
        event: Event,
    },
}
