//! One test for each row of the decision table.

use std::time::Duration;

use super::world::{FakeJob, World, job, moment, policy, secs, trouble};
use crate::api::{
    CloseMode, DatafeedId, DatafeedState, JobState, OnFailed, OnTimeout, Reason, TimeSpan,
};
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
fn a_closed_job_is_reported_and_not_called() {
    let mut world = world_with("a", FakeJob::new(JobState::Closed));
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(300));
    assert_eq!((world.calls.len(), world.writes.len()), (0, 1));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
    assert!(world.status("a").last_close.is_none());
}

#[test]
fn the_stray_datafeed_of_a_closed_job_is_stopped() {
    let mut world = world_with("a", with_datafeed(JobState::Closed, DatafeedState::Started));
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(1));
    assert_eq!((world.stops(), world.closes()), (1, 0));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
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
fn before_7_14_the_datafeed_is_stopped_by_a_step_of_its_own() {
    let mut world = world_with("a", with_datafeed(JobState::Opened, DatafeedState::Started));
    world.before_7_14 = true;
    world.connect();
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(5));
    let kinds: Vec<bool> = world
        .calls
        .iter()
        .map(|(_, call)| matches!(call, Call::StopDatafeed { .. }))
        .collect();
    assert_eq!(kinds, [true, false]);
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
}

#[test]
fn where_the_version_is_unknown_the_refused_close_teaches_to_stop_the_datafeed_first() {
    let mut world = world_with("a", with_datafeed(JobState::Opened, DatafeedState::Started));
    world.apply("a", Wanted::Closed, policy());
    world.before_7_14 = true;
    world.pass(secs(10));
    assert_eq!((world.stops(), world.closes()), (1, 2));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
}

#[test]
fn a_lost_close_is_asked_for_again_and_never_forced() {
    let mut fake = FakeJob::new(JobState::Opened);
    fake.lost_closes = 2;
    let mut world = world_with("a", fake);
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(120));
    assert_eq!((world.closes(), world.forces()), (3, 0));
    assert!(world.is("a", "Closed", "True", "AllClosed"));
}

#[test]
fn closes_that_are_answered_and_never_taken_end_by_policy_as_not_accepted() {
    for (on_timeout, forces) in [(OnTimeout::Force, 1), (OnTimeout::Stall, 0)] {
        let mut fake = FakeJob::new(JobState::Opened);
        fake.lost_closes = u32::MAX;
        let mut world = world_with("a", fake);
        world.apply(
            "a",
            Wanted::Closed,
            crate::api::ClosePolicy {
                on_timeout,
                ..policy()
            },
        );
        world.pass(secs(590));
        assert_eq!(world.forces(), 0);
        world.pass(secs(3600));
        assert_eq!(world.forces(), forces);
        assert_eq!(
            world.is("a", "Stalled", "True", "CloseNotAccepted"),
            forces == 0
        );
    }
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
fn a_hanging_close_is_forced_once_when_the_timeout_of_evidence_is_used_up() {
    let mut world = world_with("a", hanging());
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(599));
    assert_eq!(world.forces(), 0);
    world.pass(secs(10));
    assert_eq!((world.forces(), world.state("a")), (1, JobState::Closed));
    world.pass(secs(3600));
    assert_eq!((world.closes(), world.forces()), (1, 1));
    assert!(
        world.is("a", "Ready", "True", "InDesiredState")
            && world.is("a", "Forced", "True", "DeadlinePassed")
    );
    assert_eq!(
        world.status("a").last_close.as_ref().unwrap().forced,
        [job("a")]
    );
}

#[test]
fn on_timeout_wait_keeps_waiting_and_stall_calls_a_human() {
    for (on_timeout, condition, reason) in [
        (OnTimeout::Wait, "Reconciling", "Waiting"),
        (OnTimeout::Stall, "Stalled", "CloseTimedOut"),
    ] {
        let mut world = world_with("a", hanging());
        world.apply(
            "a",
            Wanted::Closed,
            crate::api::ClosePolicy {
                on_timeout,
                ..policy()
            },
        );
        world.pass(secs(7200));
        assert_eq!((world.forces(), world.state("a")), (0, JobState::Closing));
        assert!(
            world.is("a", condition, "True", reason),
            "{:?}",
            world.status("a").conditions
        );
        world.jobs.get_mut(&job("a")).unwrap().state = JobState::Closed;
        world.pass(secs(60));
        assert!(
            world.is("a", "Ready", "True", "InDesiredState")
                && world.condition("a", condition).is_none()
        );
    }
}

#[test]
fn a_failed_job_is_forced_or_left_by_policy() {
    for (on_failed, forces) in [(OnFailed::Force, 1), (OnFailed::Stall, 0)] {
        let mut world = world_with("a", with_datafeed(JobState::Failed, DatafeedState::Started));
        world.apply(
            "a",
            Wanted::Closed,
            crate::api::ClosePolicy {
                on_failed,
                ..policy()
            },
        );
        world.pass(secs(60));
        assert_eq!(
            (world.forces(), world.stops(), world.closes()),
            (forces, forces, 0)
        );
        assert_eq!(world.is("a", "Stalled", "True", "JobFailed"), forces == 0);
        assert_eq!(world.is("a", "Forced", "True", "JobFailed"), forces == 1);
    }
}

#[test]
fn mode_immediate_forces_at_once_and_a_force_without_effect_is_repeated_after_a_minute() {
    let mut fake = FakeJob::new(JobState::Opened);
    fake.ignores_force = true;
    let mut world = world_with("a", fake);
    world.pass(secs(100));
    world.apply(
        "a",
        Wanted::Closed,
        crate::api::ClosePolicy {
            mode: CloseMode::Immediate,
            ..policy()
        },
    );
    world.pass(secs(55));
    assert_eq!((world.closes(), world.forces()), (0, 1));
    world.jobs.get_mut(&job("a")).unwrap().ignores_force = false;
    world.pass(secs(30));
    assert_eq!(world.forces(), 2);
    assert!(
        world.is("a", "Forced", "True", "RequestedByUser")
            && world.is("a", "Ready", "True", "InDesiredState")
    );
}

#[test]
fn a_missing_job_may_still_be_created_for_two_minutes_and_is_found_whenever_it_comes() {
    let mut world = World::new();
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(100));
    assert!(
        world.is("a", "Reconciling", "True", "JobNotFound")
            && world.condition("a", "Stalled").is_none()
    );
    world.pass(secs(60));
    assert!(world.is("a", "Stalled", "True", "JobNotFound"));
    world.jobs.insert(job("a"), FakeJob::new(JobState::Opened));
    world.pass(secs(60));
    assert!(
        world.is("a", "Ready", "True", "InDesiredState")
            && world.condition("a", "Stalled").is_none()
    );
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
fn a_blocked_job_is_waited_for() {
    let mut fake = FakeJob::new(JobState::Closed);
    fake.blocked = true;
    let mut world = world_with("a", fake);
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(60));
    assert!(world.is("a", "Reconciling", "True", "JobBlocked"));
    world.jobs.get_mut(&job("a")).unwrap().blocked = false;
    world.pass(secs(30));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
    assert_eq!(world.calls.len(), 0);
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
