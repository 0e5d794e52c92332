//! The decision table for a job that somebody wants opened.
//!
//! The counterpart of `target`: pure, one step at a time, the order of the rows is the meaning. It never forces anything:
//! a job that hangs in closing, or has failed, is a human's matter when it is wanted open.

use super::decision::{Ask, Decision, Situation};
use super::input::SeenState;
use super::job::Seen;
use super::pace;
use super::target::{blocked, drifted, is_assigned, missing, retry, stall};
use crate::api::{JobState, OpenDatafeed, Reason, Step};

/// The rows for a job that was just seen.
pub(super) fn decide(situation: &Situation, seen: &Seen) -> Decision {
    let (Some(state), Some(config)) = (&seen.state, situation.config) else {
        return match &seen.state {
            None => missing(situation),
            Some(_) => stall(
                Reason::ConfigLost,
                format!(
                    "job {} has a running task but no config, so it cannot be opened; close it by force, then create it anew",
                    situation.id
                ),
            ),
        };
    };
    if config.blocked.is_some() {
        return blocked();
    }
    match state.state {
        JobState::Closed => closed(situation),
        JobState::Opening => opening(situation, state),
        JobState::Opened => opened(situation, seen, is_assigned(state)),
        JobState::Closing => closing(situation),
        JobState::Failed => stall(
            Reason::JobFailed,
            format!(
                "job {} has failed and cannot be opened; look into its messages in Elasticsearch and close it by force first",
                situation.id
            ),
        ),
    }
}

fn closed(situation: &Situation) -> Decision {
    if let Some(drift) = situation
        .member
        .drifting
        .drift
        .filter(|drift| !drift.corrected)
    {
        match drift.cause {
            Reason::Completed => return stall(drift.cause, completed(situation)),
            Reason::IdleClosed => return stall(drift.cause, idle(situation)),
            _ => {}
        }
    }
    if let Some(decision) = drifted(situation) {
        return decision;
    }
    if !situation.open_after.is_zero() {
        return Decision::Wait(
            Step::Waiting,
            Reason::Opening,
            situation.open_after.min(pace::SWEEP),
        );
    }
    retry(situation, Step::Opening, Reason::Opening).unwrap_or(Decision::Call(Ask::Open))
}

fn completed(situation: &Situation) -> String {
    format!(
        "the datafeed of job {} reached its end and closed the job, as it was told to; to keep it open, open the job and start the datafeed without an end",
        situation.id
    )
}

fn idle(situation: &Situation) -> String {
    format!(
        "Elasticsearch closed job {} because it was given no data for two days (xpack.ml.idle_job_auto_close_timeout); open it and start its datafeed, or set state: Closed",
        situation.id
    )
}

fn opening(situation: &Situation, state: &SeenState) -> Decision {
    let assigned = is_assigned(state);
    let facts = situation.facts();
    let timeout = situation.desired.open.timeout.as_duration();
    if facts.opening_for >= timeout {
        let why = match state.on_node.explanation.as_deref().filter(|_| !assigned) {
            Some(explanation) => format!("no node takes it: {explanation}"),
            None => "a node has it and says nothing more; look into its log".to_owned(),
        };
        let message = format!(
            "job {} is still opening after open.timeout of {}; {why}",
            situation.id, situation.desired.open.timeout
        );
        return stall(Reason::OpenTimedOut, message);
    }
    let gap = pace::look_gap(facts.age(situation.now), timeout, situation.lane);
    let reason = if assigned {
        Reason::Opening
    } else {
        Reason::AwaitingNode
    };
    Decision::Wait(Step::Opening, reason, gap)
}

fn opened(situation: &Situation, seen: &Seen, assigned: bool) -> Decision {
    if !situation.member.sighted {
        return Decision::Observe;
    }
    if !assigned {
        return Decision::Wait(Step::Waiting, Reason::AwaitingNode, pace::SWEEP / 3);
    }
    // A datafeed that somebody stops later is theirs: the state of the job is what is held.
    let Some(datafeed) = seen.datafeed.as_ref().filter(|_| !situation.member.arrived) else {
        return Decision::Done;
    };
    let starts = match situation.desired.open.datafeed {
        OpenDatafeed::Leave => false,
        OpenDatafeed::Start => true,
        OpenDatafeed::Resume => situation.resumes,
    };
    if !starts || datafeed.runs() {
        return Decision::Done;
    }
    // The first goes at once, however short ago the job was opened.
    let facts = situation.facts();
    let again = facts.failures > 0 || facts.answered > 0;
    retry(situation, Step::StartingDatafeed, Reason::StartingDatafeed)
        .filter(|_| again)
        .unwrap_or_else(|| Decision::Call(Ask::StartDatafeed(datafeed.id.clone())))
}

fn closing(situation: &Situation) -> Decision {
    let facts = situation.facts();
    let timeout = &situation.desired.close.timeout;
    if facts.evidence >= timeout.as_duration() {
        return stall(
            Reason::CloseHangs,
            format!(
                "job {} has been closing for {timeout} and cannot be opened before that ends; with state: Closed it may be closed by force",
                situation.id
            ),
        );
    }
    let gap = pace::look_gap(
        facts.age(situation.now),
        timeout.as_duration(),
        situation.lane,
    );
    Decision::Wait(Step::Waiting, Reason::Closing, gap)
}
