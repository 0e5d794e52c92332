//! Elasticsearch answers 503 to everything for far longer than every `close.timeout`, with many objects. Afterwards all is
//! right by itself, and no force was used.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{figure, sized};
use crate::support::controlplane;
use crate::support::lived::{Lived, lives};
use crate::support::room::{Room, has, has_any};

/// All of it has to be right this long after the end of the outage.
const RECOVERY: Duration = Duration::from_secs(300);

/// What an overloaded cluster, one without a recovered state and a proxy before it say, one after the other.
fn refusals() -> [Value; 3] {
    [
        json!({"status": 503, "type": "es_rejected_execution_exception", "reason": "rejected", "count": null}),
        json!({"status": 503, "type": "cluster_block_exception", "reason": "state not recovered", "count": null}),
        json!({"status": 503, "body": "html", "count": null}),
    ]
}

/// So many objects, and as many open jobs.
pub(crate) fn objects(room: &Room, count: usize, timeout: &str) -> Vec<String> {
    room.elastic.opened_bulk("job-", "all", count);
    let names: Vec<String> = (0..count)
        .map(|number| format!("job-{number:05}"))
        .collect();
    room.connect(&json!({}));
    let spec =
        |name: &String| json!({"jobId": name, "state": "Closed", "close": {"timeout": timeout}});
    room.jobs_at_once(
        names
            .iter()
            .map(|name| (name.clone(), spec(name)))
            .collect(),
    );
    names
}

/// What is not right yet.
pub(crate) fn open(room: &Room, names: &[String]) -> Vec<String> {
    let objects = room.all_jobs();
    let lives = lives(&room.elastic.log());
    let right = |object: &Value| {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        lives.get(name).is_some_and(|life| life.state == "closed")
            && has(object, "Ready=True/InDesiredState")
            && has(object, "Closed=True")
            && !has_any(object, "Forced")
    };
    let wrong = objects.iter().filter(|object| !right(object));
    let mut open: Vec<String> = wrong.map(|object| object["status"].to_string()).collect();
    if objects.len() != names.len() {
        open.push(format!("{} objects", objects.len()));
    }
    open
}

/// How often a job was named in a force.
pub(crate) fn forces(room: &Room) -> usize {
    let lives = lives(&room.elastic.log());
    lives.values().map(|life| life.forces.len()).sum()
}

/// In the middle of the closes the cluster goes away, for this long; what closes goes on to do so.
fn outage(room: &Room, count: usize, lasts: Duration) -> usize {
    let before = room.elastic.log().len();
    let rules = refusals();
    let third = lasts / u32::try_from(rules.len()).expect("few");
    for rule in &rules {
        room.elastic.stop_injecting();
        room.elastic.inject(rule);
        std::thread::sleep(third);
    }
    let objects = room.all_jobs();
    let lives = lives(&room.elastic.log());
    let closed = |life: &&Lived| life.state == "closed";
    let closed = lives.values().filter(closed).count();
    assert!(closed < count, "nothing was left to do");
    let stalled = objects.iter().filter(|object| has_any(object, "Stalled"));
    assert_eq!(stalled.count(), 0, "it heals by itself");
    room.elastic.log().len() - before
}

#[test]
fn fault_26_many_objects_come_through_a_long_storm_without_a_single_force() {
    let (count, lasts, timeout) = sized((150, 15, "4s"), (2000, 600, "30s"));
    let room = Room::new(controlplane::shared());
    // What is closing when the cluster goes away has ended long before the timeout, had anybody been able to see it.
    room.elastic
        .turn("PUT", "defaults", &json!({"close_ms": 1500}));
    let names = objects(&room, count, timeout);
    let mut operator = room.operator();
    room.elastic.until("some are closing", |log| {
        log.changes.iter().any(|line| line["to"] == "closing")
    });
    let refused = outage(&room, count, Duration::from_secs(lasts));
    room.elastic.stop_injecting();
    let back = Instant::now();
    let recovered = loop {
        let open = open(&room, &names);
        if open.is_empty() {
            break back.elapsed();
        }
        let (some, left) = (&open[..open.len().min(5)], open.len());
        assert!(back.elapsed() < RECOVERY, "{left} are not right: {some:#?}");
        std::thread::sleep(Duration::from_millis(500));
    };
    let forces = forces(&room);
    assert_eq!(forces, 0);
    assert!(operator.is_running());
    let recovered = recovered.as_secs();
    figure(
        "503",
        &format!(
            "{count} objects, timeout {timeout}, away for {lasts} s and asked {refused} times meanwhile; \
             all right {recovered} s later; {forces} forces"
        ),
    );
}
