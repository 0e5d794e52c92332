//! `state: Opened`: a job is opened and its datafeed goes on, whatever was under way before, and nobody is forced for it.

use super::life::fed;
use super::world::{FakeJob, World, job, secs};
use crate::api::{DatafeedState, JobState, Reason};
use crate::reconciler::input::{Trouble, Wanted};

#[test]
fn a_job_is_opened_and_closed_a_hundred_times_over_and_its_datafeed_with_it() {
    let mut world = World::of(
        "a",
        fed(JobState::Opened, DatafeedState::Started),
        Wanted::Closed,
    );
    world.pass(secs(30));
    for round in 1..=100 {
        world.want("a", Wanted::Opened);
        world.pass(secs(30));
        assert!(
            world.is("a", "Ready", "True", "InDesiredState")
                && world.is("a", "Closed", "False", "StillOpen")
        );
        assert_eq!(
            (world.state("a"), world.fake("a").feed()),
            (JobState::Opened, Some(DatafeedState::Started))
        );
        world.want("a", Wanted::Closed);
        world.pass(secs(30));
        assert!(
            world.is("a", "Ready", "True", "InDesiredState")
                && world.is("a", "Closed", "True", "AllClosed")
        );
        assert_eq!(
            (world.opens(), world.starts(), world.closes()),
            (round, round, round + 1)
        );
    }
    assert_eq!((world.forces(), world.stops()), (0, 0));
    assert!(world.condition("a", "Drifted").is_none());
    assert_eq!(world.told("JobOpened").len(), 100);
}

#[test]
fn an_open_for_which_there_is_no_capacity_is_tried_again_until_there_is() {
    let mut fake = FakeJob::new(JobState::Closed);
    fake.refuses_open = Some(Trouble::new(Reason::NoCapacity, "no node has room for it"));
    let mut world = World::of("a", fake, Wanted::Opened);
    world.pass(secs(3600));
    assert!(
        world.is("a", "Reconciling", "True", "NoCapacity"),
        "{:?}",
        world.status("a").conditions
    );
    assert!(
        world
            .message("a", "Ready")
            .contains("no node has room for it")
    );
    assert!(
        (30..80).contains(&world.opens()),
        "{} opens in an hour",
        world.opens()
    );
    let writes = world.writes.len();
    world.pass(secs(3600));
    assert!(
        world.writes.len() - writes < 70,
        "{} writes",
        world.writes.len() - writes
    );
    assert_eq!(world.told("NoCapacity").len(), 1, "told once");
    world.fake("a").refuses_open = None;
    world.pass(secs(90));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
}

#[test]
fn a_lazy_open_that_times_out_still_says_why_no_node_takes_it() {
    let mut fake = FakeJob::new(JobState::Closed);
    fake.assigned = false;
    let mut world = World::of("a", fake, Wanted::Opened);
    world.pass(secs(2000));
    assert!(world.is("a", "Stalled", "True", "OpenTimedOut"));
    assert!(
        world.message("a", "Stalled").contains("no node has room"),
        "{}",
        world.message("a", "Stalled")
    );
}

#[test]
fn a_blocked_or_missing_job_is_opened_when_it_is_there() {
    let mut fake = FakeJob::new(JobState::Closed);
    fake.blocked = true;
    let mut world = World::of("a", fake, Wanted::Opened);
    world.apply("b", Wanted::Opened, super::world::policy());
    world.pass(secs(300));
    assert!(
        world.is("a", "Reconciling", "True", "JobBlocked")
            && world.is("b", "Stalled", "True", "JobNotFound")
    );
    assert_eq!(world.opens(), 0);
    world.fake("a").blocked = false;
    world.jobs.insert(job("b"), FakeJob::new(JobState::Closed));
    world.pass(secs(120));
    assert!(
        world.is("a", "Ready", "True", "InDesiredState")
            && world.is("b", "Ready", "True", "InDesiredState")
    );
}

#[test]
fn a_job_that_was_opened_is_not_called_forced_any_more() {
    let mut fake = FakeJob::new(JobState::Opened);
    fake.close_takes = None;
    let mut world = World::of("a", fake, Wanted::Closed);
    world.pass(secs(615));
    assert!(world.is("a", "Forced", "True", "DeadlinePassed"));
    world.fake("a").close_takes = Some(secs(1));
    world.want("a", Wanted::Opened);
    world.pass(secs(30));
    assert!(
        world.is("a", "Forced", "True", "DeadlinePassed"),
        "not before it is open"
    );
    world.pass(secs(60));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
    assert!(world.condition("a", "Forced").is_none());
    assert_eq!(
        world.status("a").last_close.as_ref().unwrap().forced,
        [job("a")],
        "the last close was one by force"
    );
    world.want("a", Wanted::Closed);
    world.pass(secs(30));
    assert!(
        world.condition("a", "Forced").is_none()
            && world.is("a", "Ready", "True", "InDesiredState")
    );
    assert!(
        world
            .status("a")
            .last_close
            .as_ref()
            .unwrap()
            .forced
            .is_empty()
    );
}
