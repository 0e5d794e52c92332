//! What tests with whole processes found, each as the shortest story that shows it.

use super::fake_job::FakeJob;
use super::world::{World, desired, job, policy, secs, trouble};
use crate::api::{DatafeedId, DatafeedState, JobState, Reason};
use crate::reconciler::input::*;

fn fed() -> FakeJob {
    let mut fake = FakeJob::new(JobState::Opened);
    let feed = DatafeedId::parse("feed").unwrap();
    fake.datafeed = Some((feed, DatafeedState::Started));
    fake
}

/// Before 7.13 the statistics of a datafeed do not say whether it has an end; the tasks do.
#[test]
fn where_only_the_tasks_say_that_a_datafeed_has_no_end_they_are_asked_before_it_is_stopped() {
    for (monitor, has_end, resumes) in [
        (true, false, true),
        (true, true, false),
        (false, false, false),
    ] {
        let mut world = World::new();
        world.monitor = monitor;
        world.hides_kind = true;
        let mut fake = fed();
        fake.has_end = has_end;
        world.jobs.insert(job("a"), fake.clone());
        world.jobs.insert(job("b"), fake);
        world.apply("a", Wanted::Closed, policy());
        world.pass(secs(20));
        // Known long after the tasks were read.
        world.apply("b", Wanted::Closed, policy());
        world.pass(secs(5));
        for name in ["a", "b"] {
            assert!(
                world.is(name, "Ready", "True", "InDesiredState"),
                "{monitor} {has_end}"
            );
            assert_eq!(!world.status(name).resume_datafeeds.is_empty(), resumes);
        }
        let told = world
            .events
            .iter()
            .filter(|event| event.reason == "DatafeedNotResumed");
        assert_eq!(
            told.count(),
            if resumes { 0 } else { 2 },
            "{monitor} {has_end}"
        );
    }
}

/// Who is meant is found out by a list, and what keeps that from being read is told before it was.
#[test]
fn a_connection_that_fails_later_than_it_was_waited_for_is_told_as_failing() {
    let mut world = World::new();
    world.tell(Input::Connection(Connection::Unusable(trouble(
        Reason::Pending,
    ))));
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(10));
    assert!(world.is("a", "Ready", "False", "Pending"));
    world.tell(Input::Connection(Connection::Unusable(trouble(
        Reason::TimedOut,
    ))));
    world.pass(secs(5));
    assert!(world.is("a", "Ready", "False", "TimedOut"));
}

#[test]
fn what_must_survive_a_crash_survives_a_start_without_a_cluster_too() {
    let mut world = World::new();
    let mut fake = FakeJob::new(JobState::Opened);
    fake.close_takes = None;
    world.jobs.insert(job("a"), fake);
    world.create("o", desired("a*", Wanted::Closed, policy()));
    world.pass(secs(400));
    let before = world.status("o").targets.clone();
    assert!(before[0].accepted_at.is_some() && before[0].evidence.is_some());
    world.crash();
    world.pending.clear();
    world.tell(Input::Connection(Connection::Unusable(trouble(
        Reason::CredentialsInvalid,
    ))));
    world.pass(secs(600));
    assert!(world.is("o", "Stalled", "True", "CredentialsInvalid"));
    assert_eq!(world.status("o").targets, before);
}

#[test]
fn upgrade_mode_that_a_state_tells_of_is_not_tried_out_with_a_call() {
    let mut world = World::new();
    for id in ["a", "b"] {
        world.jobs.insert(job(id), FakeJob::new(JobState::Opened));
    }
    world.apply("b", Wanted::Observed, policy());
    world.pass(secs(5));
    world.upgrade_mode = true;
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(20));
    assert!(world.is("a", "Ready", "False", "UpgradeMode"));
    assert_eq!(world.closes(), 0);
    world.upgrade_mode = false;
    world.pass(secs(20));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
}

#[test]
fn a_job_that_left_its_group_and_was_opened_then_is_not_closed_for_what_was_known_before() {
    for edit in [false, true] {
        let mut world = World::new();
        for id in ["a", "b"] {
            let mut fake = FakeJob::new(JobState::Opened);
            fake.groups = vec!["g"];
            world.jobs.insert(job(id), fake);
        }
        world.create("o", desired("g", Wanted::Closed, policy()));
        world.pass(secs(20));
        assert_eq!(world.closes(), 1);
        if edit {
            world.edit("o", |desired| desired.suspended = true);
        }
        world.jobs.get_mut(&job("a")).unwrap().groups.clear();
        world.reopen("a");
        world.reopen("b");
        if edit {
            world.edit("o", |desired| desired.suspended = false);
        }
        world.pass(secs(120));
        assert_eq!(
            (world.state("a"), world.state("b")),
            (JobState::Opened, JobState::Closed)
        );
        assert!(world.is("o", "Ready", "True", "InDesiredState"));
        assert_eq!(world.closes(), 2);
    }
}

#[test]
fn a_restart_keeps_the_order_in_which_jobs_are_listed() {
    let mut world = World::new();
    for id in ["a", "b", "c", "d"] {
        let mut fake = FakeJob::new(JobState::Opened);
        fake.close_takes = Some(secs(if id == "b" { 9 } else { 1 }));
        world.jobs.insert(job(id), fake);
    }
    world.create("o", desired("*", Wanted::Closed, policy()));
    world.pass(secs(60));
    assert_eq!(world.status("o").targets[0].job_id, job("b"));
    let writes = world.writes.len();
    world.crash();
    world.pass(secs(600));
    assert_eq!(world.writes.len(), writes);
}

#[test]
fn an_object_that_watches_many_jobs_is_not_written_for_each_of_them() {
    let mut world = World::new();
    world.max_closing = 10;
    world.connect();
    for n in 0..100 {
        let mut fake = FakeJob::new(JobState::Opened);
        fake.close_takes = Some(secs(1));
        world.jobs.insert(job(&format!("job-{n}")), fake);
    }
    world.create("watch", desired("job-*", Wanted::Observed, policy()));
    world.pass(secs(1));
    assert!(world.is("watch", "Ready", "True", "Observing"), "at once");
    world.create("close", desired("*", Wanted::Closed, policy()));
    world.pass(secs(60));
    assert!(world.is("watch", "Closed", "True", "AllClosed"));
    let writes = world.writes.iter().filter(|(of, _)| of.name() == "watch");
    assert!((2..=4).contains(&writes.count()));
    world.reopen("job-7");
    world.edit("watch", |desired| desired.suspended = true);
    world.pass(secs(1));
    assert!(world.is("watch", "Ready", "False", "Suspended"), "at once");
}
