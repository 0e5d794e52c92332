//! What everything costs, as exact numbers: requests to Elasticsearch, the searches behind them, calls, status writes.
//!
//! The number of requests and of writes is the whole of performance (design section 4), and it does not depend on the
//! machine. A number here may be lowered; whoever raises one says why.

use std::time::Duration;

use super::fake_job::FakeJob;
use super::world::{World, desired, job, key, policy, secs, trouble};
use crate::api::{ClosePolicy, DeletionPolicy, JobState, OnFailed, Reason, TimeSpan};
use crate::reconciler::input::*;

/// What was spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cost {
    requests: usize,
    searches: usize,
    calls: usize,
    /// Writes of statuses.
    writes: usize,
    events: usize,
    /// Writes of finalizers.
    finalizers: usize,
}

/// What was spent since it was counted last.
fn spent(world: &World) -> Cost {
    Cost {
        requests: world.requests,
        searches: world.searches,
        calls: world.calls.len(),
        writes: world.writes.len(),
        events: world.events.len(),
        finalizers: world.finalizes,
    }
}

fn costs(requests: usize, searches: usize, calls: usize, writes: usize) -> Cost {
    Cost {
        requests,
        searches,
        calls,
        writes,
        events: 0,
        finalizers: 0,
    }
}

impl Cost {
    fn and_events(self, events: usize) -> Self {
        Self { events, ..self }
    }

    fn and_finalizers(self, finalizers: usize) -> Self {
        Self { finalizers, ..self }
    }
}

/// An id of 20 characters.
fn id(n: usize) -> String {
    format!("orders-prod-eu-{n:05}")
}

fn within(text: &str) -> ClosePolicy {
    ClosePolicy {
        timeout: TimeSpan::parse(text).unwrap(),
        ..policy()
    }
}

/// An operator that starts and finds so many objects, each with a job of its own, which `make` makes.
fn start(max_closing: usize, count: usize, make: impl Fn(usize) -> Option<FakeJob>) -> World {
    start_with(max_closing, count, &policy(), make)
}

fn start_with(
    max_closing: usize,
    count: usize,
    close: &ClosePolicy,
    make: impl Fn(usize) -> Option<FakeJob>,
) -> World {
    let mut world = World::new();
    world.max_closing = max_closing;
    for n in 0..count {
        if let Some(fake) = make(n) {
            world.jobs.insert(job(&id(n)), fake);
        }
        world.store(key(&id(n)), desired(&id(n), Wanted::Closed, close.clone()));
    }
    // Nobody waits for what was created long ago.
    world.pass(secs(120));
    world.count_from_now();
    world.crash();
    world
}

fn opened() -> FakeJob {
    FakeJob::new(JobState::Opened)
}

fn closed() -> FakeJob {
    FakeJob::new(JobState::Closed)
}

/// Of a hundred the first.
fn is_bad(n: usize) -> bool {
    n.is_multiple_of(100)
}

pub(super) fn asked_for_states(world: &World) -> usize {
    let states = |question: &&Question| matches!(question, Question::States { .. });
    world.reads.iter().filter(states).count()
}

#[test]
fn one_close_of_a_job_that_is_known_is_a_close_a_read_and_a_write() {
    let mut world = World::new();
    world
        .jobs
        .insert(job(&id(0)), FakeJob::new(JobState::Opened));
    world.apply(&id(0), Wanted::Observed, policy());
    world.pass(secs(10));
    world.count_from_now();
    world.edit(&id(0), |desired| desired.wanted = Wanted::Closed);
    world.pass(secs(10));
    assert_eq!(spent(&world), costs(2, 7, 1, 1).and_events(1));
}

#[test]
fn one_close_of_a_new_object_is_a_read_more() {
    let mut world = World::new();
    world
        .jobs
        .insert(job(&id(0)), FakeJob::new(JobState::Opened));
    world
        .jobs
        .insert(job(&id(1)), FakeJob::new(JobState::Closed));
    world.apply(&id(1), Wanted::Closed, policy());
    world.pass(secs(10));
    world.count_from_now();
    world.apply(&id(0), Wanted::Closed, policy());
    world.pass(secs(10));
    assert_eq!(spent(&world), costs(3, 9, 1, 1).and_events(1));
}

#[test]
fn two_hundred_that_are_created_at_once() {
    let mut world = World::new();
    for n in 0..200 {
        world.jobs.insert(job(&id(n)), opened());
    }
    for n in 0..200 {
        world.apply(&id(n), Wanted::Closed, policy());
    }
    world.pass(secs(20));
    assert_eq!(world.not_closed(), 0);
    assert_eq!(spent(&world), costs(11, 1013, 4, 200).and_events(200));
}

#[test]
fn two_hundred_at_a_start() {
    let mut world = start(64, 200, |_| Some(opened()));
    world.pass(secs(20));
    assert_eq!(world.not_closed(), 0);
    assert_eq!(spent(&world), costs(10, 1012, 4, 200).and_events(200));
}

#[test]
fn ten_thousand_at_a_start_in_waves_of_64_are_three_requests_for_a_hundred_jobs_at_most() {
    let mut world = start(64, 10_000, |_| Some(opened()));
    world.pass(secs(40));
    assert_eq!(world.not_closed(), 0);
    assert_eq!(
        spent(&world),
        costs(164, 54_111, 157, 10_000).and_events(10_000)
    );
    assert!(world.requests <= 300);
}

#[test]
fn ten_thousand_at_a_start_in_waves_of_2000_are_one_request_for_a_hundred_jobs_at_most() {
    let mut world = start(2000, 10_000, |_| Some(opened()));
    world.pass(secs(40));
    assert_eq!(world.not_closed(), 0);
    assert_eq!(
        spent(&world),
        costs(59, 50_110, 53, 10_000).and_events(10_000)
    );
    assert!(world.requests <= 100);
}

#[test]
fn ten_thousand_that_are_created_at_once() {
    let mut world = World::new();
    world.max_closing = 2000;
    world.connect();
    for n in 0..10_000 {
        world.jobs.insert(job(&id(n)), opened());
    }
    for n in 0..10_000 {
        world.apply(&id(n), Wanted::Closed, policy());
    }
    world.pass(secs(40));
    assert_eq!(world.not_closed(), 0);
    assert_eq!(
        spent(&world),
        costs(59, 50_110, 53, 10_000).and_events(10_000)
    );
    assert!(world.requests <= 100);
}

#[test]
fn ten_thousand_of_five_seconds_each() {
    let mut world = start(2000, 10_000, |_| {
        let mut fake = opened();
        fake.close_takes = Some(secs(5));
        Some(fake)
    });
    world.pass(secs(60));
    assert_eq!(world.not_closed(), 0);
    assert_eq!(
        spent(&world),
        costs(89, 71_101, 55, 10_000).and_events(10_000)
    );
}

#[test]
fn ten_thousand_of_one_object_are_one_write() {
    for (max_closing, expected) in [
        (64, costs(164, 54_111, 157, 1).and_events(1)),
        (2000, costs(59, 50_110, 53, 1).and_events(1)),
    ] {
        let mut world = World::new();
        world.max_closing = max_closing;
        for n in 0..10_000 {
            let mut fake = FakeJob::new(JobState::Opened);
            fake.groups = vec!["all"];
            world.jobs.insert(job(&id(n)), fake);
        }
        world.count_from_now();
        world.crash();
        world.create("o", desired("all", Wanted::Closed, policy()));
        world.pass(secs(40));
        assert_eq!(world.not_closed(), 0);
        assert_eq!(spent(&world), expected, "{max_closing}");
        assert_eq!(world.status("o").summary, "10000/10000 closed");
    }
}

/// One in a hundred is as `bad` makes it, of two hundred and of ten thousand; what that costs, and what else is to be true.
fn one_in_a_hundred(
    close: &ClosePolicy,
    bad: impl Fn() -> Option<FakeJob>,
    expected: [Cost; 2],
    then: impl Fn(&World, usize),
) {
    for (count, expected) in [200, 10_000].into_iter().zip(expected) {
        let mut world = start_with(2000, count, close, |n| {
            if is_bad(n) { bad() } else { Some(opened()) }
        });
        world.pass(secs(120));
        then(&world, count);
        assert_eq!(spent(&world), expected, "{count}");
    }
}

fn failed() -> FakeJob {
    FakeJob::new(JobState::Failed)
}

fn hanging() -> FakeJob {
    FakeJob {
        close_takes: None,
        ..opened()
    }
}

#[test]
fn one_in_a_hundred_has_failed_and_is_forced() {
    let expected = [
        costs(20, 1020, 4, 202).and_events(202),
        costs(567, 50_808, 153, 10_100).and_events(10_100),
    ];
    one_in_a_hundred(
        &policy(),
        || Some(failed()),
        expected,
        |world, count| {
            assert_eq!((world.not_closed(), world.forces()), (0, count / 100));
        },
    );
}

#[test]
fn one_in_a_hundred_has_failed_and_is_left() {
    let expected = [
        costs(10, 1000, 2, 200).and_events(200),
        costs(61, 49_810, 53, 10_000).and_events(10_000),
    ];
    let left = ClosePolicy {
        on_failed: OnFailed::Stall,
        ..policy()
    };
    one_in_a_hundred(
        &left,
        || Some(failed()),
        expected,
        |world, count| {
            assert_eq!((world.not_closed(), world.forces()), (count / 100, 0));
        },
    );
}

#[test]
fn one_in_a_hundred_is_missing() {
    let expected = [
        costs(57, 1033, 2, 200).and_events(200),
        costs(108, 49_645, 53, 10_000).and_events(10_000),
    ];
    one_in_a_hundred(
        &policy(),
        || None,
        expected,
        |world, count| {
            assert_eq!(
                (world.not_closed(), world.jobs.len()),
                (0, count / 100 * 99)
            );
        },
    );
}

#[test]
fn one_in_a_hundred_hangs_for_a_minute_and_is_forced() {
    let expected = [
        costs(35, 1061, 6, 205).and_events(204),
        costs(606, 51_970, 158, 10_267).and_events(10_200),
    ];
    one_in_a_hundred(
        &within("1m"),
        || Some(hanging()),
        expected,
        |world, count| {
            assert_eq!((world.not_closed(), world.forces()), (0, count / 100));
        },
    );
}

#[test]
fn a_deletion_policy_of_close_is_a_write_of_the_finalizer_before_and_one_after() {
    let mut world = World::new();
    for n in 0..200 {
        world.jobs.insert(job(&id(n)), opened());
    }
    for n in 0..200 {
        let mut desired = desired(&id(n), Wanted::Closed, policy());
        desired.deletion = DeletionPolicy::Close;
        world.create(&id(n), desired);
    }
    world.pass(secs(20));
    assert_eq!(world.not_closed(), 0);
    assert_eq!(
        spent(&world),
        costs(27, 1040, 15, 200).and_events(200).and_finalizers(200)
    );
    world.count_from_now();
    for n in 0..200 {
        world.delete(&id(n));
    }
    world.pass(secs(20));
    assert!(world.stored.is_empty());
    assert_eq!(spent(&world), costs(2, 802, 0, 0).and_finalizers(200));
}

#[test]
fn an_hour_at_rest_is_120_requests_at_most_and_no_write() {
    for (monitor, expected) in [
        (true, costs(108, 24, 0, 0)),
        (false, costs(76, 26_624, 0, 0)),
    ] {
        let mut world = start(2000, 10_000, |_| Some(closed()));
        world.monitor = monitor;
        world.pass(secs(600));
        world.count_from_now();
        world.pass(secs(3600));
        assert_eq!(spent(&world), expected, "{monitor}");
        assert!(world.requests <= 120);
        assert_eq!(asked_for_states(&world) == 0, monitor);
    }
}

#[test]
fn a_restart_with_ten_thousand_closed_jobs_reads_the_tasks_and_writes_nothing() {
    for (monitor, expected) in [(true, costs(4, 2, 0, 0)), (false, costs(4, 2, 0, 0))] {
        let mut world = start(2000, 10_000, |_| Some(closed()));
        world.monitor = monitor;
        world.pass(secs(60));
        world.count_from_now();
        world.crash();
        world.pass(secs(30));
        assert_eq!(spent(&world), expected, "{monitor}");
        assert_eq!(asked_for_states(&world), 0);
    }
}

#[test]
fn an_outage_of_an_hour_is_one_probe_a_minute_and_two_writes_for_each_object() {
    let mut world = start(2000, 10_000, |_| Some(closed()));
    world.pass(secs(60));
    world.count_from_now();
    world.trouble = Some(trouble(Reason::ClusterUnreachable));
    world.pass(secs(3600));
    // Not observed, after five minutes.
    assert_eq!(spent(&world), costs(59, 0, 0, 10_000));
    world.count_from_now();
    world.trouble = None;
    world.pass(secs(120));
    assert_eq!(spent(&world), costs(6, 40_003, 0, 10_000));
    let ready = |n| world.is(&id(n), "Ready", "True", "InDesiredState");
    assert!((0..10_000).all(ready));
}

#[test]
fn beside_a_cluster_that_hangs_another_costs_what_it_costs_alone() {
    let alone = {
        let mut world = start(2000, 500, |_| Some(opened()));
        world.pass(secs(60));
        spent(&world)
    };
    let (mut hung, mut well) = (
        start(2000, 500, |_| Some(opened())),
        start(2000, 500, |_| Some(opened())),
    );
    hung.slow = secs(30);
    hung.trouble = Some(trouble(Reason::ClusterUnreachable));
    for _ in 0..600 {
        hung.pass(Duration::from_millis(100));
        well.pass(Duration::from_millis(100));
    }
    assert_eq!(spent(&well), alone);
    assert_eq!(spent(&hung), costs(6, 2, 0, 500).and_events(500));
    assert_eq!(well.not_closed(), 0);
}
