//! Who is meant: expressions, groups and their changing members; what cannot be meant.

use std::time::Duration;

use super::fake_job::FakeJob;
use super::world::{World, desired, job, key, policy, secs, trouble};
use crate::api::{ClosePolicy, JobExpression, JobPattern, JobState, Reason, TimeSpan};
use crate::reconciler::input::*;

const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn opened(groups: &[&'static str]) -> FakeJob {
    FakeJob {
        groups: groups.to_vec(),
        ..FakeJob::new(JobState::Opened)
    }
}

pub(super) fn hanging(groups: &[&'static str]) -> FakeJob {
    FakeJob {
        close_takes: None,
        ..opened(groups)
    }
}

fn world(jobs: &[(&str, &[&'static str])]) -> World {
    let mut world = World::new();
    for (id, groups) in jobs {
        world.jobs.insert(job(id), opened(groups));
    }
    world
}

/// Jobs `n-0000` and so on, all in the group `all`.
pub(super) fn crowd(count: usize) -> World {
    let mut world = World::new();
    for n in 0..count {
        world
            .jobs
            .insert(job(&format!("n-{n:05}")), opened(&["all"]));
    }
    world
}

pub(super) fn within(minutes: u64) -> ClosePolicy {
    ClosePolicy {
        timeout: TimeSpan::parse(&format!("{minutes}m")).unwrap(),
        ..policy()
    }
}

fn wish(expression: &str) -> Desired {
    desired(expression, Wanted::Closed, policy())
}

fn excluding(expression: &str, patterns: &[&str]) -> Desired {
    let mut wish = wish(expression);
    wish.scope.exclude = patterns
        .iter()
        .map(|text| JobPattern::parse(text).unwrap())
        .collect();
    wish
}

pub(super) fn open_jobs(world: &World) -> Vec<String> {
    let open = world
        .jobs
        .iter()
        .filter(|(_, job)| job.state != JobState::Closed);
    open.map(|(id, _)| id.to_string()).collect()
}

#[test]
fn ids_groups_wildcards_and_lists_close_their_jobs_and_nobody_elses() {
    let jobs: &[(&str, &[&'static str])] = &[
        ("a", &["g"]),
        ("b", &["g", "h"]),
        ("c", &[]),
        ("web-1", &[]),
        ("web-canary-1", &[]),
        ("x", &["web-all"]),
        ("other", &["other-group"]),
    ];
    let expect = |expression: &str, exclude: &[&str], open: &[&str]| {
        let mut world = world(jobs);
        world.create("o", excluding(expression, exclude));
        world.pass(secs(5));
        assert_eq!(open_jobs(&world), open, "{expression}");
        let called: usize = world.calls.iter().map(|(_, call)| call.jobs().len()).sum();
        assert_eq!(called, jobs.len() - open.len(), "each once");
        assert!(world.is("o", "Ready", "True", "InDesiredState"));
    };
    expect("c", &[], &["a", "b", "other", "web-1", "web-canary-1", "x"]);
    expect("g", &[], &["c", "other", "web-1", "web-canary-1", "x"]);
    expect(
        "web-*",
        &["web-canary-*"],
        &["a", "b", "c", "other", "web-canary-1"],
    );
    expect(
        " h ,, c,c,",
        &[],
        &["a", "other", "web-1", "web-canary-1", "x"],
    );
    expect("g,web-1,*-canary-*", &["a"], &["a", "c", "other", "x"]);
    expect("_all", &["other"], &["other"]);
    expect("*", &[], &[]);
}

#[test]
fn a_job_that_leaves_the_group_is_let_go_and_never_forced() {
    let mut world = World::new();
    for id in ["a", "b"] {
        world.jobs.insert(job(id), hanging(&["g"]));
    }
    world.create("o", desired("g", Wanted::Closed, within(30)));
    world.pass(MINUTE * 20);
    assert_eq!(world.status("o").summary, "0/2 closed");
    world.jobs.get_mut(&job("b")).unwrap().groups.clear();
    world.pass(MINUTE * 60);
    assert_eq!(
        (world.state("a"), world.state("b")),
        (JobState::Closed, JobState::Closing)
    );
    assert_eq!(world.forces(), 1);
    assert_eq!(world.status("o").summary, "1/1 closed");
    assert!(world.is("o", "Ready", "True", "InDesiredState"));
}

#[test]
fn people_read_how_many_of_all_are_closed_and_which_are_not() {
    let mut world = world(&[("a", &["g"]), ("b", &["g"]), ("c", &["g"])]);
    for id in ["d", "e"] {
        world.jobs.insert(job(id), hanging(&["g"]));
    }
    world.create("o", wish("g"));
    world.pass(secs(60));
    let status = world.status("o");
    assert_eq!(status.summary, "3/5 closed");
    let counts = status.jobs.unwrap();
    assert_eq!((counts.matched, counts.closed, counts.closing), (5, 3, 2));
    let first: Vec<&str> = status
        .targets
        .iter()
        .map(|target| target.job_id.as_str())
        .collect();
    assert_eq!(first[..2], ["d", "e"], "what is not there comes first");
    assert!(world.is("o", "Closed", "False", "StillClosing"));
    let closed = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == "Closed");
    assert_eq!(closed.unwrap().message, "2 of 5 jobs are not closed: d, e");
}

#[test]
fn status_lists_a_hundred_jobs_however_many_are_meant() {
    let mut world = crowd(10_000);
    for n in 0..150 {
        world
            .jobs
            .get_mut(&job(&format!("n-{n:05}")))
            .unwrap()
            .close_takes = None;
    }
    world.max_closing = 2000;
    world.connect();
    world.create("o", wish("all"));
    world.pass(secs(60));
    let status = world.status("o");
    assert_eq!(status.summary, "9850/10000 closed");
    assert_eq!(status.targets.len(), 100);
    assert!(
        status
            .targets
            .iter()
            .all(|target| target.state == Some(JobState::Closing))
    );
    let bytes = serde_json::to_vec(status).unwrap().len();
    assert!(bytes < 100_000, "{bytes} bytes");
    world.pass(secs(900));
    let status = world.status("o");
    assert_eq!(
        (status.summary.as_str(), status.targets.len()),
        ("10000/10000 closed", 100)
    );
    let last = status.last_close.as_ref().unwrap();
    assert_eq!(
        (last.graceful, last.forced.len()),
        (9850, 100),
        "of 150 a hundred are named"
    );
}

#[test]
fn more_jobs_than_max_jobs_are_not_touched_until_they_are_fewer() {
    let mut world = crowd(101);
    let mut wish = wish("all");
    wish.scope.max_jobs = 100;
    world.create("o", wish);
    world.pass(secs(300));
    assert!(world.calls.is_empty());
    assert!(world.is("o", "Stalled", "True", "TooManyJobs"));
    assert!(world.is("o", "Closed", "Unknown", "TooManyJobs"));
    assert_eq!(world.status("o").jobs.unwrap().matched, 101);
    world.jobs.remove(&job("n-00007"));
    world.pass(secs(400));
    assert_eq!(open_jobs(&world), [""; 0]);
    assert!(world.is("o", "Ready", "True", "InDesiredState"));
    // And when they become too many again, nothing is claimed of them.
    for n in 0..3 {
        world
            .jobs
            .insert(job(&format!("new-{n}")), opened(&["all"]));
    }
    world.pass(secs(400));
    assert!(world.is("o", "Stalled", "True", "TooManyJobs"));
    assert_eq!(open_jobs(&world).len(), 3);
}

#[test]
fn an_exclude_that_leaves_nothing_calls_nothing_and_says_so() {
    for (expression, allow, reason) in [
        ("a", true, "True"),
        ("g", true, "True"),
        ("g", false, "False"),
    ] {
        let mut world = world(&[("a", &["g"])]);
        let mut wish = excluding(expression, &["a*"]);
        wish.scope.allow_no_match = allow;
        world.create("o", wish);
        world.pass(secs(600));
        assert!(world.calls.is_empty());
        assert!(
            world.is("o", "Ready", reason, "NoJobsMatched"),
            "{:?}",
            world.condition("o", "Ready")
        );
        assert_eq!(world.condition("o", "Stalled").is_some(), !allow);
    }
}

#[test]
fn wildcards_may_match_nothing_where_that_is_allowed_and_are_missed_where_it_is_not() {
    for allow in [true, false] {
        let mut world = world(&[("a", &[])]);
        let mut wish = wish("a,x-*");
        wish.scope.allow_no_match = allow;
        world.create("o", wish);
        world.pass(secs(60));
        assert_eq!(
            world.state("a"),
            JobState::Closed,
            "what is there is closed in any case"
        );
        if allow {
            assert!(world.is("o", "Ready", "True", "InDesiredState"));
        } else {
            assert!(world.is("o", "Ready", "False", "JobNotFound"));
            assert!(
                world.condition("o", "Stalled").is_none(),
                "it may still be created"
            );
            world.pass(secs(180));
            assert!(world.is("o", "Stalled", "True", "JobNotFound"));
        }
        world.jobs.insert(job("x-1"), opened(&[]));
        world.pass(secs(400));
        assert!(world.is("o", "Ready", "True", "InDesiredState"));
        assert_eq!(open_jobs(&world), [""; 0]);
    }
}

#[test]
fn a_literal_that_matches_nothing_is_missed_whatever_is_allowed_and_the_others_are_closed() {
    // Of these no job can ever have the name: not ASCII, an escaped slash, upper case, `_all` beside another.
    for odd in ["b", "später", "a%2Fb", "Upper", "_all"] {
        let mut world = world(&[("a", &[])]);
        world.create("o", wish(&format!("a,{odd}")));
        world.pass(secs(60));
        assert_eq!(world.state("a"), JobState::Closed, "{odd}");
        assert!(world.is("o", "Ready", "False", "JobNotFound"), "{odd}");
        world.pass(secs(240));
        assert!(world.is("o", "Stalled", "True", "JobNotFound"), "{odd}");
        assert!(world.is("o", "Closed", "False", "JobNotFound"), "{odd}");
        let stalled = world
            .status("o")
            .conditions
            .iter()
            .find(|condition| condition.type_ == "Stalled");
        assert!(
            stalled
                .unwrap()
                .message
                .contains(&odd.escape_debug().to_string())
        );
        assert_eq!(world.calls.len(), 1, "{odd}");
    }
}

#[test]
fn an_expression_of_512_wildcards_is_refused_with_its_reason_and_calls_nothing() {
    let mut world = world(&[("a", &[])]);
    let many: Vec<String> = (0..512).map(|n| format!("{}*", n % 10)).collect();
    let text = many.join(",");
    assert!(JobExpression::parse(&text).is_ok());
    world.create("o", wish(&format!("a,{text}")));
    world.pass(secs(300));
    assert!(world.is("o", "Stalled", "True", "ExpressionRefused"));
    assert!(world.calls.is_empty());
}

#[test]
fn a_view_that_became_empty_is_read_twice_before_anything_is_claimed_from_it() {
    let mut world = world(&[("a", &["g"])]);
    world.create("o", wish("g*"));
    world.pass(secs(10));
    let writes = world.writes.len();
    world.lists_nothing = true;
    let mut empty_at = None;
    for _ in 0..4000 {
        world.pass(Duration::from_millis(100));
        if empty_at.is_none() && world.lists() == 2 {
            empty_at = Some(world.clock);
            world.pass(Duration::from_millis(500));
            assert!(
                world.is("o", "Closed", "True", "AllClosed"),
                "one empty list says nothing"
            );
            assert_eq!(world.writes.len(), writes);
            world.lists_nothing = false;
        }
    }
    assert!(empty_at.is_some());
    assert_eq!(
        world.writes.len(),
        writes,
        "and the second one was not empty"
    );
    world.lists_nothing = true;
    world.pass(secs(700));
    assert!(
        world.is("o", "Closed", "True", "NoJobsMatched"),
        "two of them do"
    );
}

#[test]
fn from_an_incomplete_view_nothing_is_claimed_but_what_is_named_by_its_id() {
    for (expression, claims) in [("all", false), ("n-*", false), ("n-00001", true)] {
        let mut world = crowd(20);
        world.cut_at = Some(10);
        world.create("o", wish(expression));
        world.pass(secs(300));
        if claims {
            assert!(
                world.is("o", "Ready", "True", "InDesiredState"),
                "it is listed"
            );
            continue;
        }
        assert!(world.is("o", "Stalled", "True", "ViewIncomplete"));
        assert!(world.is("o", "Closed", "Unknown", "ViewIncomplete"));
        assert!(world.calls.is_empty());
        world.cut_at = None;
        world.pass(secs(400));
        assert!(open_jobs(&world).is_empty());
        assert!(world.is("o", "Ready", "True", "InDesiredState"));
    }
}

#[test]
fn of_an_incomplete_view_a_group_whose_name_the_connection_does_not_cover_is_still_a_group() {
    let mut world = crowd(20);
    world.cut_at = Some(10);
    world.allow.jobs = vec![JobPattern::parse("n-*").unwrap()];
    world.connect();
    world.create("o", wish("all"));
    world.pass(secs(300));
    assert!(world.is("o", "Closed", "Unknown", "ViewIncomplete"));
    assert!(world.calls.is_empty());
}

#[test]
fn an_id_that_the_connection_does_not_cover_makes_nothing_of_an_incomplete_view_unknown() {
    let mut world = crowd(20);
    world.cut_at = Some(10);
    world.allow.jobs = vec![JobPattern::parse("n-*").unwrap()];
    world.connect();
    world.create("o", wish("n-00001,another"));
    world.pass(secs(300));
    assert_eq!(world.state("n-00001"), JobState::Closed);
    assert!(
        world.is("o", "Closed", "Unknown", "NotAllowed"),
        "{:?}",
        world.status("o").conditions
    );
}

#[test]
fn beside_what_is_unknown_of_an_incomplete_view_the_named_ids_are_closed() {
    let mut world = crowd(20);
    world.cut_at = Some(10);
    world.create("o", wish("n-00001,n-00015"));
    world.pass(secs(300));
    assert_eq!(world.calls.len(), 1);
    assert_eq!(world.state("n-00001"), JobState::Closed);
    assert!(world.is("o", "Closed", "Unknown", "ViewIncomplete"));
}

#[test]
fn a_namesake_of_a_group_is_closed_only_where_nobody_else_would_be() {
    // Elasticsearch makes no job with the name of a group; where it is so all the same, a close by id means the group too.
    let mut world = world(&[("g", &[]), ("a", &["g"])]);
    world.create("o", excluding("g", &["a"]));
    world.pass(secs(300));
    let named: Vec<&Call> = world
        .calls
        .iter()
        .map(|(_, call)| call)
        .filter(|call| call.jobs().contains(&job("g")))
        .collect();
    assert!(named.is_empty(), "it would close a as well: {named:?}");
    assert_eq!(world.state("a"), JobState::Opened);
    assert!(
        world.condition("o", "Stalled").is_some(),
        "{:?}",
        world.status("o")
    );
}

#[test]
fn a_cluster_in_trouble_says_nothing_of_who_is_missing() {
    let mut world = world(&[("a", &["g"])]);
    world.create("o", wish("g,nobody"));
    world.pass(secs(30));
    world.trouble = Some(trouble(Reason::ClusterUnreachable));
    world.pass(secs(3600));
    assert!(
        world.condition("o", "Stalled").is_none(),
        "an outage is no answer"
    );
    world.trouble = None;
    world.pass(secs(300));
    assert!(world.is("o", "Stalled", "True", "JobNotFound"));
    assert_eq!(key("o").to_string(), "ns/o");
}
