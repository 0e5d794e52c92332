//! Reads: in how many words, what is asked for again and what is not, and of when a read speaks.

use std::time::Duration;

use super::life::fed;
use super::world::{FakeJob, World, desired, job, key, policy, secs, trouble};
use crate::api::{DatafeedState, JobId, JobState, Reason, TimeSpan};
use crate::reconciler::input::*;

const MS: Duration = Duration::from_millis(1);

/// The jobs of each read of states.
fn looks(world: &World) -> Vec<&[JobId]> {
    let mut looks = Vec::new();
    for question in &world.reads {
        if let Question::States { jobs, .. } = question {
            looks.push(jobs.as_slice());
        }
    }
    looks
}

/// The wildcards of the first look at so many jobs of one group, beside so many others.
fn words(meant: usize, others: usize) -> Vec<String> {
    let mut world = World::new();
    for n in 0..meant {
        let mut fake = FakeJob::new(JobState::Closed);
        fake.groups = vec!["g"];
        world.jobs.insert(job(&format!("meant-{n:04}")), fake);
    }
    for n in 0..others {
        let fake = FakeJob::new(JobState::Closed);
        world.jobs.insert(job(&format!("other-{n:04}")), fake);
    }
    world.create("o", desired("g", Wanted::Observed, policy()));
    world.pass(secs(5));
    let words = |question: &Question| match question {
        Question::States { wildcards, .. } => Some(wildcards.clone()),
        _ => None,
    };
    let first = world.reads.iter().find_map(words).unwrap();
    first.iter().map(ToString::to_string).collect()
}

#[test]
fn more_than_four_hundred_jobs_that_are_half_of_all_are_asked_for_as_all_and_fewer_by_their_own_names()
 {
    assert!(words(100, 0).is_empty(), "the ids fit into one line");
    for (meant, others) in [(401, 0), (401, 401)] {
        assert_eq!(words(meant, others), ["*"], "{meant} beside {others}");
    }
    for (meant, others) in [(400, 0), (401, 402)] {
        let words = words(meant, others);
        assert!(!words.is_empty(), "{meant} beside {others}");
        assert!(words.iter().all(|word| word.starts_with("meant-")));
    }
}

#[test]
fn a_datafeed_that_was_seen_stopped_is_not_asked_for_again_while_its_job_rests() {
    let fake = fed(JobState::Closed, DatafeedState::Stopped);
    let mut world = World::of("a", fake, Wanted::Closed);
    world.pass(secs(30));
    world.count_from_now();
    world.annotate("a", "now");
    world.pass(secs(1));
    let feeds = |question: &Question| match question {
        Question::States { datafeeds, .. } => Some(datafeeds.len()),
        _ => None,
    };
    assert_eq!(world.reads.iter().find_map(feeds), Some(0));
}

#[test]
fn where_the_tasks_may_not_be_read_a_line_of_quiet_jobs_is_asked_for_at_a_time_and_all_in_turn() {
    let mut world = World::new();
    world.monitor = false;
    for n in 0..1000 {
        let fake = FakeJob::new(JobState::Closed);
        world.jobs.insert(job(&format!("job-{n:05}")), fake);
    }
    world.create("o", desired("job-*", Wanted::Observed, policy()));
    world.pass(secs(60));
    world.count_from_now();
    world.pass(secs(320));
    let looks = looks(&world);
    let sizes: Vec<usize> = looks.iter().map(|jobs| jobs.len()).collect();
    assert_eq!(sizes, [350, 350, 300, 350], "ten bytes each of 3500");
    assert_eq!(looks[0], looks[3]);
}

#[test]
fn the_first_list_is_enough_for_all_that_were_known_when_it_was_asked_for() {
    let mut world = World::new();
    let mut fake = FakeJob::new(JobState::Closed);
    fake.groups = vec!["g"];
    world.jobs.insert(job("a"), fake);
    world.create("o", desired("g", Wanted::Closed, policy()));
    world.pass(secs(30));
    assert_eq!(world.lists(), 1);
}

#[test]
fn what_was_called_at_a_start_is_looked_at_together() {
    let mut world = World::new();
    for n in 0..100 {
        let id = format!("job-{n:02}");
        world.jobs.insert(job(&id), FakeJob::new(JobState::Closed));
        world.apply(&id, Wanted::Opened, policy());
    }
    world.trouble = Some(trouble(Reason::ClusterUnreachable));
    world.pass(secs(120));
    world.trouble = None;
    world.crash();
    world.count_from_now();
    world.pass(secs(5));
    assert_eq!(world.opens(), 100);
    let looks = looks(&world).len();
    assert!(
        looks <= 4,
        "{looks} reads for opens that go eight at a time"
    );
}

#[test]
fn of_an_edit_nothing_is_claimed_that_was_read_before_it() {
    let mut world = World::of("a", FakeJob::new(JobState::Closed), Wanted::Closed);
    world.pass(secs(60));
    world.slow = secs(2);
    world.annotate("a", "now");
    world.pass(secs(1));
    world.reopen("a");
    world.fake("a").close_takes = Some(secs(60));
    let longer = TimeSpan::parse("20m").unwrap();
    world.edit("a", |desired| desired.close.timeout = longer);
    for _ in 0..100 {
        world.pass(MS * 100);
        let of_the_edit = world.status("a").observed_generation == 2;
        assert!(!(of_the_edit && world.is("a", "Closed", "True", "AllClosed")));
    }
    assert_eq!(world.closes(), 1);
}

#[test]
fn of_a_cluster_in_trouble_that_was_known_before_one_thing_is_asked_at_a_time() {
    let mut world = World::new();
    for n in 0..10 {
        let id = format!("job-{n}");
        let mut fake = FakeJob::new(JobState::Opened);
        fake.close_takes = None;
        world.jobs.insert(job(&id), fake);
        world.apply(&id, Wanted::Closed, policy());
    }
    world.pass(secs(200));
    world.trouble = Some(trouble(Reason::ClusterUnreachable));
    for _ in 0..4000 {
        let before = world.reads.len();
        // An answer takes 5 ms.
        world.pass(MS * 5);
        assert!(world.reads.len() - before <= 1, "{:?}", world.reads.last());
        world.pass(MS * 95);
    }
}

#[test]
fn lists_of_closes_that_end_one_after_the_other_are_looked_at_together() {
    let mut world = World::new();
    (world.list_room, world.max_in_flight, world.max_closing) = (128, 1, 500);
    world.connect();
    for n in 0..200 {
        let id = format!("j-{n:03}");
        world.jobs.insert(job(&id), FakeJob::new(JobState::Opened));
        world.apply(&id, Wanted::Observed, policy());
    }
    world.pass(secs(30));
    world.count_from_now();
    for n in 0..200 {
        world.want(&format!("j-{n:03}"), Wanted::Closed);
    }
    world.pass(secs(5));
    assert_eq!(world.not_closed(), 0);
    assert!(world.closes() >= 10, "{} lists", world.closes());
    let looks = looks(&world).len();
    assert!(looks <= 4, "{looks} reads");
}

#[test]
fn beside_a_read_of_very_many_the_end_of_one_edit_is_read_and_not_that_of_a_flood() {
    let mut world = World::new();
    for n in 0..600 {
        let id = format!("job-{n:03}");
        world.jobs.insert(job(&id), FakeJob::new(JobState::Closed));
    }
    for n in 0..30 {
        let id = format!("edit-{n:02}");
        world.jobs.insert(job(&id), FakeJob::new(JobState::Opened));
        world.apply(&id, Wanted::Observed, policy());
    }
    world.create("o", desired("job-*", Wanted::Observed, policy()));
    world.pass(secs(30));
    world.slow = secs(10);
    world.annotate("o", "now");
    world.pass(secs(11));
    world.count_from_now();
    world.annotate("o", "again");
    world.pass(MS);
    assert_eq!(looks(&world)[0].len(), 600);
    world.slow = MS * 5;
    for n in 0..30 {
        world.want(&format!("edit-{n:02}"), Wanted::Closed);
    }
    world.pass(secs(5));
    assert_eq!(world.closes(), 2, "one, and the others together");
    let beside: Vec<usize> = looks(&world)[1..].iter().map(|jobs| jobs.len()).collect();
    assert_eq!(beside, [1]);
}

#[test]
fn nor_that_of_a_close_that_nobody_waits_for() {
    let mut world = World::new();
    for n in 0..600 {
        let id = format!("job-{n:03}");
        world.jobs.insert(job(&id), FakeJob::new(JobState::Closed));
    }
    world.create("o", desired("job-*", Wanted::Observed, policy()));
    let mut fake = FakeJob::new(JobState::Closed);
    fake.close_takes = Some(secs(3));
    world.jobs.insert(job("a"), fake);
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(30));
    world.reopen("a");
    world.annotate("a", "now");
    world.pass(secs(1));
    assert_eq!(world.state("a"), JobState::Closing);
    world.count_from_now();
    world.slow = secs(10);
    world.annotate("o", "now");
    world.pass(MS);
    world.slow = MS * 5;
    world.pass(secs(5));
    assert_eq!(world.state("a"), JobState::Closed);
    let looks = looks(&world);
    assert_eq!(looks.len(), 1, "and nothing beside it");
    assert!(looks[0].len() >= 600);
}

/// So many objects of long ago that a new process finds, each with an open job of its own.
fn found(count: usize) -> World {
    let mut world = World::new();
    world.max_closing = 2000;
    for n in 0..count {
        let id = format!("j-{n:04}");
        world.jobs.insert(job(&id), FakeJob::new(JobState::Opened));
        let desired = desired(&id, Wanted::Closed, policy());
        world.store(key(&id), desired);
    }
    world.pass(secs(120));
    world.count_from_now();
    world.crash();
    world
}

#[test]
fn after_their_calls_many_are_looked_at_as_soon_as_the_last_is_answered_and_few_wait_for_others() {
    let looked_at = |world: &World| -> Vec<usize> {
        let looks = looks(world);
        looks.iter().map(|jobs| jobs.len()).collect()
    };
    let mut many = found(1000);
    many.pass(MS * 100);
    assert_eq!(looked_at(&many), [1000, 1000]);
    let mut few = found(400);
    few.pass(MS * 490);
    assert_eq!(looked_at(&few), [400]);
    few.pass(secs(2));
    assert_eq!(looked_at(&few), [400, 400]);
}

#[test]
fn a_job_that_a_list_names_first_is_looked_at_also_where_a_read_that_is_on_its_way_does_not_know_it()
 {
    let mut world = World::of("other", FakeJob::new(JobState::Closed), Wanted::Closed);
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(1));
    world.jobs.insert(job("a"), FakeJob::new(JobState::Opened));
    let states = |input: &mut Input| match input {
        Input::Read(_, Ok(Answer::States(states, _))) => states.get_mut(&job("a"))?.state.take(),
        _ => None,
    };
    // It is asked for together with the list, and was created between the answers.
    while world
        .pending
        .values_mut()
        .all(|(_, input)| states(input).is_none())
    {
        world.pass(MS);
    }
    world.pass(MS * 100);
    assert_eq!(world.state("a"), JobState::Closed);
}
