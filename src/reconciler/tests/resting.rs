//! What an object keeps while it rests: ten thousand of them do, and most of the process is what they keep.

use super::world::{FakeJob, World, key, policy, secs};
use crate::api::JobState;
use crate::reconciler::input::*;
use crate::reconciler::job::Job;
use crate::reconciler::member::Member;
use crate::reconciler::object::Object;

/// The names of what has room of its own and is there only while something is under way or amiss.
fn rooms(world: &World) -> Vec<&'static str> {
    let object = &world.brain.objects[&key("a")];
    let mut rooms = vec![
        ("unmet", object.unmet.has_room()),
        ("unfinished", object.unfinished.has_room()),
        ("dealings", object.dealings.has_room()),
    ];
    let members = object.members.iter();
    rooms.extend(members.map(|(_, member)| ("drifting", member.drifting.has_room())));
    let had = rooms.into_iter().filter(|(_, has)| *has);
    had.map(|(name, _)| name).collect()
}

#[test]
fn a_closed_object_has_no_room_for_what_is_over_also_after_a_restart_and_a_flip() {
    let mut world = World::of("a", FakeJob::new(JobState::Opened), Wanted::Closed);
    world.pass(secs(60));
    assert_eq!(world.state("a"), JobState::Closed);
    assert_eq!(
        rooms(&world),
        [""; 0],
        "{:?}",
        world.brain.objects[&key("a")].dealings
    );
    world.crash();
    // For two minutes it is thought of what to say where the cluster never answers.
    world.pass(secs(180));
    assert_eq!(
        rooms(&world),
        [""; 0],
        "{:?}",
        world.brain.objects[&key("a")].dealings
    );
    world.apply("a", Wanted::Opened, policy());
    world.pass(secs(180));
    assert_eq!(world.state("a"), JobState::Opened);
    assert_eq!(
        rooms(&world),
        [""; 0],
        "{:?}",
        world.brain.objects[&key("a")].dealings
    );
}

#[test]
fn an_object_a_member_and_a_job_stay_as_small_as_they_are() {
    let sizes = [size_of::<Object>(), size_of::<Member>(), size_of::<Job>()];
    assert_eq!(sizes, [576, 136, 232]);
}
