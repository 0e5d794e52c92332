//! What was done to a job after it had been where it should be: by somebody else, or by Elasticsearch itself.
//!
//! It says what happened and when the next correction may be made. Whether it is corrected is the table's decision.

use std::time::Duration;

use k8s_openapi::jiff::SignedDuration;

use super::input::{Moment, SeenDatafeed, Wanted};
use super::job::{Job, Seen};
use super::member::{Drift, Member, stamped};
use super::pace;
use crate::api::{JobState, Reason};

/// Notices that the job is not where it was left. `before` is what was seen of it while it was there.
pub(super) fn notice(
    member: &mut Member,
    wanted: Option<Wanted>,
    job: &Job,
    before: Option<&Seen>,
    closes_idle_jobs: bool,
    now: Moment,
) {
    let Some(seen) = &job.seen else {
        return;
    };
    let there = match wanted {
        Some(Wanted::Opened) => JobState::Opened,
        _ => JobState::Closed,
    };
    let state = seen.state.as_ref().map(|state| state.state);
    let away = state.filter(|state| *state != there);
    let was_there = member.placed;
    let feeds = there == JobState::Closed && seen.datafeed.as_ref().is_some_and(SeenDatafeed::runs);
    // Deleted or changed, by whomever: nothing may be claimed of it any more.
    member.placed &= state.is_some() && away.is_none() && !feeds;
    member.arrived &= member.placed;
    let enforced = matches!(wanted, Some(Wanted::Closed | Wanted::Opened));
    let Some(state) = away.filter(|_| was_there && enforced && !member.facts().in_progress())
    else {
        return;
    };
    let cause = match (wanted, state) {
        (Some(Wanted::Opened), JobState::Closed | JobState::Closing) => {
            closed_by(job, seen, before, closes_idle_jobs, now)
        }
        (Some(Wanted::Opened), JobState::Failed) => Reason::JobFailed,
        (Some(Wanted::Opened), _) => Reason::ClosedElsewhere,
        _ => Reason::ReopenedElsewhere,
    };
    member.start_over();
    member.drifting.drift = Some(Drift {
        cause,
        seen: state,
        at: stamped(now),
        corrected: false,
    });
    let since = member
        .drifting
        .corrected_at
        .map(|at| Duration::try_from(now.wall.duration_since(at)).unwrap_or_default());
    if since.is_some_and(|since| since > pace::FLAPPING_WITHIN) {
        member.drifting.corrections = 0;
    }
    member.drifting.correct_after =
        now.monotonic + pace::correction_gap(member.drifting.corrections);
    member.drifting.corrections = member.drifting.corrections.saturating_add(1);
    member.drifting.corrected_at = Some(stamped(now));
}

/// Who closed a job that is wanted opened, as far as it can be told (reference sections 7, 10.2: J26, J28).
fn closed_by(
    job: &Job,
    seen: &Seen,
    before: Option<&Seen>,
    closes_idle_jobs: bool,
    now: Moment,
) -> Reason {
    let feed = before.and_then(|before| before.datafeed.as_ref());
    // It closes the job some seconds after it has stopped itself.
    let just_ran = job
        .doings
        .feed_ran
        .is_some_and(|at| now.monotonic.saturating_sub(at) <= pace::ENDED_WITHIN);
    if feed.is_some_and(|feed| feed.real_time == Some(false) && (feed.runs() || just_ran)) {
        return Reason::Completed;
    }
    // A job without a datafeed, or with one that runs, is never closed for being idle.
    if feed.is_none_or(SeenDatafeed::runs) || !closes_idle_jobs {
        return Reason::ClosedElsewhere;
    }
    let idle = SignedDuration::try_from(pace::IDLE).unwrap_or(SignedDuration::MAX);
    let newest = seen.state.as_ref().and_then(|state| state.latest_record);
    if newest.is_some_and(|newest| now.wall.duration_since(newest.timestamp()) >= idle) {
        Reason::IdleClosed
    } else {
        Reason::ClosedElsewhere
    }
}
