//! What an object keeps while it rests: ten thousand of them do, and most of the process is what they keep.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::world::{FakeJob, World, job, key, policy, secs};
use crate::api::{DatafeedState, JobExpression, JobState};
use crate::reconciler::folded::{Folded, Patterns, is_foldable};
use crate::reconciler::input::*;
use crate::reconciler::job::Job;
use crate::reconciler::member::Member;
use crate::reconciler::object::Object;
use crate::reconciler::seldom::Seldom;

fn is_folded(world: &World) -> bool {
    world.brain.objects.is_folded(&key("a"))
}

#[test]
fn a_closed_object_has_no_room_for_what_is_over_also_after_a_restart_and_a_flip() {
    let mut world = World::of("a", FakeJob::new(JobState::Opened), Wanted::Closed);
    world.pass(secs(60));
    assert_eq!(world.state("a"), JobState::Closed);
    assert!(is_folded(&world));
    world.crash();
    world.pass(secs(60));
    assert!(is_folded(&world));
    world.apply("a", Wanted::Opened, policy());
    world.pass(secs(180));
    assert_eq!(world.state("a"), JobState::Opened);
    assert!(is_folded(&world));
}

#[test]
fn of_a_closed_job_what_ran_is_kept_once_also_after_a_restart() {
    let running = FakeJob::new(JobState::Opened).with_feed(DatafeedState::Started);
    let mut world = World::of("a", running, Wanted::Closed);
    world.pass(secs(60));
    let kept_once = |world: &World| {
        let object = world.brain.objects.get(&key("a")).unwrap();
        object.resume.len() == 1 && object.resume.shares(&object.durable.resume)
    };
    assert_eq!(world.state("a"), JobState::Closed);
    assert!(kept_once(&world));
    assert!(is_folded(&world));
    world.crash();
    world.pass(secs(60));
    assert!(kept_once(&world));
    assert!(is_folded(&world));
}

#[test]
fn the_one_job_that_an_object_names_and_its_expression_are_one_text_also_after_an_edit() {
    let mut world = World::of("a", FakeJob::new(JobState::Opened), Wanted::Closed);
    let one_text = |world: &World| {
        let object = world.brain.objects.get(&key("a")).unwrap();
        let (job, _) = object.members.only().unwrap();
        let text = object.desired.scope.expression.as_str();
        std::ptr::eq(job.as_str(), text)
    };
    world.pass(secs(60));
    assert!(one_text(&world));
    world.apply("a", Wanted::Opened, policy());
    world.pass(secs(60));
    assert!(one_text(&world));
}

#[test]
fn an_object_a_member_and_a_job_stay_as_small_as_they_are() {
    let sizes = [
        size_of::<Folded>(),
        size_of::<Object>(),
        size_of::<Member>(),
        size_of::<Job>(),
    ];
    assert_eq!(sizes, [152, 664, 136, 128]);
}

#[test]
fn what_waits_for_the_first_list_of_jobs_is_folded_as_it_was_stored() {
    let running = FakeJob::new(JobState::Opened).with_feed(DatafeedState::Started);
    let mut world = World::of("a", running, Wanted::Closed);
    world.pass(secs(60));
    let writes = world.writes.len();
    world.slow = secs(10);
    world.crash();
    let stored = |world: &World| {
        let object = world.brain.objects.get(&key("a")).unwrap();
        object.unfinished.restoring[0].clone()
    };
    assert!(is_folded(&world));
    assert_eq!(stored(&world).job_id, job("a"));
    assert!(stored(&world).datafeed.is_some());
    world.pass(secs(60));
    assert!(is_folded(&world));
    assert_eq!(world.writes.len(), writes);
}

#[test]
fn objects_that_rest_in_the_same_way_share_a_pattern_and_an_edit_unfolds_the_one_alone() {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        world.jobs.insert(job(name), FakeJob::new(JobState::Opened));
        world.apply(name, Wanted::Closed, policy());
    }
    world.pass(secs(60));
    let [a, b, c] = ["a", "b", "c"].map(key);
    assert!(world.brain.objects.rest_alike(&a, &b));
    assert!(world.brain.objects.rest_alike(&a, &c));
    world.edit("b", |desired| desired.wanted = Wanted::Opened);
    assert!(!world.brain.objects.is_folded(&b));
    assert!(world.brain.objects.rest_alike(&a, &c));
    world.pass(secs(180));
    assert!(world.brain.objects.is_folded(&b) && !world.brain.objects.rest_alike(&a, &b));
}

/// A closed object as it is looked at.
fn closed() -> Object {
    let running = FakeJob::new(JobState::Opened).with_feed(DatafeedState::Started);
    let mut world = World::of("a", running, Wanted::Closed);
    world.pass(secs(60));
    Object::clone(&world.brain.objects.get(&key("a")).unwrap())
}

#[test]
fn what_is_written_otherwise_than_kubernetes_does_stays_as_it_is() {
    let changes: [fn(&mut Object); 8] = [
        |object| object.uid = Uid::from("no uuid"),
        |object| object.resource_version = Arc::from("v7"),
        |object| object.resource_version = Arc::from("07"),
        |object| object.generation = -1,
        |object| object.arrivals = u64::MAX,
        |object| object.created_at += SignedDuration::from_millis(1),
        |object| object.created_at = Timestamp::MAX,
        |object| {
            let held = object.published.conditions[0];
            object.published.conditions.extend([held; 4]);
        },
    ];
    let mut patterns = Patterns::default();
    assert!(Folded::of(&closed(), &mut patterns).is_some());
    for (at, change) in changes.into_iter().enumerate() {
        let mut object = closed();
        change(&mut object);
        assert!(Folded::of(&object, &mut patterns).is_none(), "change {at}");
    }
}

#[test]
fn what_has_a_story_of_its_own_is_not_folded() {
    let changes: [fn(&mut Object); 9] = [
        |object| object.desired.scope.expression = JobExpression::parse("a,a").unwrap(),
        |object| object.unmet.unmatched.push(Arc::from("b*")),
        |object| object.unfinished.asked = true,
        |object| object.dealings.refreshing = true,
        |object| object.resume.clear(),
        |object| {
            object.durable.forced =
                Seldom::from(BTreeMap::from([(job("a"), Timestamp::UNIX_EPOCH)]));
        },
        |object| object.last_close.as_mut().unwrap().forced.push(job("a")),
        |object| object.last_close.as_mut().unwrap().unsaved.push(job("a")),
        |object| {
            let member = object.members.get_mut(&job("a")).unwrap();
            member.facts_mut().attempts = 1;
        },
    ];
    assert!(is_foldable(&closed()));
    for (at, change) in changes.into_iter().enumerate() {
        let mut object = closed();
        change(&mut object);
        assert!(!is_foldable(&object), "change {at}");
    }
}

#[test]
fn of_very_many_ways_to_rest_the_latest_are_shared() {
    let mut patterns = Patterns::default();
    let mut of = |way: usize| {
        let mut object = closed();
        object.handled_request = Some(Arc::from(way.to_string()));
        Folded::of(&object, &mut patterns).unwrap()
    };
    let (first, again) = (of(0), of(0));
    assert!(first.shares(&again));
    let many: Vec<Folded> = (1..=64).map(&mut of).collect();
    assert!(!first.shares(&of(0)), "it was the oldest");
    assert!(many[63].shares(&of(64)));
}
