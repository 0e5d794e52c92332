//! What a close cost: graceful, unsaved or forced, with the age of the snapshot and the data whose learning is lost.

use super::world::{FakeJob, World, desired, job, moment, policy, secs};
use crate::api::{JobState, LastClose, stamp};
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
            world.pass(std::time::Duration::from_millis(1));
        }
        world.pass(std::time::Duration::from_millis(after));
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

#[test]
fn a_node_that_is_lost_while_the_job_closes_makes_it_unsaved_also_when_the_operator_dies_then() {
    for dies in [true, false] {
        let mut fake = FakeJob::new(JobState::Opened);
        fake.close_takes = None;
        let mut world = World::of("a", fake, Wanted::Closed);
        world.pass(secs(60));
        world.fake("a").assigned = false;
        world.pass(secs(30));
        world.fake("a").assigned = true;
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
        world.pass(std::time::Duration::from_millis(1));
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
