//! When status is written: whose turn is asked for, what is told at once, and what becomes of a write that is refused.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::world::{FakeJob, World, desired, job, key, moment, policy, secs, trouble};
use crate::api::{AnomalyJobStatus, DatafeedId, DatafeedState, JobState, Reason, TimeSpan};
use crate::reconciler::input::*;

const MS: Duration = Duration::from_millis(1);

/// A job that rests, and the operator only looks at it.
fn resting() -> World {
    let mut world = World::of("a", FakeJob::new(JobState::Closed), Wanted::Observed);
    world.pass(secs(60));
    world
}

/// The object after somebody changed it.
fn changed(world: &mut World, change: impl FnOnce(&mut Delivered)) -> Delivered {
    world.version += 1;
    let version = world.version.to_string();
    let stored = world.stored.get_mut(&key("a")).unwrap();
    change(stored);
    stored.resource_version = Arc::from(version);
    stored.clone()
}

fn news(world: &mut World, change: impl FnOnce(&mut Delivered)) -> Input {
    Input::Delivered(Box::new(changed(world, change)))
}

fn wipe(object: &mut Delivered) {
    object.status = AnomalyJobStatus::default();
}

/// All that is asked for now, where reads are answered at once and nothing else is.
fn asked(world: &mut World, input: Input) -> Vec<Output> {
    let (mut inputs, mut asked) = (VecDeque::from([input]), Vec::new());
    while let Some(input) = inputs.pop_front() {
        for output in world.brain.handle(input, moment(world.clock)) {
            match output {
                Output::Read { ticket, question } => {
                    inputs.push_back(Input::Read(ticket, Ok(world.look(&question))));
                }
                other => asked.push(other),
            }
        }
    }
    asked
}

fn turns(world: &mut World, input: Input) -> Vec<Urgency> {
    let urgency = |output| match output {
        Output::WantTurn(_, urgency) => Some(urgency),
        _ => None,
    };
    asked(world, input)
        .into_iter()
        .filter_map(urgency)
        .collect()
}

/// Its turn has come, and its write is refused. What is then asked for: a read of the object, or nothing.
fn refuse(world: &mut World, refused: WriteRefused) -> Vec<Output> {
    let asked_now = asked(world, Input::Turn(key("a")));
    let [Output::Write { ticket, .. }] = asked_now.as_slice() else {
        panic!("{asked_now:?}");
    };
    asked(world, Input::Written(*ticket, Err(refused)))
}

/// The same for a conflict; then the object is read again.
fn conflict(world: &mut World) -> Vec<Urgency> {
    let asked = refuse(world, WriteRefused::Conflict);
    let [Output::Refresh(of, uid)] = asked.as_slice() else {
        panic!("{asked:?}");
    };
    let found = changed(world, |_| ());
    turns(
        world,
        Input::Refreshed(of.clone(), uid.clone(), Some(Box::new(found))),
    )
}

#[test]
fn a_turn_is_asked_for_once_and_again_only_where_it_became_more_urgent() {
    let mut world = resting();
    let wiped = news(&mut world, wipe);
    assert_eq!(turns(&mut world, wiped), [Urgency::None]);
    let label = news(&mut world, |_| ());
    assert_eq!(turns(&mut world, label), []);
    let edit = news(&mut world, |object| {
        object.generation += 1;
        object.desired.suspended = true;
    });
    assert_eq!(turns(&mut world, edit), [Urgency::ForEdit]);
    let label = news(&mut world, |_| ());
    assert_eq!(turns(&mut world, label), []);
}

#[test]
fn a_write_that_met_a_conflict_is_made_again_when_the_object_was_read_and_the_next_one_later() {
    let mut world = resting();
    let wiped = news(&mut world, wipe);
    assert_eq!(turns(&mut world, wiped).len(), 1);
    assert_eq!(conflict(&mut world).len(), 1, "at once");
    assert_eq!(conflict(&mut world).len(), 0, "somebody else writes too");
    world.clock += MS * 1900;
    assert_eq!(turns(&mut world, Input::Tick).len(), 0);
    world.clock += MS * 1000;
    assert_eq!(turns(&mut world, Input::Tick).len(), 1);
}

#[test]
fn a_write_that_failed_is_made_again_a_second_later() {
    let mut world = resting();
    let wiped = news(&mut world, wipe);
    assert_eq!(turns(&mut world, wiped).len(), 1);
    assert!(refuse(&mut world, WriteRefused::Failed).is_empty());
    world.clock += MS * 900;
    assert_eq!(turns(&mut world, Input::Tick).len(), 0);
    world.clock += MS * 400;
    assert_eq!(turns(&mut world, Input::Tick).len(), 1);
}

#[test]
fn datafeeds_that_go_on_one_after_the_other_are_no_write_each() {
    let mut world = World::new();
    for n in 0..20 {
        let mut fake = FakeJob::new(JobState::Opened);
        fake.groups = vec!["g"];
        let feed = DatafeedId::parse(&format!("feed-{n}")).unwrap();
        fake.datafeed = Some((feed, DatafeedState::Started));
        fake.open_takes = Some(secs(n + 1));
        world.jobs.insert(job(&format!("job-{n:02}")), fake);
    }
    world.create("o", desired("g", Wanted::Closed, policy()));
    world.pass(secs(60));
    assert_eq!(world.status("o").resume_datafeeds.len(), 20);
    world.count_from_now();
    world.want("o", Wanted::Opened);
    world.pass(secs(60));
    assert!(world.is("o", "Ready", "True", "InDesiredState"));
    assert!(world.status("o").resume_datafeeds.is_empty());
    let writes = world.writes.len();
    assert!((2..=8).contains(&writes), "{writes} writes");
}

#[test]
fn what_becomes_of_the_one_job_that_is_observed_is_written_when_it_is_seen() {
    let mut world = World::of("a", FakeJob::new(JobState::Opened), Wanted::Observed);
    world.pass(secs(300));
    world.count_from_now();
    world.fake("a").state = JobState::Closed;
    let looks = |question: &Question| matches!(question, Question::States { .. });
    while !world.reads.iter().any(looks) {
        world.pass(MS * 100);
    }
    world.pass(MS * 500);
    assert_eq!(world.writes.len(), 1);
    assert!(world.is("a", "Closed", "True", "AllClosed"));
}

#[test]
fn after_a_long_silence_nothing_is_called_ready_before_it_was_looked_at_however_long_that_takes() {
    let mut world = World::of("a", FakeJob::new(JobState::Closed), Wanted::Closed);
    world.pass(secs(60));
    world.trouble = Some(trouble(Reason::ClusterUnreachable));
    world.pass(secs(600));
    assert!(world.is("a", "Ready", "False", "NotObserved"));
    world.reopen("a");
    world.trouble = None;
    world.slow = secs(90);
    while world.state("a") == JobState::Opened {
        world.pass(secs(1));
        assert!(!world.is("a", "Ready", "True", "InDesiredState"));
    }
    world.pass(secs(300));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
}

#[test]
fn while_outcomes_wait_for_their_turn_a_word_on_the_way_asks_for_none_for_five_minutes() {
    let mut world = World::new();
    world.trouble = Some(trouble(Reason::ClusterUnreachable));
    let mut hanging = FakeJob::new(JobState::Opened);
    hanging.close_takes = None;
    world.jobs.insert(job("a"), hanging);
    let mut patient = policy();
    patient.timeout = TimeSpan::parse("10h").unwrap();
    world.apply("a", Wanted::Closed, patient);
    for n in 0..10 {
        let id = format!("done-{n}");
        world.jobs.insert(job(&id), FakeJob::new(JobState::Closed));
        world.apply(&id, Wanted::Closed, policy());
    }
    world.pass(secs(120));
    world.trouble = None;
    // Eight writers are busy with as many outcomes, and two wait.
    world.write_takes = secs(5000);
    world.crash();
    world.pass(secs(10));
    let object = |world: &World| (*world.brain.objects.get(&key("a")).unwrap()).clone();
    let since = object(&world).dealings.unwritten_since.unwrap();
    assert_eq!(world.state("a"), JobState::Closing);
    world.pass(since + secs(299) - world.clock);
    assert_eq!(object(&world).dealings.wants_turn, None);
    // It is thought of every ten seconds.
    world.pass(secs(11));
    assert!(object(&world).dealings.wants_turn.is_some());
}

#[test]
fn an_object_that_goes_while_it_waits_to_tell_an_outcome_keeps_no_other_waiting() {
    let mut world = resting();
    let wiped = news(&mut world, wipe);
    assert_eq!(turns(&mut world, wiped).len(), 1);
    assert_eq!(world.brain.outcomes_waiting, 1);
    asked(&mut world, Input::Gone(key("a")));
    assert_eq!(world.brain.outcomes_waiting, 0);
}
