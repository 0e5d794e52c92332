//! The facts of one attempt, a close or an open: what was asked, what was seen of it, what has to survive a crash.
//!
//! Here are the rules of session and evidence. Nothing here decides; nothing here reads a clock. A deadline is
//! the sum of answered reads that said `closing`, so an outage, a crash or a jump of the wall clock never brings it nearer.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::input::{Millis, Moment, SeenConfig, SeenState, Trouble};
use super::pace;
use super::seldom::rare;
use super::turns::Lane;
use crate::api::{JobState, stamp};

/// `open_time` is told in whole seconds, and the answer took its time.
const SESSION_MARGIN: SignedDuration = SignedDuration::from_secs(2);

/// One target job of one object.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// When the close in progress was first asked for. Durable.
    pub requested_at: Option<Timestamp>,
    /// First evidence that Elasticsearch took it. Durable.
    pub accepted_at: Option<Timestamp>,
    /// How long the job was seen closing; before that, how long answered closes had no effect.
    pub evidence: Duration,
    /// The same, since an answer last showed that the cluster has a master: states are told without one, and nothing
    /// can finish then, so this counts only when the next such answer comes.
    pub unproven: Duration,
    /// The evidence as of the last quarter of `timeout` that it reached: what status says and a restart goes on from.
    pub checkpoint: Duration,
    /// Estimate, for people, of when the evidence will reach `timeout`; made anew at each checkpoint.
    pub deadline: Option<Timestamp>,
    /// Written before the force. Durable.
    pub forced_at: Option<Timestamp>,
    /// `forced_at` as the API server acknowledged it.
    pub durable_forced_at: Option<Timestamp>,
    /// Calls made for this close.
    pub attempts: u32,
    /// Failures in a row.
    pub failures: u32,
    /// The last of them.
    pub last_error: Option<Trouble>,
    /// Graceful closes of this session, or starts of a datafeed, that were answered, so that they should show an effect.
    pub answered: u32,
    /// When the last call ended.
    pub call_ended: Option<Duration>,
    /// When a force was last sent, or these facts were read back after a crash.
    pub force_sent: Option<Duration>,
    /// When this attempt, or these facts, came into this process.
    pub started: Option<Duration>,
    /// The live reads before a force were made at this time; what else follows from them than the force ends them.
    pub verified_at: Option<Duration>,
    /// The job, or its node, was lost while closing: its model may not have been saved.
    pub unsaved: bool,
    /// How long answered reads have not known the job.
    pub absent_for: Duration,
    /// How long answered reads have said `opening`, which is what `open.timeout` is compared with.
    pub opening_for: Duration,
    /// What a force will cost, as the live reads before it said.
    pub cost: Option<Cost>,
    /// When the job of this attempt was created, by the clock of Elasticsearch; absent until it was seen by this process.
    pub(super) created_at: Option<Millis>,
    pub(super) counted: Option<(Counted, Duration)>,
}

/// What is lost by a force: the work since the newest model snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// When that snapshot was taken; absent where there is none, or none could be read.
    pub snapshot_at: Option<Timestamp>,
    /// The newest record that it has learned from.
    pub from: Option<Timestamp>,
    /// The newest record that the job has analysed.
    pub until: Option<Timestamp>,
    /// When the force was decided.
    pub at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    Closing,
    StillOpen(JobState),
    Absent,
}

impl Default for Facts {
    fn default() -> Self {
        Self::NONE
    }
}

rare!(Facts);

impl Facts {
    /// Nothing was asked and nothing was seen.
    pub const NONE: Self = Self {
        requested_at: None,
        accepted_at: None,
        evidence: Duration::ZERO,
        unproven: Duration::ZERO,
        checkpoint: Duration::ZERO,
        deadline: None,
        forced_at: None,
        durable_forced_at: None,
        attempts: 0,
        failures: 0,
        last_error: None,
        answered: 0,
        call_ended: None,
        force_sent: None,
        started: None,
        verified_at: None,
        unsaved: false,
        absent_for: Duration::ZERO,
        opening_for: Duration::ZERO,
        cost: None,
        created_at: None,
        counted: None,
    };

    /// The close in progress is another one: everything begins again, with a graceful close.
    pub fn start_over(&mut self) {
        // What is stored of an earlier note is told once, and the next note may be of the same moment.
        *self = Self {
            durable_forced_at: self.durable_forced_at,
            ..Self::NONE
        };
    }

    /// An attempt is under way that the last word was not spoken of.
    pub fn in_progress(&self) -> bool {
        self.requested_at.is_some() || self.forced_at.is_some()
    }

    /// Takes in what an answered read said of a job that is wanted closed.
    pub fn observe(
        &mut self,
        state: Option<&SeenState>,
        config: Option<&SeenConfig>,
        timeout: Duration,
        now: Moment,
    ) {
        let (Some(state), Some(config)) = (state, config) else {
            let gap = self.count(Counted::Absent, pace::SWEEP * 2, now);
            self.absent_for += gap;
            return;
        };
        self.absent_for = Duration::ZERO;
        if self.is_another_session(config, state, now) {
            self.start_over();
        }
        self.created_at = config.created_at;
        let cap = pace::look_gap(self.age(now), timeout, Lane::Slow) * 2;
        match state.state {
            _ if state.upgrade_mode => self.counted = None,
            JobState::Closing => {
                if self.accepted_at.is_none() {
                    self.unsaved = false;
                    self.accepted_at = Some(stamp(now.wall).0);
                    self.evidence = Duration::ZERO;
                    self.unproven = Duration::ZERO;
                    self.checkpoint = Duration::ZERO;
                    self.deadline = None;
                    self.counted = None;
                }
                self.started.get_or_insert(now.monotonic);
                let gap = self.count(Counted::Closing, cap, now);
                self.unproven += gap;
                self.keep(timeout, now);
            }
            JobState::Opened | JobState::Opening => self.still_open(state, cap, now),
            JobState::Closed | JobState::Failed => self.counted = None,
        }
        if state.state == JobState::Closing && !state.assigned {
            self.unsaved = true;
        }
    }

    /// Takes in what an answered read said of a job that is wanted opened.
    pub fn observe_opening(
        &mut self,
        state: Option<&SeenState>,
        config: Option<&SeenConfig>,
        timeout: Duration,
        now: Moment,
    ) {
        let (Some(state), Some(_)) = (state, config) else {
            let gap = self.count(Counted::Absent, pace::SWEEP * 2, now);
            self.absent_for += gap;
            return;
        };
        self.absent_for = Duration::ZERO;
        let cap = pace::look_gap(self.age(now), timeout, Lane::Slow) * 2;
        match state.state {
            _ if state.upgrade_mode => self.counted = None,
            JobState::Opening => {
                self.started.get_or_insert(now.monotonic);
                let gap = self.count(Counted::StillOpen(JobState::Opening), cap, now);
                self.opening_for += gap;
            }
            JobState::Closing => {
                self.started.get_or_insert(now.monotonic);
                let gap = self.count(Counted::Closing, cap, now);
                self.evidence += gap;
            }
            JobState::Opened | JobState::Closed | JobState::Failed => {
                self.counted = None;
                self.opening_for = Duration::ZERO;
                self.evidence = Duration::ZERO;
            }
        }
    }

    fn still_open(&mut self, state: &SeenState, cap: Duration, now: Moment) {
        let kind = Counted::StillOpen(state.state);
        let unbroken = self.counted.is_some_and(|(before, at)| {
            before == kind && now.monotonic.saturating_sub(at) <= pace::UNBROKEN
        });
        if state.on_node.open_for.is_none() && !unbroken {
            // Nothing tells whether this is the session that was seen before.
            self.evidence = Duration::ZERO;
            self.answered = 0;
        }
        let gap = self.count(kind, cap, now);
        if self.answered > 0 {
            self.evidence += gap;
        }
    }

    /// The cluster did not answer, or has no master: the time until it does again is no evidence of anything.
    pub fn outage(&mut self) {
        self.counted = None;
        self.unproven = Duration::ZERO;
    }

    /// A call was answered by a master: what was seen until now is evidence.
    pub fn proven(&mut self, timeout: Duration, now: Moment) {
        if self.accepted_at.is_some() {
            self.evidence += std::mem::take(&mut self.unproven);
            self.keep(timeout, now);
        }
    }

    fn count(&mut self, what: Counted, cap: Duration, now: Moment) -> Duration {
        let gap = match self.counted {
            Some((before, at)) if before == what => now.monotonic.saturating_sub(at).min(cap),
            _ => Duration::ZERO,
        };
        self.counted = Some((what, now.monotonic));
        gap
    }

    fn is_another_session(&self, config: &SeenConfig, state: &SeenState, now: Moment) -> bool {
        let reopened = matches!(state.state, JobState::Opened | JobState::Opening)
            && self.accepted_at.is_some();
        // What was opened after it had been asked to close was not asked.
        let Some(since) = self.accepted_at.or(self.requested_at).or(self.forced_at) else {
            return reopened;
        };
        let age = now.wall.duration_since(since);
        let opened_later = state
            .on_node
            .open_for
            .and_then(|open_for| SignedDuration::try_from(open_for).ok())
            .is_some_and(|open_for| open_for + SESSION_MARGIN < age);
        // Two clocks are compared only where nothing else tells: in the first look after a restart.
        let created_later = match self.created_at {
            Some(before) => config.created_at.is_some_and(|created| created != before),
            None => config
                .created_at
                .is_some_and(|created| created.timestamp() > since),
        };
        reopened || opened_later || created_later
    }

    /// How long this attempt has been known to this process.
    pub fn age(&self, now: Moment) -> Duration {
        self.started
            .map_or(Duration::ZERO, |at| now.monotonic.saturating_sub(at))
    }

    /// A call for this job is being sent.
    pub fn calling(&mut self, now: Moment) {
        self.requested_at.get_or_insert(stamp(now.wall).0);
        self.started.get_or_insert(now.monotonic);
        self.attempts = self.attempts.saturating_add(1);
    }

    /// A call was answered.
    pub fn succeeded(&mut self, now: Moment) {
        self.failures = 0;
        self.last_error = None;
        self.call_ended = Some(now.monotonic);
    }

    /// A call was refused in a way that trying again may mend.
    pub fn failed(&mut self, trouble: Trouble, now: Moment) {
        self.failures = self.failures.saturating_add(1);
        self.last_error = Some(trouble);
        self.call_ended = Some(now.monotonic);
    }

    /// The force was written down and the API server took it.
    pub fn force_is_durable(&self) -> bool {
        self.forced_at.is_some() && self.forced_at == self.durable_forced_at
    }

    /// The live reads are recent enough for the force they were made for.
    pub fn verified(&self, now: Moment) -> bool {
        self.verified_at
            .is_some_and(|at| now.monotonic.saturating_sub(at) <= pace::VERIFIED_FOR)
    }

    /// Moves the checkpoint where another quarter of `timeout` is full, so that status is written then and not at each tick.
    fn keep(&mut self, timeout: Duration, now: Moment) {
        let quarter = timeout / 4;
        if self.deadline.is_some()
            && (quarter.is_zero() || self.evidence < self.checkpoint + quarter)
        {
            return;
        }
        // Beyond `timeout` it is compared with nothing, and a write for each quarter would never end.
        if self.deadline.is_some() && self.checkpoint >= timeout {
            return;
        }
        while !quarter.is_zero() && self.checkpoint + quarter <= self.evidence.min(timeout) {
            self.checkpoint += quarter;
        }
        let left =
            SignedDuration::try_from(timeout.saturating_sub(self.evidence)).unwrap_or_default();
        // An estimate to the second: it stands in a column.
        let estimate = now.wall.checked_add(left).ok();
        self.deadline = estimate.and_then(|at| Timestamp::from_second(at.as_second()).ok());
    }
}
