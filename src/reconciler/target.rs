//! The decision table: one job that somebody wants closed, what was seen of it, and what is done next.
//!
//! Pure and synchronous. Reads top to bottom like the table of the design; the order of the rows is the meaning.
//! At most one step follows from one look; what the step costs and whether there is room for it is not decided here.

use std::sync::Arc;
use std::time::Duration;

use super::facts::Facts;
use super::health::{Health, needs_a_human};
use super::input::{Call, Depth, Desired, Moment, SeenDatafeed, SeenJob, Trouble, Wanted};
use super::job::{Job, Seen};
use super::pace;
use crate::api::{
    CloseMode, DatafeedId, DatafeedState, JobState, OnFailed, OnTimeout, Reason, Step,
};

/// Everything that a decision about one target may depend on.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The spec, as delivered last, or read live.
    pub desired: &'a Desired,
    /// The facts of the close.
    pub facts: &'a Facts,
    /// The job as seen.
    pub job: &'a Job,
    /// The cluster.
    pub health: &'a Health,
    /// The datafeeds that the API server has acknowledged as running when their jobs were closed.
    pub durable_resume: &'a [DatafeedId],
    /// The job was read since this generation was delivered.
    pub sighted: bool,
    /// A correction of drift may be made only after this.
    pub correct_after: Duration,
    /// Now.
    pub now: Moment,
}

/// What is to be done about one target.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Nothing is wanted: observing, suspended, being deleted.
    Rest(Reason),
    /// The cluster cannot be asked or must not be called.
    Hold(Trouble),
    /// Look first.
    Observe(Depth),
    /// Something is under way; look again after the gap.
    Wait(Step, Reason, Duration),
    /// The job is where it should be.
    Done,
    /// Only a human can help; look slowly.
    Stall(Trouble),
    /// Note that this datafeed runs, durably, before a close stops it.
    NoteDatafeed(DatafeedId),
    /// Note that a force is coming, durably.
    NoteForce,
    /// Make the live reads that precede a force.
    Verify,
    /// Call Elasticsearch.
    Call(Call),
}

impl Decision {
    /// Nothing more is done about the close but to look: it takes no place in a wave.
    pub fn is_over(&self) -> bool {
        matches!(
            self,
            Self::Stall(_) | Self::Wait(Step::Waiting, Reason::Waiting, _)
        )
    }

    /// The job was seen, and is not where it should be.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Rest(_) | Self::Hold(_) | Self::Observe(_) | Self::Done => false,
            Self::Wait(..)
            | Self::Stall(_)
            | Self::NoteDatafeed(_)
            | Self::NoteForce
            | Self::Verify
            | Self::Call(_) => true,
        }
    }
}

/// Decides.
pub fn decide(situation: &Situation) -> Decision {
    let desired = situation.desired;
    if desired.deleting {
        return Decision::Rest(Reason::Waiting);
    }
    if desired.suspended {
        return Decision::Rest(Reason::Suspended);
    }
    if desired.wanted == Wanted::Observed {
        return Decision::Rest(Reason::Observing);
    }
    if let Some(trouble) = situation.health.trouble() {
        return situation
            .health
            .stalled(situation.now)
            .map_or(Decision::Hold(trouble), Decision::Stall);
    }
    if situation.job.in_flight.is_some() {
        return in_flight(situation);
    }
    let Some(seen) = situation.job.fresh(situation.now) else {
        return Decision::Observe(situation.job.depth_needed(situation.now));
    };
    let decision = seen_now(situation, seen);
    if situation.health.upgrade_mode() && !matches!(decision, Decision::Done | Decision::Stall(_)) {
        return Decision::Hold(upgrade_mode());
    }
    decision
}

fn upgrade_mode() -> Trouble {
    Trouble {
        reason: Reason::UpgradeMode,
        message: Arc::from(
            "Elasticsearch is in upgrade mode and refuses every call; waiting until it ends",
        ),
    }
}

fn in_flight(situation: &Situation) -> Decision {
    let gap = pace::look_gap(
        situation.facts.age(situation.now),
        situation.desired.close.timeout.as_duration(),
    );
    match situation.job.in_flight {
        Some((_, Call::ForceClose(_))) => {
            Decision::Wait(Step::ForceClosing, Reason::ForceClosing, gap)
        }
        Some((_, Call::StopDatafeed { .. })) => {
            Decision::Wait(Step::StoppingDatafeed, Reason::StoppingDatafeed, gap)
        }
        Some((_, Call::Close(_) | Call::Confirm(_))) | None => {
            Decision::Wait(Step::ClosingGracefully, Reason::Closing, gap)
        }
    }
}

/// The rows for a job that was just seen.
fn seen_now(situation: &Situation, seen: &Seen) -> Decision {
    let job = &seen.job;
    match (job.state, &job.config) {
        (None, _) => missing(situation),
        (Some(_), None) => config_lost(situation),
        (Some(_), Some(config)) if config.blocked.is_some() => {
            Decision::Wait(Step::Waiting, Reason::JobBlocked, pace::SWEEP / 3)
        }
        (Some(state), Some(_)) => match state.state {
            JobState::Closed => closed(situation, seen),
            JobState::Failed => failed(situation, job),
            JobState::Closing => closing(situation),
            JobState::Opened | JobState::Opening => open(situation, job),
        },
    }
}

fn missing(situation: &Situation) -> Decision {
    if situation.facts.absent_for < pace::GRACE {
        return Decision::Wait(Step::Pending, Reason::JobNotFound, pace::SWEEP / 3);
    }
    stall(
        Reason::JobNotFound,
        format!(
            "Elasticsearch knows no job {}; create it, or mend spec.jobId",
            situation.desired.job
        ),
    )
}

fn config_lost(situation: &Situation) -> Decision {
    if situation.facts.absent_for < pace::GRACE {
        return Decision::Wait(Step::Waiting, Reason::ConfigLost, pace::SWEEP / 3);
    }
    match situation.desired.close.on_failed {
        OnFailed::Force => force(situation),
        OnFailed::Stall => stall(
            Reason::ConfigLost,
            format!(
                "job {} has a running task but no config; only a force close ends it, and close.onFailed is Stall",
                situation.desired.job
            ),
        ),
    }
}

fn closed(situation: &Situation, seen: &Seen) -> Decision {
    match running(&seen.job) {
        // Closed is claimed of a generation only when a read that was sent after it had been delivered says so.
        None if !situation.sighted => Decision::Observe(Depth::States),
        None => Decision::Done,
        // A close does not stop the datafeed of a job that is closed already.
        Some(datafeed) => stop_datafeed(situation, datafeed, false),
    }
}

fn failed(situation: &Situation, seen: &SeenJob) -> Decision {
    match situation.desired.close.on_failed {
        OnFailed::Stall => stall(
            Reason::JobFailed,
            format!(
                "job {} has failed; only a force close ends it, and close.onFailed is Stall",
                situation.desired.job
            ),
        ),
        OnFailed::Force => match running(seen) {
            Some(datafeed) => stop_datafeed(situation, datafeed, true),
            None => force(situation),
        },
    }
}

fn closing(situation: &Situation) -> Decision {
    let (facts, close) = (situation.facts, &situation.desired.close);
    let timeout = close.timeout.as_duration();
    // A force that was noted is no permission: what allowed it must still hold, as the policy may be another by now.
    if close.mode == CloseMode::Immediate {
        return force(situation);
    }
    if facts.evidence >= timeout {
        return out_of_time(situation, Reason::CloseTimedOut);
    }
    let left = timeout.saturating_sub(facts.evidence + facts.unproven);
    if left.is_zero() || facts.unproven >= pace::CONFIRM_AFTER {
        return retry(situation, Step::ClosingGracefully, Reason::Closing)
            .filter(|_| facts.failures > 0)
            .unwrap_or_else(|| Decision::Call(Call::Confirm(situation.desired.job.clone())));
    }
    let gap = pace::look_gap(facts.age(situation.now), timeout);
    let gap = gap.min(left.max(Duration::from_millis(100)));
    Decision::Wait(Step::ClosingGracefully, Reason::Closing, gap)
}

fn out_of_time(situation: &Situation, reason: Reason) -> Decision {
    let (job, close) = (&situation.desired.job, &situation.desired.close);
    match close.on_timeout {
        OnTimeout::Force => force(situation),
        OnTimeout::Wait => Decision::Wait(
            Step::Waiting,
            Reason::Waiting,
            pace::look_gap(pace::NOT_OBSERVED_AFTER, close.timeout.as_duration()),
        ),
        OnTimeout::Stall => stall(
            reason,
            format!("job {job} did not close within close.timeout, and close.onTimeout is Stall"),
        ),
    }
}

fn open(situation: &Situation, seen: &SeenJob) -> Decision {
    let (facts, desired) = (situation.facts, situation.desired);
    if situation.now.monotonic < situation.correct_after {
        let gap = situation
            .correct_after
            .saturating_sub(situation.now.monotonic);
        return Decision::Wait(
            Step::Waiting,
            Reason::ReopenedElsewhere,
            gap.min(pace::SWEEP),
        );
    }
    if let Some(datafeed) = running(seen) {
        if !situation.durable_resume.contains(&datafeed.id) {
            return Decision::NoteDatafeed(datafeed.id.clone());
        }
        if situation.health.datafeeds_first() {
            return stop_datafeed(situation, datafeed, false);
        }
    }
    if desired.close.mode == CloseMode::Immediate {
        return force(situation);
    }
    // Only closes that were answered: one that was refused was no try of this session.
    let not_accepted = facts.answered >= pace::TRIES_BEFORE_NOT_ACCEPTED
        && facts.evidence >= desired.close.timeout.as_duration();
    if not_accepted {
        return out_of_time(situation, Reason::CloseNotAccepted);
    }
    retry(situation, Step::ClosingGracefully, Reason::Closing)
        .unwrap_or_else(|| Decision::Call(Call::Close(vec![desired.job.clone()])))
}

/// The delay that a refused, or an answered but ineffective, call asks for.
fn retry(situation: &Situation, step: Step, reason: Reason) -> Option<Decision> {
    let facts = situation.facts;
    let ended = facts.call_ended?;
    if let Some(trouble) = facts
        .last_error
        .as_ref()
        .filter(|trouble| needs_a_human(trouble.reason))
        && facts.failures >= pace::TRIES_BEFORE_NOT_ACCEPTED
        && situation.now.monotonic < ended + pace::NOT_OBSERVED_AFTER
    {
        return Some(Decision::Stall(trouble.clone()));
    }
    let delay = match facts.failures {
        0 => pace::repeat_close_after(facts.attempts),
        failures => pace::retry_delay(failures, seed(situation)),
    };
    let left = (ended + delay)
        .checked_sub(situation.now.monotonic)
        .filter(|left| !left.is_zero())?;
    let reason = if facts.failures == 0 {
        reason
    } else {
        Reason::RetryingAfterError
    };
    Some(Decision::Wait(step, reason, left))
}

fn seed(situation: &Situation) -> u64 {
    situation
        .desired
        .job
        .to_string()
        .bytes()
        .fold(1, |seed, byte| {
            seed.wrapping_mul(31).wrapping_add(u64::from(byte))
        })
}

fn stop_datafeed(situation: &Situation, datafeed: &SeenDatafeed, force: bool) -> Decision {
    let (facts, close) = (situation.facts, &situation.desired.close);
    // A stop that keeps failing is forced by the same policy as the close.
    let give_up =
        facts.failures >= pace::TRIES_BEFORE_NOT_ACCEPTED && close.on_timeout == OnTimeout::Force;
    retry(situation, Step::StoppingDatafeed, Reason::StoppingDatafeed).unwrap_or_else(|| {
        Decision::Call(Call::StopDatafeed {
            job: situation.desired.job.clone(),
            datafeed: datafeed.id.clone(),
            force: force || give_up || close.mode == CloseMode::Immediate,
        })
    })
}

/// Live reads, then the durable note, then the force; and all of it again where it shows no effect.
fn force(situation: &Situation) -> Decision {
    let (facts, now) = (situation.facts, situation.now);
    if let Some(sent) = facts.force_sent {
        let again = sent + pace::FORCE_AGAIN_AFTER;
        if now.monotonic < again {
            let gap = pace::look_gap(now.monotonic.saturating_sub(sent), pace::FORCE_AGAIN_AFTER);
            return Decision::Wait(
                Step::ForceClosing,
                Reason::ForceClosing,
                gap.min(again.saturating_sub(now.monotonic)),
            );
        }
    }
    if let Some(wait) =
        retry(situation, Step::ForceClosing, Reason::ForceClosing).filter(|_| facts.failures > 0)
    {
        return wait;
    }
    if !facts.verified(now) {
        return Decision::Verify;
    }
    if !facts.force_is_durable() {
        return Decision::NoteForce;
    }
    Decision::Call(Call::ForceClose(situation.desired.job.clone()))
}

fn running(seen: &SeenJob) -> Option<&SeenDatafeed> {
    seen.datafeed
        .as_ref()
        .filter(|datafeed| datafeed.state != DatafeedState::Stopped)
}

fn stall(reason: Reason, message: String) -> Decision {
    Decision::Stall(Trouble {
        reason,
        message: Arc::from(message),
    })
}
