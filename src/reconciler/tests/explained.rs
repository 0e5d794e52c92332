//! What people read of single jobs: what is under way with each and who asked for it, why a force was used, what others did.

use super::groups::{hanging, opened};
use super::life::fed;
use super::world::{FakeJob, World, desired, job, policy, secs, trouble};
use crate::api::{
    CloseMode, ClosePolicy, DatafeedState, DriftPolicy, JobCounts, JobPattern, JobState,
    OpenDatafeed, Reason, Step,
};
use crate::reconciler::input::*;

#[test]
fn an_opened_job_is_not_ready_before_its_datafeed_runs() {
    for reason in [Reason::RetryingAfterError, Reason::MissingPrivilege] {
        let mut fake = fed(JobState::Closed, DatafeedState::Stopped);
        fake.refuses_start = Some(trouble(reason));
        let mut world = World::new();
        world.jobs.insert(job("a"), fake);
        let mut wish = desired("a", Wanted::Opened, policy());
        wish.open.datafeed = OpenDatafeed::Start;
        world.create("a", wish);
        world.pass(secs(300));
        assert_eq!(world.state("a"), JobState::Opened);
        assert!(world.is("a", "Ready", "False", reason.as_str()));
        world.fake("a").refuses_start = None;
        world.pass(secs(600));
        assert!(world.is("a", "Ready", "True", "InDesiredState"));
        assert_eq!(world.message("a", "Ready"), "job a is opened");
    }
}

#[test]
fn a_force_says_why_it_is_used() {
    let failed = FakeJob::new(JobState::Failed);
    let hangs = hanging(&[]);
    let lost = FakeJob {
        config: false,
        ..opened(&[])
    };
    let deaf = FakeJob {
        lost_closes: u32::MAX,
        ..opened(&[])
    };
    for (fake, mode, why) in [
        (
            failed,
            CloseMode::Graceful,
            "it has failed and Elasticsearch refuses all else",
        ),
        (
            hangs.clone(),
            CloseMode::Immediate,
            "close.mode is Immediate",
        ),
        (
            lost,
            CloseMode::Graceful,
            "its config is lost and its task still runs",
        ),
        (
            deaf,
            CloseMode::Graceful,
            "Elasticsearch did not take the close within 10m",
        ),
        (hangs, CloseMode::Graceful, "it was still closing after 10m"),
    ] {
        let mut world = World::new();
        world.jobs.insert(job("a"), fake);
        let close = ClosePolicy { mode, ..policy() };
        world.apply("a", Wanted::Closed, close);
        world.pass(secs(1200));
        let note = format!(
            "Closing job a by force: {why}; changes to its model since the last snapshot are lost"
        );
        assert_eq!(world.told("ForceClosing"), [note]);
    }
}

#[test]
fn a_drift_that_is_only_reported_is_told_with_what_was_seen_and_why_nothing_is_done() {
    let mut world = World::of("a", opened(&[]), Wanted::Closed);
    world.edit("a", |desired| desired.drift = DriftPolicy::Report);
    world.pass(secs(60));
    world.reopen("a");
    world.pass(secs(120));
    let (_, reason) = world.condition("a", "Drifted").unwrap();
    let message = world.message("a", "Drifted");
    let stalled = world.message("a", "Stalled");
    assert!(
        message.starts_with("job a was seen opened at 20"),
        "{message}"
    );
    assert!(message.ends_with(&format!("; {stalled}")), "{message}");
    let told: Vec<_> = world
        .told(&reason)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(told.contains(&message), "{told:?}");
}

#[test]
fn the_jobs_of_an_object_are_counted_by_their_states() {
    let states = [
        ("a", JobState::Opened),
        ("b", JobState::Opening),
        ("c", JobState::Closing),
        ("d", JobState::Closed),
        ("e", JobState::Failed),
        ("f", JobState::Opening),
        ("g", JobState::Closing),
        ("h", JobState::Failed),
    ];
    let mut world = World::new();
    for (name, state) in states {
        let mut fake = FakeJob::new(state);
        // A task whose config is lost is one of them as well.
        fake.config = name != "h";
        world.jobs.insert(job(name), fake);
    }
    world.create("o", desired("a,b,c,d,e,f,g,h", Wanted::Observed, policy()));
    world.pass(secs(60));
    let counts = JobCounts {
        matched: 8,
        opened: 1,
        opening: 2,
        closing: 2,
        closed: 1,
        failed: 2,
    };
    assert_eq!(world.status("o").jobs, Some(counts));
}

#[test]
fn of_each_job_it_is_told_what_its_datafeed_does_and_what_failed_last() {
    let mut fake = fed(JobState::Closed, DatafeedState::Stopped);
    fake.refuses_start = Some(trouble(Reason::MissingPrivilege));
    let mut world = World::new();
    world.jobs.insert(job("a"), fake);
    world.allow.jobs = vec![JobPattern::parse("a").unwrap()];
    world.connect();
    let mut wish = desired("a,b", Wanted::Opened, policy());
    wish.open.datafeed = OpenDatafeed::Start;
    world.create("o", wish);
    world.pass(secs(300));
    let [a, b] = &world.status("o").targets[..] else {
        panic!("{:?}", world.status("o"));
    };
    let feed = a.datafeed.as_ref().unwrap();
    assert_eq!(
        (feed.id.as_str(), feed.state),
        ("feed", DatafeedState::Stopped)
    );
    assert!(a.failures >= 3);
    assert_eq!(a.last_error.as_ref().unwrap().category, "MissingPrivilege");
    assert_eq!((b.job_id.as_str(), b.step), ("b", Step::Waiting));
}

#[test]
fn what_is_under_way_is_told_by_who_asked_for_it_and_what_is_waited_for() {
    let takes = |time| FakeJob {
        close_takes: time,
        open_takes: time,
        ..opened(&[])
    };
    let closed = FakeJob {
        state: JobState::Closed,
        ..takes(Some(secs(300)))
    };
    let opening = FakeJob {
        state: JobState::Opening,
        ..takes(None)
    };
    let deaf = FakeJob {
        lost_closes: u32::MAX,
        ..opened(&[])
    };
    let mut asked = World::of("a", closed, Wanted::Opened);
    let mut others = World::of("a", opening, Wanted::Opened);
    let mut untaken = World::of("a", deaf, Wanted::Closed);
    let mut flipped = World::of("a", takes(Some(secs(300))), Wanted::Closed);
    flipped.pass(secs(10));
    flipped.want("a", Wanted::Opened);
    let mut forced = World::of("a", takes(None), Wanted::Closed);
    while forced.state("a") != JobState::Closed {
        forced.pass(secs(1));
    }
    forced.want("a", Wanted::Opened);
    for (world, sentence) in [
        (&mut asked, "asked Elasticsearch to open job a"),
        (&mut others, "job a is opening, as somebody else asked for"),
        (&mut untaken, "asked Elasticsearch to close job a"),
        (
            &mut flipped,
            "waiting until job a has closed, to open it then",
        ),
        (
            &mut forced,
            "job a was closed by force a moment ago; opening it a minute after that",
        ),
    ] {
        world.pass(secs(20));
        assert_eq!(world.message("a", "Ready"), sentence);
    }
}

#[test]
fn of_several_drifts_the_one_that_is_not_put_right_is_told() {
    let mut world = World::new();
    for name in ["a", "b"] {
        world.jobs.insert(job(name), opened(&["g"]));
    }
    world.create("o", desired("g", Wanted::Closed, policy()));
    world.pass(secs(60));
    world.fake("b").close_takes = None;
    world.reopen("b");
    world.pass(secs(60));
    world.reopen("a");
    world.pass(secs(120));
    assert_eq!(world.state("a"), JobState::Closed);
    assert_eq!(world.condition("o", "Drifted").unwrap().0, "True");
    let message = world.message("o", "Drifted");
    assert!(message.starts_with("job b was seen opened at"), "{message}");
}
