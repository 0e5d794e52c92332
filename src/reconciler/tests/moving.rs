//! Objects that come from another connection: an edit of theirs, another default, or a namespace that is served no longer.

use std::sync::Arc;
use std::time::Duration;

use super::fake_job::FakeJob;
use super::life::fed;
use super::world::{World, desired, job, moment, policy, secs, trouble};
use crate::api::{Allow, ConnectionKind, DatafeedState, JobPattern, JobState, Reason};
use crate::reconciler::Reconciler;
use crate::reconciler::input::*;

pub(super) const OWN: ConnectionKind = ConnectionKind::ElasticsearchConnection;
pub(super) const WIDE: ConnectionKind = ConnectionKind::ClusterElasticsearchConnection;

/// A connection that leads to the cluster of this uuid.
pub(super) fn leads_to(world: &World, uuid: &str) -> Connection {
    Connection::Usable(Usable {
        identity: Arc::from(uuid),
        cluster_uuid: Some(Arc::from(uuid)),
        ..world.usable()
    })
}

/// All objects are delivered to the brain of another connection.
pub(super) fn deliver_to(
    world: &mut World,
    kind: ConnectionKind,
    name: &str,
    connection: Connection,
) {
    world.forget(Reconciler::new(kind, name, moment(world.clock)));
    world.tell(Input::Connection(connection));
    world.deliver_all();
}

/// The same, where it leads to the cluster of this uuid.
fn move_to(world: &mut World, uuid: &str) {
    let connection = leads_to(world, uuid);
    deliver_to(world, WIDE, "other", connection);
}

pub(super) fn missing() -> Connection {
    Connection::Unusable(trouble(Reason::ConnectionNotFound))
}

fn not_served() -> Connection {
    Connection::Unusable(trouble(Reason::NamespaceNotAllowed))
}

/// The connection covers jobs that fit this pattern, and no others.
fn cover(world: &mut World, pattern: &str) {
    world.allow = Allow {
        jobs: vec![JobPattern::parse(pattern).unwrap()],
        ..Allow::default()
    };
    world.tell(Input::Allowed(Allowances::All(world.allow.clone())));
}

/// Nearly all of the ten minutes of its timeout was seen of a close.
pub(super) fn nearly_forced() -> World {
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
    let mut world = World::of("a", FakeJob::new(JobState::Opened), Wanted::Closed);
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
    let mut world = World::of("a", FakeJob::new(JobState::Opened), Wanted::Closed);
    world.pass(secs(10));
    let edited = world.stored.values_mut().next().unwrap();
    edited.generation += 1;
    deliver_to(&mut world, OWN, "default", missing());
    world.pass(secs(2));
    assert!(world.is("a", "Ready", "False", "ConnectionNotFound"));
}

#[test]
fn nor_after_an_edit_that_comes_while_there_is_none() {
    let mut world = World::of("a", FakeJob::new(JobState::Opened), Wanted::Closed);
    world.pass(secs(10));
    world.crash();
    world.pending.clear();
    world.tell(Input::Connection(missing()));
    world.pass(secs(10));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
    world.edit("a", |desired| desired.wanted = Wanted::Opened);
    world.pass(secs(2));
    assert!(world.is("a", "Ready", "False", "ConnectionNotFound"));
}

/// Which connection is the default changes twice, and in between there is none.
#[test]
fn a_default_that_is_missing_for_a_while_costs_neither_evidence_nor_who_ran() {
    let mut world = World::of(
        "a",
        fed(JobState::Opened, DatafeedState::Started),
        Wanted::Closed,
    );
    world.pass(secs(10));
    let told = world.status("a").clone();
    assert_eq!(told.resume_datafeeds.len(), 1);
    deliver_to(&mut world, WIDE, "default", missing());
    world.pass(secs(150));
    assert!(world.is("a", "Stalled", "True", "ConnectionNotFound"));
    let carried = world.status("a");
    assert_eq!(
        (
            &carried.resume_datafeeds,
            &carried.targets,
            &carried.last_close,
            &carried.connection
        ),
        (
            &told.resume_datafeeds,
            &told.targets,
            &told.last_close,
            &told.connection
        ),
    );
    let back = leads_to(&world, "uuid");
    deliver_to(&mut world, OWN, "default", back);
    world.want("a", Wanted::Opened);
    world.pass(secs(60));
    assert_eq!((world.opens(), world.starts()), (1, 1));

    let mut world = nearly_forced();
    deliver_to(&mut world, WIDE, "default", missing());
    world.pass(secs(120));
    move_to(&mut world, "uuid");
    world.pass(secs(200));
    assert_eq!(world.forces(), 1);
}

/// What an outage made of the status must not hide which cluster it was.
#[test]
fn a_status_that_is_written_in_an_outage_still_tells_of_which_cluster() {
    let mut world = nearly_forced();
    world.tell(Input::Connection(missing()));
    world.edit("a", |desired| desired.wanted = Wanted::Observed);
    world.edit("a", |desired| desired.wanted = Wanted::Closed);
    world.pass(secs(300));
    assert!(world.is("a", "Stalled", "True", "ConnectionNotFound"));
    let uuid = |world: &World| world.status("a").connection.clone().unwrap().cluster_uuid;
    assert_eq!(uuid(&world).as_deref(), Some("uuid"));
    world.crash();
    world.pending.clear();
    world.tell(Input::Connection(missing()));
    world.annotate("a", "now");
    world.pass(secs(300));
    assert_eq!(uuid(&world).as_deref(), Some("uuid"));
}

#[test]
fn another_cluster_behind_the_same_connection_is_another_cluster() {
    let changed = || Connection::Unusable(trouble(Reason::ClusterChanged));
    // Accepted while it runs, or met after a start.
    for restarts in [false, true] {
        let mut world = nearly_forced();
        let another = leads_to(&world, "another");
        if restarts {
            deliver_to(&mut world, OWN, "default", another);
        } else {
            world.tell(Input::Connection(changed()));
            world.pass(secs(30));
            world.tell(Input::Connection(another));
        }
        world.pass(secs(500));
        assert_eq!(world.forces(), 0, "restarts: {restarts}");
        world.pass(secs(200));
        assert_eq!(world.forces(), 1, "restarts: {restarts}");
    }
}

#[test]
fn what_is_on_its_way_to_another_cluster_takes_no_place_and_the_limits_of_the_connection_hold_on() {
    let mut world = World::new();
    (world.max_closing, world.max_in_flight, world.list_room) = (2, 1, 6);
    world.connect();
    for n in 0..5 {
        let name = format!("job-{n}");
        let fake = FakeJob {
            close_takes: (n > 0).then_some(secs(5)),
            lost_closes: u32::from(n == 1),
            ..FakeJob::new(JobState::Opened)
        };
        world.jobs.insert(job(&name), fake);
        world.apply(&name, Wanted::Closed, policy());
    }
    world.pass(secs(10));
    assert_eq!((world.closed(), world.calls.len()), (0, 2));
    // The one that hangs, and the one whose close is not answered yet, are not there.
    world.jobs.remove(&job("job-0"));
    world.jobs.remove(&job("job-1"));
    for n in 5..9 {
        let name = format!("job-{n}");
        world
            .jobs
            .insert(job(&name), FakeJob::new(JobState::Closed));
        world.apply(&name, Wanted::Opened, policy());
    }
    let another = leads_to(&world, "another");
    world.tell(Input::Connection(another));
    let mut most = (0, 0);
    for _ in 0..3800 {
        world.pass(Duration::from_millis(5));
        let closing = |fake: &&FakeJob| fake.state == JobState::Closing;
        let calls = world.brain.calls.in_flight.values();
        let held = calls.filter(|sent| !sent.is_taken()).count();
        let closing = world.jobs.values().filter(closing).count();
        most = (most.0.max(closing), most.1.max(held));
    }
    assert_eq!(most, (2, 1));
    assert_eq!((world.closed(), world.opens()), (3, 4));
    let longest = world.calls.iter().map(|(_, call)| call.jobs().len()).max();
    assert_eq!(longest, Some(1), "a line of six bytes");
}

#[test]
fn nothing_is_told_of_another_cluster_behind_the_same_connection_before_it_was_looked_at() {
    let mut world = World::of(
        "a",
        fed(JobState::Opened, DatafeedState::Started),
        Wanted::Closed,
    );
    world.pass(secs(10));
    assert!(world.is("a", "Closed", "True", "AllClosed"));
    world.fake("a").state = JobState::Opened;
    world.slow = secs(30);
    let another = leads_to(&world, "another");
    world.tell(Input::Connection(another));
    world.pass(secs(20));
    world.annotate("a", "now");
    world.pass(secs(9));
    let told = world.status("a");
    let of = told.connection.clone().unwrap().cluster_uuid;
    let closed = world.is("a", "Closed", "True", "AllClosed");
    assert!(!closed || of.as_deref() == Some("uuid"), "{told:?}");
    assert!(of.as_deref() == Some("uuid") || told.resume_datafeeds.is_empty());
    world.slow = secs(0);
    world.pass(secs(120));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
    assert_eq!(world.closes(), 2);
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
        let look = matches!(answer.1, Input::Read(_, Ok(Answer::States(..))));
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
    let mut world = World::of("a", FakeJob::new(JobState::Opened), Wanted::Closed);
    world.pass(secs(10));
    deliver_to(&mut world, WIDE, "default", not_served());
    world.pass(secs(2));
    assert!(world.is("a", "Ready", "False", "NamespaceNotAllowed"));
    assert!(world.is("a", "Closed", "Unknown", "NamespaceNotAllowed"));
    assert!(world.is("a", "Reconciling", "True", "NamespaceNotAllowed"));
    world.pass(secs(150));
    assert!(world.is("a", "Stalled", "True", "NamespaceNotAllowed"));
}

/// An outage that the operator does not outlive, or a namespace that is served again.
#[test]
fn where_nothing_was_claimed_any_more_all_is_looked_at_before_it_is_claimed_again() {
    for (why, reason) in [
        (not_served as fn() -> Connection, "NamespaceNotAllowed"),
        (missing, "NotObserved"),
    ] {
        let mut world = World::of("a", FakeJob::new(JobState::Opened), Wanted::Closed);
        world.pass(secs(10));
        deliver_to(&mut world, WIDE, "default", why());
        world.pass(secs(600));
        assert!(world.is("a", "Closed", "Unknown", reason));
        world.fake("a").state = JobState::Opened;
        world.slow = secs(2);
        move_to(&mut world, "uuid");
        while world.state("a") == JobState::Opened {
            world.pass(secs(1));
            let claims = world.is("a", "Closed", "True", "AllClosed");
            assert!(!claims || world.state("a") == JobState::Closed, "{reason}");
        }
        world.pass(secs(10));
        assert!(world.is("a", "Ready", "True", "InDesiredState"));
    }
}

/// The operator stopped the datafeed itself; since its start nobody edited the object.
#[test]
fn a_job_that_is_not_covered_for_a_while_in_the_middle_of_its_close_keeps_who_ran() {
    let mut world = World::new();
    world.before_7_14 = true;
    world.connect();
    let fake = FakeJob {
        lost_closes: u32::MAX,
        ..fed(JobState::Opened, DatafeedState::Started)
    };
    world.jobs.insert(job("a"), fake);
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(5));
    world.crash();
    world.pass(secs(5));
    assert_eq!(world.fake("a").feed(), Some(DatafeedState::Stopped));
    cover(&mut world, "b");
    world.pass(secs(5));
    assert!(world.is("a", "Stalled", "True", "NotAllowed"));
    world.fake("a").lost_closes = 0;
    cover(&mut world, "*");
    world.pass(secs(60));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
    world.want("a", Wanted::Opened);
    world.pass(secs(60));
    assert_eq!((world.opens(), world.starts()), (1, 1));
}

#[test]
fn a_force_on_a_job_that_is_not_covered_any_more_is_told_and_keeps_it_from_being_opened() {
    let mut world = nearly_forced();
    while world.forces() == 0 {
        world.pass(std::time::Duration::from_millis(1));
    }
    let forced = world.clock;
    cover(&mut world, "b");
    world.pass(secs(5));
    let last = world.status("a").last_close.clone().unwrap();
    assert_eq!(last.forced, [job("a")]);
    cover(&mut world, "*");
    world.want("a", Wanted::Opened);
    world.pass(secs(50));
    assert_eq!(world.opens(), 0);
    world.pass(secs(60));
    let open = |(at, call): &(_, Call)| matches!(call, Call::Open(_)).then_some(*at);
    assert!(world.calls.iter().find_map(open).unwrap() >= forced + secs(60));
}

/// Its own status comes back, as it was stored there.
#[test]
fn what_is_stored_of_one_cluster_is_no_durable_note_on_another() {
    let mut world = World::of(
        "a",
        fed(JobState::Opened, DatafeedState::Started),
        Wanted::Closed,
    );
    world.pass(secs(10));
    assert_eq!(world.status("a").resume_datafeeds.len(), 1);
    *world.fake("a") = fed(JobState::Opened, DatafeedState::Started);
    world.api_server_down = true;
    let another = leads_to(&world, "another");
    world.tell(Input::Connection(another));
    world.annotate("a", "now");
    world.pass(secs(60));
    assert_eq!(world.closes(), 1, "who runs is not written down yet");
    world.api_server_down = false;
    world.pass(secs(60));
    assert_eq!(world.closes(), 2);
}
