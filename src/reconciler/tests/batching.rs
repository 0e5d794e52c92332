//! Closes that leave together: when they wait for each other and when not, what stands in a list and what never.

use std::collections::BTreeSet;
use std::time::Duration;

use super::fake_job::FakeJob;
use super::world::{World, job, policy, secs};
use crate::api::{CloseMode, ClosePolicy, DatafeedState, JobState, OpenDatafeed};
use crate::reconciler::input::*;

const MS: Duration = Duration::from_millis(1);

fn lists(world: &World) -> Vec<(Duration, usize)> {
    let close = |(at, call): &(Duration, Call)| match call {
        Call::Close(ids) => Some((*at, ids.len())),
        _ => None,
    };
    world.calls.iter().filter_map(close).collect()
}

/// Open jobs `j-000` and so on; nobody means them yet.
fn jobs(count: usize) -> World {
    let mut world = World::new();
    for n in 0..count {
        world
            .jobs
            .insert(job(&id(n)), FakeJob::new(JobState::Opened));
    }
    world
}

fn id(n: usize) -> String {
    format!("j-{n:03}")
}

/// All of them were looked at and none is wanted closed: an edit finds them known.
fn observed(count: usize) -> World {
    let mut world = jobs(count);
    for n in 0..count {
        world.apply(&id(n), Wanted::Observed, policy());
    }
    world.pass(secs(30));
    world
}

fn close(world: &mut World, n: usize) {
    world.edit(&id(n), |desired| desired.wanted = Wanted::Closed);
}

#[test]
fn a_single_edit_waits_for_nothing() {
    let mut world = observed(1);
    let edited = world.clock;
    close(&mut world, 0);
    world.pass(secs(1));
    assert_eq!(lists(&world), [(edited, 1)]);
    assert_eq!(world.state("j-000"), JobState::Closed);
}

#[test]
fn single_edits_one_after_the_other_each_go_at_once() {
    let mut world = observed(20);
    let mut edited = Vec::new();
    for n in 0..20 {
        edited.push((world.clock, 1));
        close(&mut world, n);
        world.pass(MS * 60);
    }
    assert_eq!(lists(&world), edited, "nothing is gathered by the clock");
}

#[test]
fn the_first_goes_at_once_and_what_comes_while_it_is_on_its_way_leaves_together() {
    let mut world = observed(60);
    let edited = world.clock;
    for n in 0..60 {
        close(&mut world, n);
    }
    world.pass(secs(1));
    let lists = lists(&world);
    assert_eq!(
        lists,
        [(edited, 1), (edited + MS * 5, 59)],
        "an answer takes five milliseconds"
    );
}

#[test]
fn what_gathers_behind_a_slow_close_waits_a_tenth_of_a_second_and_no_longer() {
    let mut world = observed(3);
    world.jobs.get_mut(&job(&id(0))).unwrap().close_takes = Some(secs(20));
    let edited = world.clock;
    for n in 0..3 {
        close(&mut world, n);
    }
    world.pass(secs(1));
    let lists = lists(&world);
    assert_eq!(lists[0], (edited, 1));
    assert_eq!(lists[1].1, 2);
    assert!(lists[1].0 - edited <= MS * 100, "{:?}", lists[1].0 - edited);
}

/// A close is on its way, and its answer comes late; so many more are asked for then.
fn behind_a_slow_close(waiting: usize, max_closing: usize) -> (Duration, Vec<(Duration, usize)>) {
    let mut world = observed(waiting + 1);
    (world.max_closing, world.list_room) = (max_closing, 600);
    world.connect();
    world.pass(secs(30));
    world.jobs.get_mut(&job(&id(0))).unwrap().close_takes = Some(secs(20));
    let edited = world.clock;
    for n in 0..=waiting {
        close(&mut world, n);
    }
    world.pass(secs(1));
    let lists = lists(&world);
    assert_eq!(lists[0], (edited, 1));
    (lists[1].0 - edited, lists[1..].to_vec())
}

#[test]
fn what_fills_a_line_waits_for_no_more() {
    // "j-000,j-001,..": a hundred ids are 599 bytes, and one more may still be short enough.
    let (waited, lists) = behind_a_slow_close(100, 2000);
    assert_eq!((waited, lists[0].1), (MS * 100, 100));
    let (waited, lists) = behind_a_slow_close(101, 2000);
    assert_eq!((waited, lists[0].1), (Duration::ZERO, 100));
}

#[test]
fn what_fills_the_places_waits_for_no_more() {
    let (waited, lists) = behind_a_slow_close(9, 10);
    assert_eq!((waited, lists[0].1), (MS * 100, 9));
    let (waited, lists) = behind_a_slow_close(10, 10);
    assert_eq!((waited, lists[0].1), (Duration::ZERO, 9));
}

#[test]
fn what_is_not_wanted_any_more_does_not_fill_the_places() {
    let mut world = observed(12);
    world.max_closing = 10;
    world.connect();
    world.pass(secs(30));
    world.jobs.get_mut(&job(&id(0))).unwrap().close_takes = Some(secs(20));
    for n in 0..10 {
        close(&mut world, n);
    }
    // All but the first wait by now.
    world.pass(MS * 20);
    assert_eq!(lists(&world).len(), 1);
    world.edit(&id(9), |desired| desired.wanted = Wanted::Observed);
    close(&mut world, 10);
    world.pass(secs(1));
    let lists = lists(&world);
    assert_eq!(lists[1], (lists[0].0 + MS * 100, 9));
}

#[test]
fn a_job_that_was_refused_before_goes_alone_behind_what_waits_with_it() {
    let mut world = observed(5);
    let refused = world.jobs.get_mut(&job(&id(4))).unwrap();
    (refused.refuses_lists, refused.close_takes) = (true, None);
    close(&mut world, 4);
    world.pass(MS * 500);
    // Closes are refused for load for a second, so that all of them wait together.
    world.overloads = 1;
    for n in 0..4 {
        close(&mut world, n);
        world.pass(MS * 10);
    }
    world.pass(secs(2));
    let ids = |(_, call): &(Duration, Call)| call.jobs().to_vec();
    let calls: Vec<_> = world.calls.iter().map(ids).collect();
    let healthy: Vec<_> = (0..4).map(|n| job(&id(n))).collect();
    let alone = vec![job(&id(4))];
    assert_eq!(
        calls,
        [alone.clone(), vec![healthy[0].clone()], healthy, alone]
    );
}

/// It waited to be sent for an object that wants something else by now.
#[test]
fn a_close_that_takes_the_place_of_another_call_waits_for_a_place_like_any_other() {
    let mut world = World::new();
    (world.max_closing, world.max_in_flight) = (1, 1);
    world.connect();
    let feed = DatafeedState::Stopped;
    for (name, fake) in [
        ("a", FakeJob::new(JobState::Opened)),
        ("b", FakeJob::new(JobState::Closed)),
        ("c", FakeJob::new(JobState::Opened).with_feed(feed)),
    ] {
        world.jobs.insert(job(name), fake);
        world.apply(name, Wanted::Observed, policy());
    }
    world.pass(secs(30));
    world.jobs.get_mut(&job("a")).unwrap().close_takes = Some(secs(60));
    world.jobs.get_mut(&job("b")).unwrap().open_takes = Some(secs(1));
    world.edit("a", |desired| desired.wanted = Wanted::Closed);
    world.pass(secs(2));
    assert_eq!(world.state("a"), JobState::Closing);
    // The open of b is on its way while c waits to have its datafeed started.
    world.edit("b", |desired| desired.wanted = Wanted::Opened);
    world.edit("c", |desired| {
        desired.wanted = Wanted::Opened;
        desired.open.datafeed = OpenDatafeed::Start;
    });
    world.pass(MS * 20);
    world.edit("c", |desired| desired.wanted = Wanted::Closed);
    world.pass(secs(30));
    assert_eq!((world.opens(), world.starts()), (1, 0));
    assert_eq!(world.state("c"), JobState::Opened, "one may close at once");
    world.pass(secs(60));
    assert_eq!(world.state("c"), JobState::Closed);
}

#[test]
fn a_list_is_as_long_as_the_line_and_holds_each_id_once() {
    let mut world = World::new();
    (world.max_closing, world.list_room) = (2000, 600);
    world.connect();
    for n in 0..500 {
        world
            .jobs
            .insert(job(&id(n)), FakeJob::new(JobState::Opened));
        world.apply(&id(n), Wanted::Closed, policy());
    }
    world.pass(secs(20));
    // "j-000,j-001,..": a hundred ids are 599 bytes.
    let sizes: Vec<usize> = lists(&world).iter().map(|(_, size)| *size).collect();
    assert_eq!(sizes, [100; 5], "those of one moment leave together");
    let called: Vec<&JobIdOf> = world
        .calls
        .iter()
        .flat_map(|(_, call)| call.jobs())
        .collect();
    assert_eq!(called.iter().collect::<BTreeSet<_>>().len(), called.len());
}

type JobIdOf = crate::api::JobId;

#[test]
fn a_line_of_an_odd_length_is_never_exceeded() {
    for room in [512, 513, 700, 1001, 4000] {
        let mut world = World::new();
        (world.max_closing, world.list_room, world.real_room) = (2000, room, Some(room));
        world.connect();
        for n in 0..300 {
            let id = format!("{}-{n}", "x".repeat(n % 55));
            let id = id.trim_start_matches('-');
            world.jobs.insert(job(id), FakeJob::new(JobState::Opened));
            world.apply(id, Wanted::Closed, policy());
        }
        world.pass(secs(20));
        assert!(
            world.jobs.values().all(|job| job.state == JobState::Closed),
            "{room}"
        );
        for (_, call) in &world.calls {
            let line: usize = call.jobs().iter().map(|id| id.as_str().len() + 1).sum();
            assert!(line <= room + 1, "{line} of {room}");
        }
        assert_eq!(world.list_room, room, "none was refused as too long");
    }
}

#[test]
fn a_force_is_a_call_for_one_id() {
    let mut world = jobs(30);
    for n in 0..30 {
        let now = ClosePolicy {
            mode: CloseMode::Immediate,
            ..policy()
        };
        world.apply(&id(n), Wanted::Closed, now);
    }
    world.pass(secs(60));
    let forced: Vec<&JobIdOf> = world
        .calls
        .iter()
        .map(|(_, call)| match call {
            Call::ForceClose(id) => id,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        (forced.len(), forced.iter().collect::<BTreeSet<_>>().len()),
        (30, 30)
    );
}

#[test]
fn opens_do_not_gather_and_never_more_than_eight_calls_are_on_their_way() {
    let mut world = World::new();
    for n in 0..40 {
        world
            .jobs
            .insert(job(&id(n)), FakeJob::new(JobState::Closed));
        world.apply(&id(n), Wanted::Opened, policy());
    }
    world.pass(secs(10));
    let opens: Vec<Duration> = world.calls.iter().map(|(at, _)| *at).collect();
    assert_eq!(world.count(|call| matches!(call, Call::Open(_))), 40);
    for at in &opens {
        let together = opens
            .iter()
            .filter(|other| **other >= *at && **other < *at + MS * 5)
            .count();
        assert!(together <= 8, "{together} in the time of one answer");
    }
}

#[test]
fn only_jobs_that_were_just_seen_healthy_are_in_a_list() {
    let mut world = jobs(50);
    for (n, state) in [
        (3, JobState::Failed),
        (7, JobState::Closed),
        (9, JobState::Closing),
    ] {
        let fake = world.jobs.get_mut(&job(&id(n))).unwrap();
        fake.state = state;
    }
    world.jobs.get_mut(&job(&id(11))).unwrap().blocked = true;
    for n in 0..50 {
        world.apply(&id(n), Wanted::Closed, policy());
    }
    world.pass(secs(5));
    let closes = world
        .calls
        .iter()
        .map(|(_, call)| call)
        .filter(|call| matches!(call, Call::Close(_)));
    let listed: BTreeSet<&JobIdOf> = closes.flat_map(Call::jobs).collect();
    assert_eq!(listed.len(), 46);
    for n in [3, 7, 9, 11] {
        assert!(!listed.contains(&job(&id(n))), "{n}");
    }
}

#[test]
fn a_job_that_is_withdrawn_while_it_waits_its_turn_is_not_in_the_list() {
    let mut world = observed(3);
    for n in 0..3 {
        close(&mut world, n);
    }
    world.edit(&id(1), |desired| desired.suspended = true);
    world.pass(secs(5));
    assert_eq!(world.state(&id(1)), JobState::Opened);
    assert_eq!(
        (world.state(&id(0)), world.state(&id(2))),
        (JobState::Closed, JobState::Closed)
    );
}
