//! Lists that are refused: the bad ids are found in few calls, the good ones are closed and never touched twice, and what
//! the line bears is learned.

use std::collections::{BTreeMap, BTreeSet};

use super::fake_job::FakeJob;
use super::world::{World, job, policy, secs};
use crate::api::{JobId, JobState, OnFailed};
use crate::reconciler::input::*;

fn id(n: usize) -> String {
    format!("orders-prod-eu-{n:05}")
}

/// So many open jobs, all of them seen, that one list takes; `bad` changes some before it leaves.
fn list_of(count: usize, bad: impl Fn(&mut World)) -> World {
    let mut world = World::new();
    world.max_closing = 2000;
    world.connect();
    for n in 0..count {
        world
            .jobs
            .insert(job(&id(n)), FakeJob::new(JobState::Opened));
        world.apply(&id(n), Wanted::Observed, policy());
    }
    world.pass(secs(30));
    world.calls.clear();
    bad(&mut world);
    // A suspended edit makes the newest generation known; then all of them are let loose within the same instant.
    for n in 0..count {
        world.edit(&id(n), |desired| desired.wanted = Wanted::Closed);
    }
    world
}

/// How often each id was in a call that Elasticsearch took.
fn touches(world: &World) -> BTreeMap<JobId, usize> {
    let mut touches = BTreeMap::new();
    for (_, call) in &world.calls {
        for id in call.jobs() {
            *touches.entry(id.clone()).or_default() += 1;
        }
    }
    touches
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
fn bound(of: usize, bad: usize) -> usize {
    let (n, k) = (of as f64, bad as f64);
    (2.0 * k * (n / k).log2() + k).floor() as usize
}

#[test]
fn a_404_that_names_unknown_ids_costs_at_most_two_more_calls() {
    for gone in [vec![100], vec![5, 60, 180], (1..100).collect::<Vec<_>>()] {
        let mut world = list_of(190, |world| {
            for n in &gone {
                world.jobs.remove(&job(&id(*n)));
            }
        });
        let good = 190 - gone.len();
        world.pass(secs(2));
        assert_eq!(world.closed(), good);
        // The first edit goes alone, the others are one list.
        assert!(
            world.closes() <= 2 + 2,
            "{} closes for {} gone",
            world.closes(),
            gone.len()
        );
        world.pass(secs(600));
        assert!(world.is(&id(gone[0]), "Stalled", "True", "JobNotFound"));
        let unknown: BTreeSet<JobId> = gone.iter().map(|n| job(&id(*n))).collect();
        assert!(
            touches(&world)
                .iter()
                .all(|(id, count)| *count <= 2 && (*count <= 1 || !unknown.contains(id)))
        );
    }
}

#[test]
fn refused_ids_are_found_within_the_bound_and_no_taken_id_is_touched_again() {
    for bad in [
        vec![77],
        vec![1, 2],
        vec![10, 90, 180],
        vec![3, 40, 80, 120, 189],
    ] {
        let mut world = list_of(190, |world| {
            for n in &bad {
                let fake = world.jobs.get_mut(&job(&id(*n))).unwrap();
                fake.refuses_lists = true;
                fake.close_takes = None;
            }
        });
        world.pass(secs(1));
        let search = world.closes().saturating_sub(2 + bad.len());
        assert!(
            search <= bound(189, bad.len()),
            "{search} calls for {bad:?}"
        );
        assert!(world.closed() >= 190 - bad.len());
        // No list that was taken held one that an earlier one had closed.
        let mut taken = BTreeSet::new();
        for (_, call) in &world.calls {
            let refused = call.jobs().len() > 1
                && call
                    .jobs()
                    .iter()
                    .any(|id| bad.iter().any(|n| *id == job(&self::id(*n))));
            if !refused {
                for id in call.jobs() {
                    let is_bad = bad.iter().any(|n| *id == job(&self::id(*n)));
                    assert!(taken.insert(id.clone()) || is_bad, "{id} was touched twice");
                }
            }
        }
        world.pass(secs(60));
        let alone: Vec<&Call> = world
            .calls
            .iter()
            .map(|(_, call)| call)
            .filter(|call| **call == Call::Close(vec![job(&id(bad[0]))]))
            .collect();
        assert!(!alone.is_empty(), "what was refused goes alone");
    }
}

#[test]
fn a_job_that_was_refused_never_spoils_a_list_again() {
    let mut world = list_of(50, |world| {
        let fake = world.jobs.get_mut(&job(&id(20))).unwrap();
        (fake.refuses_lists, fake.close_takes) = (true, None);
    });
    world.pass(secs(5));
    assert_eq!(world.closed(), 49, "it is refused alone too, for now");
    let before = world.calls.len();
    for n in 0..50 {
        world.reopen(&id(n));
    }
    world.pass(secs(400));
    assert_eq!(world.closed(), 49);
    let bad = job(&id(20));
    let later = world.calls[before..].iter().map(|(_, call)| call.jobs());
    for jobs in later.filter(|jobs| jobs.contains(&bad)) {
        assert_eq!(jobs.len(), 1);
    }
    let fake = world.jobs.get_mut(&bad).unwrap();
    (fake.refuses_lists, fake.close_takes) = (false, Some(std::time::Duration::ZERO));
    world.pass(secs(400));
    assert_eq!(world.closed(), 50);
    assert!(world.is(&id(20), "Ready", "True", "InDesiredState"));
}

#[test]
fn a_member_that_failed_in_the_last_moment_costs_two_calls_and_the_others_close() {
    let mut world = list_of(100, |world| {
        world.jobs.get_mut(&job(&id(50))).unwrap().state = JobState::Failed;
        for n in 0..100 {
            world
                .stored
                .get_mut(&super::world::key(&id(n)))
                .unwrap()
                .desired
                .close
                .on_failed = OnFailed::Stall;
        }
    });
    world.pass(secs(10));
    assert_eq!(world.closed(), 99);
    assert!(world.closes() <= 2 + 2, "{}", world.closes());
    world.pass(secs(60));
    assert!(world.is(&id(50), "Stalled", "True", "JobFailed"));
}

#[test]
fn a_proxy_that_takes_shorter_lines_is_learned_and_all_are_closed() {
    for room in [3000, 1500, 700] {
        let mut world = list_of(800, |world| world.real_room = Some(room));
        world.pass(secs(30));
        assert_eq!(world.closed(), 800, "{room}");
        let line = |call: &Call| {
            call.jobs()
                .iter()
                .map(|id| id.as_str().len() + 1)
                .sum::<usize>()
        };
        let too_long = world
            .calls
            .iter()
            .filter(|(_, call)| line(call) > room + 1)
            .count();
        // Eight may be on their way when the first is refused, and the room is halved twice or thrice.
        assert!(
            too_long <= 8 * 3,
            "{too_long} of {} lists were too long",
            world.calls.len()
        );
        let last = &world.calls[world.calls.len() - 1].1;
        assert!(line(last) <= room + 1);
        assert!(touches(&world).values().all(|count| *count <= 1 + too_long));
        assert!(
            world
                .status(&id(799))
                .targets
                .iter()
                .all(|target| target.failures == 0)
        );
    }
}

#[test]
fn of_a_list_that_was_taken_by_half_only_the_other_half_is_asked_again() {
    let mut world = list_of(100, |world| world.halves_lists = true);
    world.pass(secs(1));
    world.halves_lists = false;
    world.pass(secs(30));
    assert_eq!(world.closed(), 100);
    let again = touches(&world).values().filter(|count| **count > 1).count();
    assert!(again <= 50, "{again} ids were sent twice");
    assert!((0..100).all(|n| world.is(&id(n), "Ready", "True", "InDesiredState")));
}

#[test]
fn a_list_that_is_refused_while_a_cluster_gives_up_is_no_verdict_on_any_id() {
    let mut world = list_of(100, |world| {
        world.jobs.get_mut(&job(&id(40))).unwrap().refuses_lists = true;
        world.jobs.get_mut(&job(&id(40))).unwrap().close_takes = None;
    });
    world.pass(std::time::Duration::from_millis(12));
    world.trouble = Some(super::world::trouble(
        crate::api::Reason::ClusterUnreachable,
    ));
    world.pass(secs(120));
    world.trouble = None;
    world.pass(secs(120));
    assert_eq!(world.closed(), 99);
    assert_eq!(world.state(&id(40)), JobState::Opened);
    assert!(
        world.is(&id(40), "Ready", "False", "RequestRefused"),
        "{:?}",
        world.condition(&id(40), "Ready")
    );
}
