//! What an object keeps while it rests: ten thousand of them do, and most of the process is what they keep.

use super::world::{FakeJob, World, job, key, policy, secs};
use crate::api::{DatafeedState, JobState};
use crate::reconciler::folded::Folded;
use crate::reconciler::input::*;
use crate::reconciler::job::Job;
use crate::reconciler::member::Member;
use crate::reconciler::object::Object;

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
