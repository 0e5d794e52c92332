//! The state that is wanted changes at every moment of a close or an open, with and without a crash at that moment.

use std::time::Duration;

use super::life::fed;
use super::world::{World, job, secs};
use crate::api::{DatafeedState, JobState, TimeSpan};
use crate::reconciler::input::Wanted;

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
                desired.close.timeout = TimeSpan::parse("10m").unwrap();
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
