//! What an object keeps while it rests: ten thousand of them do, and most of the process is what they keep.

use super::world::{FakeJob, World, key, policy, secs};
use crate::api::{DatafeedState, JobState};
use crate::reconciler::input::*;
use crate::reconciler::job::Job;
use crate::reconciler::member::Member;
use crate::reconciler::object::Object;

/// Nothing has room that is there only while something is under way or amiss.
fn assert_no_room(world: &World) {
    let object = &world.brain.objects[&key("a")];
    assert!(!object.unmet.has_room(), "{:?}", object.unmet);
    assert!(!object.unfinished.has_room(), "{:?}", object.unfinished);
    assert!(!object.dealings.has_room(), "{:?}", object.dealings);
    for (_, member) in object.members.iter() {
        assert!(!member.has_room(), "{member:?}");
    }
}

#[test]
fn a_closed_object_has_no_room_for_what_is_over_also_after_a_restart_and_a_flip() {
    let mut world = World::of("a", FakeJob::new(JobState::Opened), Wanted::Closed);
    world.pass(secs(60));
    assert_eq!(world.state("a"), JobState::Closed);
    assert_no_room(&world);
    world.crash();
    world.pass(secs(60));
    assert_no_room(&world);
    world.apply("a", Wanted::Opened, policy());
    world.pass(secs(180));
    assert_eq!(world.state("a"), JobState::Opened);
    assert_no_room(&world);
}

#[test]
fn of_a_closed_job_what_ran_is_kept_once_also_after_a_restart() {
    let running = FakeJob::new(JobState::Opened).with_feed(DatafeedState::Started);
    let mut world = World::of("a", running, Wanted::Closed);
    world.pass(secs(60));
    let kept_once = |world: &World| {
        let object = &world.brain.objects[&key("a")];
        object.resume.len() == 1 && object.resume.shares(&object.durable.resume)
    };
    assert_eq!(world.state("a"), JobState::Closed);
    assert!(kept_once(&world));
    assert_no_room(&world);
    world.crash();
    world.pass(secs(60));
    assert!(kept_once(&world));
    assert_no_room(&world);
}

#[test]
fn the_one_job_that_an_object_names_and_its_expression_are_one_text_also_after_an_edit() {
    let mut world = World::of("a", FakeJob::new(JobState::Opened), Wanted::Closed);
    let one_text = |world: &World| {
        let object = &world.brain.objects[&key("a")];
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
    let sizes = [size_of::<Object>(), size_of::<Member>(), size_of::<Job>()];
    assert_eq!(sizes, [656, 136, 184]);
}
