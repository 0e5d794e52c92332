//! The world around the reconciler: jobs, objects, a clock, and what is broken just now.
//!
//! It answers every output as the reference says Elasticsearch and the API server would, at once or after a set delay.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

pub(super) use super::fake_job::FakeJob;
use super::life::Rules;
use crate::api::{
    AnomalyJobStatus, CloseMode, ClosePolicy, DatafeedState, DeletionPolicy, DriftPolicy,
    JobExpression, JobId, JobPattern, JobState, OnFailed, OnTimeout, OpenPolicy, Reason, TimeSpan,
};
use crate::reconciler::Reconciler;
use crate::reconciler::claims::Claims;
use crate::reconciler::input::*;
use crate::reconciler::turns::Turns;

pub(super) struct World {
    pub brain: Reconciler,
    pub clock: Duration,
    pub jobs: BTreeMap<JobId, FakeJob>,
    pub stored: BTreeMap<ObjectKey, Delivered>,
    pub calls: Vec<(Duration, Call)>,
    pub reads: Vec<Question>,
    /// HTTP requests that all this would have been: reads and calls.
    pub requests: usize,
    /// Searches that Elasticsearch makes for them.
    pub searches: usize,
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
    /// The credentials have `monitor`, so the tasks may be read.
    pub monitor: bool,
    /// Statistics of datafeeds do not say whether they have an end.
    pub hides_kind: bool,
    pub api_server_down: bool,
    /// Status writes are taken, but nobody is told.
    pub lose_acks: bool,
    /// Answers on their way, and the brain that they are for.
    pub(super) pending: BTreeMap<(Duration, u64), (u64, Input)>,
    sent: u64,
    /// When jobs end to open or to close, as far as nobody changed them since.
    changes: BTreeSet<(Duration, JobId)>,
    /// Whose turn it is to be written, and until when each writer is busy.
    turns: Turns<(u64, ObjectKey)>,
    writers: [Duration; 8],
    abandoned: BTreeSet<(u64, Ticket)>,
    pub(super) rules: Rules,
    pub(super) version: u64,
    still: u32,
    pub(super) claims: Claims,
    /// The number of `brain`, and another one that reaches the same cluster through another connection.
    pub(super) side: u64,
    pub(super) other: Option<Box<Reconciler>>,
    /// Objects that belong to that one.
    pub(super) sides: BTreeMap<ObjectKey, u64>,
    /// How many jobs may close at once.
    pub max_closing: usize,
    /// Bytes of ids that fit into a list, as the client has learned it.
    pub list_room: usize,
    /// Bytes of ids that really fit into a list, where something on the way takes fewer.
    pub real_room: Option<usize>,
    /// Closes are refused for load like this.
    pub overloaded: Option<Trouble>,
    /// Reads are answered after this time and no earlier: with a trouble, it is a cluster that hangs.
    pub slow: Duration,
    /// So many calls are refused for load.
    pub overloads: usize,
    /// Of a list only the first half is taken, and the connection breaks.
    pub halves_lists: bool,
    /// So many jobs are listed and no more, as Elasticsearch does at 10 000.
    pub cut_at: Option<usize>,
    /// The list of configs is empty, though there are jobs.
    pub lists_nothing: bool,
}

pub(super) fn job(id: &str) -> JobId {
    JobId::parse(id).unwrap()
}

/// A key of the usual namespace; `other/a` is `a` of another one.
pub(super) fn key(name: &str) -> ObjectKey {
    let (namespace, name) = name.split_once('/').unwrap_or(("ns", name));
    ObjectKey {
        namespace: Arc::from(namespace),
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
    Trouble::new(reason, "as the test says")
}

/// An object's wish for the job of this name.
pub(super) fn desired(expression: &str, wanted: Wanted, close: ClosePolicy) -> Desired {
    Desired {
        scope: Scope {
            expression: JobExpression::parse(expression).unwrap(),
            exclude: Vec::new(),
            allow_no_match: true,
            max_jobs: 100_000,
        },
        wanted,
        suspended: false,
        deleting: None,
        close,
        open: OpenPolicy::default(),
        drift: DriftPolicy::Correct,
        deletion: DeletionPolicy::Retain,
        requested: None,
    }
}

/// Of these sorted ids those that a wildcard means; all wildcards are beginnings.
fn meant<'a>(
    wildcards: &[JobPattern],
    ids: impl IntoIterator<Item = &'a JobId>,
) -> BTreeSet<&'a JobId> {
    let ids: Vec<&JobId> = if wildcards.is_empty() {
        Vec::new()
    } else {
        ids.into_iter().collect()
    };
    let of = |word: &JobPattern| {
        let begins = word.as_str().trim_end_matches('*').to_owned();
        let from = ids.partition_point(|id| id.as_str() < begins.as_str());
        ids.iter()
            .skip(from)
            .copied()
            .take_while(move |id| id.as_str().starts_with(&begins))
            .collect::<Vec<_>>()
    };
    wildcards.iter().flat_map(of).collect()
}

/// How many requests a question is, with so many bytes of ids in each.
fn requests(question: &Question, room: usize) -> usize {
    let lines = |bytes: usize| bytes.div_ceil(room).max(1);
    match question {
        Question::Catalogue => 3,
        Question::Tasks | Question::Info => 1,
        Question::States {
            jobs,
            datafeeds,
            wildcards,
        } => {
            let meant = meant(wildcards, jobs);
            let left = jobs.iter().filter(|id| !meant.contains(id));
            let of_left: usize = left.map(|id| id.as_str().len() + 1).sum();
            let of_words: usize = wildcards.iter().map(|word| word.as_str().len() + 1).sum();
            let by_words = if of_words == 0 { 0 } else { lines(of_words) };
            let by_ids = if of_left == 0 { 0 } else { lines(of_left) };
            let of_feeds: usize = datafeeds.iter().map(|(_, id)| id.as_str().len() + 1).sum();
            let feeds = if of_feeds == 0 { 0 } else { lines(of_feeds) };
            by_words + by_ids + if datafeeds.len() > 300 { 1 } else { feeds }
        }
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
            requests: 0,
            searches: 0,
            writes: Vec::new(),
            events: Vec::new(),
            let_go: 0,
            finished: Vec::new(),
            trouble: None,
            refuses_calls: None,
            upgrade_mode: false,
            before_7_14: false,
            monitor: true,
            hides_kind: false,
            api_server_down: false,
            lose_acks: false,
            pending: BTreeMap::new(),
            sent: 0,
            changes: BTreeSet::new(),
            turns: Turns::default(),
            writers: [Duration::ZERO; 8],
            abandoned: BTreeSet::new(),
            version: 1,
            still: 0,
            claims: Claims::default(),
            rules: Rules::default(),
            side: 1,
            other: None,
            sides: BTreeMap::new(),
            max_closing: 64,
            list_room: 4000,
            real_room: None,
            overloaded: None,
            overloads: 0,
            slow: Duration::from_millis(5),
            halves_lists: false,
            cut_at: None,
            lists_nothing: false,
        };
        world.connect();
        world
    }

    pub(super) fn connect(&mut self) {
        let connection = self.usable();
        self.tell(Input::Connection(Connection::Usable(connection)));
    }

    pub(super) fn usable(&self) -> Usable {
        Usable {
            identity: Arc::from("uuid"),
            cluster_uuid: Some(Arc::from("uuid")),
            version: Some(Arc::from(if self.before_7_14 { "7.10.0" } else { "9.4.1" })),
            stops_datafeeds: !self.before_7_14,
            list_room: self.list_room,
            max_closing: self.max_closing,
        }
    }

    /// The operator dies and another one starts with what is stored.
    pub(super) fn crash(&mut self) {
        self.brain = Reconciler::new("default", moment(self.clock));
        self.pending.clear();
        self.turns = Turns::default();
        self.abandoned.clear();
        self.rules.crashed();
        self.claims = Claims::default();
        self.connect();
        for delivered in self.stored.values().cloned().collect::<Vec<_>>() {
            self.tell(Input::Delivered(Box::new(delivered)));
        }
    }

    /// Creates an object that means the job of the same name.
    pub(super) fn apply(&mut self, name: &str, wanted: Wanted, close: ClosePolicy) {
        self.create(name, desired(name, wanted, close));
    }

    /// Creates an object that asks for this.
    pub(super) fn create(&mut self, name: &str, desired: Desired) {
        self.create_as(key(name), 1, desired);
    }

    /// The same, under a key of its own and for one of two brains.
    pub(super) fn create_as(&mut self, key: ObjectKey, side: u64, desired: Desired) {
        self.sides.insert(key.clone(), side);
        let delivered = self.store(key, desired);
        self.tell_to(side, Input::Delivered(Box::new(delivered)));
    }

    /// The same, while no operator runs that would be told.
    pub(super) fn store(&mut self, key: ObjectKey, desired: Desired) -> Delivered {
        self.version += 1;
        let delivered = Delivered {
            key: key.clone(),
            uid: Arc::from("uid-1"),
            created_at: moment(self.clock).wall,
            generation: 1,
            resource_version: Arc::from(self.version.to_string()),
            finalizers: Vec::new(),
            desired,
            status: AnomalyJobStatus::default(),
        };
        self.stored.insert(key, delivered.clone());
        delivered
    }

    /// What was spent so far is not counted.
    pub(super) fn count_from_now(&mut self) {
        (self.requests, self.searches) = (0, 0);
        self.calls.clear();
        self.reads.clear();
        self.writes.clear();
        self.events.clear();
    }

    /// Edits the spec and delivers it.
    pub(super) fn edit(&mut self, name: &str, change: impl FnOnce(&mut Desired)) {
        self.edit_silently(name, change);
        let delivered = self.stored[&key(name)].clone();
        let side = self.side_of(&delivered.key);
        self.tell_to(side, Input::Delivered(Box::new(delivered)));
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
            let answer = self.pending.keys().next().map(|(at, _)| *at);
            let close = self.changes.first().map(|(at, _)| *at);
            let turn = self.next_turn();
            let others = self.other.as_ref().and_then(|other| other.next_wake());
            let own = self.brain.next_wake();
            let wake = [own, others].into_iter().flatten().min();
            let Some(next) = [answer, close, turn, wake]
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
                "the world stands still at {:?}: pending {answer:?}, close {close:?}, turn {turn:?}, wake {wake:?}",
                self.clock,
            );
            self.clock = next;
            self.finish_closes();
            if answer.is_some_and(|at| at <= next) {
                let (_, (side, input)) = self.pending.pop_first().unwrap();
                self.tell_to(side, input);
            } else if turn.is_some_and(|at| at <= next) {
                self.take_turn();
            } else if others.is_some_and(|at| at <= next) {
                self.tell_to(3 - self.side, Input::Tick);
            } else if own.is_some_and(|at| at <= next) {
                self.tell(Input::Tick);
            }
        }
    }

    fn next_turn(&self) -> Option<Duration> {
        let free = self.writers.iter().min().copied();
        free.filter(|_| !self.turns.is_empty())
    }

    /// One of the few writers takes the next object.
    fn take_turn(&mut self) {
        let Some((side, key)) = self.turns.next(self.clock) else {
            return;
        };
        let before = self.version;
        self.tell_to(side, Input::Turn(key));
        let clock = self.clock;
        let wrote = self.version != before || self.api_server_down;
        if let Some(writer) = self.writers.iter_mut().min().filter(|_| wrote) {
            *writer = clock + Duration::from_millis(3);
        }
    }

    pub(super) fn finish_closes(&mut self) {
        while let Some((at, _)) = self.changes.first()
            && *at <= self.clock
            && let Some((at, id)) = self.changes.pop_first()
        {
            let Some(job) = self.jobs.get_mut(&id) else {
                continue;
            };
            if job.closes_at == Some(at) {
                job.dirty = false;
                job.closed();
            } else if job.opens_at == Some(at) {
                job.opens_at = None;
                job.opened_at = at;
                job.state = JobState::Opened;
            }
        }
    }

    pub(super) fn tell(&mut self, input: Input) {
        if let Input::Called(ticket, _) = &input
            && self.abandoned.contains(&(self.side, *ticket))
        {
            return;
        }
        self.rules.told(self.side, &input);
        let trace = std::env::var("TRACE").is_ok();
        if trace {
            eprintln!("{:?} <- {:?}", self.clock, input);
        }
        for output in self.brain.handle(input, moment(self.clock)) {
            if trace {
                eprintln!("{:?} -> {:?}", self.clock, output);
            }
            self.perform(output);
        }
    }

    fn answer(&mut self, after: Duration, input: Input) {
        self.sent += 1;
        self.pending
            .insert((self.clock + after, self.sent), (self.side, input));
    }

    fn perform(&mut self, output: Output) {
        let soon = Duration::from_millis(5);
        match output {
            Output::Read { ticket, question } => {
                let answer = match &self.trouble {
                    Some(trouble) => Err(trouble.clone()),
                    None => Ok(self.look(&question)),
                };
                let asked = if answer.is_ok() {
                    requests(&question, self.list_room)
                } else {
                    1
                };
                self.requests += asked;
                self.searches += if answer.is_ok() {
                    self.searches_of(&question, asked)
                } else {
                    0
                };
                self.reads.push(question);
                self.answer(self.slow, Input::Read(ticket, answer));
            }
            Output::WantTurn(key, lane) => {
                let tenant = Arc::clone(&key.namespace);
                self.turns.ask(&tenant, (self.side, key), lane, self.clock);
            }
            Output::Claim(claim) => {
                let rulings = self.claims.claim(self.side, claim);
                self.rule(rulings);
            }
            Output::Release(key, jobs) => {
                let rulings = self.claims.release(self.side, &key, &jobs);
                self.rule(rulings);
            }
            Output::GiveWay(key, job) => {
                let rulings = self.claims.give_way(self.side, &key, &[job]);
                self.rule(rulings);
            }
            Output::Finalize {
                ticket,
                key,
                resource_version,
                finalizers,
                ..
            } => self.finalize(ticket, key, &resource_version, finalizers),
            Output::Call { ticket, call, .. } => {
                self.requests += 1;
                self.searches += 2;
                self.calls.push((self.clock, call.clone()));
                self.rules.call((self.side, ticket), &call, self.clock);
                let (after, answer) = self.call(&call);
                self.answer(after, Input::Called(ticket, answer));
            }
            Output::LetGo(ticket) => {
                self.let_go += 1;
                self.abandoned.insert((self.side, ticket));
                self.rules.ended((self.side, ticket));
            }
            Output::Verify {
                ticket,
                key,
                uid,
                job,
                ..
            } => {
                self.requests += 4;
                self.searches += 4;
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
                    None => Ok((object, self.live(&job))),
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

    fn rule(&mut self, mut rulings: crate::reconciler::claims::Rulings) {
        for side in [1, 2] {
            if let Some(ruled) = rulings.remove(&side) {
                self.sent += 1;
                self.pending
                    .insert((self.clock, self.sent), (side, Input::Ruled(ruled)));
            }
        }
    }

    fn finalize(&mut self, ticket: Ticket, key: ObjectKey, version: &str, finalizers: Vec<String>) {
        let soon = Duration::from_millis(3);
        if self.api_server_down {
            return self.answer(soon, Input::Written(ticket, Err(WriteRefused::Failed)));
        }
        self.version += 1;
        let new: Arc<str> = Arc::from(self.version.to_string());
        let answer = match self.stored.get_mut(&key) {
            None => Err(WriteRefused::Gone),
            Some(stored) if &*stored.resource_version != version => Err(WriteRefused::Conflict),
            Some(stored) => {
                stored.finalizers = finalizers;
                stored.resource_version = Arc::clone(&new);
                Ok(new)
            }
        };
        let taken = answer.is_ok();
        self.answer(soon, Input::Written(ticket, answer));
        let goes =
            |stored: &Delivered| stored.desired.deleting.is_some() && stored.finalizers.is_empty();
        if self.stored.get(&key).is_some_and(goes) {
            self.stored.remove(&key);
            self.answer(soon * 2, Input::Gone(key));
        } else if taken {
            let echo = self.stored[&key].clone();
            self.answer(soon * 2, Input::Delivered(Box::new(echo)));
        }
    }

    /// What Elasticsearch answers to a question.
    pub(super) fn look(&self, question: &Question) -> Answer {
        match question {
            Question::Catalogue => Answer::Catalogue(self.listing()),
            Question::Tasks => Answer::Tasks(self.monitor.then(|| self.tasks())),
            Question::Info => Answer::Info(self.upgrade_mode),
            Question::States {
                jobs, datafeeds, ..
            } => {
                let feeds: BTreeSet<&JobId> = datafeeds.iter().map(|(of, _)| of).collect();
                let seen = jobs
                    .iter()
                    .map(|id| (id.clone(), self.see(id, feeds.contains(id))));
                Answer::States(seen.collect())
            }
        }
    }

    /// Searches behind the requests of a question, as a 7.10 makes them (reference section 17): one a list, one a
    /// `_stats`, and of those jobs one for an open one and four for a closed one.
    fn searches_of(&self, question: &Question, requests: usize) -> usize {
        match question {
            Question::Catalogue => requests - 1,
            Question::Tasks | Question::Info => 0,
            Question::States {
                jobs, wildcards, ..
            } => {
                let cost = |job: &FakeJob| if job.state == JobState::Closed { 4 } else { 1 };
                let mut told = meant(wildcards, self.jobs.keys());
                told.extend(jobs);
                let words: Vec<&str> = wildcards.iter().map(|word| word.as_str()).collect();
                let like = |name: &str| {
                    words
                        .iter()
                        .any(|word| name.starts_with(word.trim_end_matches('*')))
                };
                let grouped = self
                    .jobs
                    .iter()
                    .filter(|(_, job)| job.groups.iter().any(|name| like(name)));
                told.extend(grouped.map(|(id, _)| id));
                let told = told.into_iter().filter_map(|id| self.jobs.get(id));
                requests + told.map(cost).sum::<usize>()
            }
        }
    }

    fn listing(&self) -> Listing {
        let most = if self.lists_nothing {
            0
        } else {
            self.cut_at.unwrap_or(usize::MAX)
        };
        let configs = self.jobs.iter().filter(|(_, job)| job.config).take(most);
        let feeds = self.jobs.iter().filter_map(|(id, job)| {
            let (feed, _) = job.datafeed.as_ref()?;
            Some((id.clone(), feed.clone()))
        });
        Listing {
            jobs: configs
                .map(|(id, job)| (id.clone(), job.seen_config()))
                .collect(),
            datafeeds: feeds.collect(),
            complete: self.cut_at.is_none_or(|most| self.jobs.len() < most),
            upgrade_mode: self.upgrade_mode,
            requests: 3,
        }
    }

    fn tasks(&self) -> Tasks {
        let open = self
            .jobs
            .iter()
            .filter(|(_, job)| job.state != JobState::Closed);
        let feeds = self.jobs.iter().filter_map(|(id, job)| {
            let feed = job.seen_datafeed()?;
            feed.runs().then(|| (id.clone(), (feed, job.has_end)))
        });
        Tasks {
            jobs: open.map(|(id, job)| (id.clone(), job.state)).collect(),
            datafeeds: feeds.collect(),
        }
    }

    fn see(&self, id: &JobId, with_datafeed: bool) -> SeenJob {
        let known = |job: &&FakeJob| job.config || job.state != JobState::Closed;
        let Some(job) = self.jobs.get(id).filter(known) else {
            return SeenJob::default();
        };
        let live = job.assigned && matches!(job.state, JobState::Opened | JobState::Closing);
        SeenJob {
            state: Some(SeenState {
                state: job.state,
                assigned: job.assigned,
                upgrade_mode: self.upgrade_mode && job.state != JobState::Closed,
                explanation: (!job.assigned).then(|| Arc::from("no node has room")),
                open_for: live.then(|| secs(self.clock.saturating_sub(job.opened_at).as_secs())),
                latest_record: job.latest_record.map(|at| moment(at).wall),
            }),
            datafeed: job
                .seen_datafeed()
                .filter(|_| with_datafeed)
                .map(|feed| SeenDatafeed {
                    real_time: feed.real_time.filter(|_| !self.hides_kind),
                    ..feed
                }),
        }
    }

    /// What the live reads before a force find.
    pub(super) fn live(&self, id: &JobId) -> LiveLook {
        let config = self.jobs.get(id).filter(|job| job.config);
        LiveLook {
            job: self.see(id, true),
            config: config.map(FakeJob::seen_config),
            upgrade_mode: self.upgrade_mode,
            snapshot: config.and_then(FakeJob::snapshot),
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
        if self.overloads > 0 {
            self.overloads -= 1;
            return (soon, Err(Refusal::Overloaded(trouble(Reason::Overloaded))));
        }
        match call {
            Call::Confirm(id) => match self.jobs.get(id).map(|job| job.state) {
                Some(JobState::Closing) => (secs(1), Err(Refusal::LookAgain { answered: true })),
                _ => self.close(id),
            },
            Call::StopDatafeed { job, force, .. } => {
                let found = self
                    .jobs
                    .get_mut(job)
                    .filter(|job| job.refuses_stops > 0 && !force);
                if let Some(found) = found {
                    found.refuses_stops -= 1;
                    return (
                        soon,
                        Err(Refusal::Refused(trouble(Reason::RetryingAfterError))),
                    );
                }
                if let Some((_, state)) =
                    self.jobs.get_mut(job).and_then(|job| job.datafeed.as_mut())
                {
                    *state = DatafeedState::Stopped;
                }
                (soon, Ok(()))
            }
            Call::ForceClose(id) => {
                let before_7_14 = self.before_7_14;
                let Some(job) = self.jobs.get_mut(id) else {
                    return (soon, Err(Refusal::LookAgain { answered: true }));
                };
                let runs = job
                    .feed()
                    .is_some_and(|state| state != DatafeedState::Stopped);
                if before_7_14 && runs {
                    return (soon, Err(Refusal::DatafeedRuns));
                }
                if !job.ignores_force {
                    // Of a job that is closing, or closed, the datafeed goes on (reference section 3.2).
                    let open = !matches!(job.state, JobState::Closing | JobState::Closed);
                    if let Some((_, state)) = job.datafeed.as_mut().filter(|_| open) {
                        *state = DatafeedState::Stopped;
                    }
                    job.closed();
                }
                (soon, Ok(()))
            }
            Call::Close(ids) => self.close_all(ids),
            Call::Open(id) => self.open(id),
            Call::StartDatafeed { job, .. } => {
                let found = self.jobs.get(job);
                if !found
                    .is_some_and(|job| matches!(job.state, JobState::Opened | JobState::Opening))
                {
                    return (soon, Err(Refusal::LookAgain { answered: true }));
                }
                if let Some(trouble) = found.and_then(|job| job.refuses_start.clone()) {
                    return (soon, Err(Refusal::Refused(trouble)));
                }
                if let Some(found) = self.jobs.get_mut(job)
                    && let Some((_, state)) = &mut found.datafeed
                {
                    *state = DatafeedState::Started;
                    found.has_end = false;
                }
                (soon, Ok(()))
            }
        }
    }

    /// A list is refused before any of it is touched.
    fn close_all(&mut self, ids: &[JobId]) -> (Duration, Result<(), Refusal>) {
        let soon = Duration::from_millis(5);
        if let Some(trouble) = &self.overloaded {
            return (soon, Err(Refusal::Overloaded(trouble.clone())));
        }
        if let [id] = ids {
            return self.close(id);
        }
        let bytes: usize = ids.iter().map(|id| id.as_str().len() + 1).sum();
        if self.real_room.is_some_and(|room| bytes > room + 1) {
            self.list_room = (self.list_room / 2).max(512);
            return (soon, Err(Refusal::ListTooLong(self.list_room)));
        }
        if self.halves_lists {
            for id in ids.iter().take(ids.len() / 2) {
                let _ = self.close(id);
            }
            return (soon, Err(Refusal::LookAgain { answered: false }));
        }
        let unknown = |id: &&JobId| !self.jobs.get(*id).is_some_and(|job| job.config);
        let missing: Vec<JobId> = ids.iter().filter(unknown).cloned().collect();
        if !missing.is_empty() {
            return (soon, Err(Refusal::Unknown(missing)));
        }
        if ids.iter().any(|id| self.jobs[id].refuses_lists) {
            return (soon, Err(Refusal::Refused(trouble(Reason::RequestRefused))));
        }
        if ids.iter().any(|id| self.jobs[id].state == JobState::Failed) {
            return (soon, Err(Refusal::LookAgain { answered: true }));
        }
        let answers: Vec<_> = ids.iter().map(|id| self.close(id)).collect();
        let last = answers
            .iter()
            .map(|(after, _)| *after)
            .max()
            .unwrap_or(soon);
        if last > secs(30) {
            // What Elasticsearch is asked to wait for at most.
            return (secs(30), Err(Refusal::LookAgain { answered: true }));
        }
        let error = answers.into_iter().find_map(|(_, answer)| answer.err());
        (last, error.map_or(Ok(()), Err))
    }

    fn open(&mut self, id: &JobId) -> (Duration, Result<(), Refusal>) {
        let soon = Duration::from_millis(5);
        let clock = self.clock;
        let Some(job) = self.jobs.get_mut(id).filter(|job| job.config) else {
            return (soon, Err(Refusal::LookAgain { answered: true }));
        };
        if job.state != JobState::Closed {
            return (soon, Err(Refusal::LookAgain { answered: true }));
        }
        if let Some(trouble) = &job.refuses_open {
            return (soon, Err(Refusal::Refused(trouble.clone())));
        }
        job.opened_at = clock;
        job.dirty = true;
        job.state = JobState::Opening;
        if job.assigned {
            job.opens_at = job.open_takes.map(|takes| clock + takes);
            self.changes.extend(job.opens_at.map(|at| (at, id.clone())));
        } else {
            return (soon, Ok(()));
        }
        let takes = job.open_takes.unwrap_or(secs(1_000_000));
        if takes.is_zero() {
            job.opens_at = None;
            job.state = JobState::Opened;
        }
        (takes + soon, Ok(()))
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
        match job.state {
            JobState::Closed => return (soon, Ok(())),
            JobState::Closing => {
                let left = job
                    .closes_at
                    .map_or(secs(1_000_000), |at| at.saturating_sub(clock));
                return (left + soon, Ok(()));
            }
            JobState::Opened | JobState::Opening | JobState::Failed => {}
        }
        if datafeed_runs && job.feed_hinders {
            return (
                soon,
                Err(Refusal::Refused(trouble(Reason::RetryingAfterError))),
            );
        }
        if let Some((_, state)) = &mut job.datafeed {
            *state = DatafeedState::Stopped;
        }
        if !job.assigned || job.state == JobState::Opening {
            job.closed();
            return (soon, Ok(()));
        }
        if job.refuses_lists && job.close_takes.is_none() {
            return (soon, Err(Refusal::Refused(trouble(Reason::RequestRefused))));
        }
        match job.close_takes {
            Some(Duration::ZERO) => {
                job.dirty = false;
                job.closed();
                (soon, Ok(()))
            }
            takes => {
                job.state = JobState::Closing;
                job.opens_at = None;
                job.closes_at = takes.map(|takes| clock + takes);
                self.changes
                    .extend(job.closes_at.map(|at| (at, id.clone())));
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
