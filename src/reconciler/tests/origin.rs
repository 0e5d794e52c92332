//! Another cluster answers than the one that was known: what is over then, what goes on, and how it is found out.

use std::sync::Arc;
use std::time::Duration;

use super::life::fed;
use super::moving::{OWN, WIDE, deliver_to, leads_to, missing, nearly_forced};
use super::world::{FakeJob, World, job, key, moment, policy, secs};
use crate::api::{DatafeedState, DeletionPolicy, JobId, JobState};
use crate::reconciler::input::*;

const MS: Duration = Duration::from_millis(1);

fn closed() -> World {
    let mut world = World::of(
        "a",
        fed(JobState::Opened, DatafeedState::Started),
        Wanted::Closed,
    );
    world.pass(secs(10));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
    world
}

/// A cluster that does not tell its uuid.
fn mute(world: &World) -> Connection {
    Connection::Usable(Usable {
        identity: Arc::from("https://es"),
        cluster_uuid: None,
        ..world.usable()
    })
}

fn is_writing(world: &World) -> bool {
    let object = world.brain.objects.get(&key("a")).unwrap();
    object.dealings.writing.is_some()
}

type Claimed = Vec<(String, Vec<JobId>)>;
type GivenUp = Vec<(ObjectKey, Vec<JobId>)>;

/// What is claimed, by what name of the cluster, and what is given up.
fn claims(outputs: Vec<Output>) -> (Claimed, GivenUp) {
    let (mut claimed, mut given_up) = (Vec::new(), Vec::new());
    for output in outputs {
        match output {
            Output::Claim(claims) => {
                let claims = claims.into_iter();
                claimed.extend(claims.map(|claim| (claim.cluster.to_string(), claim.jobs)));
            }
            Output::Release(key, jobs) => given_up.push((key, jobs)),
            _ => {}
        }
    }
    (claimed, given_up)
}

#[test]
fn a_write_on_its_way_to_the_api_server_is_still_awaited_where_another_cluster_answers() {
    let mut world = World::of("a", FakeJob::new(JobState::Opened), Wanted::Closed);
    while !is_writing(&world) {
        world.pass(MS);
    }
    let another = leads_to(&world, "another");
    world.tell(Input::Connection(another));
    assert!(is_writing(&world));
    world.pass(secs(60));
    assert!(!is_writing(&world) && world.is("a", "Ready", "True", "InDesiredState"));
}

#[test]
fn an_object_that_is_being_let_go_closes_nothing_on_another_cluster() {
    let mut world = closed();
    world.edit("a", |desired| desired.deletion = DeletionPolicy::Close);
    world.pass(secs(10));
    let calls = world.calls.len();
    world.delete("a");
    while !is_writing(&world) {
        world.pass(MS);
    }
    world.fake("a").state = JobState::Opened;
    let another = leads_to(&world, "another");
    world.tell(Input::Connection(another));
    world.pass(secs(60));
    assert_eq!((world.calls.len(), world.stored.len()), (calls, 0));
}

#[test]
fn a_request_that_was_handled_stays_handled_on_another_cluster() {
    let mut world = closed();
    world.annotate("a", "now");
    world.pass(secs(10));
    world.writes.clear();
    let another = leads_to(&world, "another");
    world.tell(Input::Connection(another));
    // Nothing of it was listed before it is away again.
    world.pending.clear();
    world.tell(Input::Connection(missing()));
    world.pass(secs(300));
    let handled = |(_, status): &(ObjectKey, crate::api::AnomalyJobStatus)| {
        status.last_handled_reconcile_at.as_deref() == Some("now")
    };
    assert!(!world.writes.is_empty() && world.writes.iter().all(handled));
}

#[test]
fn where_no_uuid_is_known_a_connection_of_the_same_kind_and_name_leads_where_it_led() {
    for (kind, name, forces) in [(OWN, "default", 1), (WIDE, "default", 0), (OWN, "other", 0)] {
        let mut world = nearly_forced();
        let mute = mute(&world);
        deliver_to(&mut world, kind, name, mute);
        world.pass(secs(200));
        assert_eq!(world.forces(), forces, "{kind:?} {name}");
    }
}

#[test]
fn what_was_claimed_under_a_name_of_the_cluster_is_claimed_anew_under_its_uuid() {
    let mut world = World::new();
    let mute = mute(&world);
    deliver_to(&mut world, OWN, "default", mute);
    world.jobs.insert(job("a"), FakeJob::new(JobState::Opened));
    world.jobs.insert(job("b"), FakeJob::new(JobState::Opened));
    world.apply("a", Wanted::Closed, policy());
    world.apply("b", Wanted::Observed, policy());
    world.pass(secs(10));
    let told = leads_to(&world, "uuid-9");
    let outputs = world
        .brain
        .handle(Input::Connection(told), moment(world.clock));
    let a = vec![job("a")];
    let expected = (vec![("uuid-9".to_owned(), a.clone())], vec![(key("a"), a)]);
    assert_eq!(claims(outputs), expected);
}

#[test]
fn what_was_claimed_on_one_cluster_is_given_up_where_another_one_answers() {
    let mut world = closed();
    world.jobs.insert(job("b"), FakeJob::new(JobState::Opened));
    world.apply("b", Wanted::Observed, policy());
    world.pass(secs(10));
    let another = leads_to(&world, "another");
    let outputs = world
        .brain
        .handle(Input::Connection(another), moment(world.clock));
    assert_eq!(claims(outputs).1, [(key("a"), vec![job("a")])]);
}

#[test]
fn a_delivery_before_it_is_known_where_a_connection_leads_takes_nothing_of_what_is_stored() {
    let mut world = closed();
    deliver_to(&mut world, WIDE, "other", missing());
    world.annotate("a", "now");
    let resumes = |world: &World| {
        let object = world.brain.objects.get(&key("a")).unwrap();
        object.durable.resume.len()
    };
    assert_eq!(resumes(&world), 1);
    let same = leads_to(&world, "uuid");
    world.tell(Input::Connection(same));
    world.pass(secs(60));
    assert_eq!(resumes(&world), 1);
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
}
