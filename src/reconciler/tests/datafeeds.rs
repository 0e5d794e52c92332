//! Datafeeds: stopped by a close or before it, started again when it is opened, and a bounded one understood.

use super::life::fed;
use super::world::{FakeJob, World, desired, job, policy, secs, trouble};
use crate::api::{
    CloseMode, ClosePolicy, DatafeedId, DatafeedState, JobState, OnTimeout, OpenDatafeed, Reason,
};
use crate::reconciler::input::{Call, Trouble, Wanted};

const STARTED: DatafeedState = DatafeedState::Started;
const STOPPED: DatafeedState = DatafeedState::Stopped;

fn kinds(world: &World) -> Vec<&'static str> {
    let kind = |call: &Call| match call {
        Call::Close(_) | Call::Confirm(_) => "close",
        Call::ForceClose(_) => "force",
        Call::StopDatafeed { force: false, .. } => "stop",
        Call::StopDatafeed { force: true, .. } => "force stop",
        Call::Open(_) => "open",
        Call::StartDatafeed { .. } => "start",
    };
    world.calls.iter().map(|(_, call)| kind(call)).collect()
}

fn old_world(fake: FakeJob, close: ClosePolicy) -> World {
    let mut world = World::new();
    world.before_7_14 = true;
    world.connect();
    world.jobs.insert(job("a"), fake);
    world.apply("a", Wanted::Closed, close);
    world
}

#[test]
fn before_7_14_a_datafeed_that_runs_beside_a_close_that_hangs_is_stopped_before_the_force() {
    let mut fake = fed(JobState::Opened, STOPPED);
    fake.close_takes = None;
    let mut world = old_world(fake, policy());
    world.pass(secs(300));
    world.fake("a").datafeed.as_mut().unwrap().1 = STARTED;
    world.pass(secs(600));
    let calls = kinds(&world);
    let stops = calls.iter().filter(|call| call.ends_with("stop")).count();
    assert!(stops == 1 && calls.ends_with(&["force"]), "{calls:?}");
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
}

#[test]
fn before_7_14_a_datafeed_that_runs_beside_a_close_that_is_to_be_forced_at_once_is_stopped_by_force_first()
 {
    let mut fake = fed(JobState::Opened, STOPPED);
    fake.close_takes = None;
    let mut world = old_world(fake, policy());
    world.pass(secs(60));
    world.fake("a").datafeed.as_mut().unwrap().1 = STARTED;
    world.edit("a", |desired| desired.close.mode = CloseMode::Immediate);
    world.pass(secs(30));
    let calls = kinds(&world);
    assert!(calls.ends_with(&["force stop", "force"]), "{calls:?}");
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
}

#[test]
fn a_task_without_a_config_whose_datafeed_runs_is_forced_before_7_14_too() {
    let mut fake = fed(JobState::Opened, STARTED);
    fake.config = false;
    let mut world = old_world(fake, policy());
    world.pass(secs(600));
    assert!(
        kinds(&world).ends_with(&["force stop", "force"]),
        "{:?}",
        kinds(&world)
    );
    assert_eq!(world.state("a"), JobState::Closed);
}

#[test]
fn a_stop_that_keeps_failing_is_forced_by_the_same_policy_as_the_close() {
    for (on_timeout, forced) in [
        (OnTimeout::Force, true),
        (OnTimeout::Wait, false),
        (OnTimeout::Stall, false),
    ] {
        let mut fake = fed(JobState::Opened, STARTED);
        fake.refuses_stops = u32::MAX;
        let mut world = old_world(
            fake,
            ClosePolicy {
                on_timeout,
                ..policy()
            },
        );
        world.pass(secs(1200));
        let calls = kinds(&world);
        assert_eq!(calls.contains(&"force stop"), forced, "{calls:?}");
        assert!(calls.starts_with(&["stop", "stop", "stop"]));
        assert_eq!(world.is("a", "Ready", "True", "InDesiredState"), forced);
        assert!(
            forced || world.is("a", "Reconciling", "True", "RetryingAfterError"),
            "{:?}",
            world.status("a").conditions
        );
        assert_eq!(world.forces(), 0);
    }
}

#[test]
fn a_close_that_is_refused_because_the_datafeed_does_not_stop_ends_by_a_stop_of_its_own() {
    for (on_timeout, forced) in [(OnTimeout::Force, true), (OnTimeout::Stall, false)] {
        let mut fake = fed(JobState::Opened, STARTED);
        fake.refuses_stops = u32::MAX;
        fake.feed_hinders = true;
        let mut world = World::new();
        world.jobs.insert(job("a"), fake);
        world.apply(
            "a",
            Wanted::Closed,
            ClosePolicy {
                on_timeout,
                ..policy()
            },
        );
        world.pass(secs(1200));
        let calls = kinds(&world);
        assert_eq!(calls.contains(&"force stop"), forced, "{calls:?}");
        assert_eq!(world.state("a") == JobState::Closed, forced);
        assert_eq!(world.forces(), 0, "the model is saved all the same");
    }
}

#[test]
fn the_stray_datafeed_of_a_closed_job_is_found_with_the_tasks_and_without_them_and_stopped() {
    for monitor in [true, false] {
        let mut world = World::new();
        world.monitor = monitor;
        for name in ["a", "b", "c"] {
            world
                .jobs
                .insert(super::world::job(name), fed(JobState::Closed, STOPPED));
            world.apply(name, Wanted::Closed, policy());
        }
        world.pass(secs(300));
        assert_eq!(world.calls.len(), 0);
        world.fake("b").datafeed.as_mut().unwrap().1 = STARTED;
        world.pass(secs(if monitor { 60 } else { 100 }));
        assert_eq!(kinds(&world), ["stop"], "monitor: {monitor}");
        assert!(world.is("b", "Ready", "True", "InDesiredState"));
        assert_eq!(world.fake("b").feed(), Some(STOPPED));
    }
}

#[test]
fn while_a_stray_datafeed_runs_the_object_is_not_ready() {
    let mut world = World::of("a", fed(JobState::Closed, STOPPED), Wanted::Closed);
    world.pass(secs(60));
    world.fake("a").datafeed.as_mut().unwrap().1 = STARTED;
    world.fake("a").refuses_stops = u32::MAX;
    world.edit("a", |desired| desired.close.on_timeout = OnTimeout::Stall);
    world.pass(secs(200));
    assert!(
        world.is("a", "Ready", "False", "RetryingAfterError"),
        "{:?}",
        world.status("a").conditions
    );
    assert!(
        world.is("a", "Closed", "True", "AllClosed"),
        "the job is closed"
    );
    world.fake("a").refuses_stops = 0;
    world.pass(secs(70));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
}

#[test]
fn a_datafeed_is_resumed_started_or_left_as_the_policy_says() {
    for (policy, ran, starts) in [
        (OpenDatafeed::Resume, true, 1),
        (OpenDatafeed::Resume, false, 0),
        (OpenDatafeed::Start, true, 1),
        (OpenDatafeed::Start, false, 1),
        (OpenDatafeed::Leave, true, 0),
        (OpenDatafeed::Leave, false, 0),
    ] {
        let mut world = World::of(
            "a",
            fed(JobState::Opened, if ran { STARTED } else { STOPPED }),
            Wanted::Closed,
        );
        world.edit("a", |desired| desired.open.datafeed = policy);
        world.pass(secs(30));
        assert_eq!(
            world.status("a").resume_datafeeds.len(),
            usize::from(ran),
            "who ran is noted in any case"
        );
        world.want("a", Wanted::Opened);
        world.pass(secs(30));
        assert_eq!(world.starts(), starts, "{policy:?}, ran: {ran}");
        assert!(world.is("a", "Ready", "True", "InDesiredState"));
        assert!(world.status("a").resume_datafeeds.is_empty());
        world.pass(secs(3600));
        assert_eq!(world.starts(), starts);
    }
}

#[test]
fn a_datafeed_that_somebody_stops_later_is_theirs_and_stays_stopped_at_the_next_open() {
    let mut world = World::of("a", fed(JobState::Opened, STARTED), Wanted::Opened);
    world.pass(secs(60));
    world.fake("a").datafeed.as_mut().unwrap().1 = STOPPED;
    world.pass(secs(600));
    assert_eq!(world.calls.len(), 0);
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
    world.want("a", Wanted::Closed);
    world.pass(secs(30));
    world.want("a", Wanted::Opened);
    world.pass(secs(30));
    assert_eq!(kinds(&world), ["close", "open"]);
}

#[test]
fn a_datafeed_that_ran_at_an_earlier_close_and_not_at_the_last_one_is_not_resumed() {
    let mut world = World::of("a", fed(JobState::Opened, STARTED), Wanted::Closed);
    world.pass(secs(30));
    world.reopen("a");
    world.pass(secs(60));
    assert_eq!(world.state("a"), JobState::Closed);
    assert!(
        world.status("a").resume_datafeeds.is_empty(),
        "somebody opened the job without it"
    );
    world.want("a", Wanted::Opened);
    world.pass(secs(30));
    assert_eq!(world.starts(), 0);
}

#[test]
fn a_bounded_datafeed_is_not_resumed_and_one_event_names_it() {
    let mut fake = fed(JobState::Opened, STARTED);
    fake.has_end = true;
    fake.close_takes = None;
    let mut world = World::of("a", fake, Wanted::Closed);
    world.pass(secs(30));
    world.crash();
    world.pass(secs(1000));
    assert_eq!(world.forces(), 1);
    let told = world.told("DatafeedNotResumed");
    assert!(
        told.len() == 1 && told[0].contains("feed of job a") && told[0].contains("with an end"),
        "{told:?}"
    );
    assert!(world.status("a").resume_datafeeds.is_empty());
    world.want("a", Wanted::Opened);
    world.pass(secs(120));
    assert_eq!(world.starts(), 0);
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
}

#[test]
fn where_nothing_tells_whether_it_had_an_end_it_is_not_resumed_and_that_is_told() {
    let mut fake = fed(JobState::Opened, STARTED);
    fake.feed_is_mute = true;
    let mut world = World::new();
    world.monitor = false;
    world.jobs.insert(job("a"), fake);
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(60));
    let told = world.told("DatafeedNotResumed");
    assert!(
        told.len() == 1 && told[0].contains("cannot be seen"),
        "{told:?}"
    );
    assert!(
        world.status("a").resume_datafeeds.is_empty()
            && world.is("a", "Ready", "True", "InDesiredState")
    );
}

#[test]
fn a_start_that_is_refused_is_tried_again_and_named_while_the_job_is_open() {
    let mut fake = fed(JobState::Opened, STARTED);
    fake.refuses_start = Some(Trouble::new(
        Reason::DatafeedRefused,
        "its index does not exist",
    ));
    let mut world = World::of("a", fake, Wanted::Closed);
    world.pass(secs(30));
    world.want("a", Wanted::Opened);
    world.pass(secs(600));
    assert!(
        world.is("a", "Reconciling", "True", "DatafeedRefused"),
        "{:?}",
        world.status("a").conditions
    );
    assert!(
        world
            .message("a", "Ready")
            .contains("its index does not exist")
    );
    assert!(world.starts() < 20 && world.opens() == 1);
    assert_eq!(world.status("a").resume_datafeeds.len(), 1);
    world.fake("a").refuses_start = None;
    world.pass(secs(90));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
    assert_eq!(world.fake("a").feed(), Some(STARTED));
}

#[test]
fn a_datafeed_that_is_deleted_while_it_is_to_be_stopped_is_not_called_for_ever() {
    let mut fake = fed(JobState::Failed, STARTED);
    fake.refuses_stops = u32::MAX;
    let mut world = World::of("a", fake, Wanted::Observed);
    world.pass(secs(60));
    world.trouble = Some(trouble(Reason::ClusterUnreachable));
    world.fake("a").datafeed = None;
    world.pass(secs(30));
    world.trouble = None;
    world.want("a", Wanted::Closed);
    world.pass(secs(700));
    assert!(
        world.is("a", "Ready", "True", "InDesiredState"),
        "{:?}",
        kinds(&world)
    );
    assert!(world.stops() < 12, "{} stops", world.stops());
}

#[test]
fn a_datafeed_that_comes_into_being_while_a_close_waits_is_looked_at_before_it_is_stopped() {
    let mut fake = FakeJob::new(JobState::Opened);
    fake.config = false;
    let mut world = World::of("a", fake, Wanted::Closed);
    world.pass(secs(25));
    let fake = world.fake("a");
    fake.config = true;
    *fake = fake.clone().with_feed(STARTED);
    world.pass(secs(60));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
    assert_eq!(world.status("a").resume_datafeeds.len(), 1);
}

#[test]
fn a_datafeed_goes_on_the_moment_that_its_job_is_open() {
    let mut world = World::of("a", fed(JobState::Opened, STARTED), Wanted::Closed);
    world.pass(secs(30));
    world.want("a", Wanted::Opened);
    world.pass(secs(30));
    let [
        (opened, Call::Open(_)),
        (started, Call::StartDatafeed { .. }),
    ] = &world.calls[1..]
    else {
        panic!("{:?}", world.calls);
    };
    assert!(
        *started - *opened < secs(1),
        "{:?} later",
        *started - *opened
    );
}

#[test]
fn a_datafeed_that_stops_as_soon_as_it_is_started_is_started_again_with_growing_gaps() {
    let mut world = World::of("a", fed(JobState::Opened, STARTED), Wanted::Closed);
    world.pass(secs(30));
    world.fake("a").lost_starts = u32::MAX;
    world.want("a", Wanted::Opened);
    world.pass(secs(300));
    assert!(
        (5..20).contains(&world.starts()),
        "{} starts in five minutes",
        world.starts()
    );
    assert!(world.is("a", "Reconciling", "True", "StartingDatafeed"));
    world.fake("a").lost_starts = 0;
    world.pass(secs(60));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
}

#[test]
fn of_more_jobs_than_a_status_lists_it_is_known_after_a_restart_whose_datafeeds_ran() {
    let mut world = World::new();
    (world.before_7_14, world.max_closing) = (true, 1);
    world.connect();
    for n in 0..150 {
        let mut fake = fed(JobState::Opened, STARTED);
        let feed = DatafeedId::parse(&format!("feed-{n}")).unwrap();
        (fake.datafeed, fake.groups) = (Some((feed, STARTED)), vec!["g"]);
        fake.close_takes = None;
        world.jobs.insert(job(&format!("j-{n:03}")), fake);
    }
    world.create("o", desired("g", Wanted::Closed, policy()));
    world.pass(secs(120));
    let stopped = |world: &World| {
        let feeds = world.jobs.values().filter_map(FakeJob::feed);
        feeds.filter(|state| *state == STOPPED).count()
    };
    assert_eq!(stopped(&world), 150);
    assert_eq!(world.status("o").resume_datafeeds.len(), 150);
    for fake in world.jobs.values_mut() {
        fake.close_takes = Some(secs(0));
    }
    world.max_closing = 1000;
    world.crash();
    world.pass(secs(300));
    assert!(
        world.status("o").summary.starts_with("149/150"),
        "{}",
        world.status("o").summary
    );
    assert_eq!(world.status("o").resume_datafeeds.len(), 150);
}
