//! The brain: a synchronous state machine, one for each Elasticsearch cluster, with many objects in it.
//!
//! It is told what happened and says what shall be done. It never waits, reads no clock, holds no client and rolls no
//! dice: [`Reconciler::handle`] is given the time, [`Reconciler::next_wake`] says when it wants to be asked again. So
//! all of its behaviour, outages and crashes included, runs in unit tests in virtual time.
//!
//! - [`input`]: what goes in and out, plain data
//! - [`target`]: the decision table for one job; start reading here
//! - [`expression`]: which jobs an object means
//! - [`facts`]: what was asked and seen of one close; the rules of session and evidence
//! - [`job`], [`object`], [`health`]: what is known of a job, an object, the cluster
//! - `steps`: from a decision to calls, notes and looks
//! - `reads`: one shared read of states for all objects; [`pace`]: how often, how many
//! - [`turns`]: who is next among tenants
//! - `report`: status and conditions from facts; `publish`: when they are written

pub mod expression;
pub mod facts;
pub mod health;
pub mod input;
pub mod job;
pub mod object;
pub mod pace;
mod publish;
mod reads;
mod report;
mod steps;
pub mod target;
#[cfg(test)]
mod tests;
pub mod turns;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use health::Health;
use input::{Delivered, Event, Input, Moment, ObjectKey, Output, Ticket};
use job::Job;
use object::{News, Object};

use crate::api::JobId;

/// Decides for all objects of one Elasticsearch cluster.
#[derive(Debug)]
pub struct Reconciler {
    connection: Arc<str>,
    health: Health,
    objects: BTreeMap<ObjectKey, Object>,
    jobs: BTreeMap<JobId, Job>,
    reads: reads::Reads,
    calls: BTreeMap<Ticket, (ObjectKey, Arc<str>, input::Call)>,
    verifications: BTreeMap<Ticket, ObjectKey>,
    writes: BTreeMap<Ticket, ObjectKey>,
    room: steps::Room,
    due: BTreeSet<ObjectKey>,
    timers: BTreeSet<(Duration, ObjectKey)>,
    last_ticket: u64,
    outputs: Vec<Output>,
}

impl Reconciler {
    /// A reconciler that knows of nothing yet. `connection` is the name that status reports.
    pub fn new(connection: &str, now: Moment) -> Self {
        Self {
            connection: Arc::from(connection),
            health: Health::new(now),
            objects: BTreeMap::new(),
            jobs: BTreeMap::new(),
            reads: reads::Reads::new(now),
            calls: BTreeMap::new(),
            verifications: BTreeMap::new(),
            writes: BTreeMap::new(),
            room: steps::Room::default(),
            due: BTreeSet::new(),
            timers: BTreeSet::new(),
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
            Input::Connection(connection) => {
                if matches!(connection, input::Connection::Unusable(_)) {
                    self.lose_count();
                }
                if self.health.connect(connection, now) {
                    self.wake_all();
                }
            }
            Input::Read(ticket, answer) => self.read(ticket, answer, now),
            Input::Called(ticket, answer) => self.called(ticket, answer, now),
            Input::Verified(ticket, answer) => self.verified(ticket, answer, now),
            Input::Written(ticket, answer) => self.acknowledged(ticket, answer, now),
            Input::Tick => {}
        }
        self.take_timers(now);
        while let Some(key) = self.due.pop_first() {
            self.step(&key, now);
            if self.due.is_empty() {
                self.fill_room();
            }
        }
        self.send_reads(now);
        std::mem::take(&mut self.outputs)
    }

    /// When [`Input::Tick`] is wanted at the latest, in the monotonic time of [`Moment`].
    pub fn next_wake(&self) -> Option<Duration> {
        let timer = self.timers.first().map(|(at, _)| *at);
        [timer, self.next_read()].into_iter().flatten().min()
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

    fn delivered(&mut self, delivered: Delivered, now: Moment) {
        let digest = publish::digest(&delivered.status);
        let sight_from = self.next_ticket();
        let key = delivered.key.clone();
        if let Some(object) = self
            .objects
            .get_mut(&key)
            .filter(|object| object.uid == delivered.uid)
        {
            let job = object.desired.job.clone();
            if object.deliver(delivered, digest, sight_from) == News::Echo {
                return;
            }
            if job != object.desired.job {
                let new = object.desired.job.clone();
                self.leave(&key, &job);
                self.jobs.entry(new).or_default().users.push(key.clone());
            }
        } else {
            self.gone(&key);
            let job = delivered.desired.job.clone();
            self.jobs.entry(job).or_default().users.push(key.clone());
            self.objects
                .insert(key.clone(), Object::new(delivered, digest, sight_from, now));
        }
        self.due.insert(key);
    }

    /// A read that was asked for came back. The watch may have been faster, so it says nothing of an object that is
    /// not known any more: what was deleted meanwhile must not come back by an old answer.
    fn refreshed(
        &mut self,
        key: &ObjectKey,
        uid: &Arc<str>,
        found: Option<Box<Delivered>>,
        now: Moment,
    ) {
        let asked = |object: &&mut Object| object.uid == *uid && object.refreshing;
        let Some(object) = self.objects.get_mut(key).filter(asked) else {
            return;
        };
        object.refreshing = false;
        match found.filter(|found| found.uid == *uid) {
            Some(found) => self.delivered(*found, now),
            None => self.gone(key),
        }
    }

    fn gone(&mut self, key: &ObjectKey) {
        if let Some(object) = self.objects.remove(key) {
            if let Some(at) = object.timer {
                self.timers.remove(&(at, key.clone()));
            }
            self.leave(key, &object.desired.job);
        }
        self.due.remove(key);
        self.room.leave(key);
    }

    /// The object does not mean this job any more.
    fn leave(&mut self, key: &ObjectKey, job: &JobId) {
        if let Some(known) = self.jobs.get_mut(job) {
            known.users.retain(|user| user != key);
            self.forget_unused(job);
        }
    }

    /// Nobody means this job any more, and no call for it is on its way: it is not read and holds no place in the wave.
    fn forget_unused(&mut self, job: &JobId) {
        let unused = |known: &Job| known.users.is_empty() && known.in_flight.is_none();
        if self.jobs.get(job).is_some_and(unused) {
            self.jobs.remove(job);
            self.reads.forget(job);
            self.room.forget(job);
        }
    }

    fn wake_all(&mut self) {
        self.due.extend(self.objects.keys().cloned());
    }

    /// Steps again at `at`, or at the earlier time that is set already.
    fn wake_at(&mut self, at: Duration, key: &ObjectKey) {
        let Some(object) = self.objects.get_mut(key) else {
            return;
        };
        if object.timer.is_some_and(|set| set <= at) {
            return;
        }
        if let Some(later) = object.timer.replace(at) {
            self.timers.remove(&(later, key.clone()));
        }
        self.timers.insert((at, key.clone()));
    }

    fn take_timers(&mut self, now: Moment) {
        while let Some((at, _)) = self.timers.first()
            && *at <= now.monotonic
            && let Some((_, key)) = self.timers.pop_first()
        {
            if let Some(object) = self.objects.get_mut(&key) {
                object.timer = None;
                self.due.insert(key);
            }
        }
    }

    fn event(&mut self, key: &ObjectKey, event: Event) {
        if let Some(object) = self.objects.get(key) {
            self.outputs.push(Output::Event {
                key: key.clone(),
                uid: Arc::clone(&object.uid),
                job: object.desired.job.clone(),
                event,
            });
        }
    }
}

#[cfg(test)]
impl Reconciler {
    /// Nothing is left over of what has ended.
    fn assert_at_rest(&self) {
        assert!(self.calls.is_empty(), "calls: {:?}", self.calls);
        assert!(self.verifications.is_empty() && self.writes.is_empty() && self.due.is_empty());
        assert!(self.outputs.is_empty());
        assert!(self.timers.len() <= self.objects.len());
        assert!(
            self.jobs.values().all(|job| !job.users.is_empty()),
            "a job that nobody means is kept: {:?}",
            self.jobs
        );
        self.room.assert_at_rest(&self.jobs);
    }
}
