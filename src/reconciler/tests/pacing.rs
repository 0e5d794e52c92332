//! How fast and in which order: waves, load, outages, edits during a catch-up, tenants side by side.

use std::time::Duration;

use super::fake_job::FakeJob;
use super::world::{World, desired, job, key, policy, secs, trouble};
use crate::api::{JobState, Reason};
use crate::reconciler::input::*;

const MS: Duration = Duration::from_millis(1);

fn id(n: usize) -> String {
    format!("orders-prod-eu-{n:05}")
}

fn takes(time: Duration) -> FakeJob {
    FakeJob {
        close_takes: Some(time),
        ..FakeJob::new(JobState::Opened)
    }
}

/// So many objects, each with an open job, waiting at the start of the operator.
fn waiting(count: usize, time: Duration) -> World {
    let mut world = World::new();
    world.trouble = Some(trouble(Reason::ClusterUnreachable));
    for n in 0..count {
        world.jobs.insert(job(&id(n)), takes(time));
        world.apply(&id(n), Wanted::Closed, policy());
    }
    world.pass(secs(120));
    world.trouble = None;
    world.crash();
    world
}

#[test]
fn never_more_jobs_are_closing_than_the_connection_allows() {
    for most in [1, 7, 64, 200] {
        let mut world = World::new();
        world.max_closing = most;
        world.connect();
        for n in 0..300 {
            world.jobs.insert(job(&id(n)), takes(secs(3)));
            world.apply(&id(n), Wanted::Closed, policy());
        }
        let mut seen = 0;
        for _ in 0..200 {
            world.pass(MS * 100);
            let closing = world
                .jobs
                .values()
                .filter(|job| job.state == JobState::Closing)
                .count();
            assert!(closing <= most, "{closing} of {most}");
            seen = seen.max(closing);
        }
        assert!(
            seen * 10 >= most * 9,
            "and the room is used: {seen} of {most}"
        );
    }
}

#[test]
fn never_more_calls_are_on_their_way_than_the_connection_allows() {
    for most in [1, 3, 20] {
        let mut world = World::new();
        world.max_in_flight = most;
        world.connect();
        for n in 0..100 {
            world
                .jobs
                .insert(job(&id(n)), FakeJob::new(JobState::Closed));
            world.apply(&id(n), Wanted::Opened, policy());
        }
        let mut seen = 0;
        for _ in 0..5000 {
            world.pass(MS);
            seen = seen.max(world.brain.calls.in_flight.len());
        }
        assert_eq!((seen, world.opens()), (most, 100));
    }
}

#[test]
fn a_cluster_that_asks_for_fewer_requests_is_left_alone_as_long_as_it_asks() {
    let mut world = waiting(500, Duration::ZERO);
    let mut asks = trouble(Reason::Overloaded);
    asks.retry_after = Some(secs(20));
    world.overloaded = Some(asks);
    let begun = world.clock;
    world.pass(secs(10));
    let refused = world.closes();
    assert!((1..=8).contains(&refused), "{refused}");
    world.pass(secs(9));
    assert_eq!(world.closes(), refused, "Retry-After is honoured");
    world.pass(secs(20));
    assert!(world.closes() <= refused + 8, "and honoured again");
    assert!(world.is(&id(499), "Ready", "False", "Overloaded"));
    assert!(world.condition(&id(499), "Stalled").is_none());
    world.overloaded = None;
    world.pass(secs(60));
    assert_eq!(world.closed(), 500, "since {begun:?}");
    assert!((0..500).all(|n| {
        world
            .status(&id(n))
            .targets
            .iter()
            .all(|target| target.failures == 0)
    }));
}

#[test]
fn under_load_fewer_calls_go_at_once_and_more_again_when_it_is_over() {
    let mut world = World::new();
    for n in 0..200 {
        world
            .jobs
            .insert(job(&id(n)), FakeJob::new(JobState::Closed));
        world.apply(&id(n), Wanted::Observed, policy());
    }
    world.pass(secs(30));
    world.overloads = 8;
    for n in 0..200 {
        world.edit(&id(n), |desired| desired.wanted = Wanted::Opened);
    }
    world.pass(secs(60));
    let times: Vec<Duration> = world.calls.iter().map(|(at, _)| *at).collect();
    let burst = |from: usize| {
        times[from..]
            .iter()
            .take_while(|at| **at < times[from] + MS * 5)
            .count()
    };
    assert_eq!(burst(0), 8);
    let second = times
        .iter()
        .position(|at| *at >= times[0] + secs(1))
        .unwrap();
    assert_eq!(burst(second), 4, "half of eight: {times:?}");
    let later = (second..times.len()).map(burst).max();
    assert_eq!(later, Some(8));
    assert_eq!(world.closed(), 0);
}

#[test]
fn an_outage_of_an_hour_is_probed_and_nothing_more_whatever_waits() {
    let mut world = waiting(10_000, Duration::ZERO);
    world.pass(MS * 200);
    world.trouble = Some(trouble(Reason::ClusterUnreachable));
    world.pass(secs(60));
    let (reads, calls) = (world.reads.len(), world.calls.len());
    world.pass(secs(3600));
    let probes = world.reads.len() - reads;
    // A second at first, then doubling to a minute, a little spread.
    assert!((50..=75).contains(&probes), "{probes} probes");
    assert_eq!(world.calls.len(), calls);
    world.trouble = None;
    world.pass(secs(120));
    assert_eq!(world.closed(), 10_000);
    assert_eq!(world.forces(), 0);
}

#[test]
fn one_probe_at_a_time_is_on_its_way() {
    let mut world = waiting(100, secs(1));
    world.trouble = Some(trouble(Reason::ClusterUnreachable));
    world.pass(secs(30));
    for _ in 0..600 {
        let before = world.reads.len();
        // An answer takes 5 ms.
        world.pass(MS * 5);
        assert!(world.reads.len() - before <= 1);
        world.pass(MS * 95);
    }
}

#[test]
fn a_fresh_edit_is_sent_within_a_tenth_of_a_second_while_ten_thousand_catch_up() {
    let mut world = waiting(10_000, MS * 20);
    for n in 0..20 {
        let name = format!("fresh-{n:02}");
        world
            .jobs
            .insert(job(&name), FakeJob::new(JobState::Opened));
    }
    world.pass(MS * 500);
    let mut late = Vec::new();
    for n in 0..20 {
        let name = format!("fresh-{n:02}");
        world.create(&name, desired(&name, Wanted::Closed, policy()));
        let begun = world.clock;
        world.pass(MS * 100);
        let sent = world
            .calls
            .iter()
            .find(|(_, call)| call.jobs().contains(&job(&name)));
        match sent {
            Some((at, _)) => late.push(*at - begun),
            None => panic!(
                "{name} was not sent within 100 ms; {} are closed",
                world.closed()
            ),
        }
    }
    assert!(
        world.closed() < 9_000,
        "the catch-up went on all the while: {}",
        world.closed()
    );
}

#[test]
fn the_status_of_a_fresh_edit_is_written_before_the_thousands_that_wait() {
    let mut world = waiting(10_000, Duration::ZERO);
    world.pass(secs(1));
    let begun = world.writes.len() - 10_000;
    assert!(
        (1..9_000).contains(&begun),
        "{begun} were written since the start"
    );
    world
        .jobs
        .insert(job("fresh"), FakeJob::new(JobState::Opened));
    world.create("fresh", desired("fresh", Wanted::Closed, policy()));
    world.pass(MS * 400);
    assert!(
        world.is("fresh", "Ready", "True", "InDesiredState"),
        "{:?}",
        world.condition("fresh", "Ready")
    );
    assert!(world.writes.len() - 10_000 < 9_000, "before most others");
}

#[test]
fn what_somebody_undoes_everywhere_waits_behind_an_edit() {
    let mut world = World::new();
    world.max_closing = 5;
    world.connect();
    for n in 0..500 {
        world
            .jobs
            .insert(job(&id(n)), FakeJob::new(JobState::Closed));
        world.apply(&id(n), Wanted::Closed, policy());
    }
    world.pass(secs(60));
    for n in 0..500 {
        world.reopen(&id(n));
        world.jobs.get_mut(&job(&id(n))).unwrap().close_takes = Some(secs(1));
    }
    // The tasks tell of it within a minute, and after half of one what waits rises.
    while world.closed() == 0 {
        world.pass(secs(1));
    }
    world
        .jobs
        .insert(job("fresh"), FakeJob::new(JobState::Opened));
    world.create("fresh", desired("fresh", Wanted::Closed, policy()));
    world.pass(secs(3));
    assert_eq!(
        world.state("fresh"),
        JobState::Closed,
        "{} of 500",
        world.closed()
    );
}

#[test]
fn what_does_not_fit_into_a_list_is_the_first_of_the_next() {
    let world = {
        let mut world = waiting(600, Duration::ZERO);
        world.pass(secs(60));
        world
    };
    let ids: Vec<_> = world
        .calls
        .iter()
        .flat_map(|(_, call)| call.jobs())
        .collect();
    assert!(
        ids.is_sorted(),
        "lists that follow each other are read in few words"
    );
    assert_eq!(ids.len(), 600);
}

#[test]
fn the_answer_of_a_close_is_waited_for_so_that_its_end_is_seen_when_it_comes() {
    let mut world = World::new();
    world.jobs.insert(job("a"), takes(MS * 25_900));
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(25));
    let target = &world.status("a").targets[0];
    assert!(target.accepted_at.is_some() && target.state == Some(JobState::Closing));
    world.pass(secs(1));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
}

#[test]
fn what_is_created_while_the_first_list_is_read_is_listed_at_once_where_that_did_not_tell_of_it() {
    let mut world = World::new();
    world.slow = secs(1);
    world.jobs.insert(job("a"), takes(secs(1)));
    world.apply("a", Wanted::Closed, policy());
    world.pass(MS * 500);
    world.jobs.insert(job("b"), takes(secs(1)));
    world.apply("b", Wanted::Closed, policy());
    world.pass(secs(7));
    assert_eq!(world.not_closed(), 0);
    assert_eq!(world.lists(), 2);
}

#[test]
fn the_end_of_an_edit_is_read_beside_a_read_of_thousands_and_not_behind_it() {
    let mut world = waiting(1000, Duration::ZERO);
    world.jobs.insert(job("an-edit"), takes(Duration::ZERO));
    world.apply("an-edit", Wanted::Observed, policy());
    world.pass(secs(30));
    for n in 0..1000 {
        world.edit_silently(&id(n), |desired| desired.requested = Some("now".into()));
    }
    // Everything is looked at again, and that takes its time.
    world.slow = secs(5);
    for n in 0..1000 {
        let delivered = world.stored[&key(&id(n))].clone();
        world.tell(Input::Delivered(Box::new(delivered)));
    }
    world.pass(secs(6));
    world.slow = MS * 5;
    world.want("an-edit", Wanted::Closed);
    world.pass(MS * 200);
    assert!(world.is("an-edit", "Ready", "True", "InDesiredState"));
}

#[test]
fn of_many_closes_that_were_taken_eight_answers_are_waited_for_and_the_others_hold_no_connection() {
    let mut world = World::new();
    for n in 0..20 {
        world.jobs.insert(job(&id(n)), takes(secs(300)));
        world.apply(&id(n), Wanted::Closed, policy());
        world.pass(MS * 700);
    }
    assert_eq!((world.closes(), world.let_go), (20, 12));
    world.pass(secs(330));
    assert_eq!(
        (world.not_closed(), world.closes(), world.forces()),
        (0, 20, 0)
    );
}

#[test]
fn while_outcomes_wait_to_be_written_nothing_is_said_of_what_is_on_its_way() {
    let mut world = waiting(4000, secs(5));
    world.max_closing = 400;
    world.connect();
    world.write_takes = MS * 150;
    world.count_from_now();
    world.pass(secs(120));
    assert_eq!(world.not_closed(), 0);
    assert_eq!(world.writes.len(), 4000);
}

#[test]
fn a_catch_up_is_not_starved_by_edits_without_end() {
    let mut world = waiting(100, Duration::ZERO);
    world.max_closing = 1;
    world.connect();
    // Each takes a tenth of a second, and there is a new one sooner than that.
    for n in 0..700 {
        let name = format!("fresh-{n:04}");
        world.jobs.insert(job(&name), takes(MS * 100));
        world.create(&name, desired(&name, Wanted::Closed, policy()));
        world.pass(MS * 90);
    }
    let old = (0..100)
        .filter(|n| world.state(&id(*n)) == JobState::Closed)
        .count();
    assert_eq!(old, 100, "what waited half a minute goes among them");
    let fresh = world
        .jobs
        .iter()
        .filter(|(_, job)| job.state != JobState::Closed);
    assert!(fresh.count() > 20, "and they wanted more than there is");
}

#[test]
fn namespaces_take_turns_so_that_a_flood_in_one_delays_no_other() {
    let last_of_quiet = |hostile: usize| {
        let mut world = World::new();
        world.max_closing = 8;
        world.trouble = Some(trouble(Reason::ClusterUnreachable));
        world.connect();
        for n in 0..hostile {
            let name = format!("hostile/{}", id(n));
            world.jobs.insert(job(&id(n)), takes(MS * 200));
            world.create(&name, desired(&id(n), Wanted::Closed, policy()));
        }
        for n in 0..50 {
            let quiet = format!("quiet-{n:02}");
            world.jobs.insert(job(&quiet), takes(MS * 200));
            world.create(
                &format!("quiet/{quiet}"),
                desired(&quiet, Wanted::Closed, policy()),
            );
        }
        world.pass(secs(100));
        world.trouble = None;
        world.crash();
        let begun = world.clock;
        while (0..50).any(|n| world.state(&format!("quiet-{n:02}")) != JobState::Closed) {
            world.pass(MS * 50);
            assert!(world.clock - begun < secs(600));
        }
        (world.clock - begun, key("quiet/x").namespace().len())
    };
    let (alone, _) = last_of_quiet(0);
    let (beside, _) = last_of_quiet(2000);
    // Half of the places are its own.
    assert!(
        beside <= alone * 2 + secs(2),
        "{beside:?} beside 2000 of another, {alone:?} alone"
    );
}
