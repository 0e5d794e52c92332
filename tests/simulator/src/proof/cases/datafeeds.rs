//! Cases 19 to 21b, 44 to 49, 57: datafeeds, and what a close does with them.

use serde_json::json;

use super::world::{FEEDS, World, closed, ok, refused, until};

#[test]
fn case_19_a_close_stops_the_running_datafeed_first() {
    let world = World::nine();
    world.running("a", "feed");
    closed(&world.close("a", ""));
    assert_eq!(
        (world.state("a"), world.feed_state("feed")),
        ("closed".into(), "stopped".into())
    );
}

#[test]
fn case_20_a_forced_close_isolates_the_datafeed_so_that_no_graceful_close_follows() {
    let world = World::nine();
    world.opened(&["a"]);
    world.datafeed("feed", "a");
    world.start_feed("feed", "?start=0&end=2000-01-01T00:00:00Z");
    closed(&world.close("a", "?force=true"));
    assert_eq!(
        (world.state("a"), world.feed_state("feed")),
        ("closed".into(), "stopped".into())
    );
    world.rig.advance_ms(60_000);
    assert_eq!(
        world.rig.changes("a", "closing"),
        0,
        "a lookback datafeed began a graceful close of its own"
    );
}

#[test]
fn case_21_before_7_14_a_running_datafeed_refuses_the_close_even_by_force() {
    let world = World::seven();
    world.running("a", "feed");
    let reason = "cannot close job datafeed [feed] hasn't been stopped";
    refused(&world.close("a", ""), 409, "status_exception", reason);
    refused(
        &world.close("a", "?force=true"),
        409,
        "status_exception",
        reason,
    );
    assert_eq!(
        (world.state("a"), world.feed_state("feed")),
        ("opened".into(), "started".into())
    );
    ok(
        &world.post(&format!("{FEEDS}/feed/_stop")),
        &json!({"stopped": true}),
    );
    closed(&world.close("a", ""));
}

#[test]
fn case_21b_a_stray_datafeed_of_a_closed_job_is_left_running() {
    let world = World::nine();
    world.running("a", "feed");
    world.rig.lose_task("a");
    assert_eq!(
        (world.state("a"), world.feed_state("feed")),
        ("closed".into(), "started".into())
    );
    closed(&world.close("a", ""));
    closed(&world.close("a", "?force=true"));
    assert_eq!(world.feed_state("feed"), "started");
}

#[test]
fn a_datafeed_that_cannot_be_stopped_refuses_the_close() {
    let world = World::nine();
    world.running("a", "feed");
    world.rig.job("a", &json!({"feed_stop_fails": true}));
    let answer = world.close("a", "");
    let reason = answer.at("/error/reason");
    let start = "failed to close jobs as one or more had started datafeeds that could not be stopped: started datafeeds [feed]";
    assert_eq!(answer.status, 409, "{}", answer.text());
    assert!(
        reason.as_str().is_some_and(|r| r.starts_with(start)),
        "{reason}"
    );
    assert_eq!(world.state("a"), "opened");
}

#[test]
fn case_44_the_datafeed_of_a_closed_job_does_not_start() {
    let world = World::nine();
    world.jobs(&["a"]);
    world.datafeed("feed", "a");
    let answer = world.post(&format!("{FEEDS}/feed/_start?start=0"));
    refused(
        &answer,
        409,
        "status_exception",
        "cannot start datafeed [feed] because job [a] is closed",
    );
}

#[test]
fn case_45_a_started_datafeed_does_not_start_again() {
    let world = World::nine();
    world.running("a", "feed");
    let answer = world.post(&format!("{FEEDS}/feed/_start?start=0"));
    refused(
        &answer,
        409,
        "status_exception",
        "cannot start datafeed [feed] because it has already been started",
    );
}

#[test]
fn case_46_a_start_must_be_before_its_end() {
    let world = World::nine();
    world.opened(&["a"]);
    world.datafeed("feed", "a");
    for (start, end) in [(5, 5), (5, 0)] {
        let answer = world.post(&format!("{FEEDS}/feed/_start?start={start}&end={end}"));
        let reason = answer.at("/error/reason");
        assert_eq!(answer.status, 400);
        let phrase = format!("start [{start}] must be earlier than end [{end}]");
        assert!(
            reason.as_str().is_some_and(|r| r.contains(&phrase)),
            "{reason}"
        );
    }
    assert_eq!(world.feed_state("feed"), "stopped");
}

#[test]
fn case_47_stopping_what_is_stopped_is_fine_and_what_is_unknown_is_not() {
    let world = World::nine();
    world.jobs(&["a"]);
    world.datafeed("feed", "a");
    let stop = |expression: &str| world.post(&format!("{FEEDS}/{expression}"));
    ok(&stop("feed/_stop"), &json!({"stopped": true}));
    ok(&stop("missing-*/_stop"), &json!({"stopped": true}));
    ok(
        &stop("missing-*/_stop?allow_no_match=true"),
        &json!({"stopped": true}),
    );
    let unknown = |token: &str| format!("No datafeed with id [{token}] exists");
    refused(
        &stop("missing-*/_stop?allow_no_match=false"),
        404,
        "resource_not_found_exception",
        &unknown("missing-*"),
    );
    refused(
        &stop("nope/_stop"),
        404,
        "resource_not_found_exception",
        &unknown("nope"),
    );
}

#[test]
fn case_48_a_wildcard_stops_only_what_it_matches() {
    let world = World::nine();
    for (job, feed) in [("a", "foo-1"), ("b", "foo-2"), ("c", "bar-1")] {
        world.running(job, feed);
    }
    ok(
        &world.post(&format!("{FEEDS}/*foo*/_stop")),
        &json!({"stopped": true}),
    );
    let states = ["foo-1", "foo-2", "bar-1"].map(|feed| world.feed_state(feed));
    assert_eq!(states, ["stopped", "stopped", "started"]);
}

#[test]
fn case_49_force_stops_a_datafeed() {
    let world = World::nine();
    world.running("a", "feed");
    ok(
        &world.post(&format!("{FEEDS}/feed/_stop?force=true")),
        &json!({"stopped": true}),
    );
    assert_eq!(
        (world.feed_state("feed"), world.state("a")),
        ("stopped".into(), "opened".into())
    );
}

#[test]
fn a_datafeed_with_an_end_closes_its_job_when_it_gets_there() {
    let world = World::nine();
    world.opened(&["a"]);
    world.datafeed("feed", "a");
    world.start_feed("feed", "?start=0&end=2000-01-01T00:00:00Z");
    world.rig.advance_ms(60_000);
    until("the job is closed", || world.state("a") == "closed");
    assert_eq!(world.feed_state("feed"), "stopped");
}

#[test]
fn case_57_a_job_may_bring_its_datafeed() {
    let world = World::nine();
    world.put("/data", &json!({}));
    world.job_with("a", &json!({"datafeed_config": {"indices": ["data"]}}));
    let feed = world.get(&format!("{FEEDS}/a"));
    assert_eq!(
        (
            feed.at("/datafeeds/0/datafeed_id"),
            feed.at("/datafeeds/0/job_id")
        ),
        (json!("a"), json!("a"))
    );
    assert_eq!(world.config("a")["datafeed_config"]["datafeed_id"], "a");
}

#[test]
fn one_datafeed_per_job_and_one_job_per_datafeed_id() {
    let world = World::nine();
    world.jobs(&["a", "b"]);
    world.datafeed("feed", "a");
    let second = world.put(
        &format!("{FEEDS}/other"),
        &json!({"job_id": "a", "indices": ["data"]}),
    );
    refused(
        &second,
        409,
        "status_exception",
        "A datafeed [feed] already exists for job [a]",
    );
    let taken = world.put(
        &format!("{FEEDS}/feed"),
        &json!({"job_id": "b", "indices": ["data"]}),
    );
    refused(
        &taken,
        400,
        "resource_already_exists_exception",
        "A datafeed with id [feed] already exists",
    );
}

#[test]
fn a_running_datafeed_is_not_deleted_without_force() {
    let world = World::nine();
    world.running("a", "feed");
    let reason = "Cannot delete datafeed [feed] while its status is started";
    refused(
        &world.delete(&format!("{FEEDS}/feed")),
        409,
        "status_exception",
        reason,
    );
    ok(
        &world.delete(&format!("{FEEDS}/feed?force=true")),
        &json!({"acknowledged": true}),
    );
    ok(&world.get(FEEDS), &json!({"count": 0, "datafeeds": []}));
}
