//! The words of a decision about one job of one object: what it depends on, what may be asked, what comes of it.
//!
//! Plain data; the rows are in `target` and `opening`.

use std::time::Duration;

use super::facts::Facts;
use super::health::Health;
use super::input::{Call, Desired, Lane, Moment, ObjectKey, SeenConfig, Trouble, Wanted};
use super::job::Job;
use super::member::Member;
use super::untold::Spell;
use crate::api::{Allow, DatafeedId, JobId, Reason, Step};

/// Everything that a decision about one target may depend on.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Situation<'a> {
    /// The spec, as delivered last, or read live.
    pub desired: &'a Desired,
    /// What is enforced; `None`: nothing is called.
    pub enforces: Option<Wanted>,
    /// The job.
    pub id: &'a JobId,
    /// How far it is.
    pub member: &'a Member,
    /// The object.
    pub key: &'a ObjectKey,
    /// Whether somebody waits for it.
    pub lane: Lane,
    /// The job as seen.
    pub job: &'a Job,
    /// Its config; `None` where it has none.
    pub config: Option<&'a SeenConfig>,
    /// The configs were read.
    pub listed: bool,
    /// The cluster.
    pub health: &'a Health,
    /// Who is meant is to be listed anew before anything is called.
    pub list_is_stale: bool,
    /// Answers do not tell of it.
    pub untold: Option<Spell>,
    /// Its datafeed is stored as running, or is none that would be started again.
    pub datafeed_is_noted: bool,
    /// Whether its running datafeed has an end is about to be told.
    pub kind_is_coming: bool,
    /// Its datafeed ran when it was closed here.
    pub resumes: bool,
    /// The finalizer that its deletion policy needs is on the object.
    pub held: bool,
    /// Seconds that are left until it may be opened after a force of ours.
    pub open_after: Duration,
    /// Now.
    pub now: Moment,
}

impl Situation<'_> {
    pub(super) fn facts(&self) -> &Facts {
        self.member.facts()
    }

    /// What the connection lets the object do.
    pub(super) fn allow(&self) -> &Allow {
        self.health.allow(self.key.namespace())
    }
}

/// What is asked of Elasticsearch for one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Close it gracefully; leaves together with others.
    Close,
    /// Close it again while it is closing: the answer shows that there is a master.
    Confirm,
    /// Close it by force.
    Force,
    /// Stop its datafeed.
    StopDatafeed {
        /// Which.
        datafeed: DatafeedId,
        /// Not waiting for its search.
        force: bool,
    },
    /// Open it.
    Open,
    /// Start its datafeed.
    StartDatafeed(DatafeedId),
}

impl Ask {
    /// The call for this job alone.
    pub fn call(&self, job: JobId) -> Call {
        match self {
            Self::Close => Call::Close(vec![job]),
            Self::Confirm => Call::Confirm(job),
            Self::Force => Call::ForceClose(job),
            Self::StopDatafeed { datafeed, force } => Call::StopDatafeed {
                job,
                datafeed: datafeed.clone(),
                force: *force,
            },
            Self::Open => Call::Open(job),
            Self::StartDatafeed(datafeed) => Call::StartDatafeed {
                job,
                datafeed: datafeed.clone(),
            },
        }
    }
}

/// What is to be done about one target.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Nothing is wanted: observing, suspended, being deleted.
    Rest(Reason),
    /// The cluster cannot be asked or must not be called.
    Hold(Trouble),
    /// Look first.
    Observe,
    /// Something is under way; look again after the gap.
    Wait(Step, Reason, Duration),
    /// The job is where it should be.
    Done,
    /// Only a human can help; look slowly.
    Stall(Trouble),
    /// Note that this datafeed runs, durably, before a close stops it.
    NoteDatafeed(DatafeedId),
    /// Note that a force is coming, durably.
    NoteForce,
    /// Make the live reads that precede a force.
    Verify,
    /// Call Elasticsearch.
    Call(Ask),
}

impl Decision {
    /// Nothing more is done about the job but to look: it takes no place in a wave.
    pub fn is_over(&self) -> bool {
        matches!(
            self,
            Self::Stall(_) | Self::Wait(Step::Waiting, Reason::Waiting, _)
        )
    }

    /// The live reads that were made for a force still stand: it is what follows, or it waits for nothing but a look.
    pub fn leads_to_force(&self) -> bool {
        matches!(
            self,
            Self::Verify | Self::NoteForce | Self::Observe | Self::Call(Ask::Force)
        )
    }

    /// Elasticsearch knows no such job.
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Wait(_, reason, _) => *reason == Reason::JobNotFound,
            Self::Stall(trouble) => trouble.reason == Reason::JobNotFound,
            _ => false,
        }
    }

    /// The job was seen, and is not where it should be.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Rest(_) | Self::Hold(_) | Self::Observe | Self::Done => false,
            Self::Wait(..)
            | Self::Stall(_)
            | Self::NoteDatafeed(_)
            | Self::NoteForce
            | Self::Verify
            | Self::Call(_) => true,
        }
    }
}
