//! Two replicas: one acts, and the other takes over when it is killed or stopped.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::room::Room;
use crate::support::{LIMIT, controlplane, side_by_side, until_true};

/// What a takeover may take beyond its promise on a machine that does other things too.
const SLACK: Duration = Duration::from_secs(2);

/// A leader with a close under way, and a standby.
fn room(
    close_ms: u64,
) -> (
    Room<'static>,
    crate::support::operator::Operator,
    crate::support::operator::Operator,
) {
    let room = Room::new(controlplane::shared());
    room.elastic.opened("rate");
    room.elastic.opened("next");
    room.elastic.tune("rate", &json!({"close_ms": close_ms}));
    room.connect(&json!({}));
    let leader = room.operator();
    until_true("the first leads", LIMIT, || leader.leads());
    let standby = room.operator();
    until_true("the second stands by", LIMIT, || standby.is_ready());
    room.close("rate", &json!({}));
    room.elastic
        .until("closing", |log| log.state("rate") == Some("closing"));
    assert!(!standby.leads());
    (room, leader, standby)
}

fn ends_once(room: &Room) {
    room.until("rate", &["Ready=True/InDesiredState", "Closed=True"]);
    let log = room.elastic.log();
    assert_eq!((log.closes("rate"), log.forces("rate")), (1, 0));
}

fn killed() {
    let (room, mut leader, standby) = room(15_000);
    leader.kill();
    let killed = Instant::now();
    until_true("the second leads", LIMIT, || standby.leads());
    let took = killed.elapsed();
    assert!(
        took <= Duration::from_secs(20) + SLACK,
        "taken over after {took:?}"
    );
    room.close("next", &json!({}));
    room.until("next", &["Ready=True/InDesiredState", "Closed=True"]);
    ends_once(&room);
}

fn stopped() {
    // The close is a call that is still open when the leader is asked to stop.
    let (room, mut leader, standby) = room(6000);
    let (status, took) = leader.terminate();
    let stopped = Instant::now();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(10), "stopped after {took:?}");
    until_true("the second leads", LIMIT, || standby.leads());
    let took = stopped.elapsed();
    assert!(
        took <= Duration::from_secs(3) + SLACK,
        "taken over after {took:?}"
    );
    ends_once(&room);
}

#[test]
fn a_standby_ends_the_close_of_a_leader_that_was_killed_or_stopped() {
    side_by_side(&[("killed", &killed), ("stopped", &stopped)]);
}
