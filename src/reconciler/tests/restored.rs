//! What a start makes of what is stored, and what is learned of a job that another object knows already.

use std::time::Duration;

use super::counting::asked_for_states;
use super::fake_job::FakeJob;
use super::groups::{hanging, opened};
use super::life::fed;
use super::world::{World, desired, job, key, moment, policy, secs, trouble};
use crate::api::{
    DatafeedState, DeletionPolicy, DriftPolicy, JobState, OnFailed, OpenDatafeed, Reason,
};
use crate::reconciler::input::*;

/// A job in each of these states, of one group that an object means.
fn group(wanted: Wanted, states: &[(&str, JobState)]) -> World {
    let mut world = World::new();
    for (name, state) in states {
        let fake = FakeJob {
            groups: vec!["g"],
            ..FakeJob::new(*state)
        };
        world.jobs.insert(job(name), fake);
    }
    world.create("o", desired("g", wanted, policy()));
    world.pass(secs(60));
    world
}

#[test]
fn what_is_stored_as_being_where_it_should_be_is_neither_looked_at_nor_written_at_a_start() {
    let (closed, opened) = (JobState::Closed, JobState::Opened);
    for (wanted, states) in [
        (Wanted::Closed, [("a", closed), ("b", closed)]),
        (Wanted::Observed, [("a", closed), ("b", opened)]),
        (Wanted::Observed, [("a", opened), ("b", closed)]),
    ] {
        let mut world = group(wanted, &states);
        let before = world.status("o").clone();
        world.count_from_now();
        world.crash();
        world.pass(secs(3));
        assert_eq!(
            (asked_for_states(&world), world.writes.len()),
            (0, 0),
            "{wanted:?}"
        );
        assert_eq!(*world.status("o"), before);
        // News of the connection has everything told again.
        world.max_closing += 1;
        world.connect();
        world.pass(secs(3));
        assert!(world.writes.is_empty(), "{wanted:?}");
    }
}

/// Somebody may have opened it while the object could not be read.
#[test]
fn of_an_object_that_could_not_be_read_nothing_is_claimed_before_a_look() {
    let mut world = group(Wanted::Closed, &[("a", JobState::Closed)]);
    let stored = &mut world.stored.get_mut(&key("o")).unwrap().status;
    for condition in &mut stored.conditions {
        condition.reason = "InvalidObject".to_owned();
        let status = if condition.type_ == "Closed" {
            "Unknown"
        } else {
            "False"
        };
        condition.status = status.to_owned();
    }
    world.reopen("a");
    world.count_from_now();
    world.crash();
    world.pass(secs(20));
    assert!(world.is("o", "Closed", "True", "AllClosed"));
    let claims = |status: &crate::api::AnomalyJobStatus| {
        let mut conditions = status.conditions.iter();
        conditions.any(|of| of.type_ == "Closed" && of.status == "True")
    };
    let first = world.writes.iter().position(|(_, status)| claims(status));
    assert_eq!((world.closes(), first.is_some()), (1, true));
    assert!(asked_for_states(&world) > 0);
}

#[test]
fn what_is_blocked_is_looked_at_after_a_start() {
    let mut world = group(Wanted::Closed, &[("a", JobState::Closed)]);
    world.fake("a").blocked = true;
    world.crash();
    world.pass(secs(10));
    assert!(world.is("o", "Ready", "False", "JobBlocked"));
}

/// The object told that its job is closed, and nobody told it that the job was opened since; others see that it is.
#[test]
fn what_others_saw_is_newer_than_what_is_stored_of_an_object_that_comes_later() {
    let mut world = World::of("a", FakeJob::new(JobState::Opened), Wanted::Closed);
    world.pass(secs(60));
    let late = world.stored.remove(&key("a")).unwrap();
    world.crash();
    world.reopen("a");
    world.create("sees", desired("a", Wanted::Observed, policy()));
    world.pass(secs(10));
    world.stored.insert(key("a"), late.clone());
    world.tell(Input::Delivered(Box::new(late)));
    world.pass(secs(10));
    assert_eq!(world.state("a"), JobState::Closed);
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
    let drifted = world.condition("a", "Drifted").unwrap();
    assert_eq!(drifted.0, "False", "{drifted:?}");
}

#[test]
fn what_the_list_says_of_a_block_is_told_and_acted_on_at_once() {
    let mut world = group(Wanted::Closed, &[("a", JobState::Closed)]);
    let until_listed = |world: &mut World| {
        world.count_from_now();
        while world.lists() == 0 {
            world.pass(Duration::from_millis(1));
        }
        world.pass(secs(1));
    };
    world.fake("a").blocked = true;
    until_listed(&mut world);
    world.pass(secs(2));
    assert!(world.is("o", "Ready", "False", "JobBlocked"));
    world.reopen("a");
    world.pass(secs(60));
    world.fake("a").blocked = false;
    until_listed(&mut world);
    assert_eq!(world.state("a"), JobState::Closed);
}

#[test]
fn a_job_that_joins_a_group_is_closed_after_the_first_list_that_names_it() {
    for expression in ["g", "g*"] {
        let mut world = group(Wanted::Closed, &[("a", JobState::Closed)]);
        world.delete("o");
        world.create("p", desired(expression, Wanted::Closed, policy()));
        world.pass(secs(60));
        world.jobs.insert(job("b"), opened(&["g"]));
        world.count_from_now();
        while world.state("b") == JobState::Opened {
            world.pass(secs(1));
        }
        assert_eq!(world.lists(), 1, "{expression}");
    }
}

#[test]
fn who_lost_its_job_to_an_older_object_begins_anew_when_that_is_gone() {
    let mut world = World::new();
    world.jobs.insert(job("a"), hanging(&[]));
    world.pass(secs(10));
    world.create("young", desired("a", Wanted::Closed, policy()));
    world.pass(secs(560));
    assert_eq!(world.forces(), 0);
    let mut old = world.store(key("old"), desired("a", Wanted::Closed, policy()));
    old.created_at = moment(Duration::ZERO).wall;
    world.stored.insert(key("old"), old.clone());
    world.tell(Input::Delivered(Box::new(old)));
    world.pass(secs(10));
    assert!(world.is("young", "Stalled", "True", "Conflict"));
    assert!(world.status("young").targets[0].requested_at.is_none());
    world.delete("old");
    world.pass(secs(500));
    assert_eq!(world.forces(), 0);
    world.pass(secs(150));
    assert_eq!(world.forces(), 1);
}

/// What an object means is no id and matches nothing.
fn missing() -> World {
    let mut world = World::new();
    world.jobs.insert(job("a"), opened(&[]));
    world.create("o", desired("Low", Wanted::Closed, policy()));
    world
}

#[test]
fn of_a_long_silence_between_two_lists_a_minute_counts_for_what_they_miss() {
    let mut world = missing();
    world.pass(secs(5));
    let mut silence = trouble(Reason::ClusterUnreachable);
    silence.retry_after = Some(secs(100));
    world.trouble = Some(silence);
    world.pass(secs(90));
    world.trouble = None;
    let missed = |world: &World| world.is("o", "Stalled", "True", "JobNotFound");
    let mut counted = 0;
    while !missed(&world) {
        world.pass(secs(1));
        counted += 1;
        assert!(counted < 400);
    }
    // A minute of the silence and a minute of lists.
    assert!((60..100).contains(&counted), "{counted}");
}

#[test]
fn what_matches_nothing_is_sought_every_ten_seconds_until_a_human_is_called() {
    let mut world = missing();
    world.pass(secs(150));
    assert!(world.is("o", "Stalled", "True", "JobNotFound"));
    assert_eq!(world.lists(), 13);
}

#[test]
fn a_deletion_that_closes_waits_for_nothing_that_an_open_was_refused() {
    let mut fake = fed(JobState::Closed, DatafeedState::Stopped);
    fake.refuses_start = Some(trouble(Reason::RetryingAfterError));
    let mut world = World::new();
    world.jobs.insert(job("a"), fake);
    let mut wish = desired("a", Wanted::Opened, policy());
    wish.deletion = DeletionPolicy::Close;
    wish.open.datafeed = OpenDatafeed::Start;
    world.create("a", wish);
    world.pass(secs(1200));
    assert_eq!(world.state("a"), JobState::Opened);
    world.delete("a");
    world.pass(secs(2));
    assert_eq!(
        (world.state("a"), world.stored.len()),
        (JobState::Closed, 0)
    );
}

#[test]
fn a_human_is_called_two_minutes_after_a_job_or_its_config_was_missed() {
    let lost = FakeJob {
        config: false,
        ..opened(&[])
    };
    for (fake, reason) in [(None, "JobNotFound"), (Some(lost), "ConfigLost")] {
        let mut world = World::new();
        world.jobs.extend(fake.map(|fake| (job("a"), fake)));
        let mut wish = desired("a", Wanted::Closed, policy());
        wish.close.on_failed = OnFailed::Stall;
        world.create("a", wish);
        let begun = world.clock;
        while !world.is("a", "Stalled", "True", reason) {
            world.pass(Duration::from_millis(100));
        }
        let took = world.clock - begun;
        assert!((secs(120)..secs(125)).contains(&took), "{reason}: {took:?}");
    }
}

#[test]
fn an_edit_or_a_request_while_nobody_was_there_is_worth_another_try_of_what_flaps() {
    for edits in [true, false] {
        let mut world = World::of("a", FakeJob::new(JobState::Opened), Wanted::Closed);
        world.pass(secs(60));
        while !world.is("a", "Stalled", "True", "Flapping") {
            world.fake("a").state = JobState::Opened;
            world.pass(secs(600));
        }
        assert_eq!(world.state("a"), JobState::Opened);
        let stored = world.stored.get_mut(&key("a")).unwrap();
        if edits {
            stored.generation += 1;
        } else {
            stored.desired.requested = Some("now".into());
        }
        world.crash();
        world.pass(secs(60));
        assert_eq!(world.state("a"), JobState::Closed, "{edits}");
    }
}

#[test]
fn a_request_while_nobody_was_there_calls_nothing_that_is_only_to_be_reported() {
    let mut world = World::of("a", FakeJob::new(JobState::Closed), Wanted::Closed);
    world.edit("a", |desired| desired.drift = DriftPolicy::Report);
    world.pass(secs(60));
    world.fake("a").state = JobState::Opened;
    world.pass(secs(120));
    assert!(world.is("a", "Stalled", "True", "ReopenedElsewhere"));
    world.stored.get_mut(&key("a")).unwrap().desired.requested = Some("now".into());
    world.crash();
    world.pass(secs(120));
    assert!(world.is("a", "Stalled", "True", "ReopenedElsewhere"));
    assert_eq!(world.calls.len(), 0);
}
