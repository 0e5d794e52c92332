//! The simulator's own knobs between client and cluster, and its logs: other tests take their word for the truth.

use std::io::ErrorKind;
use std::time::Duration;

use serde_json::json;

use super::world::{JOBS, World, closed, refused, until};
use crate::proof::wire::{Connection, Request};

#[test]
fn an_injected_refusal_comes_as_often_as_asked_and_touches_nothing() {
    let world = World::nine();
    world.opened(&["a"]);
    world.rig.inject(&json!({"path_contains": "_close", "status": 429, "reason": "queue is full", "retry_after": 7, "count": 2}));
    for _ in 0..2 {
        let answer = world.close("a", "");
        refused(
            &answer,
            429,
            "es_rejected_execution_exception",
            "queue is full",
        );
        assert_eq!(answer.header("retry-after"), Some("7"));
    }
    assert_eq!(world.state("a"), "opened");
    closed(&world.close("a", ""));
}

#[test]
fn a_cut_after_the_work_leaves_a_close_that_goes_on() {
    let world = World::nine();
    world.opened(&["a"]);
    world
        .rig
        .inject(&json!({"path_contains": "_close", "cut": "after"}));
    let answer = Connection::new(world.rig.address()).try_send(&super::request("POST", "a"));
    assert_eq!(answer.expect_err("a cut").kind(), ErrorKind::UnexpectedEof);
    until("the close has gone on", || world.state("a") == "closed");
}

#[test]
fn a_cut_before_the_work_leaves_the_job_as_it_was() {
    let world = World::nine();
    world.opened(&["a"]);
    world
        .rig
        .inject(&json!({"path_contains": "_close", "cut": "before"}));
    let answer = Connection::new(world.rig.address()).try_send(&super::request("POST", "a"));
    assert_eq!(answer.expect_err("a cut").kind(), ErrorKind::UnexpectedEof);
    assert_eq!(
        (world.state("a"), world.rig.changes("a", "closing")),
        ("opened".into(), 0)
    );
}

#[test]
fn silence_is_never_answered() {
    let world = World::nine();
    world
        .rig
        .inject(&json!({"path_contains": "/_stats", "body": "silence"}));
    let request = Request::new("GET", &format!("{JOBS}/_stats"));
    let answer =
        Connection::new(world.rig.address()).send_in_vain(&request, Duration::from_millis(200));
    assert!(answer.is_none(), "{answer:?}");
    assert_eq!(world.get(&format!("{JOBS}/_stats")).status, 200);
}

#[test]
fn a_shorter_line_limit_refuses_long_requests_only_and_touches_nothing() {
    let world = World::of("8");
    world.opened(&["a", "b"]);
    let line = format!("POST {JOBS}/a,b/_close HTTP/1.1").len();
    world
        .rig
        .inject(&json!({"longer_than": line - 1, "count": null, "status": 414, "body": "html"}));
    assert_eq!(world.close("a,b", "").status, 414);
    assert_eq!(world.state("a"), "opened");
    closed(&world.close("a", ""));
    assert_eq!(world.states(&["a", "b"]), ["closed", "opened"]);
}

#[test]
fn the_log_has_each_request_once_and_each_change_in_its_order() {
    let world = World::nine();
    world.opened(&["a"]);
    closed(&world.close("a", "?force=true"));
    closed(&world.close("a", ""));
    assert_eq!(world.rig.received("/a/_close?force=true"), 1);
    assert_eq!(world.rig.received("/a/_close"), 1);
    let changes = world.rig.all_changes();
    let states: Vec<_> = changes
        .iter()
        .filter(|c| c["job"] == "a")
        .map(|c| c["to"].clone())
        .collect();
    assert_eq!(states.last(), Some(&json!("closed")), "{changes:?}");
    let order: Vec<_> = changes.iter().filter_map(|c| c["seq"].as_u64()).collect();
    assert!(order.is_sorted(), "{order:?}");
}

#[test]
fn a_held_clock_stands_still_and_moves_only_when_told() {
    let world = World::nine();
    world.opened(&["a"]);
    world.rig.job("a", &json!({"close_ms": 5_000}));
    let call = world.closing("a", "");
    world.rig.advance_ms(4_999);
    assert_eq!(world.state("a"), "closing");
    assert!(!call.is_finished());
    world.rig.advance_ms(1);
    closed(&call.join().expect("an answer"));
    let open_time = |state: &str| world.rig.changes("a", state);
    assert_eq!((open_time("closing"), open_time("closed")), (1, 1));
}
