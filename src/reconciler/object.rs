//! One AnomalyJob as the reconciler keeps it: what it asks for, how far it is, and what of that the API server knows.
//!
//! The object itself is not kept. Whether a delivery is news, our own echo, or somebody else's edit of our status
//! is decided here; what follows from it is not.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::facts::Facts;
use super::input::{Delivered, Desired, Moment, SeenJob, Ticket, Trouble};
use super::target::Decision;
use crate::api::{
    AnomalyJobStatus, ConditionStatus, ConditionType, DatafeedId, LastClose, Reason, Step,
};

/// A condition as far as the next decision about writing needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Which.
    pub of: ConditionType,
    /// Its value.
    pub status: ConditionStatus,
    /// Its reason.
    pub reason: Reason,
    /// Since when the value holds.
    pub since: Timestamp,
}

/// What is stored of us at the API server.
#[derive(Debug, Clone, Default)]
pub struct Published {
    /// A digest of the whole status.
    pub digest: u64,
    /// Its conditions.
    pub conditions: Vec<Held>,
}

/// A status write that was sent and not answered yet.
#[derive(Debug, Clone)]
pub struct Writing {
    /// Its ticket.
    pub ticket: Ticket,
    /// What will be stored when it is taken.
    pub published: Published,
    /// The durable facts in it.
    pub forced_at: Option<Timestamp>,
    /// The durable datafeeds in it.
    pub resume: Vec<DatafeedId>,
    /// The watch brought it back already, under this version: it was taken, whatever its answer says.
    pub echoed: Option<Arc<str>>,
    overtaken: bool,
}

/// What somebody else did to the job after it had been where it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drift {
    /// It is back.
    pub corrected: bool,
}

/// One object.
#[derive(Debug)]
pub struct Object {
    /// Its uid.
    pub uid: Arc<str>,
    /// The generation that was delivered last.
    pub generation: i64,
    /// The precondition of the next write.
    pub resource_version: Arc<str>,
    /// The spec.
    pub desired: Desired,
    /// The facts of the close in progress.
    pub facts: Facts,
    /// The last decision.
    pub decision: Option<Decision>,
    /// The job was seen where it should be, at this generation.
    pub arrived: bool,
    /// The job was read since this generation was delivered.
    pub sighted: bool,
    /// Reads with an earlier ticket were sent before that.
    pub sight_from: Ticket,
    /// Corrections of drift since the last edit.
    pub corrections: u32,
    /// The next correction may be made after this.
    pub correct_after: Duration,
    /// What somebody else did.
    pub drift: Option<Drift>,
    /// Datafeeds that ran when we closed.
    pub resume: Vec<DatafeedId>,
    /// The same, as the API server acknowledged them.
    pub durable_resume: Vec<DatafeedId>,
    /// Why the close in progress, or the last one, used force.
    pub force_reason: Option<Reason>,
    /// The last close that came to an end.
    pub last_close: Option<LastClose>,
    /// What the API server has.
    pub published: Published,
    /// The write in flight.
    pub writing: Option<Writing>,
    /// Writes that failed in a row.
    pub write_failures: u32,
    /// No write before this.
    pub write_after: Duration,
    /// Since when the status differs from what is stored.
    pub unwritten_since: Option<Duration>,
    /// When it is stepped again without an input.
    pub timer: Option<Duration>,
    /// An answer to a read of the object is wanted; one that comes after a later write was acknowledged is not.
    pub refreshing: bool,
    /// The live reads in flight.
    pub verifying: Option<Ticket>,
    echoes: VecDeque<Arc<str>>,
}

/// What a delivery meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// Our own write came back.
    Echo,
    /// Something is new.
    Changed,
}

impl Object {
    /// An object that is seen for the first time: what must survive a crash is taken from its status.
    pub fn new(delivered: Delivered, digest: u64, sight_from: Ticket, now: Moment) -> Self {
        let Delivered {
            uid,
            generation,
            resource_version,
            desired,
            status,
            ..
        } = delivered;
        let facts = facts_of(&status, &desired, now);
        let published = Published {
            digest,
            conditions: held(&status),
        };
        let arrived = status.observed_generation == generation && done(&status, &desired);
        let mut object = Self {
            uid,
            generation,
            resource_version,
            facts,
            decision: None,
            arrived,
            sighted: false,
            sight_from,
            corrections: 0,
            correct_after: Duration::ZERO,
            drift: drift_of(&status),
            durable_resume: status.resume_datafeeds.clone(),
            published,
            resume: status.resume_datafeeds,
            force_reason: None,
            last_close: status.last_close,
            writing: None,
            write_failures: 0,
            write_after: Duration::ZERO,
            unwritten_since: None,
            timer: None,
            refreshing: false,
            verifying: None,
            echoes: VecDeque::new(),
            desired,
        };
        object.force_reason = object.stored(ConditionType::Forced).map(|held| held.reason);
        object
    }

    /// Takes a delivery of the same uid.
    pub fn deliver(&mut self, delivered: Delivered, digest: u64, sight_from: Ticket) -> News {
        // A watch may lag behind a live read: what it says of an earlier generation is over.
        if delivered.generation < self.generation || self.is_echo(&delivered, digest) {
            return News::Echo;
        }
        self.echoes.clear();
        if let Some(writing) = &mut self.writing {
            writing.overtaken = true;
        }
        self.resource_version = delivered.resource_version;
        // Whatever is stored now, it is compared with what should be, also where somebody else wrote it; and only
        // what is in there is durable, also where the acknowledgement of our own write was lost.
        self.published = Published {
            digest,
            conditions: held(&delivered.status),
        };
        self.facts.durable_forced_at = target_of(&delivered.status, &delivered.desired)
            .and_then(|target| target.forced_at.as_ref())
            .map(|at| at.0);
        self.durable_resume = delivered.status.resume_datafeeds;
        if delivered.generation != self.generation {
            self.generation = delivered.generation;
            self.arrived = false;
            self.sighted = false;
            self.sight_from = sight_from;
            self.corrections = 0;
            self.correct_after = Duration::ZERO;
            self.drift = None;
        }
        let before = std::mem::replace(&mut self.desired, delivered.desired);
        if before.job != self.desired.job {
            self.facts = Facts::default();
            self.resume.clear();
        } else if before.wanted != self.desired.wanted {
            self.facts.start_over();
        }
        News::Changed
    }

    fn is_echo(&mut self, delivered: &Delivered, digest: u64) -> bool {
        if let Some(at) = self
            .echoes
            .iter()
            .position(|version| *version == delivered.resource_version)
        {
            self.echoes.drain(..=at);
            return true;
        }
        let same = delivered.generation == self.generation && delivered.desired == self.desired;
        match &mut self.writing {
            Some(writing) if same && writing.published.digest == digest => {
                writing.echoed = Some(Arc::clone(&delivered.resource_version));
                true
            }
            _ => same && delivered.resource_version == self.resource_version,
        }
    }

    /// A write was acknowledged. Returns whether it is known what is stored now: where something else was delivered
    /// meanwhile, nobody says which of the two came last.
    pub fn written(&mut self, writing: Writing, version: Arc<str>) -> bool {
        self.write_failures = 0;
        if writing.overtaken {
            return false;
        }
        if writing.echoed.is_none() {
            // A lost watch may never echo; a few are enough to recognise the ones on their way.
            self.echoes.truncate(7);
            self.echoes.push_back(Arc::clone(&version));
        }
        self.refreshing = false;
        self.resource_version = version;
        self.published = writing.published;
        self.facts.durable_forced_at = writing.forced_at;
        self.durable_resume = writing.resume;
        self.unwritten_since = None;
        true
    }

    /// Takes in what a read said of the job. Returns whether something may follow from it.
    pub fn see(&mut self, ticket: Ticket, seen: &SeenJob, news: bool, now: Moment) -> bool {
        let first_sight = !self.sighted && ticket >= self.sight_from;
        self.sighted |= first_sight;
        self.facts
            .observe(seen, self.desired.close.timeout.as_duration(), now);
        let settled = matches!(self.decision, Some(Decision::Done | Decision::Rest(_)));
        news || first_sight || !settled
    }

    /// The datafeeds that are stored as running, and stay so when the write on its way arrives.
    pub fn safe_resume(&self) -> &[DatafeedId] {
        let stays = self
            .writing
            .as_ref()
            .is_none_or(|writing| writing.resume == self.durable_resume);
        if stays { &self.durable_resume } else { &[] }
    }

    /// The condition that is stored.
    pub fn stored(&self, of: ConditionType) -> Option<&Held> {
        self.published.conditions.iter().find(|held| held.of == of)
    }
}

impl Writing {
    /// A write that is being sent.
    pub fn new(ticket: Ticket, published: Published, object: &Object) -> Self {
        Self {
            ticket,
            published,
            forced_at: object.facts.forced_at,
            resume: object.resume.clone(),
            echoed: None,
            overtaken: false,
        }
    }
}

fn target_of<'a>(
    status: &'a AnomalyJobStatus,
    desired: &Desired,
) -> Option<&'a crate::api::Target> {
    status
        .targets
        .iter()
        .find(|target| target.job_id == desired.job)
}

fn done(status: &AnomalyJobStatus, desired: &Desired) -> bool {
    target_of(status, desired).is_some_and(|target| target.step == Step::Done)
}

fn facts_of(status: &AnomalyJobStatus, desired: &Desired, now: Moment) -> Facts {
    let Some(target) = target_of(status, desired) else {
        return Facts::default();
    };
    let evidence = target
        .evidence
        .map_or(Duration::ZERO, crate::api::Elapsed::as_duration);
    let forced_at = target.forced_at.as_ref().map(|at| at.0);
    Facts {
        requested_at: target.requested_at.as_ref().map(|at| at.0),
        accepted_at: target.accepted_at.as_ref().map(|at| at.0),
        evidence,
        checkpoint: evidence,
        deadline: target.deadline.as_ref().map(|at| at.0),
        forced_at,
        durable_forced_at: forced_at,
        // Whether the force that was written down was also sent is not known: it is given its time to show.
        force_sent: forced_at.map(|_| now.monotonic),
        attempts: target.attempts,
        failures: target.failures,
        last_error: target.last_error.as_ref().and_then(|error| {
            Some(Trouble {
                reason: Reason::parse(&error.category)?,
                message: Arc::from(error.message.as_str()),
            })
        }),
        started: target.requested_at.as_ref().map(|_| now.monotonic),
        ..Facts::default()
    }
}

fn drift_of(status: &AnomalyJobStatus) -> Option<Drift> {
    let condition = status
        .conditions
        .iter()
        .find(|known| known.type_ == ConditionType::Drifted.as_str())?;
    Some(Drift {
        corrected: condition.reason == Reason::Corrected.as_str(),
    })
}

fn held(status: &AnomalyJobStatus) -> Vec<Held> {
    status
        .conditions
        .iter()
        .filter_map(|condition| {
            Some(Held {
                of: ConditionType::parse(&condition.type_)?,
                status: ConditionStatus::parse(&condition.status)?,
                reason: Reason::parse(&condition.reason)?,
                since: condition.last_transition_time.0,
            })
        })
        .collect()
}
