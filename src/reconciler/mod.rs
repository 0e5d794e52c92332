//! The brain: a synchronous state machine, one for each connection to an Elasticsearch cluster, with many objects in it.
//!
//! It is told what happened and says what shall be done. It never waits, reads no clock, holds no client and rolls no
//! dice: [`Reconciler::handle`] is given the time, [`Reconciler::next_wake`] says when it wants to be asked again. So
//! all of its behaviour, outages and crashes included, runs in unit tests in virtual time.
//!
//! - [`input`], [`seen`]: what goes in and out, plain data
//! - [`target`], `opening`: the decision tables for one job; start reading here. [`decision`]: their words
//! - [`facts`]: what was asked and seen of one attempt; the rules of session and evidence
//! - [`expression`], [`catalogue`], `meant`, `membership`: who is meant; [`claims`]: who of several objects acts
//! - [`job`], [`object`], [`member`], [`health`]: what is known of a job, an object, a job of an object, the cluster;
//!   [`allowances`]: what its owner lets them do;
//!   [`stored`]: what a stored status tells; `origin`: of which cluster; [`uid`]: of which object
//! - `objects`, `folded`, `seldom`: how little is kept of what rests
//! - `steps`: from a decision to notes, looks and calls; `drift`: what others did; `deletion`: how an object goes
//! - `calls`, [`batch`], [`isolate`], [`turns`], [`pace`]: what is sent together, in which order, how often, how many
//! - `looks`: who is to be looked at when, [`untold`]: of whom nothing is told; `reads`, `roll`: one shared read for all objects; `kinds`: whether a datafeed has
//!   an end; [`cover`]: many jobs in few words
//! - `report`: status and conditions from facts; `publish`: when they are written; `writing`: one that is on its way

pub mod allowances;
mod answers;
pub mod batch;
mod calls;
pub mod catalogue;
pub mod claims;
pub mod cover;
pub mod decision;
mod deletion;
mod drift;
mod due;
pub mod expression;
pub mod facts;
mod folded;
pub mod health;
pub mod input;
pub mod isolate;
pub mod job;
mod kinds;
mod looks;
mod meant;
pub mod member;
mod membership;
pub mod object;
mod objects;
mod opening;
mod origin;
pub mod pace;
mod publish;
mod reads;
mod report;
mod roll;
pub mod seen;
pub mod seldom;
mod steps;
pub mod stored;
pub mod target;
#[cfg(test)]
mod tests;
pub mod turns;
pub mod uid;
pub mod untold;
mod verify;
mod writing;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use catalogue::Catalogue;
use health::Health;
use input::{Connection, Delivered, Event, Input, Moment, ObjectKey, Output, Ticket, Uid};
use job::Job;
use object::{News, Object};
use objects::Objects;

use crate::api::{ConnectionKind, ConnectionSeen, JobId};

/// A job of an object.
type Spot = (ObjectKey, JobId);

/// Decides for all objects of one Elasticsearch cluster.
#[derive(Debug, Clone)]
pub struct Reconciler {
    connection: ConnectionSeen,
    health: Health,
    catalogue: Catalogue,
    objects: Objects,
    /// Boxed: a tree keeps room for half as many again.
    jobs: BTreeMap<JobId, Box<Job>>,
    reads: reads::Reads,
    calls: calls::Calls,
    verifications: BTreeMap<Ticket, Spot>,
    writes: BTreeMap<Ticket, ObjectKey>,
    /// Objects that wait for their turn to tell an outcome.
    outcomes_waiting: usize,
    /// Claims that are given up when the call that is on its way has ended.
    yielding: BTreeSet<Spot>,
    /// Members whose job has no config: they wait for the next list.
    missing: BTreeSet<Spot>,
    due: BTreeSet<Spot>,
    unsaid: BTreeSet<ObjectKey>,
    timers: BTreeSet<(Duration, ObjectKey, Option<JobId>)>,
    /// Nothing is claimed of the cluster, because it was silent for too long.
    unobserved: bool,
    /// The trouble of the cluster is one that a human must mend, and those were told that nothing else is known of.
    stalled: bool,
    last_ticket: u64,
    outputs: Vec<Output>,
}

impl Reconciler {
    /// A reconciler that knows of nothing yet. Kind and name of its connection are what status reports.
    pub fn new(kind: ConnectionKind, name: &str, now: Moment) -> Self {
        Self {
            connection: ConnectionSeen {
                kind,
                name: name.to_owned(),
                ..ConnectionSeen::default()
            },
            health: Health::new(now),
            catalogue: Catalogue::default(),
            objects: Objects::default(),
            jobs: BTreeMap::new(),
            reads: reads::Reads::default(),
            calls: calls::Calls::default(),
            verifications: BTreeMap::new(),
            writes: BTreeMap::new(),
            outcomes_waiting: 0,
            yielding: BTreeSet::new(),
            missing: BTreeSet::new(),
            due: BTreeSet::new(),
            unsaid: BTreeSet::new(),
            timers: BTreeSet::new(),
            unobserved: false,
            stalled: false,
            last_ticket: 0,
            outputs: Vec::new(),
        }
    }

    /// Takes one input and returns everything that follows from it now.
    pub fn handle(&mut self, input: Input, now: Moment) -> Vec<Output> {
        match input {
            Input::Delivered(delivered) => self.delivered(*delivered, now),
            Input::Gone(key) => self.gone(&key),
            Input::Refreshed(key, uid, found) => self.refreshed(&key, &uid, found, now),
            Input::Allowed(allowances) => self.allowed(allowances, now),
            Input::AllowedTo(namespace, allow) => self.allowed_to(&namespace, allow, now),
            Input::Connection(connection) => self.connected(connection, now),
            Input::Read(ticket, answer) => self.read(ticket, answer, now),
            Input::Called(ticket, answer) => self.called(ticket, answer, now),
            Input::Verified(ticket, answer) => self.verified(ticket, answer, now),
            Input::Turn(key) => self.write_now(&key, now),
            Input::Written(ticket, answer) => self.acknowledged(ticket, answer, now),
            Input::Ruled(rulings) => self.ruled(rulings),
            Input::Tick => {}
        }
        self.take_timers(now);
        self.watch_silence(now);
        self.watch_stall(now);
        loop {
            while let Some((key, job)) = self.due.pop_first() {
                self.step(&key, &job, now);
                if let Some(member) = self.member(&key, &job) {
                    member.pack();
                }
                self.unsaid.insert(key);
            }
            self.send_calls(now);
            if self.due.is_empty() {
                break;
            }
        }
        while let Some(key) = self.unsaid.pop_first() {
            self.publish(&key, now);
        }
        self.send_reads(now);
        self.objects.fold();
        std::mem::take(&mut self.outputs)
    }

    /// When [`Input::Tick`] is wanted at the latest, in the monotonic time of [`Moment`].
    pub fn next_wake(&self) -> Option<Duration> {
        let timer = self.timers.first().map(|(at, ..)| *at);
        let silence = (self.health.trouble().is_some() && !self.unobserved)
            .then(|| self.health.not_observed_at());
        let stall = self.health.stalls_at().filter(|_| !self.stalled);
        [timer, silence, stall, self.next_read(), self.next_call()]
            .into_iter()
            .flatten()
            .min()
    }

    /// How many objects it knows.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// It knows no object.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    fn ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        Ticket(self.last_ticket)
    }

    /// The ticket that the next request will carry: what is read under it was sent after now.
    fn next_ticket(&self) -> Ticket {
        Ticket(self.last_ticket + 1)
    }

    fn connected(&mut self, connection: Connection, now: Moment) {
        match &connection {
            Connection::Unusable(_) => self.lose_count(),
            Connection::Usable(usable) => {
                self.calls.limit(usable);
            }
        }
        let (identity, cluster) = (self.health.claims_as(), self.health.cluster());
        if !self.health.connect(connection, now) {
            return;
        }
        if cluster.is_some() && self.health.cluster() != cluster {
            self.start_over(now);
        } else if self.health.claims_as() != identity {
            self.claim_anew();
        }
        self.reads.reconnected(now);
        self.settle_origins(now);
        self.wake_all();
    }

    fn delivered(&mut self, delivered: Delivered, now: Moment) {
        let sight_from = self.next_ticket();
        let key = delivered.key.clone();
        self.objects.unfold(&key);
        let awaited = self
            .objects
            .get(&key)
            .is_some_and(|object| object.awaits(&delivered));
        let digest = if awaited {
            0
        } else {
            publish::digest(&delivered.status)
        };
        let delivered = self.sifted(delivered);
        let known = self
            .objects
            .get_mut(&key)
            .filter(|object| object.uid == delivered.uid);
        let new = known.is_none();
        let (scope, requested) = if let Some(object) = known {
            match object.deliver(delivered, digest, sight_from) {
                News::Echo => return,
                News::Changed { scope, requested } => (scope, requested),
            }
        } else {
            self.gone(&key);
            let object = Object::new(delivered, digest, sight_from, now);
            self.objects.insert(key.clone(), object);
            self.settle_origin(&key, now);
            (true, false)
        };
        if requested {
            self.look_at_everything(&key, now);
        }
        if scope {
            self.resolve(&key, now);
            self.doubt(&key, now);
        } else {
            self.claim(&key);
        }
        // Of a new object what is stored stands as it is.
        if !new {
            self.wake_members(&key);
        }
        self.unsaid.insert(key);
    }

    /// A read that was asked for came back. The watch may have been faster, so it says nothing of an object that is
    /// not known any more: what was deleted meanwhile must not come back by an old answer.
    fn refreshed(
        &mut self,
        key: &ObjectKey,
        uid: &Uid,
        found: Option<Box<Delivered>>,
        now: Moment,
    ) {
        let asked = |object: &&mut Object| object.uid == *uid && object.dealings.refreshing;
        let Some(object) = self.objects.get_mut(key).filter(asked) else {
            return;
        };
        object.dealings.refreshing = false;
        match found.filter(|found| found.uid == *uid) {
            Some(found) => self.delivered(*found, now),
            None => self.gone(key),
        }
    }

    fn gone(&mut self, key: &ObjectKey) {
        if let Some(object) = self.objects.remove(key) {
            self.outcomes_waiting -= usize::from(object.dealings.is_outcome_wanted());
            if let Some(at) = object.dealings.timer {
                self.timers.remove(&(at, key.clone(), None));
            }
            let jobs: Vec<JobId> = object.members.iter().map(|(job, _)| job.clone()).collect();
            for (job, member) in object.members.iter() {
                if let Some(at) = member.timer {
                    self.timers.remove(&(at, key.clone(), Some(job.clone())));
                }
                self.leave(key, job);
            }
            if !jobs.is_empty() {
                self.release(key, jobs);
            }
        }
        self.unsaid.remove(key);
    }

    /// Steps everything that is under way; what is where it should be is not touched by news about the cluster.
    fn wake_all(&mut self) {
        for (key, object) in self.objects.all_restless() {
            for (job, member) in object.members.iter() {
                if !member.is_settled() {
                    self.due.insert((key.clone(), job.clone()));
                }
            }
        }
        self.unsaid.extend(self.objects.keys().cloned());
    }

    fn wake_members(&mut self, key: &ObjectKey) {
        if let Some(object) = self.objects.get(key) {
            let jobs = object.members.iter().map(|(job, _)| job);
            self.due.extend(jobs.map(|job| (key.clone(), job.clone())));
        }
    }

    /// After a long silence nothing is claimed any more, and when it ends everything is looked at before it is claimed again.
    fn watch_silence(&mut self, now: Moment) {
        let silent = self.health.not_observed(now);
        if silent == self.unobserved {
            return;
        }
        self.unobserved = silent;
        let next = self.next_ticket();
        self.unsaid.extend(self.objects.keys().cloned());
        if silent {
            return;
        }
        for key in self.objects.keys().cloned().collect::<Vec<_>>() {
            let Some(object) = self.objects.get_mut(&key) else {
                continue;
            };
            object.sight_from = next;
            object.regaining = true;
            for (job, member) in object.members.iter_mut() {
                member.sighted = false;
                self.due.insert((key.clone(), job.clone()));
            }
        }
    }

    /// Objects whose jobs are not known yet, or not to be asked for, have nothing else that would step them when it is time to
    /// call a human.
    fn watch_stall(&mut self, now: Moment) {
        let stalled = self.health.stalled(now).is_some();
        if std::mem::replace(&mut self.stalled, stalled) || !stalled {
            return;
        }
        let shut_out = self.health.shut_out().is_some();
        let objects = self.objects.iter();
        let unknown = objects.filter(|(_, object)| shut_out || !object.resolved);
        self.unsaid.extend(unknown.map(|(key, _)| key.clone()));
    }

    /// Steps a member again at `at`, or at the earlier time that is set already.
    fn wake_at(&mut self, at: Duration, key: &ObjectKey, job: &JobId) {
        let member = self
            .objects
            .get_mut(key)
            .and_then(|object| object.members.get_mut(job));
        let Some(member) = member else {
            return;
        };
        if member.timer.is_some_and(|set| set <= at) {
            return;
        }
        let timer = |at| (at, key.clone(), Some(job.clone()));
        if let Some(later) = member.timer.replace(at) {
            self.timers.remove(&timer(later));
        }
        self.timers.insert(timer(at));
    }

    /// Looks at an object again at `at`, or at the earlier time that is set already.
    fn wake_object_at(&mut self, at: Duration, key: &ObjectKey) {
        let Some(object) = self.objects.get_mut(key) else {
            return;
        };
        if object.dealings.timer.is_some_and(|set| set <= at) {
            return;
        }
        if let Some(later) = object.dealings.timer.replace(at) {
            self.timers.remove(&(later, key.clone(), None));
        }
        self.timers.insert((at, key.clone(), None));
    }

    fn take_timers(&mut self, now: Moment) {
        while let Some((at, ..)) = self.timers.first()
            && *at <= now.monotonic
            && let Some((_, key, job)) = self.timers.pop_first()
        {
            let Some(object) = self.objects.get_mut(&key) else {
                continue;
            };
            match job {
                None => {
                    object.dealings.timer = None;
                    self.unsaid.insert(key);
                }
                Some(job) => {
                    if let Some(member) = object.members.get_mut(&job) {
                        member.timer = None;
                        self.due.insert((key, job));
                    }
                }
            }
        }
    }

    fn event(&mut self, key: &ObjectKey, job: Option<&JobId>, event: Event) {
        if let Some(object) = self.objects.get(key) {
            self.outputs.push(Output::Event {
                key: key.clone(),
                uid: object.uid.clone(),
                job: job.cloned(),
                event,
            });
        }
    }
}

#[cfg(test)]
impl Reconciler {
    /// Nothing is left over of what has ended.
    fn assert_at_rest(&self) {
        assert!(self.verifications.is_empty() && self.writes.is_empty() && self.due.is_empty());
        assert!(self.outputs.is_empty() && self.unsaid.is_empty());
        let objects = self.objects.iter();
        let waiting = objects
            .filter(|(_, object)| object.dealings.is_outcome_wanted())
            .count();
        assert_eq!(self.outcomes_waiting, waiting);
        assert!(
            self.yielding.is_empty(),
            "{:?} {:?}",
            self.yielding,
            self.jobs
        );
        let members: usize = self
            .objects
            .iter()
            .map(|(_, object)| object.members.len())
            .sum();
        assert!(self.timers.len() <= self.objects.len() + members);
        assert!(
            self.jobs.values().all(|job| !job.users.is_empty()),
            "a job that nobody means is kept: {:?}",
            self.jobs
        );
        assert!(self.missing.iter().all(|(key, job)| {
            let object = self.objects.get(key);
            self.catalogue.config(job).is_none()
                && object.is_some_and(|object| object.members.get(job).is_some())
        }));
        self.calls.assert_at_rest(&self.jobs);
    }
}
