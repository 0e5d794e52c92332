//! The decision table: one job that somebody wants closed, what was seen of it, and what is done next.
//!
//! Pure and synchronous. Reads top to bottom like the table of the design; the order of the rows is the meaning.
//! At most one step follows from one look; what the step costs and whether there is room for it is not decided here.
//! The rows for a job that is wanted opened are in `opening`.

use std::time::Duration;

use super::decision::{Ask, Decision, Situation};
use super::health::needs_a_human;
use super::input::{Desired, Lane, ObjectKey, SeenDatafeed, SeenState, Trouble, Wanted};
use super::job::Seen;
use super::member::{Claimed, Drift};
use super::{opening, pace, untold};
use crate::api::{
    AllowForce, CloseMode, DriftPolicy, JobId, JobState, OnFailed, OnTimeout, Reason, Step,
};

/// Decides.
pub fn decide(situation: &Situation) -> Decision {
    let Some(wanted) = situation.enforces else {
        return Decision::Rest(why_nothing(situation.desired));
    };
    if let Some(trouble) = situation.health.trouble() {
        return situation
            .health
            .stalled(situation.now)
            .map_or(Decision::Hold(trouble), Decision::Stall);
    }
    match &situation.member.claimed {
        Claimed::Ours => {}
        Claimed::No | Claimed::Asked => {
            return Decision::Hold(Trouble::new(
                Reason::Pending,
                "finding out whether another object means the same job",
            ));
        }
        Claimed::Rival(rival) => return stall(Reason::Conflict, conflict(situation, rival)),
    }
    if situation.job.is_busy() {
        return in_flight(situation);
    }
    if let Some(spell) = situation.untold {
        let trouble = untold::trouble(situation.id.as_str());
        return if spell.is_long {
            Decision::Stall(trouble)
        } else {
            Decision::Hold(trouble)
        };
    }
    let Some(seen) = situation
        .job
        .fresh(situation.now)
        .filter(|_| situation.listed)
    else {
        return Decision::Observe;
    };
    let decision = match wanted {
        Wanted::Opened => opening::decide(situation, seen),
        Wanted::Closed | Wanted::Observed => seen_now(situation, seen),
    };
    hindered(situation, &decision).map_or(decision, Decision::Hold)
}

/// Why what was decided is not done now.
fn hindered(situation: &Situation, decision: &Decision) -> Option<Trouble> {
    let calls = matches!(
        decision,
        Decision::Call(_) | Decision::Verify | Decision::NoteForce | Decision::NoteDatafeed(_)
    );
    if calls && situation.list_is_stale {
        return Some(Trouble::new(
            Reason::Pending,
            "finding out which jobs are meant by now",
        ));
    }
    // Reads are answered in upgrade mode.
    let calls_nothing = matches!(
        decision,
        Decision::Done | Decision::Stall(_) | Decision::Observe
    );
    if situation.health.upgrade_mode() && !calls_nothing {
        return Some(Trouble::new(
            Reason::UpgradeMode,
            "Elasticsearch is in upgrade mode and refuses every call; waiting until it ends",
        ));
    }
    (calls && !situation.held).then(|| {
        Trouble::new(
            Reason::Pending,
            "putting the finalizer of deletionPolicy: Close on the object before anything is called",
        )
    })
}

fn why_nothing(desired: &Desired) -> Reason {
    if desired.deleting.is_some() {
        Reason::Deleting
    } else if desired.suspended {
        Reason::Suspended
    } else {
        Reason::Observing
    }
}

/// The other object is named where it is in the same namespace, and nowhere else.
fn conflict(situation: &Situation, rival: &ObjectKey) -> String {
    let id = situation.id;
    let who = if rival.namespace() == situation.key.namespace() {
        format!("the AnomalyJob {}", rival.name())
    } else {
        "an AnomalyJob of another namespace".to_owned()
    };
    format!("{who} acts on job {id}; this one takes over when that one goes")
}

/// Why the connection forbids force, if it does.
fn forbidden(situation: &Situation) -> Option<Decision> {
    let seen = situation.job.fresh(situation.now);
    let state = seen.and_then(|seen| seen.state.as_ref());
    let last_resort =
        situation.config.is_none() || state.is_some_and(|seen| seen.state == JobState::Failed);
    let allowed = match situation.allow().force {
        AllowForce::Always => return None,
        AllowForce::Failed if last_resort => return None,
        AllowForce::Failed => "allows force only where a job has failed",
        AllowForce::Never => "allows no force",
    };
    Some(stall(
        Reason::NotAllowed,
        format!(
            "job {} would be closed by force now, and the connection {allowed} (its allow.force); wait, change spec.close, or ask who owns it",
            situation.id
        ),
    ))
}

fn in_flight(situation: &Situation) -> Decision {
    let timeout = situation.desired.close.timeout.as_duration();
    // Until it is seen to be taken it holds a place among the calls.
    let gap = pace::look_gap(situation.facts().age(situation.now), timeout, Lane::Fresh);
    let (step, reason) = match &situation.job.doings.in_flight {
        Some((_, Ask::Force)) => (Step::ForceClosing, Reason::ForceClosing),
        Some((_, Ask::StopDatafeed { .. })) => (Step::StoppingDatafeed, Reason::StoppingDatafeed),
        Some((_, Ask::Open)) => (Step::Opening, Reason::Opening),
        Some((_, Ask::StartDatafeed(_))) => (Step::StartingDatafeed, Reason::StartingDatafeed),
        Some((_, Ask::Close | Ask::Confirm)) | None => (Step::ClosingGracefully, Reason::Closing),
    };
    Decision::Wait(step, reason, gap)
}

/// The rows for a job that was just seen.
fn seen_now(situation: &Situation, seen: &Seen) -> Decision {
    match (&seen.state, situation.config) {
        (None, _) => missing(situation),
        (Some(_), None) => config_lost(situation),
        (Some(_), Some(config)) if config.blocked.is_some() => blocked(),
        (Some(state), Some(_)) => match state.state {
            JobState::Closed => closed(situation, seen),
            JobState::Failed => left_alone(situation).unwrap_or_else(|| failed(situation, seen)),
            JobState::Closing => left_alone(situation).unwrap_or_else(|| closing(situation)),
            JobState::Opened | JobState::Opening => open(situation, seen),
        },
    }
}

pub(super) fn blocked() -> Decision {
    Decision::Wait(Step::Waiting, Reason::JobBlocked, pace::SWEEP / 3)
}

pub(super) fn missing(situation: &Situation) -> Decision {
    if situation.facts().absent_for < pace::GRACE {
        return Decision::Wait(Step::Pending, Reason::JobNotFound, pace::SWEEP / 3);
    }
    stall(
        Reason::JobNotFound,
        format!(
            "Elasticsearch knows no job {}; create it, or mend spec.jobId",
            situation.id
        ),
    )
}

fn config_lost(situation: &Situation) -> Decision {
    if situation.facts().absent_for < pace::GRACE {
        return Decision::Wait(Step::Waiting, Reason::ConfigLost, pace::SWEEP / 3);
    }
    match situation.desired.close.on_failed {
        OnFailed::Force => force(situation),
        OnFailed::Stall => stall(
            Reason::ConfigLost,
            format!(
                "job {} has a running task but no config; only a force close ends it, and close.onFailed is Stall",
                situation.id
            ),
        ),
    }
}

fn closed(situation: &Situation, seen: &Seen) -> Decision {
    match running(seen) {
        // Closed is claimed of a generation only when a read that was sent after it had been delivered says so.
        None if !situation.member.sighted => Decision::Observe,
        None => Decision::Done,
        // A close does not stop the datafeed of a job that is closed already.
        Some(datafeed) => stop_datafeed(situation, datafeed, false),
    }
}

fn failed(situation: &Situation, seen: &Seen) -> Decision {
    match situation.desired.close.on_failed {
        OnFailed::Stall => stall(
            Reason::JobFailed,
            format!(
                "job {} has failed; only a force close ends it, and close.onFailed is Stall",
                situation.id
            ),
        ),
        OnFailed::Force => match running(seen) {
            Some(datafeed) if forbidden(situation).is_none() => {
                stop_datafeed(situation, datafeed, true)
            }
            _ => force(situation),
        },
    }
}

fn closing(situation: &Situation) -> Decision {
    let (facts, close) = (situation.facts(), &situation.desired.close);
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
        // A close beside a running datafeed is refused before 7.14, and would show nothing.
        if let Some(datafeed) = refused_beside(situation) {
            return stop_datafeed(situation, datafeed, false);
        }
        return retry(situation, Step::ClosingGracefully, Reason::Closing)
            .filter(|_| facts.failures > 0)
            .unwrap_or(Decision::Call(Ask::Confirm));
    }
    let gap = pace::look_gap(facts.age(situation.now), timeout, situation.lane);
    let gap = gap.min(left.max(Duration::from_millis(100)));
    Decision::Wait(Step::ClosingGracefully, Reason::Closing, gap)
}

fn out_of_time(situation: &Situation, reason: Reason) -> Decision {
    let close = &situation.desired.close;
    match close.on_timeout {
        OnTimeout::Force => force(situation),
        OnTimeout::Wait => Decision::Wait(
            Step::Waiting,
            Reason::Waiting,
            pace::look_gap(
                pace::NOT_OBSERVED_AFTER,
                close.timeout.as_duration(),
                situation.lane,
            ),
        ),
        OnTimeout::Stall => stall(
            reason,
            format!(
                "job {} did not close within close.timeout, and close.onTimeout is Stall",
                situation.id
            ),
        ),
    }
}

/// What was done to a job that had been where it should be: put it back, or only say so; never in a hurry twice.
pub(super) fn drifted(situation: &Situation) -> Option<Decision> {
    let Drift { cause, .. } = situation
        .member
        .drifting
        .drift
        .filter(|drift| !drift.corrected)?;
    let id = situation.id;
    if situation.desired.drift == DriftPolicy::Report {
        let message =
            format!("somebody else changed the state of job {id}, and driftPolicy is Report");
        return Some(stall(cause, message));
    }
    if situation.member.drifting.corrections > pace::FLAPPING_AFTER {
        let message = format!(
            "job {id} was put back {} times and changed again each time; find out who does that, then edit this object or annotate it with anomalyjob.dev/reconcile-requested-at",
            pace::FLAPPING_AFTER
        );
        return Some(stall(Reason::Flapping, message));
    }
    let left = situation
        .member
        .drifting
        .correct_after
        .saturating_sub(situation.now.monotonic);
    (!left.is_zero()).then(|| Decision::Wait(Step::Waiting, cause, left.min(pace::SWEEP)))
}

/// Whatever became of a job that is only reported, or flaps, is not ended by force.
fn left_alone(situation: &Situation) -> Option<Decision> {
    drifted(situation).filter(|decision| matches!(decision, Decision::Stall(_)))
}

fn open(situation: &Situation, seen: &Seen) -> Decision {
    let (facts, desired) = (situation.facts(), situation.desired);
    if let Some(decision) = drifted(situation) {
        return decision;
    }
    if let Some(datafeed) = running(seen) {
        if situation.kind_is_coming {
            return Decision::Hold(Trouble::new(
                Reason::Pending,
                "finding out whether the datafeed was started with an end",
            ));
        }
        if !situation.datafeed_is_noted {
            return Decision::NoteDatafeed(datafeed.id.clone());
        }
        // What a close cannot stop is stopped by a step of its own, and by force where the policy has that.
        let hinders = facts.failures >= pace::TRIES_BEFORE_NOT_ACCEPTED;
        if situation.health.datafeeds_first() || hinders {
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
    retry(situation, Step::ClosingGracefully, Reason::Closing).unwrap_or(Decision::Call(Ask::Close))
}

/// The delay that a refused, or an answered but ineffective, call asks for.
pub(super) fn retry(situation: &Situation, step: Step, reason: Reason) -> Option<Decision> {
    let facts = situation.facts();
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
        failures => pace::retry_delay(failures, seed(situation.id)),
    };
    let asked = facts
        .last_error
        .as_ref()
        .and_then(|error| error.retry_after);
    let delay = delay.max(asked.unwrap_or_default());
    let left = (ended + delay)
        .checked_sub(situation.now.monotonic)
        .filter(|left| !left.is_zero())?;
    let reason = match &facts.last_error {
        Some(error) => why_again(error.reason),
        None => reason,
    };
    Some(Decision::Wait(step, reason, left))
}

/// What is refused for a reason of its own is called by that.
fn why_again(reason: Reason) -> Reason {
    match reason {
        Reason::NoCapacity | Reason::OpenRefused | Reason::DatafeedRefused => reason,
        _ => Reason::RetryingAfterError,
    }
}

fn seed(id: &JobId) -> u64 {
    id.as_str().bytes().fold(1, |seed, byte| {
        seed.wrapping_mul(31).wrapping_add(u64::from(byte))
    })
}

fn stop_datafeed(situation: &Situation, datafeed: &SeenDatafeed, force: bool) -> Decision {
    let (facts, close) = (situation.facts(), &situation.desired.close);
    // A stop that keeps failing is forced by the same policy as the close.
    let give_up =
        facts.failures >= pace::TRIES_BEFORE_NOT_ACCEPTED && close.on_timeout == OnTimeout::Force;
    retry(situation, Step::StoppingDatafeed, Reason::StoppingDatafeed).unwrap_or_else(|| {
        Decision::Call(Ask::StopDatafeed {
            datafeed: datafeed.id.clone(),
            force: (force || give_up || close.mode == CloseMode::Immediate)
                && forbidden(situation).is_none(),
        })
    })
}

/// Live reads, then the durable note, then the force; and all of it again where it shows no effect.
fn force(situation: &Situation) -> Decision {
    if let Some(stalled) = forbidden(situation) {
        return stalled;
    }
    let (facts, now) = (situation.facts(), situation.now);
    if let Some(datafeed) = refused_beside(situation) {
        // Before 7.14 a force is refused as well while it runs.
        return stop_datafeed(situation, datafeed, true);
    }
    if let Some(sent) = facts.force_sent {
        let again = sent + pace::FORCE_AGAIN_AFTER;
        if now.monotonic < again {
            let since = now.monotonic.saturating_sub(sent);
            let gap = pace::look_gap(since, pace::FORCE_AGAIN_AFTER, situation.lane);
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
    Decision::Call(Ask::Force)
}

/// The datafeed that runs and beside which closes, and forces, are refused.
fn refused_beside<'a>(situation: &Situation<'a>) -> Option<&'a SeenDatafeed> {
    let runs = situation.job.fresh(situation.now).and_then(running);
    runs.filter(|_| situation.health.datafeeds_first())
}

/// The datafeed, where it runs.
pub fn running(seen: &Seen) -> Option<&SeenDatafeed> {
    seen.datafeed.as_ref().filter(|datafeed| datafeed.runs())
}

/// Some node runs the job.
pub(super) fn is_assigned(state: &SeenState) -> bool {
    state.assigned || state.upgrade_mode
}

pub(super) fn stall(reason: Reason, message: String) -> Decision {
    Decision::Stall(Trouble::new(reason, message))
}
