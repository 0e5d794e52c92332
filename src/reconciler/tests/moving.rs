//! Objects that come from another connection: an edit of theirs, another default, or a namespace that is served no longer.

use std::sync::Arc;

use super::fake_job::FakeJob;
use super::world::{World, desired, job, moment, policy, secs, trouble};
use crate::api::{ConnectionKind, JobState, Reason};
use crate::reconciler::Reconciler;
use crate::reconciler::input::*;

/// All objects are delivered to the brain of another connection, which leads to the cluster of this uuid.
fn move_to(world: &mut World, uuid: &str) {
    let kind = ConnectionKind::ClusterElasticsearchConnection;
    world.forget(Reconciler::new(kind, "other", moment(world.clock)));
    let usable = Usable {
        identity: Arc::from(uuid),
        cluster_uuid: Some(Arc::from(uuid)),
        ..world.usable()
    };
    world.tell(Input::Connection(Connection::Usable(usable)));
    world.deliver_all();
}

/// Nearly all of the ten minutes of its timeout was seen of a close.
fn nearly_forced() -> World {
    let mut world = World::new();
    let fake = FakeJob {
        close_takes: None,
        ..FakeJob::new(JobState::Opened)
    };
    world.jobs.insert(job("a"), fake);
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(560));
    assert_eq!(world.forces(), 0);
    world
}

#[test]
fn what_was_seen_on_one_cluster_brings_no_force_nearer_on_another() {
    let mut world = nearly_forced();
    move_to(&mut world, "another");
    world.pass(secs(500));
    assert_eq!(world.forces(), 0);
    assert_eq!(world.status("a").connection.as_ref().unwrap().name, "other");
    world.pass(secs(200));
    assert_eq!(world.forces(), 1);
}

#[test]
fn what_was_seen_of_a_cluster_holds_through_another_connection_to_it() {
    let mut world = nearly_forced();
    move_to(&mut world, "uuid");
    world.pass(secs(200));
    assert_eq!(world.forces(), 1);
}

#[test]
fn what_was_closed_on_one_cluster_is_looked_at_on_another_before_it_is_claimed() {
    let mut world = World::new();
    world.jobs.insert(job("a"), FakeJob::new(JobState::Opened));
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(10));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
    world.fake("a").state = JobState::Opened;
    move_to(&mut world, "another");
    world.pass(secs(10));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
    assert_eq!(world.closes(), 2);
}

#[test]
fn what_was_ready_before_an_edit_is_not_ready_on_a_connection_that_is_not_there() {
    let mut world = World::new();
    world.jobs.insert(job("a"), FakeJob::new(JobState::Opened));
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(10));
    let edited = world.stored.values_mut().next().unwrap();
    edited.generation += 1;
    let kind = ConnectionKind::default();
    world.forget(Reconciler::new(kind, "default", moment(world.clock)));
    let missing = trouble(Reason::ConnectionNotFound);
    world.tell(Input::Connection(Connection::Unusable(missing)));
    world.deliver_all();
    world.pass(secs(2));
    assert!(world.is("a", "Ready", "False", "ConnectionNotFound"));
}

#[test]
fn nor_after_an_edit_that_comes_while_there_is_none() {
    let mut world = World::new();
    world.jobs.insert(job("a"), FakeJob::new(JobState::Opened));
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(10));
    world.crash();
    world.pending.clear();
    let missing = trouble(Reason::ConnectionNotFound);
    world.tell(Input::Connection(Connection::Unusable(missing)));
    world.pass(secs(10));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
    world.edit("a", |desired| desired.wanted = Wanted::Opened);
    world.pass(secs(2));
    assert!(world.is("a", "Ready", "False", "ConnectionNotFound"));
}

/// The list was faster than the looks that were asked for together with it.
#[test]
fn a_request_to_look_does_not_wait_for_a_job_that_is_not_meant_any_more() {
    let mut world = World::new();
    for id in ["a", "b"] {
        let fake = FakeJob {
            groups: vec!["g"],
            ..FakeJob::new(JobState::Opened)
        };
        world.jobs.insert(job(id), fake);
    }
    world.create("o", desired("g", Wanted::Closed, policy()));
    world.pass(secs(10));
    world.fake("a").groups.clear();
    world.annotate("o", "now");
    let looks: Vec<_> = world.pending.keys().copied().collect();
    let mut late = 0;
    for at in looks {
        let answer = world.pending.remove(&at).unwrap();
        let look = matches!(answer.1, Input::Read(_, Ok(Answer::States(_))));
        late += usize::from(look);
        let delay = if look { secs(1) } else { secs(0) };
        world.pending.insert((at.0 + delay, at.1), answer);
    }
    assert!(late > 0);
    world.pass(secs(10));
    let status = world.status("o");
    assert_eq!(status.last_handled_reconcile_at.as_deref(), Some("now"));
}

#[test]
fn an_object_whose_namespace_is_not_served_any_more_says_so_at_once() {
    let mut world = World::new();
    world.jobs.insert(job("a"), FakeJob::new(JobState::Opened));
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(10));
    let kind = ConnectionKind::ClusterElasticsearchConnection;
    world.forget(Reconciler::new(kind, "default", moment(world.clock)));
    let refused = trouble(Reason::NamespaceNotAllowed);
    world.tell(Input::Connection(Connection::Unusable(refused)));
    world.deliver_all();
    world.pass(secs(2));
    assert!(world.is("a", "Ready", "False", "NamespaceNotAllowed"));
    assert!(world.is("a", "Closed", "Unknown", "NamespaceNotAllowed"));
    assert!(world.is("a", "Reconciling", "True", "NamespaceNotAllowed"));
    world.pass(secs(150));
    assert!(world.is("a", "Stalled", "True", "NamespaceNotAllowed"));
}
