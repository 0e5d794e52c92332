//! What must be true of every run, told by the world and never by the operator's own status.
//!
//! The ghost sees what the world is, what the brain was told, and what it asks for; a violation is a panic that the
//! random walk prints its seed with. It computes the true closing time itself and knows nothing of facts or tables.

mod policy;
mod status;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use self::policy::{allows, closes, wants};
use super::meant::{Listed, hear, means};
use super::world::{FakeJob, World, secs};
use crate::api::{AnomalyJobStatus, DatafeedId, DatafeedState, DeletionPolicy, JobId, JobState};
use crate::reconciler::input::*;

/// The true history of the session that a job is in.
#[derive(Debug, Clone, Default)]
pub(super) struct Session {
    state: Option<JobState>,
    opened_at: Duration,
    /// Time in this state while Elasticsearch could have said so.
    lit: Duration,
    /// The same in the dark period that lasts.
    dark: Duration,
    /// What late answers may add.
    slack: Duration,
    closes: u32,
}

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

/// Nothing that Elasticsearch says now shows that a job is being closed: it says nothing, or has no master.
fn is_dark(world: &World) -> bool {
    world.trouble.is_some() || world.refuses_calls.is_some() || world.upgrade_mode
}

#[derive(Debug, Clone, Default)]
pub(super) struct Ghost {
    /// The brain was told that the cluster must not be called.
    cut_off: bool,
    pub sessions: BTreeMap<JobId, Session>,
    samples: Vec<(JobId, Sample)>,
    pub told: BTreeMap<ObjectKey, Told>,
    /// Jobs of calls that are not answered; without those that were seen closing, which may be called again.
    in_flight: BTreeMap<Ticket, (Vec<JobId>, bool)>,
    /// The newest answered read of each job: when it was sampled, and what it said.
    seen: BTreeMap<JobId, (u64, SeenJob)>,
    /// The datafeed of each job that runs, and when the newest read that told of it was sampled.
    feeds: BTreeMap<JobId, (u64, Option<DatafeedId>)>,
    /// Jobs that were seen closed, or (true) opened, while the brain knew of a generation.
    seen_in: BTreeSet<(Arc<str>, i64, JobId, bool)>,
    forced: BTreeMap<JobId, Duration>,
    /// What was listed last.
    listed: Listed,
    doubted: bool,
    /// The last read that was sent before a call for the job ended.
    touched: BTreeMap<JobId, u64>,
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
        self.told.clear();
        self.in_flight.clear();
        self.seen.clear();
        self.feeds.clear();
        self.listed.clear();
        self.doubted = false;
        self.touched.clear();
    }

    /// Time passes in the state that the world is in.
    pub(super) fn pass(&mut self, world: &World, span: Duration) {
        let dark = is_dark(world);
        for (id, session) in &mut self.sessions {
            let counts = match world.jobs.get(id).map(|job| job.state) {
                Some(JobState::Closing) => true,
                Some(JobState::Opened | JobState::Opening) => session.closes > 0,
                _ => false,
            };
            if counts && dark {
                session.dark += span;
            } else if counts {
                session.lit += span;
            }
        }
    }

    /// The world may have changed: new sessions and states begin new counts, dark periods begin and end.
    pub(super) fn sync(&mut self, world: &World) {
        self.sessions.retain(|id, _| world.jobs.contains_key(id));
        for (id, job) in &world.jobs {
            let session = self.sessions.entry(id.clone()).or_default();
            let opening = Some(JobState::Opening);
            if session.opened_at != job.opened_at
                && session.state == opening
                && Some(job.state) == opening
            {
                // Nothing that Elasticsearch says tells these two apart.
                session.opened_at = job.opened_at;
            }
            if session.opened_at != job.opened_at {
                *session = Session {
                    opened_at: job.opened_at,
                    ..Session::default()
                };
            }
            let begins = job.state == JobState::Closing && session.state != Some(JobState::Closing);
            if begins {
                *session = Session {
                    opened_at: job.opened_at,
                    closes: session.closes,
                    ..Session::default()
                };
            }
            session.state = Some(job.state);
        }
        let dark = is_dark(world);
        if dark && !self.is_dark {
            (self.noticed, self.mixed) = (false, false);
        }
        self.mixed |= world.trouble.is_some() && world.upgrade_mode;
        if self.is_dark && !dark {
            for session in self.sessions.values_mut() {
                if !self.noticed {
                    session.lit += session.dark;
                } else if self.mixed {
                    session.slack += secs(20);
                }
                session.dark = Duration::ZERO;
            }
        }
        self.is_dark = dark;
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
        self.told.insert(
            key.clone(),
            Told {
                version: at,
                object: object.cloned(),
                since,
            },
        );
    }

    /// The brain is being told that its write was taken.
    pub(super) fn acknowledged(
        &mut self,
        key: &ObjectKey,
        uid: &str,
        at: u64,
        status: &AnomalyJobStatus,
    ) {
        if let Some(told) = self.told.get_mut(key).filter(|told| told.version < at)
            && let Some(object) = told.object.as_mut().filter(|object| *object.uid == *uid)
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
            let let_go = [JobState::Closing, JobState::Closed];
            if seen
                .state
                .as_ref()
                .is_some_and(|state| let_go.contains(&state.state))
            {
                for (jobs, closes) in self.in_flight.values_mut() {
                    jobs.retain(|job| !*closes || job != id);
                }
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
            let state = seen.state.as_ref().map(|state| state.state);
            for told in self.told.values() {
                if let Some(object) = &told.object
                    && let Some(JobState::Closed | JobState::Opened) =
                        state.filter(|_| order > told.since)
                {
                    let at = (object.uid.clone(), object.generation, id.clone());
                    self.seen_in
                        .insert((at.0, at.1, at.2, state == Some(JobState::Opened)));
                }
            }
            let current = self.touched.get(id).is_none_or(|last| *last < order);
            if newest && current {
                self.seen.insert(id.clone(), (order, seen.clone()));
            }
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
        uid: &str,
        id: &JobId,
    ) {
        let object = world.stored.get(key).filter(|object| *object.uid == *uid);
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
        let closes = matches!(call, Call::Close(_));
        self.in_flight
            .insert(ticket, (call.jobs().to_vec(), closes));
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

    /// A graceful close reached Elasticsearch.
    pub(super) fn closed(&mut self, id: &JobId) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.closes += 1;
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
