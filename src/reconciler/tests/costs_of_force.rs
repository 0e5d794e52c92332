//! What a close cost: graceful, unsaved or forced, with the age of the snapshot and the data whose learning is lost.

use std::time::Duration;

use super::groups::opened;
use super::world::{FakeJob, World, desired, job, moment, policy, secs, trouble};
use crate::api::{JobState, LastClose, Reason, stamp};
use crate::reconciler::input::Wanted;

/// Hangs while it closes; its newest snapshot is an hour old at the first moment of the world's second day.
fn hanging() -> FakeJob {
    let mut fake = FakeJob::new(JobState::Opened);
    fake.close_takes = None;
    fake.snapshot = Some((secs(82_800), secs(82_000)));
    fake.latest_record = Some(secs(86_300));
    fake
}

fn next_day() -> World {
    let mut world = World::new();
    world.pass(secs(86_400));
    world
}

fn last(world: &World, name: &str) -> LastClose {
    world.status(name).last_close.clone().unwrap()
}

/// The loss of `hanging` in this close.
fn assert_loss(last: &LastClose, name: &str) {
    let loss = last
        .losses
        .iter()
        .find(|loss| loss.job_id == job(name))
        .unwrap();
    assert_eq!(loss.snapshot_at, Some(stamp(moment(secs(82_800)).wall)));
    let age = loss.snapshot_age.unwrap().as_duration();
    assert!(
        (secs(4200)..secs(4300)).contains(&age),
        "an hour and ten minutes, not {age:?}"
    );
    assert_eq!(loss.lost_from, Some(stamp(moment(secs(82_000)).wall)));
    assert_eq!(loss.lost_until, Some(stamp(moment(secs(86_300)).wall)));
}

#[test]
fn a_force_tells_the_age_of_the_snapshot_and_the_interval_in_status_event_and_condition() {
    let mut world = next_day();
    world.jobs.insert(job("a"), hanging());
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(700));
    let last = last(&world, "a");
    assert_eq!(
        (last.graceful, &*last.forced, last.unsaved.len()),
        (0, &[job("a")][..], 0)
    );
    assert!(last.finished_at.is_some() && last.duration.is_some());
    assert!(is_at(&last, secs(86_400)));
    assert_loss(&last, "a");
    let events = world.told("JobClosed");
    assert_eq!(events.len(), 1);
    for said in [events[0].to_owned(), world.message("a", "Forced")] {
        assert!(
            said.contains("its newest snapshot was 1h10m") && said.contains("old"),
            "{said}"
        );
        assert!(
            said.contains("data from 2026-") && said.contains(" to 2026-"),
            "{said}"
        );
    }
    assert!(events[0].contains("by force"));
}

#[test]
fn where_no_snapshot_is_found_that_is_said() {
    let mut world = next_day();
    let mut fake = hanging();
    fake.snapshot = None;
    world.jobs.insert(job("a"), fake);
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(700));
    let last = last(&world, "a");
    assert!(last.losses[0].snapshot_at.is_none() && last.losses[0].lost_from.is_none());
    assert!(
        world
            .message("a", "Forced")
            .contains("no snapshot of it was found")
    );
}

#[test]
fn a_restart_in_the_middle_of_a_force_forgets_nothing_of_its_cost() {
    for after in [0, 3, 6, 20, 900] {
        let mut world = next_day();
        world.jobs.insert(job("a"), hanging());
        world.apply("a", Wanted::Closed, policy());
        while world.forces() == 0 {
            world.pass(Duration::from_millis(1));
        }
        world.pass(Duration::from_millis(after));
        world.crash();
        world.pass(secs(100));
        let last = last(&world, "a");
        assert_eq!(last.forced, [job("a")], "{after} ms after the force");
        assert!(last.finished_at.is_some());
        assert_loss(&last, "a");
    }
}

#[test]
fn a_group_is_one_campaign_with_all_its_costs_also_over_restarts() {
    for restarts in [0, 1, 7] {
        let mut world = next_day();
        for n in 0..6 {
            let name = format!("job-{n}");
            let fake = match n {
                0 | 1 => hanging(),
                2 => {
                    let mut fake = FakeJob::new(JobState::Opened);
                    fake.close_takes = Some(secs(300));
                    fake
                }
                3 => {
                    let mut fake = FakeJob::new(JobState::Opened);
                    fake.assigned = false;
                    fake
                }
                _ => FakeJob::new(JobState::Opened),
            };
            world.jobs.insert(job(&name), fake);
        }
        world.create("all", desired("job-*", Wanted::Closed, policy()));
        world.pass(secs(30));
        assert!(last(&world, "all").finished_at.is_none(), "it goes on");
        for _ in 0..restarts {
            world.crash();
            world.pass(secs(170));
        }
        world.pass(secs(2500));
        let last = last(&world, "all");
        let forced: std::collections::BTreeSet<_> = last.forced.iter().cloned().collect();
        assert!(forced.into_iter().eq([job("job-0"), job("job-1")]));
        assert_eq!(
            (last.graceful, &*last.unsaved),
            (3, &[job("job-3")][..]),
            "{restarts} restarts"
        );
        assert!(last.finished_at.is_some());
        assert_loss(&last, "job-0");
        assert_loss(&last, "job-1");
        let told = world.told("JobsClosed");
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].contains("3 gracefully, 1 without their models being saved, 2 by force"),
            "{}",
            told[0]
        );
        assert!(
            told[0].contains("job-1 (its newest snapshot was 1h1"),
            "{}",
            told[0]
        );
        assert!(world.is("all", "Forced", "True", "DeadlinePassed"));
        // In the order in which they were forced, which is as it comes.
        let orders =
            ["job-0, job-1", "job-1, job-0"].map(|ids| format!("closed by force: {ids}; "));
        let message = world.message("all", "Forced");
        assert!(
            orders.iter().any(|order| message.starts_with(order)),
            "{message}"
        );
    }
}

#[test]
fn a_close_of_a_job_without_a_node_is_called_unsaved() {
    let mut fake = FakeJob::new(JobState::Opened);
    fake.assigned = false;
    let mut world = World::of("a", fake, Wanted::Closed);
    world.pass(secs(30));
    assert_eq!(last(&world, "a").unsaved, [job("a")]);
    assert!(world.told("JobClosed")[0].contains("without its model being saved"));
}

/// A close that hangs, and whose node was lost for half a minute.
fn without_a_node_for_a_while() -> World {
    let mut fake = FakeJob::new(JobState::Opened);
    fake.close_takes = None;
    let mut world = World::of("a", fake, Wanted::Closed);
    world.pass(secs(60));
    world.fake("a").assigned = false;
    world.pass(secs(30));
    world.fake("a").assigned = true;
    world
}

#[test]
fn a_node_that_is_lost_while_the_job_closes_makes_it_unsaved_also_when_the_operator_dies_then() {
    for dies in [true, false] {
        let mut world = without_a_node_for_a_while();
        if dies {
            world.crash();
        }
        world.pass(secs(30));
        world.fake("a").closed();
        world.pass(secs(30));
        let last = last(&world, "a");
        assert_eq!(
            (last.graceful, &*last.unsaved),
            (0, &[job("a")][..]),
            "dies: {dies}"
        );
    }
}

#[test]
fn a_force_that_was_noted_and_then_not_wanted_costs_nothing() {
    let mut world = next_day();
    world.jobs.insert(job("a"), hanging());
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(595));
    while world.status("a").targets[0].forced_at.is_none() {
        world.pass(Duration::from_millis(1));
    }
    assert_eq!(world.forces(), 0, "it is stored, and not acknowledged yet");
    world.want("a", Wanted::Observed);
    world.pass(secs(30));
    assert_eq!(world.forces(), 0);
    assert!(world.status("a").last_close.is_none() && world.condition("a", "Forced").is_none());
    assert!(world.told("JobsClosed").is_empty() && world.told("JobClosed").is_empty());
}

#[test]
fn a_second_force_has_a_note_of_its_own() {
    let mut fake = FakeJob::new(JobState::Opened);
    fake.close_takes = None;
    fake.ignores_force = true;
    let mut world = World::of("a", fake, Wanted::Closed);
    let mut notes = Vec::new();
    for _ in 0..800 {
        world.pass(secs(1));
        notes.extend(
            world
                .status("a")
                .targets
                .first()
                .and_then(|target| target.forced_at.clone()),
        );
    }
    notes.dedup();
    assert!(
        world.forces() >= 3 && notes.len() == world.forces(),
        "{} forces, {notes:?}",
        world.forces()
    );
}

#[test]
fn a_job_that_is_wanted_open_after_a_crash_keeps_what_its_force_cost() {
    let mut world = next_day();
    let fake = FakeJob {
        ignores_force: true,
        ..hanging()
    };
    world.jobs.insert(job("b"), fake);
    world.apply("b", Wanted::Closed, policy());
    world.pass(secs(605));
    assert_eq!(world.forces(), 1);
    world.crash();
    world.pass(secs(5));
    world.want("b", Wanted::Opened);
    world.pass(secs(30));
    let last = last(&world, "b");
    assert_eq!(last.forced, [job("b")]);
    assert_loss(&last, "b");
}

/// It began within a second after this.
fn is_at(last: &LastClose, begun: Duration) -> bool {
    let started = last.started_at.as_ref().unwrap().0;
    let late = started.duration_since(moment(begun).wall).as_millis();
    (0..1000).contains(&late)
}

#[test]
fn each_close_of_an_object_is_summed_up_by_itself_from_its_first_request_to_its_last_end() {
    let mut world = next_day();
    for (name, takes) in [("a", 10), ("b", 40)] {
        let fake = FakeJob {
            close_takes: Some(secs(takes)),
            ..opened(&["g"])
        };
        world.jobs.insert(job(name), fake);
    }
    world.create("o", desired("g", Wanted::Closed, policy()));
    for round in 0..2 {
        let begun = world.clock;
        world.pass(secs(120));
        let last = last(&world, "o");
        assert_eq!((last.graceful, last.forced.len()), (2, 0), "round {round}");
        assert!(is_at(&last, begun), "{last:?}");
        let took = last.duration.unwrap().as_duration();
        assert!((secs(40)..secs(55)).contains(&took), "{took:?}");
        world.want("o", Wanted::Opened);
        world.pass(secs(120));
        world.want("o", Wanted::Closed);
    }
}

#[test]
fn the_close_of_one_job_tells_when_it_was_asked_for() {
    let mut world = next_day();
    let begun = world.clock;
    let fake = FakeJob::new(JobState::Opened);
    world.jobs.insert(job("a"), fake);
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(120));
    let last = last(&world, "a");
    assert!(last.graceful == 1 && is_at(&last, begun), "{last:?}");
}

#[test]
fn the_start_of_a_close_is_that_of_the_job_that_was_asked_for_first() {
    // One of them closes at once; the close of the other was asked for before, alone, and takes longer.
    let mut world = next_day();
    for (name, takes) in [("a", 60), ("b", 0)] {
        let fake = FakeJob {
            close_takes: Some(secs(takes)),
            ..FakeJob::new(JobState::Opened)
        };
        world.jobs.insert(job(name), fake);
    }
    world.create("o", desired("a", Wanted::Closed, policy()));
    let begun = world.clock;
    world.pass(secs(10));
    let both = desired("a,b", Wanted::Closed, policy()).scope;
    world.edit("o", |desired| desired.scope = both);
    world.pass(secs(120));
    let last = last(&world, "o");
    assert_eq!(last.graceful, 2);
    assert!(is_at(&last, begun), "{last:?}");
}

#[test]
fn the_end_of_many_closes_is_a_warning_where_any_model_lost_something() {
    let group = |change: fn(&mut FakeJob)| {
        let mut world = next_day();
        for name in ["a", "b"] {
            let mut fake = opened(&["g"]);
            if name == "a" {
                change(&mut fake);
            }
            world.jobs.insert(job(name), fake);
        }
        world.create("o", desired("g", Wanted::Closed, policy()));
        world.pass(secs(1200));
        let told = world
            .events
            .iter()
            .find(|event| event.reason == "JobsClosed");
        let told = told.unwrap();
        (told.warning, told.note.clone())
    };
    let (warning, note) = group(|_| ());
    assert_eq!(
        (warning, &*note),
        (false, "Closed jobs within a second: 2 gracefully")
    );
    let (warning, note) = group(|fake| fake.assigned = false);
    assert!(
        warning && note.contains("1 without their models being saved"),
        "{note}"
    );
    let (warning, note) = group(|fake| fake.close_takes = None);
    assert!(warning && note.contains("1 by force"), "{note}");
}

#[test]
fn at_most_a_hundred_jobs_of_a_close_are_named() {
    let mut world = next_day();
    for n in 0..101 {
        let fake = FakeJob {
            groups: vec!["g"],
            ..FakeJob::new(JobState::Failed)
        };
        world.jobs.insert(job(&format!("f-{n}")), fake);
    }
    world.create("o", desired("g", Wanted::Closed, policy()));
    world.pass(secs(600));
    assert_eq!((world.closed(), last(&world, "o").forced.len()), (101, 100));
}

#[test]
fn a_close_that_goes_on_is_not_summed_up_by_a_start_that_cannot_read() {
    let mut world = without_a_node_for_a_while();
    world.pass(secs(30));
    let unfinished = |world: &World| {
        let last = world.status("a").last_close.clone().unwrap();
        (last.unsaved.len(), last.finished_at.is_none())
    };
    assert_eq!(unfinished(&world), (1, true));
    world.trouble = Some(trouble(Reason::ClusterUnreachable));
    world.crash();
    world.pass(secs(60));
    assert_eq!(unfinished(&world), (1, true));
    assert!(world.told("JobsClosed").is_empty());
    world.trouble = None;
    world.pass(secs(60));
    world.fake("a").closed();
    world.pass(secs(120));
    let last = world.status("a").last_close.clone().unwrap();
    assert_eq!((last.unsaved.len(), last.graceful), (1, 0));
}
