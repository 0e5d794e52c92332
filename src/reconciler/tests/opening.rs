//! `state: Opened`: a job is opened and its datafeed goes on, whatever was under way before, and nobody is forced for it.

use std::time::Duration;

use super::life::fed;
use super::world::{FakeJob, World, job, secs, trouble};
use crate::api::{DatafeedState, JobState, Reason, TimeSpan};
use crate::reconciler::input::{Trouble, Wanted};

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// What a flip happens in the middle of.
#[derive(Debug, Clone, Copy)]
struct Flip {
    /// The close ends by itself after this, or never and is forced.
    takes: Option<Duration>,
    /// The datafeed runs at the first close.
    runs: bool,
    /// The operator dies at the moment of each edit.
    dies: bool,
    at: Duration,
}

impl Flip {
    /// An open job that is just being closed, at the moment of the flip.
    fn begin(self) -> World {
        let feed = if self.runs {
            DatafeedState::Started
        } else {
            DatafeedState::Stopped
        };
        let mut fake = fed(JobState::Opened, feed);
        fake.close_takes = self.takes;
        fake.open_takes = Some(millis(2500));
        let mut world = World::of("a", fake, Wanted::Observed);
        world.pass(secs(100));
        world.edit("a", |desired| {
            desired.wanted = Wanted::Closed;
            desired.close.timeout = TimeSpan::parse("5s").unwrap();
        });
        if self.takes.is_some() {
            world.edit("a", |desired| {
                desired.close.timeout = TimeSpan::parse("10m").unwrap()
            });
        }
        world.pass(self.at);
        world
    }

    fn want(self, world: &mut World, wanted: Wanted) {
        world.want("a", wanted);
        if self.dies {
            world.crash();
        }
    }

    fn ends_opened(self, world: &mut World) {
        world.pass(secs(300));
        assert_eq!(world.state("a"), JobState::Opened, "{self:?}");
        assert!(
            world.is("a", "Ready", "True", "InDesiredState"),
            "{self:?}: {:?}",
            world.status("a")
        );
        let feed = if self.runs {
            DatafeedState::Started
        } else {
            DatafeedState::Stopped
        };
        assert_eq!(
            world.fake("a").feed(),
            Some(feed),
            "{self:?}: {:?}",
            world.calls
        );
        assert!(self.runs || world.starts() == 0, "{self:?}");
        assert!(world.status("a").resume_datafeeds.is_empty(), "{self:?}");
    }

    fn ends_closed(self, world: &mut World) {
        world.pass(secs(300));
        assert_eq!(world.state("a"), JobState::Closed, "{self:?}");
        assert!(
            world.is("a", "Ready", "True", "InDesiredState"),
            "{self:?}: {:?}",
            world.status("a")
        );
        assert_eq!(
            world.fake("a").feed(),
            Some(DatafeedState::Stopped),
            "{self:?}"
        );
        assert_eq!(
            world.status("a").resume_datafeeds.len(),
            usize::from(self.runs),
            "{self:?}: {:?}",
            world.calls
        );
    }

    /// Every moment of a close, with and without a crash at it, with a datafeed and with one that stands still.
    fn every(takes: Option<Duration>, last: u64) -> impl Iterator<Item = Self> {
        let ways = [(true, false), (true, true), (false, false), (false, true)];
        (0..=last).step_by(100).flat_map(move |at| {
            ways.map(|(runs, dies)| Self {
                takes,
                runs,
                dies,
                at: millis(at),
            })
        })
    }
}

#[test]
fn a_flip_to_opened_at_any_moment_of_a_close_ends_opened_with_the_datafeed_as_it_was() {
    for flip in Flip::every(Some(secs(4)), 6000) {
        let mut world = flip.begin();
        flip.want(&mut world, Wanted::Opened);
        flip.ends_opened(&mut world);
        assert_eq!(world.forces(), 0);
    }
}

#[test]
fn a_flip_to_opened_at_any_moment_of_a_forced_close_opens_no_sooner_than_a_minute_after_the_force()
{
    for flip in Flip::every(None, 9000) {
        let mut world = flip.begin();
        flip.want(&mut world, Wanted::Opened);
        if world.forces() == 0 && world.state("a") != JobState::Opened {
            // Nobody is forced while Opened is wanted: it hangs, and a human ends that.
            world.pass(secs(30));
            assert_eq!(world.forces(), 0, "{flip:?}");
            world.fake("a").closed();
        }
        flip.ends_opened(&mut world);
        assert!(world.forces() <= 1, "{flip:?}");
    }
}

#[test]
fn a_flip_to_opened_and_back_at_any_moment_ends_closed_and_still_knows_who_ran() {
    for gap in [100, 1300, 3900] {
        for flip in Flip::every(Some(secs(4)), 6000) {
            let mut world = flip.begin();
            flip.want(&mut world, Wanted::Opened);
            world.pass(millis(gap));
            flip.want(&mut world, Wanted::Closed);
            flip.ends_closed(&mut world);
            assert_eq!(world.forces(), 0, "{flip:?}");
            world.want("a", Wanted::Opened);
            flip.ends_opened(&mut world);
        }
    }
}

#[test]
fn a_flip_to_opened_and_back_at_any_moment_of_a_forced_close_has_its_own_clock() {
    for flip in Flip::every(None, 9000) {
        let mut world = flip.begin();
        flip.want(&mut world, Wanted::Opened);
        world.pass(millis(700));
        let before = world.forces();
        flip.want(&mut world, Wanted::Closed);
        world.pass(millis(4000));
        assert_eq!(
            world.forces(),
            before,
            "{flip:?}: five seconds of a new close are not over"
        );
        flip.ends_closed(&mut world);
        flip.want(&mut world, Wanted::Opened);
        flip.ends_opened(&mut world);
    }
}

#[test]
fn a_flip_to_closed_at_any_moment_of_an_open_ends_closed_and_the_next_open_resumes() {
    for again in [None, Some(100), Some(1700)] {
        for flip in Flip::every(Some(secs(1)), 4000) {
            let mut world = Flip {
                at: secs(60),
                ..flip
            }
            .begin();
            world.want("a", Wanted::Opened);
            world.pass(flip.at);
            flip.want(&mut world, Wanted::Closed);
            if let Some(again) = again {
                world.pass(millis(again));
                flip.want(&mut world, Wanted::Opened);
                flip.ends_opened(&mut world);
                world.want("a", Wanted::Closed);
            }
            flip.ends_closed(&mut world);
            world.want("a", Wanted::Opened);
            flip.ends_opened(&mut world);
            assert_eq!(world.forces(), 0);
        }
    }
}

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

#[test]
fn a_force_is_remembered_when_the_operator_dies_a_moment_after_a_flip() {
    for (forces, soon) in [(1, 1), (1, 10), (1, 3000), (2, 1), (2, 10), (2, 3000)] {
        for later in [50, 2500, 4000, 20_000, 50_000] {
            let flip = Flip {
                takes: None,
                runs: true,
                dies: false,
                at: millis(1000),
            };
            let mut world = flip.begin();
            world.fake("a").ignores_force = true;
            while world.forces() < forces {
                world.pass(millis(1));
            }
            world.pass(millis(soon));
            world.want("a", Wanted::Opened);
            world.fake("a").ignores_force = false;
            world.fake("a").closed();
            world.pass(millis(later));
            world.crash();
            flip.ends_opened(&mut world);
            assert!(world.forces() >= 1, "{flip:?}");
            assert_eq!(
                world.status("a").last_close.as_ref().unwrap().forced,
                [job("a")],
                "{flip:?}"
            );
        }
    }
}
