//! Levers without an edit of what is wanted, what is written and when, and what kstatus makes of each version.

use std::sync::Arc;
use std::time::Duration;

use super::fake_job::FakeJob;
use super::world::{World, desired, job, key, policy, secs, trouble};
use crate::api::{AnomalyJobStatus, JobState, OnTimeout, Reason};
use crate::reconciler::input::*;

const MS: Duration = Duration::from_millis(1);

fn one(state: JobState) -> World {
    let mut world = World::new();
    world.jobs.insert(job("a"), FakeJob::new(state));
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(10));
    world
}

/// Sets the annotation, which leaves the generation as it is.
pub(super) fn request(world: &mut World, name: &str, at: &str) {
    world.version += 1;
    let version = world.version.to_string();
    let stored = world.stored.get_mut(&key(name)).unwrap();
    stored.desired.requested = Some(Arc::from(at));
    stored.resource_version = Arc::from(version);
    let delivered = stored.clone();
    world.tell(Input::Delivered(Box::new(delivered)));
}

fn handled(world: &World, name: &str) -> Option<String> {
    world.status(name).last_handled_reconcile_at.clone()
}

#[test]
fn a_request_to_look_again_is_echoed_once_everything_was_looked_at_and_calls_nothing() {
    let mut world = World::new();
    for n in 0..30 {
        let mut fake = FakeJob::new(JobState::Closed);
        fake.groups = vec!["g"];
        world.jobs.insert(job(&format!("j-{n:02}")), fake);
    }
    world.create("o", desired("g", Wanted::Closed, policy()));
    world.pass(secs(20));
    let (writes, reads) = (world.writes.len(), world.reads.len());
    assert_eq!(handled(&world, "o"), None);
    request(&mut world, "o", "2026-11-26T12:00:00Z");
    assert_eq!(handled(&world, "o"), None, "nothing was looked at yet");
    world.pass(secs(1));
    assert_eq!(
        handled(&world, "o").as_deref(),
        Some("2026-11-26T12:00:00Z")
    );
    assert_eq!(world.writes.len(), writes + 1);
    let looked: usize = world.reads[reads..]
        .iter()
        .map(|question| match question {
            Question::States { jobs, .. } => jobs.len(),
            _ => 0,
        })
        .sum();
    assert_eq!(looked, 30, "each once");
    assert!(world.reads[reads..].contains(&Question::Catalogue));
    assert!(world.calls.is_empty());
    world.pass(secs(600));
    assert_eq!(world.writes.len(), writes + 1);
    request(&mut world, "o", "again");
    world.pass(secs(1));
    assert_eq!(handled(&world, "o").as_deref(), Some("again"));
}

#[test]
fn a_request_during_an_outage_is_answered_when_the_cluster_is() {
    let mut world = one(JobState::Closed);
    world.trouble = Some(trouble(Reason::ClusterUnreachable));
    request(&mut world, "a", "now");
    world.pass(secs(120));
    assert_eq!(handled(&world, "a"), None);
    world.trouble = None;
    world.pass(secs(120));
    assert_eq!(handled(&world, "a").as_deref(), Some("now"));
}

#[test]
fn a_request_finds_what_changed_at_once() {
    let mut world = one(JobState::Closed);
    world.pass(secs(60));
    world.reopen("a");
    request(&mut world, "a", "now");
    world.pass(secs(2));
    assert_eq!(world.state("a"), JobState::Closed);
    assert!(world.is("a", "Drifted", "False", "Corrected"));
}

#[test]
fn a_request_that_was_made_while_nobody_was_there_is_echoed_when_everything_was_looked_at() {
    for state in [JobState::Closed, JobState::Opened] {
        let mut world = one(state);
        world.pass(secs(60));
        world.stored.get_mut(&key("a")).unwrap().desired.requested = Some(Arc::from("then"));
        world.count_from_now();
        world.slow = secs(2);
        world.crash();
        let looked = |world: &World| {
            let states = |question: &Question| matches!(question, Question::States { .. });
            world.reads.iter().any(states)
        };
        while handled(&world, "a").is_none() {
            world.pass(secs(1));
            assert!(world.clock < secs(200), "{state:?}");
        }
        assert!(looked(&world), "{state:?}");
        let told = world
            .writes
            .iter()
            .position(|(_, status)| status.last_handled_reconcile_at.is_some());
        assert!(told.is_some() && world.closes() == 0, "{state:?}");
    }
}

#[test]
fn a_request_that_comes_before_the_first_list_is_echoed_when_everything_was_looked_at() {
    let mut world = one(JobState::Closed);
    world.pass(secs(60));
    world.trouble = Some(trouble(Reason::TimedOut));
    world.crash();
    world.pass(secs(5));
    request(&mut world, "a", "then");
    world.pass(secs(5));
    world.count_from_now();
    world.trouble = None;
    world.pass(secs(120));
    assert_eq!(handled(&world, "a").as_deref(), Some("then"));
    let states = |question: &Question| matches!(question, Question::States { .. });
    assert!(world.reads.iter().any(states));
}

#[test]
fn suspend_stops_calls_in_the_middle_and_reporting_goes_on() {
    let mut world = World::new();
    for n in 0..200 {
        let mut fake = FakeJob::new(JobState::Opened);
        fake.groups = vec!["g"];
        fake.close_takes = Some(secs(10));
        world.jobs.insert(job(&format!("j-{n:03}")), fake);
    }
    world.create("o", desired("g", Wanted::Closed, policy()));
    world.pass(secs(5));
    let calls = world.calls.len();
    world.edit("o", |desired| desired.suspended = true);
    world.pass(secs(120));
    assert_eq!(world.calls.len(), calls);
    assert!(world.is("o", "Ready", "False", "Suspended"));
    assert!(
        world.condition("o", "Reconciling").is_none() && world.condition("o", "Stalled").is_none()
    );
    assert_eq!(
        world.status("o").summary,
        "64/200 closed",
        "what was asked for before went on, and is told"
    );
    assert!(world.is("o", "Closed", "False", "StillOpen"));
    world.edit("o", |desired| desired.suspended = false);
    world.pass(secs(120));
    assert_eq!(world.status("o").summary, "200/200 closed");
}

#[test]
fn an_outcome_is_one_write_and_nothing_changed_is_none() {
    let mut world = one(JobState::Opened);
    assert_eq!(world.writes.len(), 1, "observed, closed and confirmed");
    for _ in 0..10 {
        // Somebody touches a label, an annotation of another, or nothing.
        world.version += 1;
        let version = world.version.to_string();
        let stored = world.stored.get_mut(&key("a")).unwrap();
        stored.resource_version = Arc::from(version);
        let delivered = stored.clone();
        world.tell(Input::Delivered(Box::new(delivered)));
        world.pass(secs(30));
    }
    assert_eq!(world.writes.len(), 1);
    world.reopen("a");
    world.pass(secs(120));
    assert_eq!(
        world.writes.len(),
        2,
        "put back: {:#?}",
        world.writes.last()
    );
}

#[test]
fn of_many_changes_while_a_write_is_on_its_way_only_the_latest_is_written() {
    let mut world = one(JobState::Closed);
    let writes = world.writes.len();
    for n in 0..20 {
        world.edit("a", |desired| desired.suspended = n % 2 == 0);
        world.pass(MS);
    }
    world.pass(secs(10));
    assert!(
        world.writes.len() - writes <= 20 / 3 + 2,
        "{} writes for 20 edits in 20 ms",
        world.writes.len() - writes
    );
    assert_eq!(world.status("a").observed_generation, 21);
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
    let (_, last) = world.writes.last().unwrap();
    assert_eq!(last, world.status("a"));
}

#[test]
fn a_close_that_ends_within_two_seconds_is_told_with_its_end_alone() {
    let mut world = World::new();
    let mut fake = FakeJob::new(JobState::Opened);
    fake.close_takes = Some(MS * 1200);
    world.jobs.insert(job("a"), fake);
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(60));
    assert_eq!(world.writes.len(), 1);
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
}

#[test]
fn progress_of_a_thousand_jobs_of_one_object_is_written_every_ten_seconds_at_most() {
    let mut world = World::new();
    for n in 0..1000 {
        let mut fake = FakeJob::new(JobState::Opened);
        fake.groups = vec!["g"];
        fake.close_takes = Some(secs(5));
        world.jobs.insert(job(&format!("j-{n:03}")), fake);
    }
    world.create("o", desired("g", Wanted::Closed, policy()));
    world.pass(secs(200));
    assert!(
        world.is("o", "Ready", "True", "InDesiredState"),
        "{:?}",
        world.condition("o", "Ready")
    );
    let writes = world.writes.len();
    assert!((2..=14).contains(&writes), "{writes} writes");
}

fn has(status: &AnomalyJobStatus, of: &str) -> bool {
    status
        .conditions
        .iter()
        .any(|condition| condition.type_ == of && condition.status == "True")
}

/// What kstatus makes of it: Stalled is a failure, Reconciling is progress, and so is a Ready that is not True.
fn is_sound(status: &AnomalyJobStatus, what: &str) {
    let (ready, moves, stalled) = (
        has(status, "Ready"),
        has(status, "Reconciling"),
        has(status, "Stalled"),
    );
    assert!(
        u8::from(ready) + u8::from(moves) + u8::from(stalled) <= 1,
        "{what}: {:#?}",
        status.conditions
    );
    for condition in &status.conditions {
        assert_eq!(
            condition.observed_generation,
            Some(status.observed_generation),
            "{what}"
        );
    }
}

#[test]
fn every_version_ever_written_is_success_progress_or_failure_and_only_one_of_them() {
    let mut world = World::new();
    for (n, state) in [
        JobState::Opened,
        JobState::Failed,
        JobState::Closed,
        JobState::Closing,
    ]
    .into_iter()
    .enumerate()
    {
        for m in 0..5 {
            let mut fake = FakeJob::new(state);
            fake.groups = vec!["g"];
            fake.close_takes = [
                Some(Duration::ZERO),
                Some(secs(30)),
                None,
                Some(secs(3)),
                None,
            ][m];
            world.jobs.insert(job(&format!("j-{n}{m}")), fake);
        }
    }
    let mut close = policy();
    close.on_timeout = OnTimeout::Stall;
    world.create("o", desired("g,missing", Wanted::Closed, close));
    for n in 0..20 {
        world.apply(&format!("j-{}{}", n / 5, n % 5), Wanted::Observed, policy());
    }
    world.pass(secs(100));
    world.trouble = Some(trouble(Reason::ClusterUnreachable));
    world.pass(secs(400));
    world.trouble = None;
    world.pass(secs(700));
    world.upgrade_mode = true;
    world.pass(secs(400));
    world.upgrade_mode = false;
    world.edit("o", |desired| desired.wanted = Wanted::Opened);
    world.pass(secs(300));
    world.edit("o", |desired| desired.suspended = true);
    world.pass(secs(60));
    world.edit("o", |desired| desired.wanted = Wanted::Closed);
    world.edit("o", |desired| desired.suspended = false);
    world.edit("o", |desired| desired.close.on_timeout = OnTimeout::Force);
    world.pass(secs(1500));
    assert!(world.writes.len() > 40, "{}", world.writes.len());
    for (key, status) in &world.writes {
        is_sound(status, &key.to_string());
    }
    let ready_at: Vec<i64> = world
        .writes
        .iter()
        .filter(|(key, status)| *key.name() == *"o" && has(status, "Ready"))
        .map(|(_, status)| status.observed_generation)
        .collect();
    assert_eq!(ready_at, [0; 0], "one of its jobs does not exist");
}
