//! What counts as evidence and what does not, look by look: the facts of one attempt alone, without a world.

use std::time::Duration;

use super::world::{moment, secs};
use crate::api::JobState;
use crate::reconciler::facts::Facts;
use crate::reconciler::input::{Millis, OnNode, SeenConfig, SeenState};
use crate::reconciler::seldom::Seldom;

const MINUTE: Duration = Duration::from_secs(60);

/// An answered look at a job that is wanted closed.
fn look(facts: &mut Facts, state: Option<&SeenState>, at: u64) {
    let config = SeenConfig::default();
    facts.observe(state, Some(&config), MINUTE * 10, moment(secs(at)));
}

/// The same, where it is wanted opened.
fn look_opening(facts: &mut Facts, state: Option<JobState>, at: u64) {
    let (state, config) = (state.map(SeenState::of), SeenConfig::default());
    facts.observe_opening(state.as_ref(), Some(&config), MINUTE * 10, moment(secs(at)));
}

#[test]
fn what_is_missing_is_so_from_look_to_look_and_a_longer_gap_counts_as_a_minute() {
    let (mut closing, mut opening) = (Facts::NONE, Facts::NONE);
    for (at, absent) in [(0, 0), (50, 50), (300, 110)] {
        look(&mut closing, None, at);
        look_opening(&mut opening, None, at);
        let absent = secs(absent);
        assert_eq!((closing.absent_for, opening.absent_for), (absent, absent));
    }
    look(&mut closing, Some(&SeenState::of(JobState::Closed)), 310);
    look_opening(&mut opening, Some(JobState::Opened), 310);
    let absent = (closing.absent_for, opening.absent_for);
    assert_eq!(absent, (Duration::ZERO, Duration::ZERO));
}

#[test]
fn an_open_job_that_tells_no_age_is_of_another_session_where_it_was_not_looked_at_for_minutes() {
    let mut facts = Facts::NONE;
    facts.calling(moment(secs(0)));
    facts.answered = 3;
    let opened = SeenState::of(JobState::Opened);
    for (at, evidence, answered) in [(1, 0, 0), (2, 0, 0)] {
        look(&mut facts, Some(&opened), at);
        assert_eq!((facts.evidence, facts.answered), (secs(evidence), answered));
    }
    facts.answered = 3;
    for (at, evidence, answered) in [(5, 3, 3), (10, 8, 3), (191, 0, 0)] {
        look(&mut facts, Some(&opened), at);
        assert_eq!((facts.evidence, facts.answered), (secs(evidence), answered));
    }
}

#[test]
fn the_time_between_two_states_is_evidence_of_neither() {
    let mut facts = Facts::NONE;
    for (state, at, closing, opening) in [
        (JobState::Closing, 0, 0, 0),
        (JobState::Closing, 1, 1, 0),
        (JobState::Opening, 2, 1, 0),
        (JobState::Opening, 4, 1, 2),
        (JobState::Closing, 5, 1, 2),
        (JobState::Opened, 6, 0, 0),
    ] {
        look_opening(&mut facts, Some(state), at);
        let counted = (facts.evidence, facts.opening_for);
        assert_eq!(counted, (secs(closing), secs(opening)), "{state:?} at {at}");
    }
}

#[test]
fn what_is_seen_in_upgrade_mode_is_no_evidence() {
    let (mut closing, mut opening) = (Facts::NONE, Facts::NONE);
    let config = SeenConfig::default();
    for (at, upgrade_mode, counted) in [(0, false, 0), (1, false, 1), (2, true, 1), (3, true, 1)] {
        for (facts, state) in [
            (&mut closing, JobState::Closing),
            (&mut opening, JobState::Opening),
        ] {
            let seen = SeenState {
                upgrade_mode,
                ..SeenState::of(state)
            };
            let now = moment(secs(at));
            match state {
                JobState::Closing => facts.observe(Some(&seen), Some(&config), MINUTE, now),
                _ => facts.observe_opening(Some(&seen), Some(&config), MINUTE, now),
            }
        }
        let told = (closing.unproven, opening.opening_for);
        assert_eq!(told, (secs(counted), secs(counted)), "at {at} s");
    }
}

/// `open_time` is in whole seconds, and its answer takes time.
#[test]
fn a_job_that_was_opened_two_seconds_and_more_after_it_was_asked_to_close_was_not_asked() {
    for (open_for, another) in [(12, false), (8, false), (7, true)] {
        let mut facts = Facts::NONE;
        facts.calling(moment(secs(0)));
        let opened = SeenState {
            on_node: Seldom::from(OnNode {
                open_for: Some(secs(open_for)),
                ..OnNode::default()
            }),
            ..SeenState::of(JobState::Opened)
        };
        look(&mut facts, Some(&opened), 10);
        assert_eq!(
            facts.requested_at.is_none(),
            another,
            "open for {open_for} s"
        );
    }
}

/// What status says of it, and a restart goes on from: at each quarter of `timeout`, and never beyond it.
#[test]
fn evidence_is_written_down_at_each_quarter_of_the_timeout_with_a_new_estimate_of_its_end() {
    let timeout = secs(400);
    let mut facts = Facts::NONE;
    look(&mut facts, Some(&SeenState::of(JobState::Closing)), 0);
    for (at, more, checkpoint, end) in [
        (0, 0, 0, 600),
        (150, 99, 0, 600),
        (160, 1, 100, 160 + 300),
        (170, 10, 100, 160 + 300),
        (500, 240, 300, 500 + 50),
        (600, 100, 400, 600),
        (9000, 1000, 400, 600),
    ] {
        facts.unproven = secs(more);
        facts.proven(timeout, moment(secs(at)));
        assert_eq!(facts.unproven, Duration::ZERO);
        let deadline = moment(secs(end)).wall;
        let told = (facts.checkpoint, facts.deadline);
        assert_eq!(told, (secs(checkpoint), Some(deadline)), "at {at} s");
    }
}

/// When a job was created is compared with what was known of it; the clocks of two machines only where nothing was.
#[test]
fn a_job_that_was_created_at_another_time_than_before_was_not_asked_to_close() {
    let created = |at: u64| SeenConfig {
        created_at: Millis::of(moment(secs(at)).wall),
        ..SeenConfig::default()
    };
    let closing = SeenState::of(JobState::Closing);
    for (before, now, another) in [
        (None, 100, false),
        (None, 101, true),
        (Some(500), 500, false),
        (Some(500), 499, true),
    ] {
        let mut facts = Facts::NONE;
        facts.calling(moment(secs(100)));
        if let Some(before) = before {
            facts.created_at = Millis::of(moment(secs(before)).wall);
        }
        let at = moment(secs(200));
        facts.observe(Some(&closing), Some(&created(now)), MINUTE, at);
        assert_eq!(facts.requested_at.is_none(), another, "{before:?}, {now}");
    }
}
