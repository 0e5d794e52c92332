//! Cases 4 to 6, 11, 12, 14 to 18, 36, 54, 55: closing jobs, plain and forced.

use serde_json::json;

use super::world::{JOBS, World, closed, refused, unknown_job, until};

const FAILED_ALONE: &str = "cannot close job [bad] because it failed, use force close";
const FAILED_AMONG: &str = "one or more jobs have state failed, use force close";

#[test]
fn case_04_an_opened_job_closes() {
    let world = World::nine();
    world.opened(&["a"]);
    closed(&world.close("a", ""));
    assert_eq!(world.state("a"), "closed");
}

#[test]
fn case_05_a_closed_job_closes_again() {
    let world = World::nine();
    world.jobs(&["a"]);
    closed(&world.close("a", ""));
    closed(&world.close("a", ""));
}

#[test]
fn case_06_all_closes_the_open_one_and_leaves_the_closed_one() {
    let world = World::nine();
    world.jobs(&["a"]);
    world.opened(&["b"]);
    closed(&world.close("_all", ""));
    assert_eq!(world.states(&["a", "b"]), ["closed", "closed"]);
}

#[test]
fn case_11_a_forced_close_closes_an_opened_job() {
    let world = World::nine();
    world.opened(&["a"]);
    closed(&world.close("a", "?force=true"));
    assert_eq!(world.state("a"), "closed");
}

#[test]
fn case_12_a_forced_close_of_a_closed_job_is_no_error() {
    let world = World::nine();
    world.jobs(&["a"]);
    closed(&world.close("a", "?force=true"));
    assert_eq!(world.state("a"), "closed");
}

#[test]
fn case_14_a_failed_job_alone_answers_409_to_a_plain_close() {
    let world = World::nine();
    world.opened(&["bad"]);
    world.rig.fail_job("bad", "native process has died");
    refused(
        &world.close("bad", ""),
        409,
        "status_exception",
        FAILED_ALONE,
    );
    assert_eq!(world.state("bad"), "failed");
}

#[test]
fn case_15_a_failed_job_among_several_refuses_all_and_touches_none() {
    let world = World::nine();
    world.opened(&["a", "bad"]);
    world.jobs(&["c"]);
    world.rig.fail_job("bad", "native process has died");
    for expression in ["a,bad", "_all", "bad,c"] {
        refused(
            &world.close(expression, ""),
            409,
            "status_exception",
            FAILED_AMONG,
        );
    }
    unknown_job(&world.close("a,bad,nope", ""), "nope");
    assert_eq!(
        world.states(&["a", "bad", "c"]),
        ["opened", "failed", "closed"]
    );
}

#[test]
fn case_16_a_failed_job_closes_by_force() {
    let world = World::nine();
    world.opened(&["a", "bad"]);
    world.rig.fail_job("bad", "native process has died");
    closed(&world.close("bad", "?force=true"));
    assert_eq!(world.states(&["a", "bad"]), ["opened", "closed"]);
}

#[test]
fn case_17_a_closing_job_is_waited_for_and_not_closed_anew() {
    let world = World::nine();
    world.opened(&["a", "b", "c"]);
    world.rig.job("a", &json!({"close_ms": 10_000}));
    let first = world.closing("a", "");
    let second = world.background(super::request("POST", "a,b,c"));
    until("b and c are closed", || {
        world.states(&["b", "c"]) == ["closed", "closed"]
    });
    assert_eq!(world.state("a"), "closing");
    assert!(
        !second.is_finished(),
        "the second close answered before the closing job was closed"
    );
    world.rig.advance_ms(10_000);
    closed(&first.join().expect("an answer"));
    closed(&second.join().expect("an answer"));
    assert_eq!(world.rig.changes("a", "closing"), 1);
    assert_eq!(world.rig.changes("a", "closed"), 1);
}

#[test]
fn case_18_a_close_with_nothing_to_close_changes_nothing() {
    let world = World::nine();
    world.jobs(&["a", "b"]);
    let before = world.rig.all_changes();
    closed(&world.close("a,b", ""));
    closed(&world.close("*", "?force=true"));
    assert_eq!(world.rig.all_changes(), before);
}

#[test]
fn case_36_finished_time_comes_with_a_close_and_goes_with_an_open() {
    let world = World::nine();
    world.opened(&["a"]);
    assert!(world.config("a").get("finished_time").is_none());
    closed(&world.close("a", ""));
    assert!(world.config("a")["finished_time"].is_number());
    world.open("a");
    assert!(world.config("a").get("finished_time").is_none());
}

#[test]
fn case_54_a_body_leaves_the_query_unread_and_is_refused() {
    let world = World::nine();
    world.opened(&["a"]);
    let answer = world.post_json(
        &format!("{JOBS}/a/_close?force=true"),
        &json!({"timeout": "5s"}),
    );
    let reason = format!("request [{JOBS}/a/_close] contains unrecognized parameter: [force]");
    refused(&answer, 400, "illegal_argument_exception", &reason);
    assert_eq!(world.state("a"), "opened");
}

#[test]
fn case_55_a_second_close_times_out_while_the_job_goes_on_closing() {
    let world = World::nine();
    world.opened(&["a"]);
    world.rig.job("a", &json!({"close_ms": 60_000}));
    let first = world.closing("a", "");
    let second = world.background(super::request_with("POST", "a", "?timeout=5s"));
    world.rig.until_received("/_close?timeout=5s", 1);
    world.rig.advance_ms(5_000);
    let reason = "Timed out when waiting for persistent tasks after 5s";
    refused(
        &second.join().expect("an answer"),
        500,
        "illegal_state_exception",
        reason,
    );
    assert_eq!(world.state("a"), "closing");
    world.rig.advance_ms(55_000);
    closed(&first.join().expect("an answer"));
    assert_eq!(world.state("a"), "closed");
}

#[test]
fn the_timeout_does_not_bound_the_native_close() {
    let world = World::nine();
    world.opened(&["a"]);
    world.rig.job("a", &json!({"close_ms": 60_000}));
    let call = world.closing("a", "?timeout=1s");
    world.rig.advance_ms(59_000);
    assert_eq!(world.state("a"), "closing");
    assert!(
        !call.is_finished(),
        "section 3.5: timeout covers the last wait only"
    );
    world.rig.advance_ms(1_000);
    closed(&call.join().expect("an answer"));
}

#[test]
fn a_close_goes_on_when_its_caller_has_gone() {
    let world = World::nine();
    world.opened(&["a"]);
    world.rig.job("a", &json!({"close_ms": 30_000}));
    world.rig.abandon(&super::request("POST", "a"));
    until("a is closing", || world.state("a") == "closing");
    world.rig.advance_ms(30_000);
    until("a is closed", || world.state("a") == "closed");
}

#[test]
fn force_ends_a_close_that_hangs() {
    let world = World::nine();
    world.opened(&["a"]);
    world.rig.job("a", &json!({"close_ms": "hang"}));
    let first = world.closing("a", "");
    closed(&world.close("a", "?force=true"));
    assert_eq!(world.state("a"), "closed");
    let answer = first.join().expect("an answer");
    let interrupted = "Close job interrupted by kill request";
    assert!(
        answer.status == 200 || answer.at("/error/reason") == interrupted,
        "{}",
        answer.text()
    );
}

#[test]
fn a_lost_close_times_out_and_leaves_the_job_open_until_it_is_repeated() {
    let world = World::nine();
    world.opened(&["a"]);
    world.rig.job("a", &json!({"lost_closes": 1}));
    let lost = world.background(super::request_with("POST", "a", "?timeout=10s"));
    world.rig.until_received("/_close?timeout=10s", 1);
    world.rig.advance_ms(10_000);
    let reason = "Timed out when waiting for persistent tasks after 10s";
    refused(
        &lost.join().expect("an answer"),
        500,
        "illegal_state_exception",
        reason,
    );
    assert_eq!(world.state("a"), "opened");
    closed(&world.close("a", ""));
    assert_eq!(world.state("a"), "closed");
}

#[test]
fn a_native_close_that_fails_answers_500_and_leaves_the_job_failed() {
    let world = World::nine();
    world.opened(&["a"]);
    world.rig.job("a", &json!({"persist_fails": true}));
    let answer = world.close("a", "");
    assert_eq!(
        (answer.status, answer.at("/error/type")),
        (500, json!("status_exception")),
        "{}",
        answer.text()
    );
    assert_eq!(world.state("a"), "failed");
    closed(&world.close("a", "?force=true"));
}
