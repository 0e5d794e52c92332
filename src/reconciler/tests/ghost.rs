//! What must be true of every run, told by the world and never by the operator's own status.
//!
//! The ghost sees what the world is, what the brain was told, and what it asks for; a violation is a panic that the
//! random walk prints its seed with. It computes the true closing time itself and knows nothing of facts or tables.

mod policy;
mod seen;
mod session;
mod status;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use self::policy::{allows, closes, wants};
use self::seen::Seen;
use self::session::Session;
use super::meant::{Listed, hear, means};
use super::world::{FakeJob, World, secs};
use crate::api::{AnomalyJobStatus, DatafeedId, DatafeedState, DeletionPolicy, JobId, JobState};
use crate::reconciler::input::*;

/// What the live reads before a force found.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    answered_at: Option<Duration>,
    ticket: Ticket,
    desired: Option<Desired>,
    session: Session,
    job: Option<FakeJob>,
}

/// An object as the brain was told of it last.
#[derive(Debug, Clone)]
pub(super) struct Told {
    version: u64,
    object: Option<Delivered>,
    since: u64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Ghost {
    /// The brain was told that the cluster must not be called.
    cut_off: bool,
    pub sessions: BTreeMap<JobId, Session>,
    samples: Vec<(JobId, Sample)>,
    pub told: BTreeMap<ObjectKey, Told>,
    /// Jobs of calls that are not answered, and the states by which they are seen to have taken them and may be called again.
    in_flight: BTreeMap<Ticket, (Vec<JobId>, &'static [JobState])>,
    /// The newest answered read of each job: when it was sampled, and what it said.
    seen: BTreeMap<JobId, (u64, SeenJob)>,
    /// The datafeed of each job that runs, and when the newest read that told of it was sampled.
    feeds: BTreeMap<JobId, (u64, Option<DatafeedId>)>,
    /// The newest read, by when it was sent, that said of a job that it is closed, and that it is opened.
    said: BTreeMap<JobId, [u64; 2]>,
    /// Jobs that were seen closed, or (true) opened, while the brain knew of a generation, as far as that was before the
    /// last that it was told of the object, or in another process.
    seen_in: BTreeSet<Seen>,
    forced: BTreeMap<JobId, Duration>,
    /// What was listed last.
    listed: Listed,
    doubted: bool,
    /// The last read that was sent before a call for the job ended.
    touched: BTreeMap<JobId, u64>,
    /// What objects were told to leave to another.
    rivals: BTreeSet<(ObjectKey, JobId)>,
    /// The last read that was sent before an object took over the job from another.
    taken_over: BTreeMap<JobId, u64>,
    /// What was told of a job before the answer to such a read came: that may be believed or not, for the other one may have
    /// called since.
    or_before: BTreeMap<JobId, Option<JobState>>,
    is_dark: bool,
    noticed: bool,
    mixed: bool,
    order: u64,
    pub forces: u64,
    pub closes: u64,
}

impl Ghost {
    pub(super) fn next(&mut self) -> u64 {
        self.order += 1;
        self.order
    }

    /// A new process knows nothing.
    pub(super) fn crashed(&mut self) {
        self.cut_off = false;
        self.samples.clear();
        for told in std::mem::take(&mut self.told).into_values() {
            self.keep(&told);
        }
        self.said.clear();
        self.in_flight.clear();
        self.seen.clear();
        self.feeds.clear();
        self.listed.clear();
        self.doubted = false;
        self.touched.clear();
        self.rivals.clear();
        self.taken_over.clear();
        self.or_before.clear();
    }

    /// The brain is being told of an object, at this version of the world.
    pub(super) fn tell(&mut self, key: &ObjectKey, at: u64, object: Option<&Delivered>) {
        let order = self.next();
        let known = self.told.get(key);
        if known.is_some_and(|known| known.version >= at) {
            return;
        }
        let same = known.and_then(|known| Some((known.object.as_ref()?, known.since)));
        let since = same
            .filter(|(known, _)| {
                object.is_some_and(|new| new.uid == known.uid && new.generation == known.generation)
            })
            .map_or(order, |(_, since)| since);
        let told = Told {
            version: at,
            object: object.cloned(),
            since,
        };
        let before = self.told.insert(key.clone(), told);
        if let Some(before) = before.filter(|before| before.since != since) {
            self.keep(&before);
        }
    }

    /// The brain is being told that its write was taken.
    pub(super) fn acknowledged(
        &mut self,
        key: &ObjectKey,
        uid: &Uid,
        at: u64,
        status: &AnomalyJobStatus,
    ) {
        if let Some(told) = self.told.get_mut(key).filter(|told| told.version < at)
            && let Some(object) = told.object.as_mut().filter(|object| object.uid == *uid)
        {
            told.version = at;
            object.status = status.clone();
        }
    }

    /// The brain is being told what a read, sent at `order`, found.
    pub(super) fn read(
        &mut self,
        order: u64,
        took: Duration,
        states: &BTreeMap<JobId, SeenJob>,
        full: bool,
    ) {
        for (id, seen) in states {
            if let Some(state) = &seen.state {
                self.noticed |= state.upgrade_mode;
            }
            if let Some(session) = self
                .sessions
                .get_mut(id)
                .filter(|_| took > Duration::from_millis(500))
            {
                session.slack += took;
            }
            let state = seen.state.as_ref().map(|state| state.state);
            for (jobs, shown_by) in self.in_flight.values_mut() {
                let taken = state.is_some_and(|state| shown_by.contains(&state));
                jobs.retain(|job| !taken || job != id);
            }
            let newest = self.seen.get(id).is_none_or(|(before, _)| *before < order);
            if newest && (seen.datafeed.is_some() || full) {
                let runs = seen
                    .datafeed
                    .as_ref()
                    .filter(|feed| feed.state != DatafeedState::Stopped);
                self.feeds
                    .insert(id.clone(), (order, runs.map(|feed| feed.id.clone())));
            }
            self.hear_of(id, state, order);
            let current = self.touched.get(id).is_none_or(|last| *last < order);
            if newest && current {
                self.dispute(id, order);
                self.seen.insert(id.clone(), (order, seen.clone()));
            }
        }
    }

    /// A newer word comes of a job: whether what was told before may still be said.
    fn dispute(&mut self, id: &JobId, order: u64) {
        let disputed = self.taken_over.get(id).is_some_and(|last| order <= *last);
        if !disputed {
            self.or_before.remove(id);
        } else if let Some((_, before)) = self.seen.get(id) {
            let before = before.state.as_ref().map(|state| state.state);
            self.or_before.entry(id.clone()).or_insert(before);
        }
    }

    /// The brain is being told which jobs have datafeeds, as a list that was sent at `order` found.
    pub(super) fn listed(&mut self, order: u64, listing: &Listing) {
        hear(&mut self.listed, &mut self.doubted, listing);
        for (id, (read, feed)) in &mut self.feeds {
            if *read < order && !listing.datafeeds.contains_key(id) {
                (*read, *feed) = (order, None);
            }
        }
    }

    /// A read or a call was not answered.
    pub(super) fn silent(&mut self) {
        self.noticed = true;
    }

    /// The brain is being told of its connection.
    pub(super) fn connected(&mut self, connection: &Connection) {
        self.cut_off = matches!(connection, Connection::Unusable(_));
    }

    /// The brain is being told of upgrade mode.
    pub(super) fn upgrading(&mut self, mode: bool) {
        self.noticed |= mode;
    }

    pub(super) fn verifying(
        &mut self,
        world: &World,
        ticket: Ticket,
        key: &ObjectKey,
        uid: &Uid,
        id: &JobId,
    ) {
        let object = world.stored.get(key).filter(|object| object.uid == *uid);
        let sample = Sample {
            answered_at: None,
            ticket,
            desired: object.map(|object| object.desired.clone()),
            session: self.sessions.get(id).cloned().unwrap_or_default(),
            job: world.jobs.get(id).cloned(),
        };
        self.samples.push((id.clone(), sample));
        let now = world.clock;
        self.samples
            .retain(|(_, sample)| sample.answered_at.is_none_or(|at| now - at <= secs(60)));
    }

    pub(super) fn verified(&mut self, ticket: Ticket, now: Duration) {
        for (_, sample) in self
            .samples
            .iter_mut()
            .filter(|(_, sample)| sample.ticket == ticket)
        {
            sample.answered_at = Some(now);
        }
    }

    /// Objects are being told who acts.
    pub(super) fn ruled(&mut self, rulings: &[Ruling]) {
        for ruling in rulings {
            let spot = (ruling.key.clone(), ruling.job.clone());
            if ruling.rival.is_some() {
                self.rivals.insert(spot);
            } else if self.rivals.remove(&spot) {
                self.taken_over.insert(spot.1, self.order);
            }
        }
    }

    pub(super) fn answered(&mut self, ticket: Ticket) {
        // What was asked before a call ended may show the world before it.
        for id in self
            .in_flight
            .remove(&ticket)
            .into_iter()
            .flat_map(|(jobs, _)| jobs)
        {
            self.touched.insert(id, self.order);
        }
    }

    /// A call is being sent.
    pub(super) fn call(&mut self, world: &World, ticket: Ticket, call: &Call) {
        assert!(
            !self.cut_off,
            "{call:?} on a cluster that must not be called"
        );
        for id in call.jobs() {
            assert!(
                !self
                    .in_flight
                    .values()
                    .any(|(others, _)| others.contains(id)),
                "two calls in flight for {id}: {call:?}"
            );
        }
        let shown_by = match call {
            Call::Close(_) => [JobState::Closing, JobState::Closed].as_slice(),
            Call::Open(_) => &[JobState::Opening, JobState::Opened],
            _ => &[],
        };
        self.in_flight
            .insert(ticket, (call.jobs().to_vec(), shown_by));
        if !matches!(call, Call::Close(_)) {
            assert_eq!(call.jobs().len(), 1);
        }
        for id in call.jobs() {
            self.call_for(world, call, id);
        }
        match call {
            Call::Close(_) => self.closes += 1,
            Call::ForceClose(id) => {
                self.forces += 1;
                self.forced.insert(id.clone(), world.clock);
            }
            _ => {}
        }
    }

    fn call_for(&self, world: &World, call: &Call, id: &JobId) {
        let willing: Vec<&Delivered> = self
            .told
            .values()
            .filter_map(|told| told.object.as_ref())
            .filter(|object| {
                means(&object.desired, &self.listed, id) && wants(&object.desired, call)
            })
            .collect();
        assert!(
            !willing.is_empty(),
            "{call:?}: nobody wants that, as told last: {:#?}",
            self.told
        );
        assert!(
            willing.iter().any(|object| is_held(world, object)),
            "{call:?} before the finalizer of deletionPolicy: Close is stored"
        );
        let feed = self.feeds.get(id).and_then(|(_, feed)| feed.clone());
        let seen = self
            .seen
            .get(id)
            .and_then(|(_, seen)| seen.state.as_ref())
            .map(|state| state.state);
        // A job without a config is never opened again, so nothing is resumed.
        let lost = self
            .samples
            .iter()
            .rfind(|(of, _)| of == id)
            .is_some_and(|(_, sample)| sample.job.as_ref().is_some_and(|job| !job.config));
        if let Some(feed) = feed
            && !(lost && matches!(call, Call::ForceClose(_)))
            && matches!(seen, Some(JobState::Opened | JobState::Opening))
            && !matches!(call, Call::StopDatafeed { .. })
        {
            assert!(
                willing
                    .iter()
                    .any(|object| object.status.resume_datafeeds.contains(&feed)),
                "{call:?} at {:?} stops a datafeed that is durable nowhere: {:?}",
                world.clock,
                willing
                    .iter()
                    .map(|o| (&o.key, &o.resource_version, &o.status.resume_datafeeds))
                    .collect::<Vec<_>>()
            );
        }
        match call {
            Call::ForceClose(_) => {
                assert!(
                    willing
                        .iter()
                        .any(|object| self.may_force(world, object, id)),
                    "{call:?} at {:?} by none of {:?}\nsample {:?}\nsession {:?}",
                    world.clock,
                    willing
                        .iter()
                        .map(|object| (&object.desired, object.status.targets.first()))
                        .collect::<Vec<_>>(),
                    self.samples.iter().rfind(|(of, _)| of == id),
                    self.sessions.get(id)
                );
            }
            Call::Open(_) => {
                let since = self.forced.get(id).map(|at| world.clock - *at);
                assert!(
                    since.is_none_or(|since| since >= secs(60)),
                    "{id} is opened {since:?} after a force"
                );
            }
            Call::StartDatafeed { .. }
            | Call::Close(_)
            | Call::Confirm(_)
            | Call::StopDatafeed { .. } => {}
        }
    }

    fn may_force(&self, world: &World, object: &Delivered, id: &JobId) -> bool {
        let durable = object
            .status
            .targets
            .iter()
            .any(|target| target.job_id == *id && target.forced_at.is_some());
        let recent = |sample: &&(JobId, Sample)| {
            sample.0 == *id
                && sample
                    .1
                    .answered_at
                    .is_some_and(|at| world.clock - at <= secs(10))
        };
        durable
            && self.samples.iter().filter(recent).any(|(_, sample)| {
                sample
                    .desired
                    .as_ref()
                    .is_some_and(|desired| closes(desired) && allows(desired, sample))
                    && allows(&object.desired, sample)
            })
    }
}

/// A deletion of it now would wait until its jobs are closed, where it asks for that.
fn is_held(world: &World, object: &Delivered) -> bool {
    let stored = world.stored.get(&object.key);
    object.desired.deletion == DeletionPolicy::Retain
        || stored.is_none_or(|stored| {
            stored.uid != object.uid || crate::finalizer::is_in(&stored.finalizers)
        })
}
