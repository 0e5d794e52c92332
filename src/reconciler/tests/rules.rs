//! The rules behind the table: session, evidence, crash, drift, not observed, echoes and writes.

use std::sync::Arc;
use std::time::Duration;

use super::world::{FakeJob, World, job, key, policy, secs, trouble};
use crate::api::{JobState, OnTimeout, Reason, TimeSpan};
use crate::reconciler::input::{Call, Input, Wanted};

fn hanging_world() -> World {
    let mut world = World::new();
    let mut fake = FakeJob::new(JobState::Opened);
    fake.close_takes = None;
    world.jobs.insert(job("a"), fake);
    world.apply("a", Wanted::Closed, policy());
    world
}

#[test]
fn a_crash_at_any_second_of_a_hanging_close_ends_the_same_with_one_force_and_no_shorter_wait() {
    for second in (1..640).step_by(13) {
        let mut world = hanging_world();
        world.pass(secs(second));
        world.crash();
        world.pass(secs(1300));
        assert_eq!(
            (world.forces(), world.state("a")),
            (1, JobState::Closed),
            "crash at {second} s"
        );
        let forced = world
            .calls
            .iter()
            .find(|(_, call)| matches!(call, Call::ForceClose(_)))
            .unwrap();
        assert!(
            forced.0 >= secs(600),
            "crash at {second} s: forced at {:?}",
            forced.0
        );
        assert!(world.is("a", "Ready", "True", "InDesiredState"));
    }
}

#[test]
fn an_operator_whose_clock_is_a_day_behind_waits_for_a_new_job_and_forces_it_as_any_other() {
    for crash in [None, Some(300)] {
        let mut world = hanging_world();
        world.jobs.get_mut(&job("a")).unwrap().created_at = Some(secs(86_400));
        if let Some(second) = crash {
            world.pass(secs(second));
            world.crash();
        }
        world.pass(secs(1300));
        assert_eq!((world.forces(), world.state("a")), (1, JobState::Closed));
        assert!(world.is("a", "Forced", "True", "DeadlinePassed"));
    }
}

#[test]
fn a_job_that_is_created_anew_while_it_hangs_has_its_own_clock() {
    let mut world = hanging_world();
    world.jobs.get_mut(&job("a")).unwrap().created_at = Some(secs(0));
    world.pass(secs(500));
    world.jobs.get_mut(&job("a")).unwrap().created_at = Some(secs(500));
    world.pass(secs(590));
    assert_eq!(world.forces(), 0);
    world.pass(secs(700));
    assert_eq!((world.forces(), world.state("a")), (1, JobState::Closed));
}

#[test]
fn a_cluster_that_answers_reads_and_refuses_calls_is_called_less_and_less_often() {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        world.jobs.insert(job(name), FakeJob::new(JobState::Opened));
        world.apply(name, Wanted::Closed, policy());
    }
    world.refuses_calls = Some(trouble(Reason::NoMaster));
    world.pass(secs(3600));
    // 1, 2, 4 ... s, then each minute, and the three of them each time at the most.
    assert!(
        world.closes() <= 3 * 70,
        "{} calls in an hour",
        world.closes()
    );
    assert!(world.is("a", "Ready", "False", "NoMaster"));
    world.refuses_calls = None;
    world.pass(secs(90));
    for name in ["a", "b", "c"] {
        assert_eq!(world.state(name), JobState::Closed);
    }
    assert_eq!(world.forces(), 0);
}

#[test]
fn a_session_that_was_replaced_while_the_operator_was_away_is_known_by_its_age() {
    let mut world = hanging_world();
    world.pass(secs(500));
    let closing = world.jobs[&job("a")].state;
    world.reopen("a");
    world.pass(secs(0));
    world.jobs.get_mut(&job("a")).unwrap().state = closing;
    world.crash();
    world.pass(secs(590));
    assert_eq!(world.forces(), 0, "the new session has its own ten minutes");
    world.pass(secs(60));
    assert_eq!(world.forces(), 1);
}

#[test]
fn the_policy_is_read_live_before_a_force() {
    let mut world = hanging_world();
    world.pass(secs(590));
    world.edit_silently("a", |desired| desired.close.on_timeout = OnTimeout::Wait);
    world.pass(secs(3600));
    assert_eq!(world.forces(), 0);
    world.edit_silently("a", |desired| desired.suspended = true);
    world.crash();
    world.pass(secs(3600));
    assert_eq!(world.forces(), 0);
}

#[test]
fn drift_is_named_corrected_at_once_and_then_with_a_growing_gap() {
    let mut world = World::new();
    world.jobs.insert(job("a"), FakeJob::new(JobState::Opened));
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(10));
    world.reopen("a");
    world.pass(secs(60));
    assert_eq!((world.closes(), world.state("a")), (2, JobState::Closed));
    assert!(
        world.is("a", "Drifted", "False", "Corrected")
            && world.is("a", "Ready", "True", "InDesiredState")
    );
    for _ in 0..20 {
        world.reopen("a");
        world.pass(secs(180));
    }
    assert!(world.closes() < 14, "{} closes in an hour", world.closes());
    assert!(
        world
            .events
            .iter()
            .any(|event| event.reason == "ReopenedElsewhere" && event.warning)
    );
}

#[test]
fn nothing_is_written_and_nearly_nothing_read_while_nothing_changes() {
    let mut world = World::new();
    for n in 0..50 {
        let id = format!("job-{n}");
        world.jobs.insert(job(&id), FakeJob::new(JobState::Closed));
        world.apply(&id, Wanted::Closed, policy());
    }
    world.pass(secs(60));
    let (writes, reads) = (world.writes.len(), world.reads.len());
    assert_eq!(writes, 50);
    world.pass(secs(3600));
    assert_eq!(world.writes.len(), writes);
    assert!(
        world.reads.len() - reads <= 120,
        "one shared sweep each half minute"
    );
}

#[test]
fn a_status_that_somebody_wiped_is_written_again_and_no_force_comes_earlier() {
    let mut world = hanging_world();
    world.pass(secs(300));
    let stored = world.stored.get_mut(&key("a")).unwrap();
    stored.status = crate::api::AnomalyJobStatus::default();
    stored.resource_version = Arc::from("100000");
    let wiped = stored.clone();
    world.tell(Input::Delivered(Box::new(wiped)));
    world.pass(secs(5));
    assert!(world.status("a").targets[0].accepted_at.is_some());
    world.crash();
    world.pass(secs(590 - 305));
    assert_eq!(world.forces(), 0);
}

#[test]
fn two_hundred_jobs_close_in_waves_with_at_most_eight_calls_in_flight() {
    let mut world = World::new();
    for n in 0..200 {
        let id = format!("job-{n}");
        let mut fake = FakeJob::new(JobState::Opened);
        fake.close_takes = Some(secs(5));
        world.jobs.insert(job(&id), fake);
        world.apply(&id, Wanted::Closed, policy());
    }
    let mut most = 0;
    for _ in 0..600 {
        world.pass(Duration::from_millis(200));
        let closing = world
            .jobs
            .values()
            .filter(|job| job.state == JobState::Closing)
            .count();
        most = most.max(closing);
    }
    assert!(world.jobs.values().all(|job| job.state == JobState::Closed));
    assert!((8..=64).contains(&most), "{most} closing at once");
    let closed: usize = world.calls.iter().map(|(_, call)| call.jobs().len()).sum();
    assert_eq!((closed, world.forces()), (200, 0));
    assert_eq!(world.closes(), 4, "as many lists as waves");
}

#[test]
fn hanging_jobs_that_fill_the_wave_do_not_keep_each_other_from_being_forced() {
    let mut world = World::new();
    for n in 0..100 {
        let id = format!("job-{n}");
        let mut fake = FakeJob::new(JobState::Opened);
        fake.close_takes = None;
        world.jobs.insert(job(&id), fake);
        world.apply(
            &id,
            Wanted::Closed,
            crate::api::ClosePolicy {
                timeout: TimeSpan::parse("1m").unwrap(),
                ..policy()
            },
        );
    }
    world.pass(secs(400));
    assert_eq!(world.forces(), 100);
    assert!(world.jobs.values().all(|job| job.state == JobState::Closed));
}

#[test]
fn an_edit_during_a_write_is_not_lost() {
    let mut world = World::new();
    world.jobs.insert(job("a"), FakeJob::new(JobState::Closed));
    world.apply("a", Wanted::Closed, policy());
    world.pass(Duration::from_millis(6));
    world.edit("a", |desired| desired.suspended = true);
    world.pass(secs(10));
    assert!(world.is("a", "Ready", "False", "Suspended"));
    assert_eq!(world.status("a").observed_generation, 2);
}

/// The close was taken before the master went; that its time ran out is told by a clock, half a minute later.
#[test]
fn the_late_answer_of_a_close_is_no_word_of_a_master() {
    let mut world = World::new();
    let mut fake = FakeJob::new(JobState::Opened);
    fake.close_takes = None;
    world.jobs.insert(job("a"), fake);
    let close = crate::api::ClosePolicy {
        timeout: TimeSpan::parse("25s").unwrap(),
        ..policy()
    };
    world.apply("a", Wanted::Closed, close);
    world.pass(secs(2));
    world.refuses_calls = Some(trouble(Reason::NoMaster));
    world.pass(secs(600));
    world.refuses_calls = None;
    world.pass(secs(20));
    assert_eq!(world.forces(), 0, "two seconds and twenty are no 25");
    world.pass(secs(180));
    assert_eq!(world.forces(), 1);
}

/// A proxy that cuts idle connections, while the job goes on closing.
#[test]
fn a_close_that_was_taken_and_whose_connection_is_cut_then_is_no_trouble_of_the_cluster() {
    let mut world = World::new();
    let mut fake = FakeJob::new(JobState::Opened);
    fake.close_takes = Some(secs(60));
    world.jobs.insert(job("a"), fake);
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(5));
    world.cut_calls(&trouble(Reason::ClusterUnreachable));
    world.pass(secs(5));
    assert!(world.is("a", "Reconciling", "True", "Closing"));
    let requests = world.requests;
    world.pass(secs(60));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
    assert!(
        world.requests > requests + 3,
        "it was looked at all the time"
    );
    assert_eq!((world.closes(), world.forces()), (1, 0));
}

#[test]
fn hanging_jobs_that_may_only_be_waited_for_keep_no_place_in_the_wave() {
    let mut world = World::new();
    for n in 0..100 {
        let id = format!("job-{n:03}");
        let mut fake = FakeJob::new(JobState::Opened);
        fake.close_takes = if n < 80 { None } else { Some(secs(5)) };
        world.jobs.insert(job(&id), fake);
        let on_timeout = [OnTimeout::Wait, OnTimeout::Stall][n % 2];
        let timeout = TimeSpan::parse("1m").unwrap();
        let close = crate::api::ClosePolicy {
            timeout,
            on_timeout,
            ..policy()
        };
        world.apply(&id, Wanted::Closed, close);
    }
    world.pass(secs(600));
    assert_eq!(world.forces(), 0);
    assert!((80..100).all(|n| world.state(&format!("job-{n:03}")) == JobState::Closed));
}

#[test]
fn stopping_a_stray_datafeed_is_reported_as_no_close() {
    let mut world = World::new();
    let mut fake = FakeJob::new(JobState::Closed);
    let feed = crate::api::DatafeedId::parse("feed").unwrap();
    fake.datafeed = Some((feed, crate::api::DatafeedState::Started));
    world.jobs.insert(job("a"), fake);
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(60));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
    assert!(world.status("a").last_close.is_none() && world.finished.is_empty());
}

#[test]
fn a_job_that_is_deleted_and_created_anew_while_it_closes_was_not_closed_by_us() {
    let mut fake = FakeJob::new(JobState::Opened);
    (fake.close_takes, fake.created_at) = (None, Some(secs(0)));
    let mut world = World::of("a", fake, Wanted::Closed);
    world.pass(secs(60));
    assert_eq!(world.state("a"), JobState::Closing);
    let mut anew = FakeJob::new(JobState::Closed);
    anew.created_at = Some(secs(50));
    world.jobs.insert(job("a"), anew);
    world.annotate("a", "now");
    world.pass(secs(60));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
    assert!(world.told("JobClosed").is_empty(), "{:?}", world.events);
}

#[test]
fn a_force_that_was_noted_and_not_sent_did_not_end_a_job_that_is_gone() {
    let mut fake = FakeJob::new(JobState::Opened);
    fake.close_takes = None;
    let mut world = World::of("a", fake, Wanted::Closed);
    let noted = |world: &World| world.status("a").targets.first()?.forced_at.clone();
    while noted(&world).is_none() {
        world.pass(Duration::from_millis(1));
    }
    assert_eq!(world.forces(), 0);
    world.jobs.clear();
    world.crash();
    world.pass(secs(300));
    assert!(world.is("a", "Stalled", "True", "JobNotFound"));
    assert!(world.told("JobClosed").is_empty(), "{:?}", world.events);
}
