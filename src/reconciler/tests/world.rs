//! The world around the reconciler: jobs, objects, a clock, and what is broken just now.
//!
//! It answers every output as the reference says Elasticsearch and the API server would, at once or after a set delay.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

mod calls;
mod fixtures;
mod objects;
mod perform;
mod reads;

pub(in crate::reconciler) use self::fixtures::{
    brain, desired, job, key, moment, policy, uid, usable,
};
pub(super) use self::fixtures::{secs, trouble};
pub(super) use super::fake_job::FakeJob;
use super::life::Rules;
use crate::api::{Allow, AnomalyJobStatus, JobId, JobState};
use crate::reconciler::Reconciler;
use crate::reconciler::claims::Claims;
use crate::reconciler::input::*;
use crate::reconciler::turns::Turns;

#[derive(Clone)]
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
    /// How often finalizers were written.
    pub finalizes: usize,
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
    /// How long a writer is busy with a write.
    pub write_takes: Duration,
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
    /// How many calls may be on their way at once.
    pub max_in_flight: usize,
    /// What may be done through the connection.
    pub allow: Allow,
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
    /// What the brain is to be told is kept here, and whoever lets messages through by hand takes it.
    pub waits: Option<Vec<Input>>,
    /// How many objects were created.
    objects: u64,
}

impl World {
    pub(super) fn new() -> Self {
        let mut world = Self {
            brain: brain(Duration::ZERO),
            clock: Duration::ZERO,
            jobs: BTreeMap::new(),
            stored: BTreeMap::new(),
            calls: Vec::new(),
            reads: Vec::new(),
            requests: 0,
            searches: 0,
            writes: Vec::new(),
            finalizes: 0,
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
            write_takes: Duration::from_millis(3),
            abandoned: BTreeSet::new(),
            version: 1,
            still: 0,
            claims: Claims::default(),
            rules: Rules::default(),
            side: 1,
            other: None,
            sides: BTreeMap::new(),
            max_closing: 64,
            max_in_flight: 8,
            allow: Allow::default(),
            list_room: 4000,
            real_room: None,
            overloaded: None,
            overloads: 0,
            slow: Duration::from_millis(5),
            halves_lists: false,
            cut_at: None,
            lists_nothing: false,
            waits: None,
            objects: 0,
        };
        world.connect();
        world
    }

    pub(super) fn connect(&mut self) {
        self.tell(Input::Allowed(Allowances::All(self.allow.clone())));
        let connection = self.usable();
        self.tell(Input::Connection(Connection::Usable(connection)));
    }

    pub(super) fn usable(&self) -> Usable {
        Usable {
            version: Some(Arc::from(if self.before_7_14 { "7.10.0" } else { "9.4.1" })),
            stops_datafeeds: !self.before_7_14,
            closes_idle_jobs: !self.before_7_14,
            list_room: self.list_room,
            max_closing: self.max_closing,
            max_in_flight: self.max_in_flight,
            ..usable()
        }
    }

    /// The operator dies and another one starts with what is stored.
    pub(super) fn crash(&mut self) {
        self.forget(brain(self.clock));
        self.connect();
        self.deliver_all();
    }

    /// Nothing but what is stored is known to the next brain.
    pub(super) fn forget(&mut self, next: Reconciler) {
        self.brain = next;
        self.pending.clear();
        self.turns = Turns::default();
        self.abandoned.clear();
        self.rules.crashed();
        self.claims = Claims::default();
    }

    /// Tells of all that are stored, and like the shell lets none of them act before the last was told of.
    pub(super) fn deliver_all(&mut self) {
        self.claims.wait(self.side);
        for delivered in self.stored.values().cloned().collect::<Vec<_>>() {
            self.tell(Input::Delivered(Box::new(delivered)));
        }
        let rulings = self.claims.complete(self.side);
        self.rule(rulings);
    }

    /// Lets time pass, event by event.
    pub(super) fn pass(&mut self, span: Duration) {
        let end = self.clock + span;
        loop {
            let answer = self.pending.keys().next().map(|(at, _)| *at);
            let close = self.next_change();
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
            *writer = clock + self.write_takes;
        }
    }

    /// When the next job ends to open or to close, if nobody has changed it since.
    pub(super) fn next_change(&self) -> Option<Duration> {
        self.changes.first().map(|(at, _)| *at)
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
        if let Some(waits) = &mut self.waits {
            return waits.push(input);
        }
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

    /// The connections of all calls on their way break.
    pub(super) fn cut_calls(&mut self, trouble: &Trouble) {
        for (_, input) in self.pending.values_mut() {
            if let Input::Called(_, answer) = input {
                *answer = Err(Refusal::Cluster(trouble.clone()));
            }
        }
        let calls = |input: &Input| matches!(input, Input::Called(..));
        let cut: Vec<_> = self
            .pending
            .extract_if(.., |_, (_, input)| calls(input))
            .collect();
        for ((_, number), coming) in cut {
            self.pending.insert((self.clock, number), coming);
        }
    }

    fn answer(&mut self, after: Duration, input: Input) {
        self.sent += 1;
        self.pending
            .insert((self.clock + after, self.sent), (self.side, input));
    }
}
