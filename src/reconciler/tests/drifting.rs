//! What others do to a job that is where it should be: named, put back or only said, and never fought without end.

use super::life::fed;
use super::world::{FakeJob, World, job, policy, secs};
use crate::api::{DatafeedState, DriftPolicy, JobState, Reason};
use crate::reconciler::input::{Trouble, Wanted};

/// A world whose job is where it should be since a minute, with this datafeed.
fn settled(wanted: Wanted, feed: DatafeedState) -> World {
    let state = if wanted == Wanted::Opened {
        JobState::Opened
    } else {
        JobState::Closed
    };
    let mut world = World::of("a", fed(state, feed), wanted);
    world.pass(secs(60));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
    world
}

/// Somebody else does the opposite of what is wanted.
fn meddle(world: &mut World, wanted: Wanted) {
    match wanted {
        Wanted::Opened => world.fake("a").closed(),
        Wanted::Closed | Wanted::Observed => world.reopen("a"),
    }
}

/// Calls that put the job back.
fn corrections(world: &World, wanted: Wanted) -> usize {
    if wanted == Wanted::Opened {
        world.opens()
    } else {
        world.closes()
    }
}

const BOTH: [(Wanted, JobState); 2] = [
    (Wanted::Closed, JobState::Closed),
    (Wanted::Opened, JobState::Opened),
];

#[test]
fn under_report_an_edit_puts_the_job_back() {
    for (wanted, there) in BOTH {
        let mut world = settled(wanted, DatafeedState::Stopped);
        world.edit("a", |desired| desired.drift = DriftPolicy::Report);
        world.pass(secs(10));
        meddle(&mut world, wanted);
        world.pass(secs(120));
        world.edit("a", |desired| desired.drift = DriftPolicy::Correct);
        world.pass(secs(60));
        assert_eq!(world.state("a"), there);
        assert!(world.is("a", "Ready", "True", "InDesiredState"));
    }
}

#[test]
fn under_report_whatever_becomes_of_the_job_is_not_ended_by_force() {
    for becomes in [JobState::Closing, JobState::Failed] {
        let mut world = settled(Wanted::Closed, DatafeedState::Stopped);
        world.edit("a", |desired| desired.drift = DriftPolicy::Report);
        world.pass(secs(10));
        world.reopen("a");
        world.pass(secs(120));
        world.fake("a").state = becomes;
        world.pass(secs(7200));
        assert_eq!(world.calls.len(), 0, "{becomes:?}");
        assert!(world.is("a", "Drifted", "True", "ReopenedElsewhere"));
    }
}

#[test]
fn the_gap_between_corrections_grows_until_it_is_called_flapping_both_ways() {
    for (wanted, _) in BOTH {
        let mut world = settled(wanted, DatafeedState::Stopped);
        let mut gaps = Vec::new();
        let mut meddled = world.clock;
        meddle(&mut world, wanted);
        while world.clock < secs(100_000) && !world.is("a", "Stalled", "True", "Flapping") {
            let before = corrections(&world, wanted);
            world.pass(secs(1));
            if corrections(&world, wanted) > before {
                gaps.push((world.clock - meddled).as_secs());
                world.pass(secs(5));
                meddle(&mut world, wanted);
                meddled = world.clock;
            }
        }
        assert_eq!(gaps.len(), 5, "{gaps:?}");
        for (gap, least) in gaps.iter().zip([0, 60, 120, 240, 480]) {
            assert!((least..least + 60).contains(gap), "{gaps:?}");
        }
        let calls = world.calls.len();
        world.pass(secs(100_000));
        assert_eq!(world.calls.len(), calls, "for ever");
        assert!(
            world
                .message("a", "Stalled")
                .contains("was put back 5 times")
        );
    }
}

fn flapping(wanted: Wanted) -> World {
    let mut world = settled(wanted, DatafeedState::Stopped);
    while !world.is("a", "Stalled", "True", "Flapping") {
        assert!(world.clock < secs(100_000));
        meddle(&mut world, wanted);
        world.pass(secs(700));
    }
    world
}

#[test]
fn flapping_is_ended_by_an_edit_or_the_annotation_and_not_by_a_restart() {
    for (wanted, there) in BOTH {
        for edit in [true, false] {
            let mut world = flapping(wanted);
            for _ in 0..3 {
                let calls = world.calls.len();
                world.crash();
                world.pass(secs(4000));
                assert_eq!(world.calls.len(), calls);
                assert!(world.is("a", "Stalled", "True", "Flapping"));
            }
            if edit {
                world.edit("a", |desired| {
                    desired.close.timeout = crate::api::TimeSpan::parse("20m").unwrap();
                });
            } else {
                world.annotate("a", "now");
            }
            world.pass(secs(60));
            assert_eq!(world.state("a"), there, "edit: {edit}");
            assert!(world.is("a", "Ready", "True", "InDesiredState"));
            assert_eq!(world.status("a").targets[0].corrections, 0);
        }
    }
}

#[test]
fn a_flapping_job_that_others_put_right_is_ready_and_still_not_fought_over() {
    let mut world = flapping(Wanted::Closed);
    world.fake("a").closed();
    world.pass(secs(60));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
    let calls = world.calls.len();
    world.reopen("a");
    world.pass(secs(7200));
    assert_eq!(world.calls.len(), calls);
    assert!(world.is("a", "Stalled", "True", "Flapping"));
}

#[test]
fn a_restart_does_not_shorten_the_gap() {
    let mut world = settled(Wanted::Closed, DatafeedState::Stopped);
    for _ in 0..3 {
        meddle(&mut world, Wanted::Closed);
        world.pass(secs(300));
    }
    assert_eq!(world.closes(), 3);
    world.reopen("a");
    world.pass(secs(60));
    assert!(
        world.is("a", "Reconciling", "True", "ReopenedElsewhere"),
        "{:?}",
        world.status("a").conditions
    );
    for _ in 0..3 {
        world.crash();
        world.pass(secs(30));
        assert_eq!(world.closes(), 3, "four minutes are not over");
    }
    world.pass(secs(150));
    assert_eq!(world.closes(), 4);
}

#[test]
fn after_a_quiet_day_the_count_begins_anew() {
    let mut world = settled(Wanted::Closed, DatafeedState::Stopped);
    for _ in 0..8 {
        meddle(&mut world, Wanted::Closed);
        world.pass(secs(90_000));
        assert_eq!(world.state("a"), JobState::Closed);
    }
    assert!(world.condition("a", "Stalled").is_none());
}

/// Ways in which Elasticsearch itself closes a job that is wanted open.
#[test]
fn the_end_of_a_bounded_datafeed_is_reported_and_not_fought() {
    for seen_between in [true, false] {
        let mut fake = fed(JobState::Opened, DatafeedState::Started);
        fake.has_end = true;
        let mut world = World::of("a", fake, Wanted::Opened);
        world.pass(secs(60));
        world.fake("a").datafeed.as_mut().unwrap().1 = DatafeedState::Stopped;
        world.pass(secs(if seen_between { 100 } else { 0 }));
        world.fake("a").state = JobState::Closing;
        world.pass(secs(if seen_between { 200 } else { 1 }));
        world.fake("a").closed();
        world.pass(secs(7200));
        assert_eq!(world.calls.len(), 0);
        assert!(
            world.is("a", "Stalled", "True", "Completed")
                && world.is("a", "Drifted", "True", "Completed")
        );
        assert!(world.message("a", "Stalled").contains("reached its end"));
        world.crash();
        world.pass(secs(600));
        assert!(world.is("a", "Stalled", "True", "Completed") && world.calls.is_empty());
        world.reopen("a");
        world.pass(secs(60));
        assert!(
            world.is("a", "Ready", "True", "InDesiredState"),
            "without an edit"
        );
        assert!(
            world.condition("a", "Stalled").is_none() && world.condition("a", "Drifted").is_none()
        );
    }
}

#[test]
fn a_completed_job_is_opened_again_by_an_edit() {
    let mut fake = fed(JobState::Opened, DatafeedState::Started);
    fake.has_end = true;
    let mut world = World::of("a", fake, Wanted::Opened);
    world.pass(secs(60));
    world.fake("a").datafeed.as_mut().unwrap().1 = DatafeedState::Stopped;
    world.fake("a").closed();
    world.pass(secs(600));
    world.want("a", Wanted::Closed);
    world.pass(secs(30));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
    world.want("a", Wanted::Opened);
    world.pass(secs(30));
    assert_eq!((world.state("a"), world.starts()), (JobState::Opened, 0));
}

#[test]
fn a_job_that_was_given_data_yesterday_was_not_closed_for_being_idle() {
    let mut world = settled(Wanted::Opened, DatafeedState::Stopped);
    world.pass(secs(49 * 3600));
    world.fake("a").latest_record = Some(secs(24 * 3600));
    world.fake("a").closed();
    world.pass(secs(60));
    assert_eq!(world.opens(), 1);
    assert!(world.is("a", "Drifted", "False", "Corrected"));
}

#[test]
fn a_job_without_a_datafeed_or_of_an_older_elasticsearch_was_not_closed_for_being_idle() {
    for (feed, before_7_14) in [(None, false), (Some(DatafeedState::Stopped), true)] {
        let mut fake = FakeJob::new(JobState::Opened);
        if let Some(feed) = feed {
            fake = fake.with_feed(feed);
        }
        fake.latest_record = Some(secs(0));
        let mut world = World::new();
        world.before_7_14 = before_7_14;
        world.connect();
        world.jobs.insert(job("a"), fake);
        world.apply("a", Wanted::Opened, policy());
        world.pass(secs(72 * 3600));
        world.fake("a").closed();
        world.pass(secs(120));
        assert_eq!((world.opens(), world.state("a")), (1, JobState::Opened));
    }
}

#[test]
fn a_lapsed_licence_is_named_and_the_job_is_open_again_when_it_is_renewed() {
    let mut world = settled(Wanted::Opened, DatafeedState::Started);
    let fake = world.fake("a");
    fake.refuses_open = Some(Trouble::new(
        Reason::LicenseMissing,
        "the licence has no machine learning",
    ));
    fake.datafeed.as_mut().unwrap().1 = DatafeedState::Stopped;
    fake.closed();
    world.pass(secs(3600));
    assert!(
        world.is("a", "Stalled", "True", "LicenseMissing"),
        "{:?}",
        world.status("a").conditions
    );
    assert!(
        world.is("a", "Drifted", "True", "LicenseMissing"),
        "{:?}",
        world.status("a").conditions
    );
    assert!(world.opens() < 20, "{} opens in an hour", world.opens());
    world.crash();
    world.pass(secs(600));
    assert!(world.is("a", "Stalled", "True", "LicenseMissing"));
    world.fake("a").refuses_open = None;
    world.pass(secs(400));
    assert!(
        world.is("a", "Ready", "True", "InDesiredState")
            && world.condition("a", "Stalled").is_none()
    );
    assert!(world.is("a", "Drifted", "False", "Corrected"));
}

#[test]
fn a_job_that_fails_while_it_is_wanted_open_is_told_as_failed() {
    let mut world = settled(Wanted::Opened, DatafeedState::Stopped);
    world.fake("a").state = JobState::Failed;
    world.pass(secs(120));
    assert!(world.is("a", "Stalled", "True", "JobFailed") && world.calls.is_empty());
    assert!(
        world.is("a", "Drifted", "True", "JobFailed"),
        "{:?}",
        world.status("a").conditions
    );
}

#[test]
fn one_of_many_that_drifts_does_not_move_the_others() {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        world
            .jobs
            .insert(super::world::job(name), FakeJob::new(JobState::Closed));
    }
    world.create(
        "all",
        super::world::desired("a,b,c", Wanted::Closed, policy()),
    );
    world.pass(secs(60));
    world.reopen("b");
    world.pass(secs(60));
    assert_eq!(world.closes(), 1);
    assert!(
        world.is("all", "Drifted", "False", "Corrected")
            && world.is("all", "Ready", "True", "InDesiredState")
    );
    assert!(
        world
            .message("all", "Drifted")
            .starts_with("job b was seen opened")
    );
}
