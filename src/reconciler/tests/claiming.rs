//! Two objects that mean one job: the oldest acts, the others say so, and never two of them at once.

use std::sync::Arc;
use std::time::Duration;

use super::life::fed;
use super::world::{FakeJob, World, desired, job, key, policy, secs, trouble};
use crate::api::{
    Allow, AllowForce, DatafeedState, JobCounts, JobPattern, JobState, Reason, Target,
};
use crate::reconciler::input::*;

fn far(name: &str) -> ObjectKey {
    ObjectKey::new("elsewhere", name)
}

/// An open job that `old` means since ten seconds, and now `young` too.
fn two(wanted: Wanted) -> World {
    let mut world = World::new();
    world
        .jobs
        .insert(job("a"), fed(JobState::Opened, DatafeedState::Started));
    world.create("old", desired("a", wanted, policy()));
    world.pass(secs(10));
    world.create("young", desired("a", Wanted::Closed, policy()));
    world.pass(secs(10));
    world
}

#[test]
fn a_winner_of_another_namespace_is_not_named() {
    let mut world = World::new();
    world.jobs.insert(job("a"), FakeJob::new(JobState::Opened));
    world.create_as(
        far("secret-name"),
        1,
        desired("a", Wanted::Opened, policy()),
    );
    world.pass(secs(10));
    world.create("young", desired("a", Wanted::Closed, policy()));
    world.pass(secs(60));
    let said = format!("{:?} {:?}", world.status("young"), world.events);
    assert!(world.is("young", "Stalled", "True", "Conflict"));
    assert!(
        !said.contains("secret-name") && !said.contains("elsewhere"),
        "{said}"
    );
}

#[test]
fn who_takes_over_acts_within_a_second() {
    let mut world = two(Wanted::Opened);
    world.delete("old");
    world.pass(secs(1));
    assert_eq!(world.state("a"), JobState::Closed);
}

#[test]
fn of_the_same_second_the_name_decides() {
    for (first, second) in [("x", "y"), ("y", "x")] {
        let mut world = World::new();
        world.jobs.insert(job("a"), FakeJob::new(JobState::Opened));
        world.create(first, desired("a", Wanted::Closed, policy()));
        world.create(second, desired("a", Wanted::Opened, policy()));
        world.pass(secs(60));
        assert!(
            world.is("y", "Stalled", "True", "Conflict"),
            "{first} came first"
        );
        world.crash();
        world.pass(secs(60));
        assert!(
            world.is("y", "Stalled", "True", "Conflict"),
            "also after a restart"
        );
    }
}

#[test]
fn a_conflict_ends_when_the_older_one_is_deleted_suspended_observes_or_means_another_job() {
    let ends: [fn(&mut World); 4] = [
        |world| world.delete("old"),
        |world| world.edit("old", |desired| desired.suspended = true),
        |world| world.want("old", Wanted::Observed),
        |world| {
            let other = desired("b", Wanted::Opened, policy()).scope;
            world.edit("old", |desired| desired.scope = other);
        },
    ];
    for end in ends {
        let mut world = two(Wanted::Opened);
        end(&mut world);
        world.pass(secs(30));
        assert_eq!(world.state("a"), JobState::Closed);
        assert!(
            world.is("young", "Ready", "True", "InDesiredState")
                && world.condition("young", "Stalled").is_none()
        );
    }
}

#[test]
fn in_a_group_only_the_jobs_that_are_held_by_another_are_left_alone() {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        world.jobs.insert(job(name), FakeJob::new(JobState::Opened));
    }
    world.create("old", desired("b", Wanted::Opened, policy()));
    world.pass(secs(10));
    world.create("all", desired("a,b,c", Wanted::Closed, policy()));
    world.pass(secs(60));
    let states = ["a", "b", "c"].map(|name| world.state(name));
    assert_eq!(
        states,
        [JobState::Closed, JobState::Opened, JobState::Closed]
    );
    assert!(world.is("all", "Stalled", "True", "Conflict"));
    assert!(
        world
            .message("all", "Stalled")
            .contains("1 of 3 jobs is left to another object: b")
    );
}

/// Two connections to one cluster: `old` through the second, `young` through the first.
fn two_brains(fake: FakeJob) -> World {
    let mut world = World::new();
    world.second_brain();
    world.jobs.insert(job("a"), fake);
    world.create_as(key("old"), 2, desired("a", Wanted::Observed, policy()));
    world.pass(secs(10));
    world.create("young", desired("a", Wanted::Closed, policy()));
    world
}

#[test]
fn through_two_connections_to_one_cluster_the_oldest_acts_too() {
    let mut world = two_brains(FakeJob::new(JobState::Opened));
    world.want("old", Wanted::Opened);
    world.pass(secs(60));
    assert_eq!(world.state("a"), JobState::Opened);
    assert!(
        world.is("young", "Stalled", "True", "Conflict")
            && world.is("old", "Ready", "True", "InDesiredState")
    );
    assert!(world.is("young", "Closed", "False", "StillOpen"));
    world.delete("old");
    world.pass(secs(60));
    assert_eq!(world.state("a"), JobState::Closed);
    assert!(world.is("young", "Ready", "True", "InDesiredState"));
}

/// What the one that acts, or the one that comes to act, does in the middle of a call of the other.
#[test]
fn who_takes_over_looks_before_it_says_anything_for_its_rival_has_acted_since() {
    let mut world = two_brains(FakeJob::new(JobState::Opened));
    world.pass(secs(5));
    assert!(world.is("young", "Ready", "True", "InDesiredState"));
    world.want("old", Wanted::Opened);
    world.pass(secs(5));
    assert!(world.is("young", "Stalled", "True", "Conflict"));
    assert_eq!(world.state("a"), JobState::Opened);
    world.delete("old");
    world.pass(secs(5));
    assert_eq!(world.state("a"), JobState::Closed);
    assert!(world.is("young", "Ready", "True", "InDesiredState"));
}

#[test]
fn at_no_moment_do_two_brains_have_a_call_for_one_job_on_its_way() {
    let ends: [fn(&mut World); 6] = [
        |world| world.delete("young"),
        |world| world.edit("young", |desired| desired.suspended = true),
        |world| world.want("young", Wanted::Observed),
        |world| {
            let other = desired("b", Wanted::Closed, policy()).scope;
            world.edit("young", |desired| desired.scope = other);
        },
        |_| {},
        |world| {
            world.edit("young", |desired| desired.suspended = true);
            world.edit("young", |desired| desired.suspended = false);
        },
    ];
    // A close whose effect is not seen and whose answer takes its time.
    for (n, end) in ends.iter().enumerate() {
        for first in [true, false] {
            for at in (0..60).step_by(3).chain([400, 5_000, 29_000, 31_000]) {
                let mut fake = fed(JobState::Opened, DatafeedState::Stopped);
                fake.lost_closes = 1;
                let mut world = two_brains(fake);
                world.pass(Duration::from_millis(at));
                if first {
                    end(&mut world);
                    world.want("old", Wanted::Opened);
                } else {
                    world.want("old", Wanted::Opened);
                    end(&mut world);
                }
                world.pass(secs(120));
                assert_eq!(world.state("a"), JobState::Opened, "{n} at {at}");
                assert!(
                    world.is("old", "Ready", "True", "InDesiredState"),
                    "{n} at {at}: {:?}",
                    world.status("old")
                );
                world.delete("old");
                world.pass(secs(60));
                let acts = n > 3;
                assert_eq!(world.state("a") == JobState::Closed, acts, "{n} at {at}");
            }
        }
    }
}

#[test]
fn a_claim_that_is_given_up_and_asked_for_again_within_a_call_is_not_lost() {
    let mut fake = FakeJob::new(JobState::Opened);
    fake.lost_closes = 1;
    let mut world = World::of("a", fake, Wanted::Closed);
    world.pass(secs(5));
    world.edit("a", |desired| desired.suspended = true);
    world.pass(secs(5));
    world.edit("a", |desired| desired.suspended = false);
    world.pass(secs(60));
    assert!(
        world.is("a", "Ready", "True", "InDesiredState"),
        "{:?}",
        world.status("a").conditions
    );
}

#[test]
fn who_is_sought_among_refused_ids_gives_way_too() {
    let mut world = World::new();
    for name in ["a", "b", "c", "d", "e"] {
        world.jobs.insert(job(name), FakeJob::new(JobState::Opened));
    }
    world.fake("c").refuses_lists = true;
    world.create("old", desired("a,b,c,d", Wanted::Observed, policy()));
    world.pass(secs(10));
    world.create("young", desired("a,b,c,d,e", Wanted::Closed, policy()));
    for _ in 0..40 {
        world.pass(Duration::from_millis(1));
        if world.calls.len() > 1 {
            break;
        }
    }
    world.want("old", Wanted::Opened);
    world.pass(secs(600));
    for name in ["a", "b", "c", "d"] {
        assert_eq!(world.state(name), JobState::Opened, "{name}");
    }
    assert_eq!(world.state("e"), JobState::Closed);
    assert!(world.is("old", "Ready", "True", "InDesiredState"));
}

#[test]
fn an_outage_releases_no_claim() {
    let mut world = two_brains(FakeJob::new(JobState::Opened));
    world.want("old", Wanted::Opened);
    world.pass(secs(60));
    let lost = Connection::Unusable(trouble(Reason::SecretNotFound));
    world.tell_to(2, Input::Connection(lost));
    world.pass(secs(36_000));
    assert_eq!(
        (world.calls.len(), world.state("a")),
        (0, JobState::Opened),
        "the older one still means it"
    );
    assert!(world.is("young", "Stalled", "True", "Conflict"));
}

#[test]
fn a_claim_that_is_given_up_while_anothers_call_is_on_its_way_is_gone_for_good() {
    let mut fake = FakeJob::new(JobState::Opened);
    fake.lost_closes = 1;
    let mut world = World::of("a", fake, Wanted::Closed);
    world.pass(secs(5));
    world.create("young", desired("a", Wanted::Opened, policy()));
    world.pass(secs(5));
    world.delete("young");
    world.pass(secs(60));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
    world.brain.assert_at_rest();
    world.create("next", desired("a", Wanted::Opened, policy()));
    world.delete("a");
    world.pass(secs(60));
    assert_eq!(
        world.state("a"),
        JobState::Opened,
        "nobody holds it any more"
    );
}

#[test]
fn what_a_connection_does_not_cover_is_claimed_through_another_that_does() {
    let narrow = Allow {
        jobs: vec![JobPattern::parse("b*").unwrap()],
        ..Allow::default()
    };
    let mut world = World::new();
    world.jobs.insert(job("a"), FakeJob::new(JobState::Opened));
    world.second_brain();
    let allow = |world: &mut World, allow: &Allow| {
        world.tell_to(1, Input::Allowed(Allowances::All(allow.clone())));
    };
    allow(&mut world, &narrow);
    world.create("old", desired("a", Wanted::Opened, policy()));
    world.pass(secs(10));
    world.create_as(key("young"), 2, desired("a", Wanted::Closed, policy()));
    world.pass(secs(60));
    assert_eq!((world.closes(), world.opens()), (1, 0));
    assert!(world.is("old", "Stalled", "True", "NotAllowed"));
    assert!(world.is("young", "Ready", "True", "InDesiredState"));

    allow(&mut world, &Allow::default());
    world.pass(secs(60));
    assert_eq!((world.closes(), world.opens()), (1, 1));
    assert!(world.is("old", "Ready", "True", "InDesiredState"));
    assert!(world.is("young", "Stalled", "True", "Conflict"));

    allow(&mut world, &narrow);
    world.pass(secs(60));
    assert_eq!((world.closes(), world.opens()), (2, 1));
    assert!(world.is("old", "Stalled", "True", "NotAllowed"));
    assert!(world.is("young", "Ready", "True", "InDesiredState"));
}

/// What waits for a turn, and what a refused list is searched for, is not sent any more either.
#[test]
fn nothing_that_waits_is_sent_after_the_connection_was_narrowed() {
    let mut world = World::new();
    world.max_closing = 1;
    world.connect();
    for id in ["a", "b", "c"] {
        let fake = FakeJob {
            close_takes: Some(secs(5)),
            ..FakeJob::new(JobState::Opened)
        };
        world.jobs.insert(job(id), fake);
        world.apply(id, Wanted::Closed, policy());
    }
    world.pass(secs(2));
    assert_eq!(world.closes(), 1);
    world.allow.jobs = Vec::new();
    world.connect();
    world.pass(secs(600));
    assert_eq!(world.closes(), 1);
    assert!(
        ["a", "b", "c"]
            .iter()
            .all(|id| world.is(id, "Stalled", "True", "NotAllowed"))
    );
    // What Elasticsearch had accepted went on there, and is not told any more.
    assert_eq!(world.state("a"), JobState::Closed);
    assert!(world.is("a", "Closed", "Unknown", "NotAllowed"));
}

/// One connection for many namespaces tells each of them nothing of the others' jobs.
#[test]
fn what_the_connection_does_not_cover_is_neither_looked_at_nor_told_of() {
    let mut world = World::new();
    world.allow.jobs = JobPattern::parse("mine-*").into_iter().collect();
    world.connect();
    for id in ["mine-1", "hers-1", "hers-2"] {
        let fake = fed(JobState::Opened, DatafeedState::Started);
        let groups = vec!["nightly"];
        world.jobs.insert(job(id), FakeJob { groups, ..fake });
    }
    for wanted in [Wanted::Observed, Wanted::Closed] {
        world.create(&format!("all-{wanted:?}"), desired("*", wanted, policy()));
        world.create(
            &format!("of-{wanted:?}"),
            desired("nightly", wanted, policy()),
        );
        world.create(
            &format!("by-{wanted:?}"),
            desired("hers-1", wanted, policy()),
        );
    }
    world.pass(secs(900));
    for (key, status) in &world.writes {
        let mut status = status.clone();
        if key.name().starts_with("by-") {
            let target = |target: &Target| (target.state, target.datafeed.is_some());
            assert!(
                status
                    .targets
                    .iter()
                    .map(target)
                    .all(|told| told == (None, false))
            );
            continue;
        }
        status.connection = None;
        let told = serde_json::to_string(&status).unwrap();
        assert!(!told.contains("hers"), "{key}: {told}");
    }
    assert!(world.writes.iter().any(|(key, status)| {
        key.name() == "by-Observed"
            && status.targets.len() == 1
            && status.jobs == Some(JobCounts::default())
    }));
    let asked = world.reads.iter().filter_map(|question| match question {
        Question::States {
            jobs, datafeeds, ..
        } => Some((jobs, datafeeds)),
        _ => None,
    });
    for (jobs, datafeeds) in asked {
        assert_eq!(jobs.as_slice(), [job("mine-1")]);
        assert!(datafeeds.iter().all(|(of, _)| *of == job("mine-1")));
    }
    let by_name = |event: &&Event| event.note.contains("hers");
    let events: Vec<&Event> = world.events.iter().filter(by_name).collect();
    assert!(
        events
            .iter()
            .all(|event| event.note.contains("hers-1") && event.reason == "NotAllowed")
    );
    assert_eq!(world.state("mine-1"), JobState::Closed);
    assert_eq!(world.state("hers-1"), JobState::Opened);
}

/// The connection is read live before a force, so it need not have been told of.
#[test]
fn a_force_is_not_sent_through_a_connection_that_forbids_it_by_now() {
    let mut world = World::new();
    let hung = FakeJob {
        close_takes: None,
        ..FakeJob::new(JobState::Opened)
    };
    world.jobs.insert(job("a"), hung);
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(60));
    world.allow.force = AllowForce::Never;
    world.pass(secs(7200));
    assert_eq!((world.closes() > 0, world.forces()), (true, 0));
    assert!(world.is("a", "Stalled", "True", "NotAllowed"));
    world.allow.force = AllowForce::Always;
    world.connect();
    world.pass(secs(60));
    assert_eq!(world.forces(), 1);
}

#[test]
fn a_ruling_on_a_claim_under_the_old_name_of_the_cluster_is_none_on_the_new_claim() {
    // The older gives up its claim first, and until all have claimed anew the younger one would be the oldest.
    let mut world = World::new();
    world.jobs.insert(job("a"), FakeJob::new(JobState::Opened));
    world.create("old", desired("a", Wanted::Closed, policy()));
    world.pass(secs(10));
    world.create("young", desired("a", Wanted::Opened, policy()));
    world.pass(secs(10));
    assert!(world.is("old", "Ready", "True", "InDesiredState"));
    world.count_from_now();
    let renamed = Usable {
        identity: Arc::from("another-name"),
        ..world.usable()
    };
    world.tell(Input::Connection(Connection::Usable(renamed)));
    world.pass(secs(120));
    assert!(world.calls.is_empty(), "{:?}", world.calls);
    assert_eq!(world.state("a"), JobState::Closed);
    assert!(world.is("young", "Stalled", "True", "Conflict"));
}
