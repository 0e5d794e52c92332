//! Two hundred objects at once: all closed, gently, and each told once.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::elastic::Log;
use crate::support::operator::Operator;
use crate::support::room::{Room, has};
use crate::support::{LIMIT, controlplane, side_by_side, until, until_true};

/// How long each close call takes at least, so that calls that are out at once can be seen in the log.
const CALL_MS: u64 = 40;

fn create_all(room: &Room, count: usize) {
    let specs = (0..count).map(|number| {
        let name = format!("job-{number}");
        let spec = json!({"jobId": name, "state": "Closed"});
        (name, spec)
    });
    room.jobs_at_once(specs.collect());
}

/// The most close calls that were out at once, at least.
fn most_in_flight(log: &Log) -> usize {
    let closes = log.requests.iter().filter(|line| line["api"] == "Close");
    let times: Vec<u64> = closes.filter_map(|line| line["at_ms"].as_u64()).collect();
    let within = |at: &u64| {
        times
            .iter()
            .filter(|other| **other >= *at && **other < at + CALL_MS)
            .count()
    };
    times.iter().map(within).max().unwrap_or(0)
}

/// The most jobs that were closing at once.
fn most_closing(log: &Log) -> usize {
    let mut closing: usize = 0;
    let mut most = 0;
    for line in &log.changes {
        closing += usize::from(line["to"] == "closing");
        closing -= usize::from(line["from"] == "closing");
        most = most.max(closing);
    }
    most
}

/// When the operator began to act: it was told of no object before.
fn acting_since(operator: &Operator) -> Timestamp {
    let log = operator.log();
    let line = log.lines().find(|line| line.contains("acquired the lease"));
    let line: Value = serde_json::from_str(line.expect("it leads")).expect("JSON");
    line["timestamp"]
        .as_str()
        .expect("a time")
        .parse()
        .expect("a time")
}

fn finished_after(object: &Value, at: Timestamp) -> bool {
    let finished = object["status"]["lastClose"]["finishedAt"].as_str();
    finished
        .expect("a time")
        .parse::<Timestamp>()
        .expect("a time")
        > at
}

/// All objects, once all of them are closed, by one call each.
fn all_closed(room: &Room, count: usize) -> Vec<Value> {
    let objects = until("all are closed", LIMIT, || {
        let objects = room.all_jobs();
        let closed = |object: &&Value| {
            has(object, "Closed=True") && has(object, "Ready=True/InDesiredState")
        };
        let closed = objects.iter().filter(closed).count();
        if closed == count {
            Ok(objects)
        } else {
            Err(format!("{closed} are"))
        }
    });
    let log = room.elastic.log();
    for number in 0..count {
        let job = format!("job-{number}");
        let facts = (log.state(&job), log.closes(&job), log.forces(&job));
        assert_eq!(facts, (Some("closed"), 1, 0), "{job}");
    }
    objects
}

fn room(count: usize, close_ms: u64) -> Room<'static> {
    let room = Room::new(controlplane::shared());
    for number in 0..count {
        room.elastic.opened(&format!("job-{number}"));
    }
    room.elastic
        .turn("PUT", "defaults", &json!({"close_ms": close_ms}));
    room.elastic
        .inject(&json!({"api": "Close", "delay_ms": CALL_MS, "count": null}));
    room.connect(&json!({}));
    create_all(&room, count);
    room
}

fn two_hundred_that_close_at_once() {
    let room = room(200, 0);
    let operator = room.operator();
    let objects = all_closed(&room, 200);
    assert!(
        objects
            .iter()
            .all(|object| object["status"]["lastClose"]["graceful"] == 1)
    );
    let log = room.elastic.log();
    let calls = most_in_flight(&log);
    assert!((1..=8).contains(&calls), "{calls} calls at once");
    // Four waves; what the watch brings while the first is on its way leaves by itself.
    let lists = log.of("Close");
    assert!((4..=8).contains(&lists), "{lists} closes");
    let own = ["PutJob", "Open"]
        .map(|api| log.of(api))
        .iter()
        .sum::<usize>();
    let requests = log.len() - own;
    assert!(requests <= 30, "{requests} requests for 200 objects");
    // What took longer than two seconds may have been told about on the way, once; the rest is told at its end alone.
    let quiet_until = acting_since(&operator) + Duration::from_secs(2);
    let slow = objects
        .iter()
        .filter(|object| finished_after(object, quiet_until))
        .count();
    let (connection, writes) = (1, operator.status_writes());
    let most = (200 + slow + connection) as u64;
    assert!(
        (200..=most).contains(&writes),
        "{writes} writes, and {slow} were slow"
    );
    until_true("each close is told", LIMIT, || {
        let told = "anomalyjob_events_total{type=\"Normal\",outcome=\"published\"}";
        operator.count(told) >= 200
    });
}

fn a_hundred_that_close_slowly() {
    let room = room(100, 100);
    // Nothing that has begun to close ends before the clock goes on. (How long a job has been open stands still, too, so
    // what is said of the single close is not looked at.)
    room.elastic.turn("PUT", "clock", &json!({"hold": true}));
    let _operator = room.operator();
    let log = room
        .elastic
        .until("the wave is full", |log| most_closing(log) == 64);
    let reads = log.of("JobStats");
    room.elastic
        .until("some looks later", |log| log.of("JobStats") >= reads + 5);
    room.elastic.turn("PUT", "clock", &json!({"hold": false}));
    all_closed(&room, 100);
    assert_eq!(most_closing(&room.elastic.log()), 64);
}

#[test]
fn hundreds_at_once_are_closed_by_a_few_lists_in_waves_of_sixty_four_and_told_once_each() {
    side_by_side(&[
        ("two hundred at once", &two_hundred_that_close_at_once),
        ("a hundred slowly", &a_hundred_that_close_slowly),
    ]);
}
