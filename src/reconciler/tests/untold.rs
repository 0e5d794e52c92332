//! Jobs whose state is not told, because the index of their results is closed: what is said of them, that nothing is called for
//! them, and that nobody else waits for them.

use super::fake_job::FakeJob;
use super::groups::hanging;
use super::levers::request;
use super::world::{World, desired, job, policy, secs, trouble};
use crate::api::{ClosePolicy, JobState, Reason, TimeSpan};
use crate::reconciler::input::*;

fn untold(state: JobState) -> FakeJob {
    FakeJob {
        is_untold: true,
        ..FakeJob::new(state)
    }
}

fn tell(world: &mut World, id: &str, told: bool) {
    world.jobs.get_mut(&job(id)).unwrap().is_untold = !told;
}

/// It says that nothing is known of it, and whether people are to wait (Reconciling) or to act (Stalled).
fn assert_says_so(world: &World, name: &str, outlook: &str) {
    for (of, status) in [("Ready", "False"), ("Closed", "Unknown"), (outlook, "True")] {
        assert!(
            world.is(name, of, status, "StateNotTold"),
            "{:?}",
            world.status(name)
        );
    }
}

/// The questions that asked for this job, and for how many others each of them did.
fn beside(world: &World, id: &str) -> Vec<usize> {
    let with = |question: &Question| match question {
        Question::States { jobs, .. } if jobs.contains(&job(id)) => Some(jobs.len() - 1),
        _ => None,
    };
    world.reads.iter().filter_map(with).collect()
}

#[test]
fn a_job_that_is_not_told_of_says_so_and_is_called_when_it_is_told_of() {
    let mut world = World::of("a", untold(JobState::Opened), Wanted::Closed);
    world.pass(secs(110));
    assert_says_so(&world, "a", "Reconciling");
    world.pass(secs(60));
    assert_says_so(&world, "a", "Stalled");
    assert_eq!(world.calls.len(), 0);
    // At first, and every half minute.
    assert_eq!(beside(&world, "a").len(), 6);
    tell(&mut world, "a", true);
    world.pass(secs(31));
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
    assert_eq!(world.closes(), 1);
}

#[test]
fn an_edit_and_a_request_have_it_looked_at_once_and_silence_does_not() {
    let mut world = World::of("a", untold(JobState::Opened), Wanted::Closed);
    world.pass(secs(31));
    world.count_from_now();
    world.edit("a", |desired| {
        desired.close.timeout = TimeSpan::parse("31m").unwrap();
    });
    world.pass(secs(5));
    assert_eq!(beside(&world, "a").len(), 1);
    request(&mut world, "a", "now");
    world.pass(secs(5));
    assert_eq!(beside(&world, "a").len(), 2);
}

#[test]
fn where_the_tasks_may_not_be_read_the_roll_call_does_not_ask_for_it_besides() {
    let looks = |monitor: bool| {
        let mut world = World::new();
        world.monitor = monitor;
        world
            .jobs
            .insert(job("told"), FakeJob::new(JobState::Closed));
        world.apply("told", Wanted::Closed, policy());
        for id in ["a", "b", "c", "d", "e"] {
            world.jobs.insert(job(id), untold(JobState::Opened));
            world.apply(id, Wanted::Closed, policy());
        }
        world.pass(secs(3000));
        (beside(&world, "a").len(), beside(&world, "told").len())
    };
    let ((told_by_tasks, _), (by_the_roll, others)) = (looks(true), looks(false));
    assert_eq!(told_by_tasks, by_the_roll);
    assert!(others > 20, "the others are: {others}");
}

#[test]
fn while_a_job_that_closes_is_not_told_of_no_evidence_grows_and_it_holds_no_place() {
    let mut world = World::new();
    world.max_closing = 1;
    world.connect();
    for id in ["a", "b"] {
        world.jobs.insert(job(id), hanging(&[]));
    }
    let close = ClosePolicy {
        timeout: TimeSpan::parse("5m").unwrap(),
        ..policy()
    };
    world.apply("a", Wanted::Closed, close.clone());
    world.pass(secs(120));
    tell(&mut world, "a", false);
    world.apply("b", Wanted::Closed, close);
    world.pass(secs(3600));
    assert_says_so(&world, "a", "Stalled");
    assert!(
        world.is("b", "Ready", "True", "InDesiredState"),
        "{:?}",
        world.status("b")
    );
    assert_eq!(world.forces(), 1, "of the other one");
    tell(&mut world, "a", true);
    world.pass(secs(150));
    assert_eq!(world.forces(), 1);
    world.pass(secs(240));
    assert_eq!(world.forces(), 2);
    assert!(world.is("a", "Ready", "True", "InDesiredState"));
}

#[test]
fn who_only_observes_is_told_that_nothing_is_known() {
    let mut world = World::of("a", untold(JobState::Opened), Wanted::Observed);
    world.pass(secs(10));
    assert_says_so(&world, "a", "Reconciling");
    tell(&mut world, "a", true);
    world.pass(secs(31));
    assert!(world.is("a", "Ready", "True", "Observing"));
    assert!(world.is("a", "Closed", "False", "StillOpen"));
}

#[test]
fn a_job_at_rest_that_is_not_told_of_when_it_is_looked_at_is_not_claimed_closed_for_long() {
    let mut world = World::of("a", FakeJob::new(JobState::Closed), Wanted::Closed);
    world.pass(secs(10));
    assert!(world.is("a", "Closed", "True", "AllClosed"));
    tell(&mut world, "a", false);
    request(&mut world, "a", "now");
    world.pass(secs(10));
    assert!(
        world.is("a", "Ready", "True", "InDesiredState"),
        "for a moment"
    );
    world.pass(secs(180));
    assert_says_so(&world, "a", "Stalled");
    tell(&mut world, "a", true);
    world.pass(secs(31));
    assert!(world.is("a", "Closed", "True", "AllClosed"));
}

#[test]
fn who_is_suspended_while_it_closes_and_is_not_told_of_holds_no_place() {
    let mut world = World::new();
    world.max_closing = 1;
    world.connect();
    world.jobs.insert(job("a"), hanging(&[]));
    world.jobs.insert(job("b"), FakeJob::new(JobState::Opened));
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(10));
    tell(&mut world, "a", false);
    world.edit("a", |desired| desired.suspended = true);
    world.pass(secs(40));
    world.apply("b", Wanted::Closed, policy());
    world.pass(secs(5));
    assert!(world.is("b", "Ready", "True", "InDesiredState"));
}

#[test]
fn an_outage_does_not_make_it_long() {
    let mut world = World::of("a", untold(JobState::Opened), Wanted::Closed);
    world.pass(secs(40));
    world.trouble = Some(trouble(Reason::TimedOut));
    world.pass(secs(200));
    world.trouble = None;
    world.pass(secs(70));
    assert_says_so(&world, "a", "Reconciling");
    world.pass(secs(130));
    assert_says_so(&world, "a", "Stalled");
}

#[test]
fn who_only_observes_and_had_seen_it_is_told_after_two_minutes_and_then_a_human_is_called() {
    let mut world = World::of("a", FakeJob::new(JobState::Closed), Wanted::Observed);
    world.pass(secs(10));
    tell(&mut world, "a", false);
    request(&mut world, "a", "now");
    world.pass(secs(60));
    assert!(world.is("a", "Closed", "True", "AllClosed"));
    world.pass(secs(120));
    assert_says_so(&world, "a", "Stalled");
}

/// It is given up to find out each of so many, and that says nothing of those that are told of.
#[test]
fn those_that_stand_among_many_that_are_not_told_of_are_found_and_closed() {
    let mut world = World::new();
    let id = |n: usize| format!("j-{n:03}");
    let is_untold = |n: usize| n.is_multiple_of(4);
    for n in 0..400 {
        let fake = FakeJob {
            is_untold: is_untold(n),
            ..FakeJob::new(JobState::Opened)
        };
        world.jobs.insert(job(&id(n)), fake);
        world.apply(&id(n), Wanted::Closed, policy());
    }
    world.pass(secs(1));
    let told = (0..400).filter(|n| !is_untold(*n));
    for n in told.clone() {
        assert!(!world.is(&id(n), "Ready", "False", "StateNotTold"), "{n}");
    }
    world.pass(secs(30));
    for n in told {
        assert!(world.is(&id(n), "Ready", "True", "InDesiredState"), "{n}");
    }
    assert!(world.is(&id(0), "Ready", "False", "StateNotTold"));
}

#[test]
fn of_very_many_a_few_are_asked_for_at_a_time_and_all_as_soon_as_one_is_told_of() {
    let mut world = World::new();
    let id = |n: usize| format!("j-{n:03}");
    for n in 0..200 {
        world.jobs.insert(job(&id(n)), untold(JobState::Opened));
    }
    world.jobs.insert(job("good"), hanging(&[]));
    world.create("all", desired("j-*,good", Wanted::Closed, policy()));
    world.pass(secs(10));
    assert_eq!(beside(&world, "good")[0], 200);
    world.count_from_now();
    world.pass(secs(600));
    let good = beside(&world, "good");
    assert!(
        good.len() > 10 && good.iter().all(|others| *others == 0),
        "{good:?}"
    );
    let asked: Vec<usize> = (0..200).map(|n| beside(&world, &id(n)).len()).collect();
    assert!(
        asked.iter().all(|times| (1..=5).contains(times)),
        "{asked:?}"
    );
    assert!(beside(&world, &id(7)).iter().all(|others| *others < 32));
    assert_eq!(world.forces(), 1, "of the good one");

    for n in 0..200 {
        tell(&mut world, &id(n), true);
    }
    // One is asked for in half a minute, and each by itself would take hours.
    world.pass(secs(40));
    let closed = |n: &usize| world.jobs[&job(&id(*n))].state == JobState::Closed;
    assert_eq!((0..200).filter(closed).count(), 200);
}
