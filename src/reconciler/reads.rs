//! One shared read of states for all objects of a cluster.
//!
//! Jobs ask to be looked at by a time; what is due together is read together, and while one read is in flight the
//! next ones gather. Quiet jobs are read in one slow sweep. A cluster in trouble is probed with growing gaps, once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::input::{Call, Depth, Moment, Output, SeenJob, Ticket, Trouble, View};
use super::{Reconciler, pace};
use crate::api::{DatafeedState, JobId, JobState};

/// Looks within this time of one that is due go with it.
const TOGETHER: Duration = Duration::from_millis(100);

/// What is to be read, and what is being read.
#[derive(Debug)]
pub(super) struct Reads {
    looks: BTreeMap<JobId, (Duration, Depth)>,
    by_time: BTreeSet<(Duration, JobId)>,
    in_flight: BTreeMap<Depth, (Ticket, Vec<JobId>)>,
    sweep_at: Duration,
}

impl Reads {
    pub(super) fn new(now: Moment) -> Self {
        Self {
            looks: BTreeMap::new(),
            by_time: BTreeSet::new(),
            in_flight: BTreeMap::new(),
            sweep_at: now.monotonic + pace::SWEEP,
        }
    }

    /// Asks for a read of the job at `at` or earlier, at least this deep.
    pub(super) fn look(&mut self, job: &JobId, at: Duration, depth: Depth) {
        let (at, depth) = match self.looks.get(job) {
            Some((earlier, deeper)) => (at.min(*earlier), depth.max(*deeper)),
            None => (at, depth),
        };
        self.forget(job);
        self.looks.insert(job.clone(), (at, depth));
        self.by_time.insert((at, job.clone()));
    }

    pub(super) fn forget(&mut self, job: &JobId) {
        if let Some((at, _)) = self.looks.remove(job) {
            self.by_time.remove(&(at, job.clone()));
        }
    }

    /// Takes out what is due by `until` and can be read now, by depth.
    fn take_due(&mut self, until: Duration) -> BTreeMap<Depth, Vec<JobId>> {
        let mut due: BTreeMap<Depth, Vec<JobId>> = BTreeMap::new();
        let in_time = self.by_time.iter().take_while(|(at, _)| *at <= until);
        for (_, job) in in_time {
            if let Some((_, depth)) = self.looks.get(job)
                && !self.in_flight.contains_key(depth)
            {
                due.entry(*depth).or_default().push(job.clone());
            }
        }
        for job in due.values().flatten() {
            self.forget(job);
        }
        due
    }
}

impl Reconciler {
    /// Sends the reads that are due.
    pub(super) fn send_reads(&mut self, now: Moment) {
        if !self.health.readable() || now.monotonic < self.health.retry_at() {
            return;
        }
        if now.monotonic >= self.reads.sweep_at {
            self.reads.sweep_at = now.monotonic + pace::SWEEP;
            for job in self.jobs.keys() {
                self.reads.look(job, now.monotonic, Depth::Full);
            }
        }
        let is_due = |(at, _): &(Duration, JobId)| *at <= now.monotonic;
        if !self.reads.by_time.first().is_some_and(is_due) {
            return;
        }
        for (depth, mut jobs) in self.reads.take_due(now.monotonic + TOGETHER) {
            jobs.sort();
            let ticket = self.ticket();
            let datafeeds = self.running_datafeeds(depth, &jobs);
            self.reads.in_flight.insert(depth, (ticket, jobs.clone()));
            self.outputs.push(Output::Read {
                ticket,
                depth,
                jobs,
                datafeeds,
            });
        }
    }

    fn running_datafeeds(
        &self,
        depth: Depth,
        jobs: &[JobId],
    ) -> Vec<(JobId, crate::api::DatafeedId)> {
        if depth == Depth::Full {
            return Vec::new();
        }
        let seen = jobs
            .iter()
            .filter_map(|job| Some((job, self.jobs.get(job)?.seen.as_ref()?)));
        seen.filter_map(|(job, seen)| {
            let datafeed = seen.job.datafeed.as_ref()?;
            (datafeed.state != DatafeedState::Stopped).then(|| (job.clone(), datafeed.id.clone()))
        })
        .collect()
    }

    /// When the next read becomes due.
    pub(super) fn next_read(&self) -> Option<Duration> {
        if !self.health.readable() || self.jobs.is_empty() {
            return None;
        }
        let free = |(_, job): &&(Duration, JobId)| {
            let depth = self.reads.looks.get(job).map(|(_, depth)| depth);
            depth.is_some_and(|depth| !self.reads.in_flight.contains_key(depth))
        };
        let look = self.reads.by_time.iter().find(free).map(|(at, _)| *at);
        let next = look.map_or(self.reads.sweep_at, |at| at.min(self.reads.sweep_at));
        Some(next.max(self.health.retry_at()))
    }

    /// A read was answered.
    pub(super) fn read(&mut self, ticket: Ticket, answer: Result<View, Trouble>, now: Moment) {
        let Some(depth) = self.depth_in_flight(ticket) else {
            return;
        };
        let Some((_, asked)) = self.reads.in_flight.remove(&depth) else {
            return;
        };
        match answer {
            Ok(view) => {
                if self.health.answered(view.upgrade_mode, now) {
                    self.wake_all();
                }
                self.see(ticket, depth, view, now);
            }
            Err(trouble) => {
                for job in &asked {
                    if self.jobs.contains_key(job) {
                        self.reads.look(job, now.monotonic, depth);
                    }
                }
                self.in_trouble(trouble, now);
            }
        }
    }

    /// The cluster as a whole did not answer: nobody's evidence grows, and whoever waits is told why.
    fn in_trouble(&mut self, trouble: Trouble, now: Moment) {
        self.lose_count();
        if self.health.failed(trouble, now) {
            self.wake_all();
        }
    }

    /// A call was refused for the state of the whole cluster: the same, also where reads are answered.
    pub(super) fn refused_by_cluster(&mut self, trouble: Trouble, now: Moment) {
        self.lose_count();
        if self.health.refused(trouble, now) {
            self.wake_all();
        }
    }

    /// Nobody answers: what passes until somebody does is no evidence.
    pub(super) fn lose_count(&mut self) {
        for object in self.objects.values_mut() {
            object.facts.outage();
        }
    }

    fn depth_in_flight(&self, ticket: Ticket) -> Option<Depth> {
        let found = self
            .reads
            .in_flight
            .iter()
            .find(|(_, (sent, _))| *sent == ticket);
        found.map(|(depth, _)| *depth)
    }

    /// Takes what was found out, and wakes exactly the objects whose jobs changed or are on their way.
    pub(super) fn see(&mut self, ticket: Ticket, depth: Depth, view: View, now: Moment) {
        for (id, found) in view.jobs {
            let Some(job) = self.jobs.get_mut(&id) else {
                continue;
            };
            let Some(news) = job.see(ticket, depth, found, now) else {
                // Sent before the last call ended: what it says is of the time before.
                self.reads.look(&id, now.monotonic, depth);
                continue;
            };
            let seen = job
                .seen
                .as_ref()
                .map(|seen| seen.job.clone())
                .unwrap_or_default();
            let users = job.users.clone();
            self.let_go(&id, &seen);
            self.note_closing(std::slice::from_ref(&id));
            for key in users {
                if let Some(object) = self.objects.get_mut(&key)
                    && object.see(ticket, &seen, news, now)
                {
                    self.due.insert(key);
                }
            }
        }
    }

    /// A close that Elasticsearch is seen working on needs no connection of ours.
    fn let_go(&mut self, id: &JobId, seen: &SeenJob) {
        let closing = seen
            .state
            .is_some_and(|state| state.state == JobState::Closing);
        let Some(job) = self.jobs.get_mut(id).filter(|_| closing) else {
            return;
        };
        if let Some((ticket, Call::Close(_))) = job.in_flight {
            job.in_flight = None;
            self.calls.remove(&ticket);
            self.outputs.push(Output::LetGo(ticket));
            self.forget_unused(id);
        }
    }
}
