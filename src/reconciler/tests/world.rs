//! The world around the reconciler: jobs, objects, a clock, and what is broken just now.
//!
//! It answers every output as the reference says Elasticsearch and the API server would, at once or after a set delay.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

pub(super) use super::fake_job::FakeJob;
use crate::api::{
    AnomalyJobStatus, CloseMode, ClosePolicy, DatafeedId, DatafeedState, JobId, JobState, OnFailed,
    OnTimeout, Reason, TimeSpan,
};
use crate::reconciler::Reconciler;
use crate::reconciler::input::*;

pub(super) struct World {
    pub brain: Reconciler,
    pub clock: Duration,
    pub jobs: BTreeMap<JobId, FakeJob>,
    pub stored: BTreeMap<ObjectKey, Delivered>,
    pub calls: Vec<(Duration, Call)>,
    pub reads: Vec<Depth>,
    pub writes: Vec<(ObjectKey, AnomalyJobStatus)>,
    pub events: Vec<Event>,
    pub let_go: usize,
    pub finished: Vec<Finish>,
    /// A read, call or live read fails like this.
    pub trouble: Option<Trouble>,
    /// A call fails like this, and reads are answered: no master.
    pub refuses_calls: Option<Trouble>,
    pub upgrade_mode: bool,
    pub before_7_14: bool,
    pub api_server_down: bool,
    /// Status writes are taken, but nobody is told.
    pub lose_acks: bool,
    pub(super) pending: Vec<(Duration, Input)>,
    abandoned: BTreeSet<Ticket>,
    pub(super) version: u64,
    still: u32,
}

pub(super) fn job(id: &str) -> JobId {
    JobId::parse(id).unwrap()
}

pub(super) fn key(name: &str) -> ObjectKey {
    ObjectKey {
        namespace: Arc::from("ns"),
        name: Arc::from(name),
    }
}

pub(super) fn policy() -> ClosePolicy {
    ClosePolicy {
        mode: CloseMode::Graceful,
        timeout: TimeSpan::parse("10m").unwrap(),
        on_timeout: OnTimeout::Force,
        on_failed: OnFailed::Force,
    }
}

pub(super) fn trouble(reason: Reason) -> Trouble {
    Trouble {
        reason,
        message: Arc::from("as the test says"),
    }
}

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl World {
    pub(super) fn new() -> Self {
        let mut world = Self {
            brain: Reconciler::new("default", moment(Duration::ZERO)),
            clock: Duration::ZERO,
            jobs: BTreeMap::new(),
            stored: BTreeMap::new(),
            calls: Vec::new(),
            reads: Vec::new(),
            writes: Vec::new(),
            events: Vec::new(),
            let_go: 0,
            finished: Vec::new(),
            trouble: None,
            refuses_calls: None,
            upgrade_mode: false,
            before_7_14: false,
            api_server_down: false,
            lose_acks: false,
            pending: Vec::new(),
            abandoned: BTreeSet::new(),
            version: 1,
            still: 0,
        };
        world.connect();
        world
    }

    pub(super) fn connect(&mut self) {
        let connection = Connection::Usable {
            cluster_uuid: Some(Arc::from("uuid")),
            version: Some(Arc::from(if self.before_7_14 { "7.10.0" } else { "9.2.1" })),
            stops_datafeeds: !self.before_7_14,
        };
        self.tell(Input::Connection(connection));
    }

    /// The operator dies and another one starts with what is stored.
    pub(super) fn crash(&mut self) {
        self.brain = Reconciler::new("default", moment(self.clock));
        self.pending.clear();
        self.abandoned.clear();
        self.connect();
        for delivered in self.stored.values().cloned().collect::<Vec<_>>() {
            self.tell(Input::Delivered(Box::new(delivered)));
        }
    }

    /// Creates an object that means the job of the same name.
    pub(super) fn apply(&mut self, name: &str, wanted: Wanted, close: ClosePolicy) {
        let desired = Desired {
            job: job(name),
            wanted,
            suspended: false,
            deleting: false,
            close,
        };
        let key = key(name);
        self.version += 1;
        let delivered = Delivered {
            key: key.clone(),
            uid: Arc::from("uid-1"),
            generation: 1,
            resource_version: Arc::from(self.version.to_string()),
            desired,
            status: AnomalyJobStatus::default(),
        };
        self.stored.insert(key, delivered.clone());
        self.tell(Input::Delivered(Box::new(delivered)));
    }

    /// Edits the spec and delivers it.
    pub(super) fn edit(&mut self, name: &str, change: impl FnOnce(&mut Desired)) {
        self.edit_silently(name, change);
        let delivered = self.stored[&key(name)].clone();
        self.tell(Input::Delivered(Box::new(delivered)));
    }

    /// Edits the spec; the watch has not delivered it yet.
    pub(super) fn edit_silently(&mut self, name: &str, change: impl FnOnce(&mut Desired)) {
        self.version += 1;
        let stored = self.stored.get_mut(&key(name)).unwrap();
        change(&mut stored.desired);
        stored.generation += 1;
        stored.resource_version = Arc::from(self.version.to_string());
    }

    /// Somebody else opens the job.
    pub(super) fn reopen(&mut self, id: &str) {
        let clock = self.clock;
        let job = self.jobs.get_mut(&job(id)).unwrap();
        job.state = JobState::Opened;
        job.opened_at = clock;
        job.assigned = true;
        job.closes_at = None;
    }

    pub(super) fn status(&self, name: &str) -> &AnomalyJobStatus {
        &self.stored[&key(name)].status
    }

    pub(super) fn condition(&self, name: &str, of: &str) -> Option<(String, String)> {
        let found = self
            .status(name)
            .conditions
            .iter()
            .find(|condition| condition.type_ == of)?;
        Some((found.status.clone(), found.reason.clone()))
    }

    pub(super) fn is(&self, name: &str, of: &str, status: &str, reason: &str) -> bool {
        self.condition(name, of) == Some((status.to_owned(), reason.to_owned()))
    }

    pub(super) fn count(&self, wanted: impl Fn(&Call) -> bool) -> usize {
        self.calls.iter().filter(|(_, call)| wanted(call)).count()
    }

    pub(super) fn closes(&self) -> usize {
        self.count(|call| matches!(call, Call::Close(_)))
    }

    pub(super) fn forces(&self) -> usize {
        self.count(|call| matches!(call, Call::ForceClose(_)))
    }

    pub(super) fn stops(&self) -> usize {
        self.count(|call| matches!(call, Call::StopDatafeed { .. }))
    }

    pub(super) fn state(&self, id: &str) -> JobState {
        self.jobs[&job(id)].state
    }

    /// Lets time pass, event by event.
    pub(super) fn pass(&mut self, span: Duration) {
        let end = self.clock + span;
        loop {
            let answer = self.pending.iter().map(|(at, _)| *at).min();
            let close = self.jobs.values().filter_map(|job| job.closes_at).min();
            let wake = self.brain.next_wake();
            let Some(next) = [answer, close, wake]
                .into_iter()
                .flatten()
                .min()
                .filter(|next| *next <= end)
            else {
                self.clock = end;
                return;
            };
            let next = next.max(self.clock);
            self.still = if next > self.clock { 0 } else { self.still + 1 };
            assert!(
                self.still < 100_000,
                "the world stands still: {:?}",
                self.brain
            );
            self.clock = next;
            self.finish_closes();
            match self.pending.iter().position(|(at, _)| *at <= next) {
                Some(at) => {
                    let (_, input) = self.pending.remove(at);
                    self.tell(input);
                }
                None if wake.is_some_and(|wake| wake <= next) => self.tell(Input::Tick),
                None => {}
            }
        }
    }

    pub(super) fn finish_closes(&mut self) {
        let clock = self.clock;
        for job in self.jobs.values_mut() {
            if job.closes_at.is_some_and(|at| at <= clock) {
                job.dirty = false;
                job.closed();
            }
        }
    }

    pub(super) fn tell(&mut self, input: Input) {
        if let Input::Called(ticket, _) = &input
            && self.abandoned.contains(ticket)
        {
            return;
        }
        for output in self.brain.handle(input, moment(self.clock)) {
            self.perform(output);
        }
    }

    fn answer(&mut self, after: Duration, input: Input) {
        self.pending.push((self.clock + after, input));
    }

    fn perform(&mut self, output: Output) {
        let soon = Duration::from_millis(5);
        match output {
            Output::Read {
                ticket,
                depth,
                jobs,
                datafeeds,
            } => {
                self.reads.push(depth);
                let answer = match &self.trouble {
                    Some(trouble) => Err(trouble.clone()),
                    None => Ok(self.view(depth, &jobs, &datafeeds)),
                };
                self.answer(soon, Input::Read(ticket, answer));
            }
            Output::Call { ticket, call, .. } => {
                self.calls.push((self.clock, call.clone()));
                let (after, answer) = self.call(&call);
                self.answer(after, Input::Called(ticket, answer));
            }
            Output::LetGo(ticket) => {
                self.let_go += 1;
                self.abandoned.insert(ticket);
            }
            Output::Verify {
                ticket,
                key,
                uid,
                job,
            } => {
                let object = self
                    .stored
                    .get(&key)
                    .filter(|stored| stored.uid == uid)
                    .cloned()
                    .map(Box::new);
                let answer = match &self.trouble {
                    Some(trouble) => Err(Refusal::Cluster(trouble.clone())),
                    None if self.api_server_down => {
                        Err(Refusal::Refused(trouble(Reason::RetryingAfterError)))
                    }
                    None => Ok((object, self.view(Depth::Full, &[job], &[]))),
                };
                self.answer(soon, Input::Verified(ticket, answer));
            }
            Output::Write {
                ticket,
                key,
                resource_version,
                status,
                ..
            } => self.write(ticket, key, &resource_version, *status),
            Output::Refresh(key, uid) => {
                let found = self.stored.get(&key).cloned().map(Box::new);
                self.answer(soon, Input::Refreshed(key, uid, found));
            }
            Output::Event { event, .. } => self.events.push(event),
            Output::Finished { outcome, .. } => self.finished.push(outcome),
        }
    }

    fn write(&mut self, ticket: Ticket, key: ObjectKey, version: &str, status: AnomalyJobStatus) {
        let soon = Duration::from_millis(3);
        if self.api_server_down {
            return self.answer(soon, Input::Written(ticket, Err(WriteRefused::Failed)));
        }
        self.version += 1;
        let new = self.version.to_string();
        let answer = match self.stored.get_mut(&key) {
            None => Err(WriteRefused::Gone),
            Some(stored) if &*stored.resource_version != version => Err(WriteRefused::Conflict),
            Some(stored) => {
                stored.status = status.clone();
                stored.resource_version = Arc::from(new.as_str());
                self.writes.push((key.clone(), status));
                Ok(Arc::from(new.as_str()))
            }
        };
        let taken = answer.is_ok();
        if !(taken && self.lose_acks) {
            self.answer(soon, Input::Written(ticket, answer));
        }
        if taken {
            // The watch brings our own write back, as it does in life.
            let echo = self.stored[&key].clone();
            self.answer(soon * 2, Input::Delivered(Box::new(echo)));
        }
    }

    pub(super) fn view(
        &self,
        depth: Depth,
        jobs: &[JobId],
        datafeeds: &[(JobId, DatafeedId)],
    ) -> View {
        let full = depth == Depth::Full;
        let one = |id: &JobId| {
            let known = |job: &&FakeJob| job.config || job.state != JobState::Closed;
            let Some(job) = self.jobs.get(id).filter(known) else {
                return SeenJob::default();
            };
            let asked = full || datafeeds.iter().any(|(of, _)| of == id);
            let live = job.assigned && matches!(job.state, JobState::Opened | JobState::Closing);
            SeenJob {
                state: Some(SeenState {
                    state: job.state,
                    assigned: job.assigned,
                    upgrade_mode: self.upgrade_mode && job.state != JobState::Closed,
                    open_for: live
                        .then(|| secs(self.clock.saturating_sub(job.opened_at).as_secs())),
                }),
                config: (full && job.config).then(|| SeenConfig {
                    created_at: None,
                    blocked: job.blocked.then(|| Arc::from("reset")),
                }),
                datafeed: job
                    .datafeed
                    .clone()
                    .filter(|_| asked)
                    .map(|(id, state)| SeenDatafeed { id, state }),
            }
        };
        View {
            jobs: jobs.iter().map(|id| (id.clone(), one(id))).collect(),
            upgrade_mode: full.then_some(self.upgrade_mode),
        }
    }

    /// What Elasticsearch does with a call, and when it answers.
    pub(super) fn call(&mut self, call: &Call) -> (Duration, Result<(), Refusal>) {
        let soon = Duration::from_millis(5);
        if let Some(trouble) = self.trouble.as_ref().or(self.refuses_calls.as_ref()) {
            return (soon, Err(Refusal::Cluster(trouble.clone())));
        }
        if self.upgrade_mode {
            return (soon, Err(Refusal::UpgradeMode));
        }
        match call {
            Call::Confirm(id) => match self.jobs.get(id).map(|job| job.state) {
                Some(JobState::Closing) => (secs(1), Err(Refusal::LookAgain { answered: true })),
                _ => self.close(id),
            },
            Call::StopDatafeed { job, .. } => {
                if let Some((_, state)) =
                    self.jobs.get_mut(job).and_then(|job| job.datafeed.as_mut())
                {
                    *state = DatafeedState::Stopped;
                }
                (soon, Ok(()))
            }
            Call::ForceClose(id) => {
                let Some(job) = self.jobs.get_mut(id) else {
                    return (soon, Err(Refusal::LookAgain { answered: true }));
                };
                if !job.ignores_force {
                    job.closed();
                }
                (soon, Ok(()))
            }
            Call::Close(ids) => self.close(&ids[0]),
        }
    }

    fn close(&mut self, id: &JobId) -> (Duration, Result<(), Refusal>) {
        let soon = Duration::from_millis(5);
        let clock = self.clock;
        let before_7_14 = self.before_7_14;
        let Some(job) = self.jobs.get_mut(id) else {
            return (soon, Err(Refusal::LookAgain { answered: true }));
        };
        let datafeed_runs = job
            .datafeed
            .as_ref()
            .is_some_and(|(_, state)| *state != DatafeedState::Stopped);
        if before_7_14 && datafeed_runs {
            return (soon, Err(Refusal::DatafeedRuns));
        }
        if job.state == JobState::Failed {
            return (soon, Err(Refusal::LookAgain { answered: true }));
        }
        if job.lost_closes > 0 {
            job.lost_closes -= 1;
            return (secs(30), Err(Refusal::LookAgain { answered: true }));
        }
        if let Some((_, state)) = &mut job.datafeed {
            *state = DatafeedState::Stopped;
        }
        if !job.assigned {
            job.closed();
            return (soon, Ok(()));
        }
        match job.close_takes {
            Some(Duration::ZERO) => {
                job.dirty = false;
                job.closed();
                (soon, Ok(()))
            }
            takes => {
                job.state = JobState::Closing;
                job.closes_at = takes.map(|takes| clock + takes);
                (takes.unwrap_or(secs(1_000_000)) + soon, Ok(()))
            }
        }
    }
}

pub(super) fn moment(clock: Duration) -> Moment {
    let start = Timestamp::from_second(1_795_000_000).unwrap();
    Moment {
        monotonic: clock,
        wall: start + SignedDuration::try_from(clock).unwrap(),
    }
}
