//! `state: Opened`: a job is opened and its datafeed goes on, whatever was under way before, and nobody is forced for it.

use super::life::fed;
use super::world::{FakeJob, World, job, secs, trouble};
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
fn a_lazy_open_is_waited_for_and_the_condition_has_elasticsearchs_explanation() {
    let mut fake = FakeJob::new(JobState::Closed);
    fake.assigned = false;
    let mut world = World::of("a", fake, Wanted::Opened);
    world.pass(secs(600));
    assert_eq!(world.opens(), 1);
    assert!(
        world.is("a", "Reconciling", "True", "AwaitingNode")
            && world.is("a", "Ready", "False", "AwaitingNode")
    );
    assert!(
        world.message("a", "Ready").contains("no node has room"),
        "{}",
        world.message("a", "Ready")
    );
    world.fake("a").assigned = true;
    world.fake("a").state = JobState::Opened;
    world.pass(secs(60));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
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
fn an_open_that_takes_longer_than_its_timeout_calls_a_human_and_one_that_comes_late_is_open() {
    let mut fake = FakeJob::new(JobState::Closed);
    fake.open_takes = None;
    let mut world = World::of("a", fake, Wanted::Opened);
    world.pass(secs(1700));
    assert!(world.is("a", "Reconciling", "True", "Opening"));
    world.pass(secs(200));
    assert!(world.is("a", "Stalled", "True", "OpenTimedOut"));
    assert_eq!((world.opens(), world.forces(), world.closes()), (1, 0, 0));
    world.fake("a").state = JobState::Opened;
    world.pass(secs(60));
    assert!(
        world.is("a", "Ready", "True", "InDesiredState")
            && world.condition("a", "Stalled").is_none()
    );
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
fn an_outage_counts_nothing_of_the_time_that_an_open_may_take() {
    let mut fake = FakeJob::new(JobState::Closed);
    fake.open_takes = None;
    let mut world = World::of("a", fake, Wanted::Opened);
    world.pass(secs(600));
    world.trouble = Some(trouble(Reason::ClusterUnreachable));
    world.pass(secs(36_000));
    world.trouble = None;
    world.pass(secs(900));
    assert!(
        world.is("a", "Reconciling", "True", "Opening"),
        "{:?}",
        world.status("a").conditions
    );
    world.pass(secs(400));
    assert!(world.is("a", "Stalled", "True", "OpenTimedOut"));
}

#[test]
fn a_close_that_hangs_is_not_forced_while_opened_is_wanted() {
    let mut fake = FakeJob::new(JobState::Opened);
    fake.close_takes = None;
    let mut world = World::of("a", fake, Wanted::Closed);
    world.pass(secs(300));
    world.want("a", Wanted::Opened);
    world.pass(secs(590));
    assert!(world.is("a", "Reconciling", "True", "Closing"));
    world.pass(secs(60));
    assert!(world.is("a", "Stalled", "True", "CloseHangs"));
    world.pass(secs(36_000));
    assert_eq!((world.forces(), world.opens()), (0, 0));
    world.fake("a").closed();
    world.pass(secs(60));
    assert!(
        world.is("a", "Ready", "True", "InDesiredState")
            && world.condition("a", "Stalled").is_none()
    );
}

#[test]
fn a_failed_job_that_is_wanted_open_is_a_humans_matter_until_it_is_closed() {
    let mut world = World::of("a", FakeJob::new(JobState::Failed), Wanted::Opened);
    world.pass(secs(3600));
    assert!(world.is("a", "Stalled", "True", "JobFailed"));
    assert_eq!(world.calls.len(), 0);
    world.fake("a").closed();
    world.pass(secs(60));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
    world.fake("a").state = JobState::Failed;
    world.pass(secs(120));
    assert!(
        world.is("a", "Stalled", "True", "JobFailed"),
        "also where it fails later"
    );
    assert_eq!((world.opens(), world.forces()), (1, 0));
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
