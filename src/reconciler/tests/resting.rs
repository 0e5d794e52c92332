//! What an object keeps while it rests: ten thousand of them do, and most of the process is what they keep.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::world::{FakeJob, World, desired, job, key, moment, policy, secs};
use crate::api::{DatafeedId, DatafeedSeen, DatafeedState, JobExpression, JobState, Target};
use crate::reconciler::folded::{Folded, Patterns, is_foldable};
use crate::reconciler::input::*;
use crate::reconciler::job::Job;
use crate::reconciler::member::{Member, Members};
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
    let mut four = closed();
    let held = four.published.conditions[0];
    four.published.conditions = [held; 4].into_iter().collect();
    assert!(Folded::of(&four, &mut patterns).is_some());
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
fn of_very_many_ways_to_rest_the_first_are_shared_and_others_stay_as_they_are_until_one_is_over() {
    let mut patterns = Patterns::default();
    let mut of = |way: u32| {
        let mut object = closed();
        object.desired.scope.max_jobs = way;
        Folded::of(&object, &mut patterns)
    };
    let mut many: Vec<Folded> = (0..64).map(|way| of(way).unwrap()).collect();
    assert!(many[0].shares(&of(0).unwrap()));
    assert!(of(64).is_none());
    many.pop();
    assert!(of(64).is_some());
}

#[test]
fn jobs_that_wait_for_the_first_list_share_a_pattern_whatever_their_datafeeds_are_called() {
    let mut patterns = Patterns::default();
    let [one, other] = ["one", "other"].map(|feed| {
        let mut object = closed();
        object.members = Members::default();
        object.resolved = false;
        let mut target = Target::new(job("a"));
        target.datafeed = Some(DatafeedSeen {
            id: DatafeedId::parse(feed).unwrap(),
            state: DatafeedState::Stopped,
        });
        object.unfinished.restoring = Box::from([target]);
        assert!(is_foldable(&object));
        Folded::of(&object, &mut patterns).unwrap()
    });
    assert!(one.shares(&other) && one.unfold() != other.unfold());
}

#[test]
fn who_was_asked_to_look_and_whose_write_met_a_conflict_is_folded_again() {
    let mut world = World::of("a", FakeJob::new(JobState::Opened), Wanted::Closed);
    world.pass(secs(60));
    world.edit("a", |desired| desired.requested = Some(Arc::from("now")));
    world.pass(secs(60));
    assert_eq!(
        world.status("a").last_handled_reconcile_at.as_deref(),
        Some("now")
    );
    assert!(is_folded(&world));
    world.edit("a", |desired| desired.wanted = Wanted::Opened);
    world.api_server_down = true;
    world.pass(secs(120));
    assert!(world.state("a") == JobState::Opened && !is_folded(&world));
    world.api_server_down = false;
    world.pass(secs(120));
    assert_eq!(world.condition("a", "Ready").unwrap().0, "True");
    assert!(is_folded(&world));
}

#[test]
fn who_names_a_job_otherwise_than_by_its_id_alone_is_not_folded_before_that_is_a_member() {
    let foldable = |text: &str| {
        let mut world = World::new();
        let mut named = desired("a", Wanted::Closed, policy());
        named.scope.expression = JobExpression::parse(text).unwrap();
        let delivered = world.store(key("a"), named);
        is_foldable(&Object::new(delivered, 0, Ticket(1), moment(secs(0))))
    };
    for (text, expected) in [("a", true), ("a,", false), (" a", false), ("a*", false)] {
        assert_eq!(foldable(text), expected, "{text}");
    }
}

#[test]
fn that_a_datafeed_ran_is_forgotten_after_five_minutes() {
    let running = FakeJob::new(JobState::Opened).with_feed(DatafeedState::Started);
    let mut world = World::of("a", running, Wanted::Closed);
    world.pass(secs(60));
    let ran = |world: &World| world.brain.jobs[&job("a")].doings.feed_ran.is_some();
    assert!(ran(&world));
    world.pass(secs(600));
    assert!(!ran(&world) && world.brain.jobs[&job("a")].doings.is_nothing());
}
