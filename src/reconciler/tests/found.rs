//! What the random walk found, or a mutant survived, each as the shortest story that shows it.

use std::sync::Arc;

use super::fake_job::FakeJob;
use super::world::{World, desired, job, key, moment, policy, secs, trouble, uid};
use crate::api::{
    AnomalyJobStatus, DatafeedId, DatafeedState, JobState, OnTimeout, Reason, Target,
};
use crate::reconciler::input::*;
use crate::reconciler::job::Job;
use crate::reconciler::object::{News, Object};
use crate::reconciler::stored::{Durable, Published};
use crate::reconciler::writing::Writing;

fn hanging() -> World {
    let mut world = World::new();
    let mut fake = FakeJob::new(JobState::Opened);
    fake.close_takes = None;
    world.jobs.insert(job("a"), fake);
    world.apply("a", Wanted::Closed, policy());
    world
}

fn delivered(generation: i64, version: &str, status: AnomalyJobStatus) -> Delivered {
    Delivered {
        key: key("a"),
        uid: uid(1),
        generation,
        created_at: moment(secs(0)).wall,
        resource_version: Arc::from(version),
        finalizers: Vec::new(),
        desired: Desired {
            suspended: generation == 2,
            ..desired("a", Wanted::Closed, policy())
        },
        status,
    }
}

fn object(status: AnomalyJobStatus) -> Object {
    Object::new(delivered(2, "10", status), 1, Ticket(0), moment(secs(0)))
}

fn noted() -> AnomalyJobStatus {
    let mut target = Target::new(job("a"));
    target.forced_at = Some(crate::api::stamp(moment(secs(0)).wall));
    AnomalyJobStatus {
        targets: vec![target],
        resume_datafeeds: vec![DatafeedId::parse("feed").unwrap()],
        ..AnomalyJobStatus::default()
    }
}

fn saw(state: JobState) -> SeenJob {
    SeenJob {
        state: Some(SeenState::of(state)),
        datafeed: None,
    }
}

#[test]
fn many_short_outages_add_nothing_to_the_evidence() {
    let mut world = hanging();
    world.pass(secs(60));
    for _ in 0..18 {
        world.pass(secs(25));
        world.trouble = Some(trouble(Reason::ClusterUnreachable));
        world.pass(secs(30));
        world.trouble = None;
    }
    assert_eq!(world.forces(), 0, "nine minutes of answers are no ten");
}

#[test]
fn a_process_that_was_stopped_for_an_hour_counts_nothing_of_it() {
    let mut world = World::new();
    // Open for long: an answer that was on its way for an hour is not taken for another session's.
    world.pass(secs(9000));
    let mut fake = FakeJob::new(JobState::Opened);
    fake.close_takes = None;
    world.jobs.insert(job("a"), fake);
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(60));
    world.clock += secs(3600);
    world.pass(secs(300));
    assert_eq!(world.forces(), 0);
}

#[test]
fn a_force_that_was_noted_and_not_sent_is_not_sent_under_another_policy() {
    let mut world = hanging();
    world.pass(secs(590));
    world.lose_acks = true;
    world.pass(secs(30));
    assert!(world.status("a").targets[0].forced_at.is_some());
    assert_eq!(world.forces(), 0);
    world.lose_acks = false;
    world.edit_silently("a", |desired| desired.close.on_timeout = OnTimeout::Wait);
    world.crash();
    world.pass(secs(3600));
    assert_eq!(world.forces(), 0);
    assert!(world.is("a", "Reconciling", "True", "Waiting"));
}

#[test]
fn a_lost_config_may_still_come_back_for_two_minutes() {
    let mut world = World::new();
    let mut fake = FakeJob::new(JobState::Opened);
    fake.config = false;
    world.jobs.insert(job("a"), fake);
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(100));
    assert_eq!(world.forces(), 0);
}

#[test]
fn an_old_answer_does_not_bring_back_what_was_deleted() {
    let mut world = hanging();
    world.pass(secs(5));
    let old = world.stored[&key("a")].clone();
    world.tell(Input::Gone(key("a")));
    world.tell(Input::Refreshed(
        key("a"),
        old.uid.clone(),
        Some(Box::new(old)),
    ));
    assert!(world.brain.is_empty());
}

#[test]
fn objects_deleted_while_their_jobs_close_keep_no_place_in_the_wave() {
    let mut world = World::new();
    for n in 0..64 {
        let id = format!("gone-{n}");
        let mut fake = FakeJob::new(JobState::Opened);
        fake.close_takes = None;
        world.jobs.insert(job(&id), fake);
        world.apply(&id, Wanted::Closed, policy());
    }
    world.pass(secs(60));
    for n in 0..64 {
        world.tell(Input::Gone(key(&format!("gone-{n}"))));
    }
    world.jobs.insert(job("a"), FakeJob::new(JobState::Opened));
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(5));
    assert_eq!(world.state("a"), JobState::Closed);
}

#[test]
fn a_close_that_outlasts_its_timeout_is_not_written_about_for_ever() {
    let mut world = hanging();
    world.edit("a", |desired| desired.close.on_timeout = OnTimeout::Wait);
    world.pass(secs(1200));
    let writes = world.writes.len();
    world.pass(secs(36_000));
    assert_eq!(world.writes.len(), writes);
}

#[test]
fn what_somebody_wiped_is_not_durable_any_more() {
    let mut object = object(noted());
    let feed = DatafeedId::parse("feed").unwrap();
    assert_eq!(object.durable.forced.len(), 1);
    assert!(object.is_safe_to_stop(&feed));
    object.deliver(
        delivered(2, "11", AnomalyJobStatus::default()),
        2,
        Ticket(1),
    );
    assert!(object.durable.forced.is_empty());
    assert!(!object.is_safe_to_stop(&feed));
}

#[test]
fn an_earlier_generation_that_comes_late_is_passed_over() {
    let mut object = object(AnomalyJobStatus::default());
    let late = delivered(1, "9", AnomalyJobStatus::default());
    assert_eq!(object.deliver(late, 2, Ticket(1)), News::Echo);
    assert!(object.desired.suspended, "as the newer one says");
}

#[test]
fn an_acknowledgement_that_comes_after_a_newer_delivery_says_nothing_of_what_is_stored() {
    let mut object = object(AnomalyJobStatus::default());
    let stored = Published {
        digest: 7,
        ..Published::default()
    };
    let writing = Writing::status(Ticket(1), stored, Durable::default());
    object.dealings.writing = Some(Box::new(writing));
    object.deliver(
        delivered(2, "12", AnomalyJobStatus::default()),
        2,
        Ticket(1),
    );
    let writing = object.dealings.writing.take().unwrap();
    assert!(!object.written(*writing, Arc::from("11")));
    assert_eq!(
        (&*object.resource_version, object.published.digest),
        ("12", 2)
    );
}

#[test]
fn a_read_is_passed_over_that_was_sent_before_a_newer_one_or_before_a_call_ended() {
    let (mut job, now) = (Job::default(), moment(secs(0)));
    assert!(job.see(Ticket(1), saw(JobState::Opened), now).is_some());
    assert!(job.see(Ticket(3), saw(JobState::Closed), now).is_some());
    assert!(job.see(Ticket(2), saw(JobState::Opened), now).is_none());
    assert_eq!(job.state(), Some(JobState::Closed));
    job.touch(Ticket(5));
    assert!(job.see(Ticket(4), saw(JobState::Opened), now).is_none());
}

#[test]
fn what_becomes_of_a_closed_job_while_nothing_may_be_called_is_told() {
    type Change = fn(&mut World);
    let changes: [Change; 3] = [
        |world| world.fake("a").datafeed.as_mut().unwrap().1 = DatafeedState::Started,
        |world| world.reopen("a"),
        |world| drop(world.jobs.remove(&job("a"))),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        // Upgrade mode is met by a call, or known long before.
        for known_for in [0, 400] {
            let fake = FakeJob::new(JobState::Closed).with_feed(DatafeedState::Stopped);
            let mut world = World::of("a", fake, Wanted::Closed);
            world.pass(secs(60));
            world.upgrade_mode = true;
            world.pass(secs(known_for));
            assert!(world.is("a", "Ready", "True", "InDesiredState"));
            change(&mut world);
            // That a job is gone is told by the list of configs alone.
            world.pass(secs(400));
            let ready = world.condition("a", "Ready").unwrap();
            assert_eq!(ready.0, "False", "{number}, {known_for}: {ready:?}");
        }
    }
}

#[test]
fn jobs_that_stay_meant_when_others_go_are_looked_at_before_they_are_claimed_of_the_new_generation()
{
    let mut world = World::new();
    for name in ["a", "b"] {
        world.jobs.insert(job(name), FakeJob::new(JobState::Closed));
    }
    world.create("w", desired("a,b", Wanted::Closed, policy()));
    world.pass(secs(30));
    world.trouble = Some(trouble(Reason::ClusterUnreachable));
    let scope = desired("a", Wanted::Closed, policy()).scope;
    world.edit("w", |desired| desired.scope = scope);
    world.pass(secs(10));
    assert!(
        !world.is("w", "Closed", "True", "AllClosed"),
        "{:?}",
        world.status("w").conditions
    );
    world.crash();
    world.pass(secs(10));
    assert!(!world.is("w", "Closed", "True", "AllClosed"));
    world.trouble = None;
    world.pass(secs(30));
    assert!(
        world.is("w", "Ready", "True", "InDesiredState")
            && world.is("w", "Closed", "True", "AllClosed")
    );
}

#[test]
fn an_outage_makes_no_object_ready_of_which_a_part_matches_nothing() {
    for (expression, wanted) in [("a,Low", Wanted::Observed), ("Low", Wanted::Closed)] {
        let mut world = World::new();
        world.jobs.insert(job("a"), FakeJob::new(JobState::Closed));
        world.create("x", desired(expression, wanted, policy()));
        world.pass(secs(200));
        assert!(world.is("x", "Ready", "False", "JobNotFound"));
        world.trouble = Some(trouble(Reason::ClusterUnreachable));
        for _ in 0..20 {
            world.pass(secs(20));
            let ready = world.condition("x", "Ready").unwrap();
            assert_eq!(ready.0, "False", "{expression}: {ready:?}");
        }
    }
}

#[test]
fn a_brain_says_how_many_objects_it_has() {
    let mut world = World::new();
    assert_eq!((world.brain.len(), world.brain.is_empty()), (0, true));
    for id in ["a", "b"] {
        world.apply(id, Wanted::Observed, policy());
    }
    assert_eq!((world.brain.len(), world.brain.is_empty()), (2, false));
}

#[test]
fn an_answer_to_a_read_of_an_object_that_nobody_waits_for_says_nothing() {
    let mut world = hanging();
    world.pass(secs(10));
    let uid = world.stored[&key("a")].uid.clone();
    world.tell(Input::Refreshed(key("a"), uid, None));
    assert_eq!(world.brain.len(), 1);
}

#[test]
fn a_job_is_stepped_at_the_earliest_of_the_times_that_were_asked_for() {
    let mut world = World::of("a", FakeJob::new(JobState::Closed), Wanted::Closed);
    world.pass(secs(100));
    let now = world.clock;
    for at in [50, 10, 90] {
        world.brain.wake_at(now + secs(at), &key("a"), &job("a"));
    }
    let of_jobs = world.brain.timers.iter().filter(|timer| timer.2.is_some());
    let times: Vec<_> = of_jobs.map(|(at, ..)| *at).collect();
    assert_eq!(times, [now + secs(10)]);
}

/// A status that told of this generation.
fn told(of_generation: i64) -> AnomalyJobStatus {
    AnomalyJobStatus {
        observed_generation: of_generation,
        ..noted()
    }
}

#[test]
fn an_echo_of_our_write_that_brings_a_request_to_look_is_news() {
    let mut known = object(told(2));
    let published = Published {
        digest: 7,
        ..Published::default()
    };
    let writing = Writing::status(Ticket(1), published, Durable::default());
    known.dealings.writing = Some(Box::new(writing));
    let echo = delivered(2, "11", told(2));
    let mut with_request = echo.clone();
    with_request.desired.requested = Some(Arc::from("now"));
    let news = News::Changed {
        scope: false,
        requested: true,
    };
    assert_eq!(known.clone().deliver(echo, 7, Ticket(1)), News::Echo);
    assert_eq!(known.deliver(with_request, 7, Ticket(1)), news);
}

#[test]
fn finalizers_that_come_back_as_they_were_written_are_an_echo_and_others_are_news() {
    let ours = vec!["ours".to_owned()];
    for (found, is_echo) in [(ours.clone(), true), (Vec::new(), false)] {
        let mut known = object(told(2));
        let writing = Writing::finalizers(Ticket(1), ours.clone());
        known.dealings.writing = Some(Box::new(writing));
        let mut came = delivered(2, "11", told(2));
        came.finalizers = found;
        let news = known.deliver(came, 1, Ticket(1));
        assert_eq!(news == News::Echo, is_echo);
    }
}

#[test]
fn a_datafeed_is_safe_to_stop_where_the_write_on_its_way_tells_of_it_too() {
    let feed = DatafeedId::parse("feed").unwrap();
    let mut known = object(told(2));
    assert!(known.is_safe_to_stop(&feed));
    for (durable, is_safe) in [(known.durable.clone(), true), (Durable::default(), false)] {
        let writing = Writing::status(Ticket(1), Published::default(), durable);
        known.dealings.writing = Some(Box::new(writing));
        assert_eq!(known.is_safe_to_stop(&feed), is_safe);
    }
}

#[test]
fn of_a_job_that_no_status_of_this_generation_told_of_it_is_still_to_be_known_who_ran() {
    for (generation, expected) in [(1, true), (2, false)] {
        let known = object(told(generation));
        let member = known.member_for(&job("new"), moment(secs(0)));
        assert_eq!(member.resuming, expected, "{generation}");
    }
}

#[test]
fn what_was_begun_of_a_job_is_remembered_where_it_leaves_and_where_it_is_wanted_otherwise() {
    type Begin = fn(&mut Object);
    let asked: Begin = |object| {
        let member = object.members.get_mut(&job("new")).unwrap();
        member.facts_mut().requested_at = Some(moment(secs(0)).wall);
    };
    let flipped: Begin = |object| {
        object.members.get_mut(&job("new")).unwrap().resuming = true;
    };
    for (begin, begun) in [(asked, true), (flipped, true), ((|_| ()) as Begin, false)] {
        let mut known = object(told(2));
        let jobs = [job("new")].into();
        let mut members = std::mem::take(&mut known.members);
        members.become_these(&jobs, |id| known.member_for(id, moment(secs(0))));
        known.members = members;
        begin(&mut known);
        let mut left = known.clone();
        left.interrupt_all_but(&[].into());
        assert_eq!(left.unfinished.interrupted.contains(&job("new")), begun);
        let mut edit = delivered(3, "12", told(2));
        edit.desired.wanted = Wanted::Opened;
        known.deliver(edit, 3, Ticket(2));
        assert_eq!(known.members.get(&job("new")).unwrap().resuming, begun);
    }
}
