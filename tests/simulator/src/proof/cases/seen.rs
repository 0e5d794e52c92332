//! Section 17: what was seen on a real 7.10 and surprises. What the recording already replays is not repeated here.

use std::fmt::Write as _;

use serde_json::json;

use super::world::{FEEDS, JOBS, World, closed, ok, refused, unknown_job, until};
use crate::proof::wire::Request;

#[test]
fn finding_01_all_is_the_first_ten_thousand_and_says_nothing_of_the_rest() {
    let world = World::seven();
    world.rig.knob(
        "POST",
        "jobs_bulk",
        &json!({"prefix": "a-", "count": 10_000}),
    );
    world.opened(&["m-0000"]);
    closed(&world.close("_all", ""));
    assert_eq!(
        world.state("m-0000"),
        "opened",
        "the job beyond the cut was closed"
    );
    unknown_job(&world.close("*,m-0000", ""), "m-0000");
    assert_eq!(
        world.get(&format!("{JOBS}?filter_path=count")).at("/count"),
        json!(10_000)
    );
    closed(&world.close("m-*", ""));
    assert_eq!(world.state("m-0000"), "closed");
}

#[test]
fn finding_03_an_empty_segment_closes_every_job() {
    let world = World::seven();
    for segment in ["", "%20", ","] {
        for id in ["a", "b"] {
            if world.get(&format!("{JOBS}/{id}")).status == 404 {
                world.jobs(&[id]);
            }
            world.open(id);
        }
        closed(&world.close(segment, ""));
        world.rig.advance_ms(1_000);
        assert_eq!(
            world.states(&["a", "b"]),
            ["closed", "closed"],
            "{segment:?}"
        );
    }
}

#[test]
fn finding_05_a_plain_close_that_meets_a_forced_one_may_be_404_for_a_job_that_exists() {
    let world = World::seven();
    world.opened(&["a"]);
    world.rig.job("a", &json!({"close_ms": "hang"}));
    world.rig.job("a", &json!({"on_kill": 404}));
    let plain = world.closing("a", "");
    closed(&world.close("a", "?force=true"));
    let answer = plain.join().expect("an answer");
    let reason = answer.at("/error/reason");
    assert_eq!(
        (answer.status, answer.at("/error/type")),
        (404, json!("resource_not_found_exception"))
    );
    let text = reason.as_str().unwrap_or_default();
    assert!(
        text.starts_with("the task with id job-a and allocation id ")
            && text.ends_with(" doesn't exist"),
        "{text}"
    );
    assert_eq!(world.get(&format!("{JOBS}/a")).status, 200);
}

#[test]
fn finding_06_of_two_forced_closes_at_once_one_is_500() {
    let world = World::seven();
    world.opened(&["a"]);
    world.rig.job("a", &json!({"force_ms": 50}));
    let force = || Request::new("POST", &format!("{JOBS}/a/_close?force=true"));
    let calls = [world.background(force()), world.background(force())];
    world.rig.until_received("/_close?force=true", 2);
    world.rig.advance_ms(50);
    let mut answers = calls.map(|call| call.join().expect("an answer"));
    answers.sort_by_key(|answer| answer.status);
    closed(&answers[0]);
    let reason = "Failed to force close job [a] with [1] failures, rethrowing last, all Exceptions: [the task with id job-a doesn't exist]";
    refused(&answers[1], 500, "exception", reason);
    assert_eq!(world.state("a"), "closed");
}

#[test]
fn finding_08_a_failed_job_cannot_be_closed_until_its_datafeed_has_noticed() {
    let world = World::seven();
    world.running("a", "feed");
    world.rig.fail_job("a", "simulated failure");
    let reason = "cannot close job datafeed [feed] hasn't been stopped";
    refused(
        &world.close("a", "?force=true"),
        409,
        "status_exception",
        reason,
    );
    world.rig.advance_ms(60_000);
    until("the datafeed has stopped by itself", || {
        world.feed_state("feed") == "stopped"
    });
    closed(&world.close("a", "?force=true"));
}

#[test]
fn finding_11_five_hundred_and_twelve_wildcards_are_too_many() {
    let world = World::seven();
    let wildcards = |count: usize| {
        let mut text = String::new();
        for number in 0..count {
            write!(text, "{}x{number}*", if number == 0 { "" } else { "," }).expect("a text grows");
        }
        text
    };
    closed(&world.close(&wildcards(511), ""));
    let answer = world.close(&wildcards(512), "");
    assert_eq!(
        (answer.status, answer.at("/error/type")),
        (400, json!("search_phase_execution_exception"))
    );
}

#[test]
fn a_running_datafeed_of_the_newest_profile_never_refuses_a_close() {
    let world = World::nine();
    world.running("a", "feed");
    closed(&world.close("a", "?force=true"));
    ok(
        &world.get(&format!("{FEEDS}/feed/_stats?filter_path=datafeeds.state")),
        &json!({"datafeeds": [{"state": "stopped"}]}),
    );
}
