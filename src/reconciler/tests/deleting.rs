//! Deletion: at once, or after the jobs were closed; bounded, whatever is broken; and never by force of its own.

use super::world::{FakeJob, World, desired, job, key, policy, secs, trouble, uid};
use crate::api::{DeletionPolicy, FINALIZER, JobState, OnTimeout, Reason};
use crate::reconciler::input::*;

/// An object with `deletionPolicy: Close` for a job in this state.
fn closing_one(fake: FakeJob, wanted: Wanted) -> World {
    let mut world = World::new();
    world.jobs.insert(job("a"), fake);
    let mut desired = desired("a", wanted, policy());
    desired.deletion = DeletionPolicy::Close;
    world.create("a", desired);
    world.pass(secs(30));
    world
}

fn held(world: &World) -> bool {
    world.stored[&key("a")]
        .finalizers
        .iter()
        .any(|name| name == FINALIZER)
}

fn gone(world: &World) -> bool {
    !world.stored.contains_key(&key("a"))
}

fn hanging() -> FakeJob {
    let mut fake = FakeJob::new(JobState::Opened);
    fake.close_takes = None;
    fake
}

#[test]
fn with_retain_there_is_no_finalizer_and_nothing_is_called_any_more() {
    let mut world = World::of("a", hanging(), Wanted::Closed);
    world.pass(secs(300));
    assert!(world.stored[&key("a")].finalizers.is_empty());
    world.delete("a");
    assert!(gone(&world), "at once");
    world.pass(secs(7200));
    assert_eq!(
        (world.closes(), world.forces()),
        (1, 0),
        "Elasticsearch goes on alone"
    );
    assert!(world.brain.is_empty());
}

#[test]
fn the_finalizer_is_on_before_anything_is_called() {
    let mut world = World::new();
    world.jobs.insert(job("a"), FakeJob::new(JobState::Opened));
    world.api_server_down = true;
    let mut wish = desired("a", Wanted::Closed, policy());
    wish.deletion = DeletionPolicy::Close;
    world.create("a", wish);
    world.pass(secs(60));
    assert_eq!(world.calls.len(), 0);
    world.api_server_down = false;
    world.pass(secs(90));
    assert!(held(&world) && world.is("a", "Ready", "True", "InDesiredState"));
}

#[test]
fn with_close_an_open_job_is_closed_before_the_object_goes() {
    let mut fake = FakeJob::new(JobState::Opened);
    fake.close_takes = Some(secs(20));
    let mut world = closing_one(fake, Wanted::Opened);
    assert!(held(&world) && world.is("a", "Ready", "True", "InDesiredState"));
    world.delete("a");
    world.pass(secs(10));
    assert_eq!(world.state("a"), JobState::Closing);
    assert!(!gone(&world) && world.is("a", "Ready", "False", "Closing"));
    world.pass(secs(30));
    assert!(gone(&world) && world.state("a") == JobState::Closed);
    assert!(world.told("DeletedBeforeClosed").is_empty());
    world.pass(secs(600));
    assert_eq!((world.closes(), world.forces()), (1, 0));
    assert!(world.brain.is_empty());
}

#[test]
fn a_closed_job_is_looked_at_once_more_and_the_object_goes() {
    let mut world = closing_one(FakeJob::new(JobState::Opened), Wanted::Closed);
    assert_eq!(world.state("a"), JobState::Closed);
    world.delete("a");
    world.pass(secs(2));
    assert!(gone(&world));
    assert_eq!(world.closes(), 1);
}

#[test]
fn a_job_that_does_not_close_is_forced_or_left_by_its_policy_and_the_object_goes_a_minute_after_the_timeout()
 {
    for (on_timeout, forces) in [
        (OnTimeout::Force, 1),
        (OnTimeout::Wait, 0),
        (OnTimeout::Stall, 0),
    ] {
        let mut world = closing_one(hanging(), Wanted::Opened);
        world.edit("a", |desired| desired.close.on_timeout = on_timeout);
        world.delete("a");
        world.pass(secs(595));
        assert!(!gone(&world));
        world.pass(secs(70));
        assert!(gone(&world), "{on_timeout:?}");
        assert_eq!(
            (world.forces(), world.told("DeletedBeforeClosed").len()),
            (forces, 1 - forces),
            "{on_timeout:?}"
        );
        world.pass(secs(7200));
        assert_eq!(world.forces(), forces);
    }
}

#[test]
fn a_deletion_in_the_middle_of_a_close_begins_no_other_one() {
    let mut world = closing_one(hanging(), Wanted::Closed);
    world.pass(secs(400));
    world.delete("a");
    world.pass(secs(250));
    assert_eq!(
        (world.closes(), world.forces(), world.state("a")),
        (1, 1, JobState::Closed)
    );
    assert!(gone(&world));
}

#[test]
fn suspended_and_observing_objects_go_at_once_and_call_nothing() {
    for suspended in [true, false] {
        let mut world = closing_one(FakeJob::new(JobState::Opened), Wanted::Observed);
        if suspended {
            world.edit("a", |desired| {
                desired.suspended = true;
                desired.wanted = Wanted::Closed;
            });
        }
        world.pass(secs(30));
        world.delete("a");
        world.pass(secs(1));
        assert!(
            gone(&world) && world.calls.is_empty(),
            "suspended: {suspended}"
        );
    }
}

#[test]
fn on_a_cluster_that_does_not_answer_the_object_goes_at_the_latest_a_minute_after_the_timeout() {
    for refuses in [true, false] {
        let mut world = closing_one(FakeJob::new(JobState::Opened), Wanted::Opened);
        let dead = Some(trouble(Reason::ClusterUnreachable));
        if refuses {
            world.refuses_calls = dead;
        } else {
            world.trouble = dead;
        }
        world.pass(secs(3600));
        world.delete("a");
        world.pass(secs(640));
        assert!(!gone(&world));
        world.pass(secs(30));
        assert!(gone(&world) && world.state("a") == JobState::Opened);
        assert_eq!(world.told("DeletedBeforeClosed").len(), 1);
    }
}

#[test]
fn without_its_connection_as_in_a_namespace_that_goes_away_the_object_goes_after_two_minutes() {
    for reason in [Reason::ConnectionNotFound, Reason::SecretNotFound] {
        let mut world = closing_one(FakeJob::new(JobState::Opened), Wanted::Opened);
        world.delete("a");
        world.trouble = Some(trouble(Reason::ClusterUnreachable));
        world.tell(Input::Connection(Connection::Unusable(trouble(reason))));
        world.pass(secs(100));
        let early = gone(&world);
        world.pass(secs(60));
        assert!(!early && gone(&world), "{reason:?}");
    }
}

#[test]
fn an_object_that_never_reached_its_cluster_goes_too() {
    let mut world = World::new();
    world.tell(Input::Connection(Connection::Unusable(trouble(
        Reason::ConnectionNotFound,
    ))));
    let mut wish = desired("a", Wanted::Closed, policy());
    wish.deletion = DeletionPolicy::Close;
    world.create("a", wish);
    world.pass(secs(600));
    assert!(
        held(&world),
        "before it is known whether anything can be called"
    );
    world.delete("a");
    world.pass(secs(110));
    assert!(!gone(&world), "it may still come, as for any other");
    world.pass(secs(20));
    assert!(gone(&world));
}

#[test]
fn once_its_jobs_were_seen_closed_the_object_goes_whatever_others_do_to_them_then() {
    let mut world = closing_one(FakeJob::new(JobState::Closed), Wanted::Closed);
    world.api_server_down = true;
    world.delete("a");
    world.pass(secs(10));
    world.reopen("a");
    world.pass(secs(300));
    assert!(!gone(&world), "its finalizer could not be taken off");
    world.api_server_down = false;
    world.pass(secs(60));
    assert!(gone(&world));
    assert_eq!((world.closes(), world.state("a")), (0, JobState::Opened));
}

#[test]
fn a_restart_in_the_middle_of_a_deletion_neither_lengthens_it_nor_forgets_it() {
    for every in [7, 50, 200] {
        let mut world = closing_one(hanging(), Wanted::Opened);
        world.edit("a", |desired| desired.close.on_timeout = OnTimeout::Wait);
        world.delete("a");
        for _ in 0..650 / every {
            world.pass(secs(every));
            assert!(!gone(&world));
            world.crash();
        }
        world.pass(secs(70));
        assert!(gone(&world), "a crash every {every} s");
        assert_eq!(world.forces(), 0);
    }
}

#[test]
fn a_policy_that_is_flipped_to_retain_takes_the_finalizer_off_also_during_the_deletion() {
    let mut world = closing_one(FakeJob::new(JobState::Closed), Wanted::Closed);
    world.edit("a", |desired| desired.deletion = DeletionPolicy::Retain);
    world.pass(secs(2));
    assert!(!held(&world));
    world.reopen("a");
    world.pass(secs(60));
    assert_eq!(world.state("a"), JobState::Closed, "it acts as before");
    world.edit("a", |desired| desired.deletion = DeletionPolicy::Close);
    world.pass(secs(2));
    assert!(held(&world));
    world.want("a", Wanted::Opened);
    world.pass(secs(60));
    world.delete("a");
    world.pass(secs(60));
    assert!(gone(&world) && world.state("a") == JobState::Closed);
    let mut world = closing_one(hanging(), Wanted::Opened);
    world.delete("a");
    world.pass(secs(60));
    let closes = world.closes();
    world.edit("a", |desired| desired.deletion = DeletionPolicy::Retain);
    world.pass(secs(2));
    assert!(gone(&world));
    world.pass(secs(7200));
    assert_eq!((world.closes(), world.forces()), (closes, 0));
}

#[test]
fn the_finalizers_of_others_stay() {
    let mut world = closing_one(FakeJob::new(JobState::Opened), Wanted::Opened);
    world.edit("a", |_| {});
    world
        .stored
        .get_mut(&key("a"))
        .unwrap()
        .finalizers
        .push("example.org/theirs".to_owned());
    world.edit("a", |_| {});
    world.pass(secs(5));
    world.delete("a");
    world.pass(secs(60));
    assert_eq!(world.stored[&key("a")].finalizers, ["example.org/theirs"]);
    let writes = world.writes.len();
    world.reopen("a");
    world.pass(secs(3600));
    assert_eq!(
        (world.closes(), world.writes.len()),
        (1, writes),
        "it is theirs to let it go now"
    );
}

#[test]
fn a_member_that_is_missing_or_anothers_does_not_hold_the_deletion() {
    let mut world = World::new();
    for name in ["a", "b"] {
        world.jobs.insert(job(name), FakeJob::new(JobState::Opened));
    }
    world.create("older", desired("b", Wanted::Opened, policy()));
    world.pass(secs(5));
    let mut wish = desired("a,b,missing", Wanted::Opened, policy());
    wish.deletion = DeletionPolicy::Close;
    world.create("a", wish);
    world.pass(secs(300));
    world.delete("a");
    world.pass(secs(150));
    assert!(gone(&world));
    assert_eq!(
        (world.state("a"), world.state("b")),
        (JobState::Closed, JobState::Opened)
    );
}

#[test]
fn in_upgrade_mode_a_closed_job_is_looked_at_after_an_edit_and_before_its_object_goes() {
    let mut world = closing_one(FakeJob::new(JobState::Opened), Wanted::Closed);
    assert_eq!(world.state("a"), JobState::Closed);
    world.upgrade_mode = true;
    world.pass(secs(300));
    world.edit("a", |desired| desired.close.on_timeout = OnTimeout::Wait);
    world.pass(secs(5));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
    world.delete("a");
    world.pass(secs(5));
    assert!(gone(&world) && world.told("DeletedBeforeClosed").is_empty());
}

#[test]
fn what_is_known_to_be_meant_is_closed_before_the_object_goes_also_where_not_all_that_is_meant_can_be_found_out()
 {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        world.jobs.insert(job(name), FakeJob::new(JobState::Opened));
    }
    world.cut_at = Some(2);
    let mut wish = desired("a,c", Wanted::Opened, policy());
    wish.deletion = DeletionPolicy::Close;
    world.create("a", wish);
    world.pass(secs(60));
    assert!(world.is("a", "Closed", "Unknown", "ViewIncomplete"));
    world.delete("a");
    world.pass(secs(10));
    assert!(gone(&world) && world.state("a") == JobState::Closed);
}

#[test]
fn the_job_of_a_deleted_object_is_left_to_the_next_one_that_means_it() {
    let mut world = closing_one(FakeJob::new(JobState::Opened), Wanted::Opened);
    world.create("next", desired("a", Wanted::Opened, policy()));
    world.pass(secs(5));
    assert!(world.is("next", "Stalled", "True", "Conflict"));
    world.delete("a");
    world.pass(secs(120));
    assert!(gone(&world) && world.is("next", "Ready", "True", "InDesiredState"));
    assert_eq!(world.state("a"), JobState::Opened);
}

/// The live reads before a force that are on their way, taken off it.
fn take_live_reads(world: &mut World) -> Input {
    for _ in 0..100 {
        world.pass(std::time::Duration::from_millis(1));
        let live = |input: &Input| matches!(input, Input::Verified(..));
        let found = world.pending.iter().find(|(_, (_, input))| live(input));
        if let Some(at) = found.map(|(at, _)| *at) {
            return world.pending.remove(&at).unwrap().1;
        }
    }
    panic!("nothing is read live");
}

/// Found by the model: the job stayed failed for ever, and status said that it was being closed by force.
#[test]
fn live_reads_for_an_object_that_went_do_not_take_the_place_of_those_for_its_successor() {
    let mut world = World::new();
    world.jobs.insert(job("a"), FakeJob::new(JobState::Failed));
    world.apply("a", Wanted::Closed, policy());
    let of_the_first = take_live_reads(&mut world);
    let mut second = world.stored[&key("a")].clone();
    second.uid = uid(2);
    second.resource_version = "1000".into();
    world.stored.insert(key("a"), second.clone());
    world.tell(Input::Delivered(Box::new(second)));
    let of_the_second = take_live_reads(&mut world);
    world.tell(of_the_first);
    world.tell(of_the_second);
    world.pass(secs(120));
    assert_eq!(world.state("a"), JobState::Closed);
}
