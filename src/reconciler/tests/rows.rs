//! Rows of the decision table to the millisecond, the read and the crash. What they do is told in `tests/scenarios`.

use std::time::Duration;

use super::world::{FakeJob, World, job, moment, policy, secs, trouble};
use crate::api::{DatafeedId, DatafeedState, JobState, OnFailed, Reason, TimeSpan};
use crate::reconciler::input::{Call, Wanted};

fn world_with(id: &str, fake: FakeJob) -> World {
    let mut world = World::new();
    world.jobs.insert(job(id), fake);
    world
}

fn with_datafeed(state: JobState, datafeed: DatafeedState) -> FakeJob {
    let mut fake = FakeJob::new(state);
    fake.datafeed = Some((DatafeedId::parse("feed").unwrap(), datafeed));
    fake
}

fn hanging() -> FakeJob {
    let mut fake = FakeJob::new(JobState::Opened);
    fake.close_takes = None;
    fake
}

#[test]
fn an_open_job_is_read_closed_confirmed_and_reported_with_one_write() {
    let mut world = world_with("a", FakeJob::new(JobState::Opened));
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(1));
    assert_eq!(
        (
            world.closes(),
            world.forces(),
            world.reads.len(),
            world.writes.len()
        ),
        (1, 0, 4, 1),
        "configs, tasks, states; states again"
    );
    assert!(
        world.is("a", "Ready", "True", "InDesiredState")
            && world.is("a", "Closed", "True", "AllClosed")
    );
    assert_eq!(world.status("a").last_close.as_ref().unwrap().graceful, 1);
    assert!(
        world.condition("a", "Reconciling").is_none() && world.condition("a", "Forced").is_none()
    );
}

#[test]
fn a_job_that_was_observed_open_is_closed_with_one_close_and_one_read() {
    let mut world = world_with("a", FakeJob::new(JobState::Opened));
    world.apply("a", Wanted::Observed, policy());
    world.pass(secs(5));
    assert!(
        world.is("a", "Ready", "True", "Observing")
            && world.is("a", "Closed", "False", "StillOpen")
    );
    assert_eq!((world.calls.len(), world.writes.len()), (0, 1));
    let reads = world.reads.len();
    world.edit("a", |desired| desired.wanted = Wanted::Closed);
    world.pass(secs(1));
    assert_eq!(
        (
            world.closes(),
            world.reads.len() - reads,
            world.writes.len()
        ),
        (1, 1, 2)
    );
    assert_eq!(world.status("a").observed_generation, 2);
}

#[test]
fn a_running_datafeed_is_noted_durably_before_the_close_that_stops_it() {
    let mut world = world_with("a", with_datafeed(JobState::Opened, DatafeedState::Started));
    world.lose_acks = true;
    world.apply("a", Wanted::Closed, policy());
    world.pass(Duration::from_millis(14));
    assert_eq!(world.writes.len(), 1);
    assert_eq!(world.status("a").resume_datafeeds.len(), 1);
    assert_eq!(world.calls.len(), 0, "the write was not acknowledged yet");
    world.lose_acks = false;
    world.crash();
    world.pass(secs(2));
    assert_eq!((world.closes(), world.stops()), (1, 0));
    assert_eq!(world.status("a").resume_datafeeds.len(), 1);
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
}

#[test]
fn a_close_that_takes_minutes_is_watched_with_ever_fewer_looks_and_reported_while_it_lasts() {
    let mut fake = FakeJob::new(JobState::Opened);
    fake.close_takes = Some(secs(300));
    let mut world = world_with("a", fake);
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(60));
    assert!(
        world.is("a", "Reconciling", "True", "Closing")
            && world.is("a", "Closed", "False", "StillClosing")
    );
    let target = &world.status("a").targets[0];
    assert!(target.accepted_at.is_some() && target.deadline.is_some());
    world.pass(secs(300));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
    assert_eq!((world.closes(), world.forces()), (1, 0));
    assert!(world.reads.len() < 80, "{} reads", world.reads.len());
    assert!(world.writes.len() <= 4, "{} writes", world.writes.len());
    assert_eq!(world.status("a").last_close.as_ref().unwrap().graceful, 1);
}

#[test]
fn a_task_without_a_config_is_forced_or_left_by_policy() {
    for (on_failed, forces) in [(OnFailed::Force, 1), (OnFailed::Stall, 0)] {
        let mut fake = FakeJob::new(JobState::Opened);
        fake.config = false;
        let mut world = world_with("a", fake);
        world.apply(
            "a",
            Wanted::Closed,
            crate::api::ClosePolicy {
                on_failed,
                ..policy()
            },
        );
        world.pass(secs(300));
        assert_eq!((world.forces(), world.closes()), (forces, 0));
        assert_eq!(world.is("a", "Stalled", "True", "ConfigLost"), forces == 0);
    }
}

#[test]
fn suspended_observed_and_deleted_objects_call_nothing() {
    let mut world = world_with("a", hanging());
    world.apply("a", Wanted::Observed, policy());
    world.pass(secs(10));
    world.edit("a", |desired| {
        desired.wanted = Wanted::Closed;
        desired.suspended = true;
    });
    world.pass(secs(60));
    assert!(
        world.is("a", "Ready", "False", "Suspended")
            && world.is("a", "Closed", "False", "StillOpen")
    );
    world.edit("a", |desired| {
        desired.suspended = false;
        desired.deleting = Some(moment(secs(0)).wall);
    });
    world.pass(secs(3600));
    assert_eq!(world.calls.len(), 0);
}

#[test]
fn upgrade_mode_and_a_missing_master_stop_calls_and_deadlines_and_stall_nothing() {
    let mut world = world_with("a", hanging());
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(300));
    world.upgrade_mode = true;
    world.pass(secs(7200));
    assert!(
        world.is("a", "Ready", "False", "UpgradeMode") && world.condition("a", "Stalled").is_none()
    );
    world.upgrade_mode = false;
    world.trouble = Some(trouble(Reason::NoMaster));
    world.pass(secs(7200));
    assert!(
        world.is("a", "Ready", "False", "NoMaster") && world.condition("a", "Stalled").is_none()
    );
    world.trouble = None;
    world.pass(secs(240));
    assert_eq!(world.forces(), 0, "five minutes and four are no ten");
    // What was not confirmed when an outage began is lost each time.
    world.pass(secs(240));
    assert_eq!(world.forces(), 1);
}

#[test]
fn a_timeout_of_seconds_is_kept_to_the_second() {
    let mut world = world_with("a", hanging());
    let timeout = TimeSpan::parse("5s").unwrap();
    world.apply(
        "a",
        Wanted::Closed,
        crate::api::ClosePolicy {
            timeout,
            ..policy()
        },
    );
    world.pass(secs(12));
    let forced: Vec<_> = world
        .calls
        .iter()
        .filter(|(_, call)| matches!(call, Call::ForceClose(_)))
        .collect();
    assert_eq!(forced.len(), 1);
    assert!(
        forced[0].0 >= secs(5) && forced[0].0 < secs(8),
        "{:?}",
        forced[0].0
    );
}
