//! One AnomalyJob as the reconciler keeps it: what it asks for, how far it is, and what of that the API server knows.
//!
//! The object itself is not kept. Whether a delivery is news, our own echo, or somebody else's edit of our status
//! is decided here; what follows from it is not.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::input::{Delivered, Desired, Lane, Moment, ObjectKey, Ticket, Uid, Wanted};
use super::meant::Unmet;
use super::member::{Member, Members};
use super::report;
use super::seldom::{Seldom, rare};
use super::stored::{Durable, Held, Published, durable, held, restorable};
use super::writing::{Dealings, Writing};
use crate::api::{
    AnomalyJobStatus, ConditionType, ConnectionSeen, DatafeedId, JobId, LastClose, Reason, Target,
};
use crate::finalizer;

/// An object that was created so recently that somebody waits for it.
const JUST_CREATED: Duration = Duration::from_secs(60);

/// One object.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Object {
    /// Its uid.
    pub uid: Uid,
    /// When it was created.
    pub created_at: Timestamp,
    /// The generation that was delivered last.
    pub generation: i64,
    /// The precondition of the next write.
    pub resource_version: Arc<str>,
    /// The finalizers that it has.
    pub finalizers: Seldom<Vec<String>>,
    /// The spec.
    pub desired: Desired,
    /// The jobs that it means; empty until the catalogue was read.
    pub members: Members,
    /// It is known which jobs are meant.
    pub resolved: bool,
    /// What of it no member stands for.
    pub unmet: Seldom<Unmet>,
    /// Reads with an earlier ticket were sent before this generation was known.
    pub sight_from: Ticket,
    /// Before it calls for jobs that it does not mean by their one id, it needs a list under this ticket or a later one: who
    /// is meant may have changed since the last.
    pub list_from: Ticket,
    /// Somebody waits for it, or it is one of many at a start.
    pub lane: Lane,
    /// Datafeeds that ran when we closed.
    pub resume: Seldom<BTreeSet<DatafeedId>>,
    /// What the API server acknowledged of it, and of the forces.
    pub durable: Durable,
    /// The close in progress, or the last one that came to an end.
    pub last_close: Option<LastClose>,
    /// The request to look at everything that was answered last.
    pub handled_request: Option<Arc<str>>,
    /// What was begun, or asked for, and is not through.
    pub unfinished: Seldom<Unfinished>,
    /// The cluster answers again after a long silence and not all jobs were looked at since.
    pub regaining: bool,
    /// What the API server has.
    pub published: Published,
    /// What is under way between it and the API server.
    pub dealings: Seldom<Dealings>,
    /// What it told was of this generation.
    pub looked_at: bool,
    /// Where that was seen what it knows, as long as it is not known whether that is the cluster of now.
    pub from: Option<Box<ConnectionSeen>>,
    /// Counts arrivals.
    pub arrivals: u64,
}

/// What was begun, or asked for, and is not through.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Unfinished {
    /// Jobs that are still to be looked at for the newest request, by reads from this ticket on.
    pub requested: (Ticket, BTreeSet<JobId>),
    /// The newest request was made while nobody was there, and it is not known yet who is meant.
    pub asked: bool,
    /// What the status told of jobs that are not members yet.
    pub restoring: Box<[Target]>,
    /// Jobs that ceased to be members in the middle of something: where one comes back, who ran before is still to be known.
    pub interrupted: BTreeSet<JobId>,
    /// Datafeeds that ran and cannot be started again as they were: told once an attempt.
    pub told_not_resumable: BTreeSet<DatafeedId>,
}

impl Unfinished {
    /// The newest request does not wait for this job any more. Returns whether it had.
    pub fn answered(&mut self, job: &JobId) -> bool {
        let waited = self.requested.1.remove(job);
        if self.requested.1.is_empty() {
            self.requested.0 = Ticket::default();
        }
        waited
    }
}

rare!(Unfinished);

/// What a delivery meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// Our own write came back.
    Echo,
    /// Something is new.
    Changed {
        /// The jobs that are meant may be others.
        scope: bool,
        /// Everything is to be looked at.
        requested: bool,
    },
}

impl Object {
    /// An object that is seen for the first time: what must survive a crash is taken from its status.
    #[allow(clippy::too_many_lines, reason = "one line a field")]
    pub fn new(delivered: Delivered, digest: u64, sight_from: Ticket, now: Moment) -> Self {
        let Delivered {
            uid,
            created_at,
            generation,
            resource_version,
            finalizers,
            desired,
            status,
            ..
        } = delivered;
        let published = Published {
            digest,
            conditions: held(&status),
        };
        let age = Duration::try_from(now.wall.duration_since(created_at)).unwrap_or_default();
        let fresh = status.observed_generation != generation && age < JUST_CREATED;
        let durable = durable(&status);
        let looked_at = status.observed_generation == generation;
        let handled = status.last_handled_reconcile_at.as_deref();
        let asked = desired.requested.as_deref().is_some_and(|request| {
            let told = request.chars().take(report::REQUEST_TOLD);
            handled.is_none_or(|handled| !told.eq(handled.chars()))
        });
        let regaining = looked_at && told_nothing(&published);
        let arrivals = u64::try_from(status.targets.len()).unwrap_or_default();
        let unfinished = Unfinished {
            restoring: restorable(status.targets, looked_at, asked),
            asked,
            ..Unfinished::default()
        };
        Self {
            uid,
            created_at,
            generation,
            resource_version,
            finalizers: Seldom::from(finalizers),
            members: Members::default(),
            resolved: false,
            unmet: Seldom::default(),
            sight_from,
            list_from: Ticket::default(),
            lane: if fresh { Lane::Fresh } else { Lane::Slow },
            resume: durable.resume.clone(),
            durable,
            last_close: status.last_close,
            handled_request: status.last_handled_reconcile_at.map(Arc::from),
            unfinished: Seldom::from(unfinished),
            regaining,
            published,
            dealings: Seldom::default(),
            looked_at,
            from: status.connection.map(Box::new),
            arrivals,
            desired,
        }
    }

    /// Gives back the room of what is nothing at rest.
    pub fn pack(&mut self) {
        self.unmet.pack();
        self.unfinished.pack();
        self.dealings.pack();
        if let Some(member) = self.members.only_mut() {
            member.pack();
        }
    }

    /// The same object, of which nothing is known but what it asks for: what it knew was of another cluster.
    #[must_use]
    pub fn anew(mut self, key: &ObjectKey, sight_from: Ticket, now: Moment) -> Self {
        self.dealings.progress_at = None;
        self.dealings.unwritten_since = None;
        if let Some(writing) = &mut self.dealings.writing {
            writing.overtaken = true;
        }
        let handled = self.handled_request.as_deref().map(str::to_owned);
        let delivered = Delivered {
            key: key.clone(),
            uid: self.uid,
            created_at: self.created_at,
            generation: self.generation,
            resource_version: self.resource_version,
            finalizers: self.finalizers.unpack(),
            desired: self.desired,
            status: AnomalyJobStatus {
                last_handled_reconcile_at: handled,
                ..AnomalyJobStatus::default()
            },
        };
        Self {
            dealings: self.dealings,
            ..Self::new(delivered, self.published.digest, sight_from, now)
        }
    }

    /// Takes a delivery of the same uid.
    pub fn deliver(&mut self, delivered: Delivered, digest: u64, sight_from: Ticket) -> News {
        // A watch may lag behind a live read: what it says of an earlier generation is over.
        if delivered.generation < self.generation || self.is_echo(&delivered, digest) {
            return News::Echo;
        }
        self.dealings.echoes.clear();
        if let Some(writing) = &mut self.dealings.writing {
            writing.overtaken = true;
        }
        self.resource_version = delivered.resource_version;
        self.finalizers = Seldom::from(delivered.finalizers);
        // Whatever is stored now, it is compared with what should be, also where somebody else wrote it; and only
        // what is in there is durable, also where the acknowledgement of our own write was lost.
        self.published = Published {
            digest,
            conditions: held(&delivered.status),
        };
        self.is_durable(durable(&delivered.status));
        let generation = delivered.generation != self.generation;
        let before = std::mem::replace(&mut self.desired, delivered.desired);
        let requested = before.requested != self.desired.requested;
        if generation || requested {
            self.list_from = sight_from;
        }
        if generation {
            self.generation = delivered.generation;
            self.looked_at = false;
            self.unfinished.interrupted.clear();
            self.sight_from = sight_from;
            self.lane = Lane::Fresh;
            self.unfinished.restoring =
                restorable(std::mem::take(&mut self.unfinished.restoring), false, true);
        }
        self.begin_anew(&before, generation, requested);
        let scope = before.scope != self.desired.scope;
        if scope {
            self.unfinished.restoring = Box::default();
        } else {
            // It shares its room with others.
            self.desired.scope = before.scope;
        }
        News::Changed { scope, requested }
    }

    fn begin_anew(&mut self, before: &Desired, generation: bool, requested: bool) {
        let other_state = wants(before) != wants(&self.desired);
        if generation || requested {
            // Whoever asked is answered at once.
            self.dealings.progress_at = None;
            self.unfinished.told_not_resumable.clear();
        }
        if other_state {
            let jobs: Vec<JobId> = self.members.iter().map(|(job, _)| job.clone()).collect();
            for job in &jobs {
                report::cut_short(self, job);
            }
        }
        for (_, member) in self.members.iter_mut() {
            if generation {
                member.arrived = false;
                member.placed = false;
                member.sighted = false;
                member.drifting.lessen(|drifting| drifting.drift = None);
            }
            if generation || requested {
                member.rearm();
            }
            if other_state {
                member.resuming |= member.facts().in_progress();
                member.start_over();
            }
        }
    }

    /// Only these jobs are meant from now on: what was begun of others is cut short, and not forgotten.
    pub fn interrupt_all_but(&mut self, jobs: &BTreeSet<JobId>) {
        let begun = |member: &Member| member.resuming || member.facts().in_progress();
        let went = self
            .members
            .iter()
            .filter(|(job, member)| !jobs.contains(*job) && begun(member));
        for job in went.map(|(job, _)| job.clone()).collect::<Vec<_>>() {
            report::cut_short(self, &job);
            self.unfinished.interrupted.insert(job);
        }
    }

    /// It is what a write of ours stored, known by its version alone.
    pub fn awaits(&self, delivered: &Delivered) -> bool {
        self.dealings.echoes.contains(&delivered.resource_version)
    }

    fn is_echo(&mut self, delivered: &Delivered, digest: u64) -> bool {
        if let Some(at) = self
            .dealings
            .echoes
            .iter()
            .position(|version| *version == delivered.resource_version)
        {
            self.dealings.echoes.drain(..=at);
            return true;
        }
        let same = delivered.generation == self.generation && delivered.desired == self.desired;
        let Some(writing) = &mut self.dealings.writing else {
            return same && delivered.resource_version == self.resource_version;
        };
        let ours = match (&writing.content, &writing.finalizers) {
            (Some((published, _)), _) => published.digest == digest,
            (None, Some(finalizers)) => *finalizers == delivered.finalizers,
            (None, None) => false,
        };
        if same && ours {
            writing.echoed = Some(Arc::clone(&delivered.resource_version));
            return true;
        }
        same && delivered.resource_version == self.resource_version
    }

    /// A write was acknowledged. Returns whether it is known what is stored now: where something else was delivered
    /// meanwhile, nobody says which of the two came last.
    pub fn written(&mut self, writing: Writing, version: Arc<str>) -> bool {
        self.dealings.failures = 0;
        if writing.overtaken {
            return false;
        }
        if writing.echoed.is_none() {
            // A lost watch may never echo; a few are enough to recognise the ones on their way.
            self.dealings.echoes.truncate(7);
            self.dealings.echoes.push_back(Arc::clone(&version));
        }
        self.dealings.refreshing = false;
        self.dealings.not_before = Duration::ZERO;
        self.resource_version = version;
        if let Some(finalizers) = writing.finalizers {
            self.finalizers = Seldom::from(finalizers);
        }
        if let Some((published, durable)) = writing.content {
            self.published = published;
            self.is_durable(durable);
            self.dealings.unwritten_since = None;
        }
        true
    }

    /// What is stored of the facts on which calls depend.
    fn is_durable(&mut self, durable: Durable) {
        if self.durable.forced != durable.forced {
            for (job, member) in self.members.iter_mut() {
                member.durable_force(durable.forced.get(job).copied());
            }
        }
        self.durable = durable;
        if self.durable.resume == self.resume {
            self.durable.resume = self.resume.clone();
        }
    }

    /// The datafeed is stored as running, and stays so when the write on its way arrives.
    pub fn is_safe_to_stop(&self, datafeed: &DatafeedId) -> bool {
        let stays = self.dealings.writing.as_ref().is_none_or(|writing| {
            let content = writing.content.as_ref();
            content.is_none_or(|(_, durable)| durable.resume == self.durable.resume)
        });
        stays && self.resume.contains(datafeed) && self.durable.resume.contains(datafeed)
    }

    /// A member for a job that came to be meant.
    pub fn member_for(&self, job: &JobId, now: Moment) -> Member {
        let stored = self
            .unfinished
            .restoring
            .iter()
            .position(|target| target.job_id == *job);
        let mut member = Member::default();
        if let Some((at, target)) =
            stored.and_then(|at| Some((at, self.unfinished.restoring.get(at)?)))
        {
            member = Member::restored(target, now);
            // The process that noted the force may have ended before it could tell of it.
            let noted = target.forced_at.as_ref();
            let mode = self.desired.close.mode;
            member.force_reason = noted.map(|_| Member::why_forced(target.state, mode));
            // The latest to arrive stands first, and stays there: another order alone is no reason to write.
            member.arrival =
                u64::try_from(self.unfinished.restoring.len() - at).unwrap_or_default();
        }
        // A status tells of so many jobs and no more: who ran before a close of another one was begun is not forgotten.
        let untold = !self.looked_at || self.unfinished.restoring.len() >= report::LISTED;
        member.resuming |= stored.is_none() && untold || self.unfinished.interrupted.contains(job);
        member.durable_force(self.durable.forced.get(job).copied());
        // What was seen where it should be, and stored of this generation, stands until somebody looks.
        member.sighted = member.arrived && !self.regaining;
        let forced = self
            .last_close
            .as_ref()
            .is_some_and(|last| last.forced.contains(job));
        if forced {
            member.force_reason = self.stored(ConditionType::Forced).map(|held| held.reason);
        }
        member
    }

    /// The condition that is stored.
    pub fn stored(&self, of: ConditionType) -> Option<&Held> {
        self.published.conditions.iter().find(|held| held.of == of)
    }

    /// Our finalizer is on it.
    pub fn is_held(&self) -> bool {
        finalizer::is_in(&self.finalizers)
    }

    /// The one job that it means by its id, where it means one.
    pub fn literal(&self) -> Option<JobId> {
        self.desired.scope.expression.literal()
    }

    /// What is enforced of its jobs, deletion included; `None` where nothing is.
    pub fn enforces(&self) -> Option<Wanted> {
        let desired = &self.desired;
        let wanted = match desired.wanted {
            Wanted::Observed => return None,
            Wanted::Closed | Wanted::Opened if desired.suspended => return None,
            wanted => wanted,
        };
        match desired.deleting {
            None => Some(wanted),
            Some(_) if self.closes_before_it_goes() => Some(Wanted::Closed),
            Some(_) => None,
        }
    }

    fn closes_before_it_goes(&self) -> bool {
        self.desired.deletion == crate::api::DeletionPolicy::Close
            && self.is_held()
            && !self.dealings.leaving
    }
}

/// Of its jobs nothing was claimed any more: the cluster had been silent for too long, or was not to be seen from there, or the
/// object could not be read.
fn told_nothing(published: &Published) -> bool {
    published.conditions.iter().any(|held| {
        held.of == ConditionType::Closed
            && matches!(
                held.reason,
                Reason::NotObserved | Reason::NamespaceNotAllowed | Reason::InvalidObject
            )
    })
}

/// What its jobs shall be, where anything is enforced: an object that is being deleted opens nothing.
fn wants(desired: &Desired) -> Wanted {
    match desired.deleting {
        Some(_) => Wanted::Closed,
        None => desired.wanted,
    }
}
