//! Calls that are refused for the state of the cluster, or for an id that nobody names: what is counted of them, and that whoever
//! was beside them goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::fake_job::FakeJob;
use super::groups::hanging;
use super::world::{World, desired, job, policy, secs, trouble};
use crate::api::{
    Allow, AllowForce, ClosePolicy, DatafeedState, JobPattern, JobState, Reason, TimeSpan,
};
use crate::reconciler::input::*;

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_close_that_is_refused_for_load_was_not_asked_for_and_one_before_it_was() {
    let mut world = World::new();
    let busy = usize::MAX;
    world.overloads = busy;
    let fake = FakeJob {
        lost_closes: u32::MAX,
        ..FakeJob::new(JobState::Opened)
    };
    world.jobs.insert(job("a"), fake);
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(60));
    let told = |world: &World| {
        let target = &world.status("a").targets[0];
        (target.requested_at.clone(), target.attempts)
    };
    assert_eq!(told(&world), (None, 0));
    world.overloads = 0;
    world.pass(secs(150));
    let (asked, tries) = told(&world);
    assert!(asked.is_some() && tries > 0);
    world.overloads = busy;
    world.pass(secs(40));
    let closes = world.closes();
    world.pass(secs(200));
    assert_eq!(told(&world), (asked, tries));
    assert!(world.closes() > closes + 2, "it is tried again and again");
}

#[test]
fn upgrade_mode_that_a_call_was_refused_for_is_asked_about_ten_seconds_later() {
    let mut world = World::of("a", FakeJob::new(JobState::Opened), Wanted::Observed);
    world.pass(secs(30));
    world.upgrade_mode = true;
    world.count_from_now();
    world.want("a", Wanted::Closed);
    let asked = |world: &World| {
        let info = |question: &&Question| matches!(question, Question::Info);
        world.reads.iter().filter(info).count()
    };
    world.pass(secs(9));
    assert_eq!((world.closes(), asked(&world)), (1, 0));
    world.pass(secs(2));
    assert_eq!((world.closes(), asked(&world)), (1, 1));
}

/// Eight open jobs of one object, of which the fifth is refused; their list has just been sent.
fn a_list_that_will_be_refused() -> World {
    let mut world = World::new();
    for n in 0..8 {
        let fake = FakeJob {
            refuses_lists: n == 5,
            close_takes: (n != 5).then_some(Duration::ZERO),
            groups: vec!["g"],
            ..FakeJob::new(JobState::Opened)
        };
        world.jobs.insert(job(&format!("j-{n}")), fake);
    }
    world.create("g", desired("g", Wanted::Closed, policy()));
    until_closes(&mut world, 1);
    assert_eq!(world.calls[0].1.jobs().len(), 8);
    world
}

fn until_closes(world: &mut World, count: usize) {
    while world.closes() < count {
        world.pass(MS);
    }
}

#[test]
fn a_search_in_a_refused_list_that_cannot_go_on_is_given_up_and_begun_anew() {
    for upgrade in [false, true] {
        let mut world = a_list_that_will_be_refused();
        // The first call of the search meets this.
        (world.overloads, world.upgrade_mode) = (usize::from(!upgrade), upgrade);
        world.pass(secs(20));
        world.upgrade_mode = false;
        world.pass(secs(60));
        assert_eq!(world.closed(), 7, "upgrade mode: {upgrade}");
        assert!(world.is("g", "Stalled", "True", "RequestRefused"));
    }
}

#[test]
fn a_search_in_a_refused_list_asks_for_nothing_that_is_not_wanted_any_more() {
    for wanted in [Wanted::Opened, Wanted::Observed] {
        let mut world = a_list_that_will_be_refused();
        until_closes(&mut world, 2);
        world.want("g", wanted);
        world.pass(secs(60));
        assert_eq!(world.closes(), 2, "{wanted:?}");
        assert!(world.is("g", "Ready", "True", "InDesiredState") == (wanted == Wanted::Opened));
        assert!(world.brain.calls.isolations.is_empty());
    }
}

#[test]
fn closes_whose_answers_are_lost_are_repeated_and_no_evidence_that_they_are_not_taken() {
    let fake = FakeJob {
        breaks_closes: true,
        ..FakeJob::new(JobState::Opened)
    };
    let mut world = World::of("a", fake, Wanted::Closed);
    world.pass(secs(3600));
    assert!(world.closes() > 10);
    assert_eq!(world.forces(), 0);
}

#[test]
fn a_live_read_before_a_force_changes_what_its_own_namespace_may_do_and_no_other() {
    let mut world = World::new();
    let only = |pattern: &str| Allow {
        jobs: vec![JobPattern::parse(pattern).unwrap()],
        ..Allow::default()
    };
    let allowed = [("ns", Allow::default()), ("other", only("b-*"))];
    let allowed = allowed.map(|(namespace, allow)| (Arc::from(namespace), allow));
    world.tell(Input::Allowed(Allowances::Namespaces(allowed.into())));
    world.jobs.insert(job("a"), hanging(&[]));
    world.jobs.insert(job("c"), FakeJob::new(JobState::Opened));
    world.apply("a", Wanted::Closed, policy());
    world.create("other/c", desired("c", Wanted::Closed, policy()));
    world.pass(secs(1200));
    assert_eq!((world.forces(), world.state("a")), (1, JobState::Closed));
    assert_eq!(world.state("c"), JobState::Opened);
    assert!(world.is("other/c", "Closed", "Unknown", "NotAllowed"));
}

#[test]
fn what_one_namespace_may_do_from_now_on_has_its_objects_looked_at_and_no_others() {
    let mut world = World::new();
    world.tell(Input::Allowed(Allowances::Namespaces(BTreeMap::new())));
    for (object, id) in [("m/a", "a"), ("n/b", "b"), ("o/c", "c")] {
        world.jobs.insert(job(id), FakeJob::new(JobState::Opened));
        world.create(object, desired(id, Wanted::Closed, policy()));
    }
    world.pass(secs(60));
    assert_eq!(world.closes(), 0);
    world.tell(Input::AllowedTo(Arc::from("n"), Allow::default()));
    world.pass(secs(60));
    let states = ["a", "b", "c"].map(|id| world.state(id));
    let [opened, closed] = [JobState::Opened, JobState::Closed];
    assert_eq!(states, [opened, closed, opened]);
    assert!(world.is("m/a", "Closed", "Unknown", "NotAllowed"));
}

#[test]
fn a_call_that_confirms_a_close_and_is_refused_is_repeated_with_growing_gaps() {
    let fake = FakeJob {
        refuses_confirms: true,
        ..hanging(&[])
    };
    let mut world = World::of("a", fake, Wanted::Closed);
    world.pass(secs(1800));
    let confirms = world.count(|call| matches!(call, Call::Confirm(_)));
    assert!((10..60).contains(&confirms), "{confirms}");
    assert_eq!(world.forces(), 0, "no master has confirmed the close");
}

#[test]
fn live_reads_before_a_force_that_fail_are_repeated_with_growing_gaps() {
    let mut world = World::of("a", hanging(&[]), Wanted::Closed);
    world.pass(secs(590));
    world.api_server_down = true;
    world.pass(secs(10));
    let before = world.requests;
    world.pass(secs(600));
    // Each is four requests; between them the job is looked at every ten seconds.
    assert!(world.requests - before < 200, "{}", world.requests - before);
    assert_eq!(world.forces(), 0);
    world.api_server_down = false;
    world.pass(secs(120));
    assert_eq!((world.forces(), world.closed()), (1, 1));
}

#[test]
fn a_datafeed_of_a_failed_job_that_may_not_be_forced_is_left_alone() {
    let mut world = World::new();
    world.allow.force = AllowForce::Never;
    world.connect();
    let failed = FakeJob::new(JobState::Failed).with_feed(DatafeedState::Started);
    world.jobs.insert(job("a"), failed);
    world.apply("a", Wanted::Closed, policy());
    world.pass(secs(600));
    assert!(world.calls.is_empty(), "{:?}", world.calls);
    assert!(world.is("a", "Stalled", "True", "NotAllowed"));
}

#[test]
fn a_close_of_one_job_is_on_its_way_until_it_is_answered_also_where_others_closed_the_job() {
    let mut world = World::of("a", hanging(&[]), Wanted::Observed);
    world.pass(secs(10));
    world.want("a", Wanted::Closed);
    until_closes(&mut world, 1);
    world.fake("a").closed();
    world.pass(secs(10));
    // It may still arrive, and would close what was opened before.
    world.want("a", Wanted::Opened);
    world.pass(secs(60));
    assert_eq!(world.opens(), 0);
}

#[test]
fn a_close_that_takes_long_is_known_to_have_ended_when_it_is_answered() {
    for millis in [7300, 21_300, 33_300, 47_100] {
        let fake = FakeJob {
            close_takes: Some(Duration::from_millis(millis)),
            ..FakeJob::new(JobState::Opened)
        };
        let mut world = World::of("a", fake, Wanted::Observed);
        world.pass(secs(10));
        world.want("a", Wanted::Closed);
        world.pass(Duration::from_millis(millis + 50));
        assert!(world.is("a", "Ready", "True", "InDesiredState"), "{millis}");
    }
}

#[test]
fn what_is_left_of_a_timeout_is_confirmed_at_its_end_however_many_closes_were_lost_before() {
    for timeout in (300..=360).step_by(10) {
        let fake = FakeJob {
            lost_closes: 5,
            ..hanging(&[])
        };
        let mut world = World::new();
        world.jobs.insert(job("a"), fake);
        let close = ClosePolicy {
            timeout: TimeSpan::parse(&format!("{timeout}s")).unwrap(),
            ..policy()
        };
        world.apply("a", Wanted::Closed, close);
        while world.state("a") != JobState::Closing {
            world.pass(Duration::from_millis(100));
        }
        let accepted = world.clock;
        while world.forces() == 0 {
            world.pass(Duration::from_millis(100));
        }
        let late = world.clock - accepted - secs(timeout);
        assert!(late < secs(15), "{timeout}: {late:?}");
    }
}

#[test]
fn jobs_that_are_refused_together_are_tried_again_apart() {
    let mut world = World::new();
    for n in 0..20 {
        let fake = FakeJob {
            refuses_open: Some(trouble(Reason::NoCapacity)),
            ..FakeJob::new(JobState::Closed)
        };
        world.jobs.insert(job(&format!("j-{n}")), fake);
        world.apply(&format!("j-{n}"), Wanted::Opened, policy());
    }
    world.pass(secs(15));
    world.count_from_now();
    world.pass(secs(30));
    let times: BTreeSet<Duration> = world.calls.iter().map(|(at, _)| *at).collect();
    assert!(world.calls.len() >= 20 && times.len() > 15, "{times:?}");
}
