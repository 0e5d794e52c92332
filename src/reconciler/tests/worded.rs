//! What people read in a status: each word of a sentence that depends on how many are meant, and what is counted.

use std::time::Duration;

use super::groups::opened;
use super::world::{FakeJob, World, desired, job, key, moment, policy, secs, trouble};
use crate::api::{AllowForce, DriftPolicy, JobPattern, JobState, OnFailed, OnTimeout, Reason};
use crate::reconciler::decision::Decision;
use crate::reconciler::input::*;

const MS: Duration = Duration::from_millis(1);

/// An object of which nothing was looked at: the cluster does not answer.
fn in_an_outage(expression: &str) -> World {
    let mut world = World::new();
    world.trouble = Some(trouble(Reason::ClusterUnreachable));
    world.jobs.insert(job("a"), opened(&["g"]));
    world.jobs.insert(job("b"), opened(&["g"]));
    world.create("o", desired(expression, Wanted::Closed, policy()));
    world
}

#[test]
fn what_was_not_looked_at_yet_is_one_job_or_several() {
    let whole = "the jobs that spec.jobId means were not looked at yet";
    for (expression, sentence) in [
        ("a", "job a was not looked at yet"),
        ("a,b", whole),
        ("g*", whole),
    ] {
        let mut world = in_an_outage(expression);
        world.pass(secs(60));
        assert_eq!(world.message("o", "Closed"), sentence);
        assert!(world.status("o").jobs.is_none(), "nobody counted them");
    }
    // It is known who is meant, and not how they are at this generation.
    for (expression, sentence) in [
        ("a", "job a was not looked at yet"),
        ("g", "2 jobs were not looked at yet"),
    ] {
        let mut world = in_an_outage(expression);
        world.trouble = None;
        world.pass(secs(60));
        world.trouble = Some(trouble(Reason::ClusterUnreachable));
        world.edit("o", |desired| desired.wanted = Wanted::Opened);
        world.pass(secs(60));
        assert_eq!(world.message("o", "Closed"), sentence);
    }
}

#[test]
fn after_a_long_silence_the_counts_of_before_are_not_claimed_and_the_silence_is_explained() {
    let mut world = in_an_outage("g");
    world.trouble = None;
    world.pass(secs(60));
    assert!(world.status("o").jobs.is_some());
    world.trouble = Some(trouble(Reason::ClusterUnreachable));
    world.crash();
    world.pass(secs(600));
    assert!(world.is("o", "Closed", "Unknown", "NotObserved"));
    assert!(world.status("o").jobs.is_none());
    let message = world.message("o", "Closed");
    assert_eq!(
        message,
        "Elasticsearch has not answered for 5m: as the test says"
    );
}

#[test]
fn a_status_tells_where_that_was_seen_and_how_many_are_opened() {
    let mut world = grouped(2, Wanted::Opened, |_, fake| fake.state = JobState::Closed);
    world.pass(secs(60));
    let status = world.status("o");
    assert_eq!(status.summary, "2/2 opened");
    let seen = status.connection.clone().unwrap();
    assert_eq!(
        (seen.cluster_uuid.as_deref(), seen.version.as_deref()),
        (Some("uuid"), Some("9.4.1"))
    );
}

/// Reason and sentence of Ready.
fn ready(world: &World, name: &str) -> (String, String) {
    let (_, reason) = world.condition(name, "Ready").unwrap();
    (reason, world.message(name, "Ready"))
}

/// So many open jobs of one group, `a` and so on, after a change of each; one object means the group.
fn grouped(count: u8, wanted: Wanted, change: impl Fn(&str, &mut FakeJob)) -> World {
    let mut world = World::new();
    for n in 0..count {
        let name = char::from(b'a' + n).to_string();
        let mut fake = opened(&["g"]);
        change(&name, &mut fake);
        world.jobs.insert(job(&name), fake);
    }
    world.create("o", desired("g", wanted, policy()));
    world
}

fn closes_in(time: Duration) -> impl Fn(&str, &mut FakeJob) {
    move |_, fake| fake.close_takes = Some(time)
}

#[test]
fn a_job_that_waits_for_its_turn_says_so() {
    let mut world = grouped(2, Wanted::Closed, closes_in(secs(3000)));
    world.max_closing = 1;
    world.connect();
    world.jobs.insert(job("z"), opened(&[]));
    world.pass(secs(30));
    world.apply("z", Wanted::Closed, policy());
    world.pass(secs(30));
    let turn = "waiting for a turn to call job z".to_owned();
    assert_eq!(ready(&world, "z"), ("Pending".to_owned(), turn));
    let (reason, message) = ready(&world, "o");
    let first = "1 of 2 jobs is under way; Elasticsearch is closing job a and saves its model; close.onTimeout: Force applies after 10m of it";
    assert_eq!((reason.as_str(), message.as_str()), ("Closing", first));
}

#[test]
fn jobs_that_may_close_for_as_long_as_they_take_say_so() {
    let waits = |of| {
        let mut wish = desired(of, Wanted::Closed, policy());
        wish.close.on_timeout = OnTimeout::Wait;
        wish
    };
    let mut world = grouped(2, Wanted::Observed, |_, fake| fake.close_takes = None);
    world.delete("o");
    world.create("one", waits("a"));
    world.pass(secs(1200));
    let one = "job a is still closing after 10m, and close.onTimeout is Wait";
    assert_eq!(ready(&world, "one").1, one);
    world.delete("one");
    world.create("both", waits("g"));
    world.pass(secs(1200));
    let both = "2 of 2 jobs are still closing after 10m, and close.onTimeout is Wait: a, b";
    assert_eq!(
        ready(&world, "both"),
        ("Waiting".to_owned(), both.to_owned())
    );
}

#[test]
fn beside_jobs_that_move_those_are_named_that_are_stuck_or_not_allowed() {
    let mut world = grouped(3, Wanted::Closed, |name, fake| match name {
        "a" => fake.state = JobState::Failed,
        "b" => fake.close_takes = Some(secs(3000)),
        _ => {}
    });
    world.allow.jobs = ["a", "b"].map(|id| JobPattern::parse(id).unwrap()).to_vec();
    world.connect();
    world.edit("o", |desired| desired.close.on_failed = OnFailed::Stall);
    world.pass(secs(60));
    let message = "1 of 2 jobs is under way; Elasticsearch is closing job b and saves its model; close.onTimeout: Force applies after 10m of it; stuck: a (JobFailed); 1 job that matches is not allowed (allow.jobs of the connection does not cover them); ask who owns it, or mend spec.jobId";
    assert_eq!(
        ready(&world, "o"),
        ("Closing".to_owned(), message.to_owned())
    );
}

#[test]
fn a_job_that_moves_alone_names_no_other() {
    let mut world = grouped(1, Wanted::Closed, closes_in(secs(3000)));
    world.pass(secs(60));
    let message = "Elasticsearch is closing job a and saves its model; close.onTimeout: Force applies after 10m of it";
    assert_eq!(ready(&world, "o").1, message);
}

#[test]
fn jobs_that_stall_say_in_which_way() {
    let mut world = grouped(2, Wanted::Closed, |name, fake| {
        if name == "a" {
            fake.state = JobState::Failed;
        }
    });
    world.allow.force = AllowForce::Never;
    world.connect();
    world.pass(secs(60));
    let (reason, message) = ready(&world, "o");
    assert_eq!(reason, "NotAllowed");
    assert!(
        message.starts_with("1 of 2 jobs is not touched: a; "),
        "{message}"
    );
}

#[test]
fn of_many_jobs_eight_are_named() {
    let named = |count| {
        let mut world = grouped(count, Wanted::Observed, |_, _| ());
        world.pass(secs(60));
        world.message("o", "Closed")
    };
    assert_eq!(
        named(8),
        "8 of 8 jobs are not closed: a, b, c, d, e, f, g, h"
    );
    assert_eq!(
        named(9),
        "9 of 9 jobs are not closed: a, b, c, d, e, f, g, h and 1 more"
    );
}

#[test]
fn while_elasticsearch_asks_for_fewer_requests_only_who_waits_for_it_says_so() {
    let mut world = grouped(1, Wanted::Observed, |_, _| ());
    let failed = FakeJob::new(JobState::Failed);
    world.jobs.insert(job("z"), failed);
    world.create("z", desired("z", Wanted::Opened, policy()));
    world.pass(secs(60));
    let mut asks = trouble(Reason::Overloaded);
    asks.retry_after = Some(secs(600));
    world.overloaded = Some(asks);
    world.want("o", Wanted::Closed);
    world.edit("z", |desired| desired.drift = DriftPolicy::Report);
    world.pass(secs(60));
    let message = "Elasticsearch asks for fewer requests; waiting before job a is called";
    assert_eq!(
        ready(&world, "o"),
        ("Overloaded".to_owned(), message.to_owned())
    );
    assert_eq!(ready(&world, "z").0, "JobFailed");
}

#[test]
fn while_calls_are_refused_only_who_calls_says_so() {
    let mut world = grouped(1, Wanted::Observed, |_, _| ());
    world.jobs.insert(job("z"), FakeJob::new(JobState::Failed));
    world.create("z", desired("z", Wanted::Opened, policy()));
    world.pass(secs(60));
    world.refuses_calls = Some(trouble(Reason::NoMaster));
    world.want("o", Wanted::Closed);
    let mut moments = 0;
    for _ in 0..100_000 {
        world.pass(MS);
        let (brain, health) = (&world.brain, &world.brain.health);
        let z = brain.objects.get(&key("z")).unwrap();
        let stalls = z.members.iter().all(|(_, member)| {
            let decision = member.decision.as_ref();
            matches!(decision, Some(Decision::Stall(_)))
        });
        // Between two tries, when calls are still known to be refused.
        if stalls && health.trouble().is_none() && health.told().is_some() {
            let (status, _) = brain.report(&z, moment(world.clock));
            assert!(status.conditions.iter().all(|one| one.reason != "NoMaster"));
            let (status, _) =
                brain.report(&brain.objects.get(&key("o")).unwrap(), moment(world.clock));
            assert!(status.conditions.iter().any(|one| one.reason == "NoMaster"));
            moments += 1;
        }
    }
    assert!(moments > 0);
    assert_eq!(ready(&world, "o").0, "NoMaster");
}

#[test]
fn what_is_observed_is_not_ready_before_all_of_it_was_looked_at() {
    let mut world = World::new();
    world.slow = secs(20);
    world.jobs.insert(job("a"), opened(&["g"]));
    world.create("o", desired("g", Wanted::Observed, policy()));
    world.create("p", desired("a", Wanted::Closed, policy()));
    for second in 0..35 {
        world.pass(secs(1));
        let ready = world.condition("o", "Ready");
        assert!(ready.is_none_or(|(ready, _)| ready == "False"), "{second}");
    }
    assert_eq!(
        ready(&world, "p"),
        ("Pending".to_owned(), "about to look at job a".to_owned())
    );
    world.pass(secs(60));
    assert!(world.is("o", "Ready", "True", "Observing"));
}

#[test]
fn who_joins_a_group_is_looked_at_before_a_human_is_called_for_another() {
    let mut world = grouped(1, Wanted::Closed, |_, fake| fake.state = JobState::Failed);
    world.edit("o", |desired| desired.close.on_failed = OnFailed::Stall);
    world.pass(secs(60));
    assert!(world.is("o", "Stalled", "True", "JobFailed"));
    world.jobs.insert(job("b"), opened(&["g"]));
    world.count_from_now();
    while world.lists() == 0 {
        world.pass(MS);
    }
    world.slow = secs(100);
    world.pass(secs(90));
    assert!(
        world.is("o", "Ready", "False", "Pending"),
        "{:?}",
        world.condition("o", "Ready")
    );
}

#[test]
fn of_many_jobs_that_are_not_allowed_eight_are_named() {
    let mut world = World::new();
    world.allow.jobs = vec![JobPattern::parse("z").unwrap()];
    world.connect();
    let ids: Vec<String> = (0..10).map(|n| format!("j-{n}")).collect();
    world.create("o", desired(&ids.join(","), Wanted::Closed, policy()));
    world.pass(secs(60));
    let (reason, message) = ready(&world, "o");
    assert_eq!(reason, "NotAllowed");
    let eight = "job j-0, j-1, j-2, j-3, j-4, j-5, j-6, j-7 and 2 more be looked at";
    assert!(message.contains(eight), "{message}");
}
