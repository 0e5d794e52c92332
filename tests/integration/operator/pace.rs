//! A cluster that wants fewer requests, or none: it is left alone for as long as it asks, and probed by one request at a time.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::elastic::Log;
use crate::support::room::Room;
use crate::support::{controlplane, side_by_side};

const IN_STATE: [&str; 2] = ["Ready=True/InDesiredState", "Closed=True"];

/// How long a refusal takes, so that requests which are out at once can be told from probes.
const REFUSED_AFTER_MS: u64 = 300;

fn at(line: &Value) -> u64 {
    line["at_ms"].as_u64().unwrap_or_default()
}

/// Refused once for load, with a time for which it wants to be left alone.
fn a_cluster_that_names_a_time() {
    let room = Room::new(controlplane::shared());
    for job in ["rate", "other"] {
        room.elastic.opened(job);
    }
    room.connect(&json!({}));
    let _operator = room.operator();
    room.job("other", &json!({"jobId": "other"}));
    room.until("other", &["Ready=True/Observing"]);
    room.elastic.inject(&json!({
        "api": "Close", "status": 429, "type": "es_rejected_execution_exception", "reason": "the queue is full", "retry_after": 6,
    }));
    room.close("rate", &json!({}));
    room.until("rate", &["Ready=False/Overloaded"]);
    // Whoever comes meanwhile waits as well.
    room.patch::<anomalyjob_operator::api::AnomalyJob>(
        "other",
        &json!({"spec": {"state": "Closed"}}),
    );
    for name in ["rate", "other"] {
        room.until(name, &IN_STATE);
    }
    let log = room.elastic.log();
    let closes: Vec<u64> = log
        .requests
        .iter()
        .filter(|line| line["api"] == "Close")
        .map(at)
        .collect();
    let (first, rest) = closes.split_first().expect("a close");
    assert!(rest.iter().all(|at| at - first >= 6000), "{closes:?}");
    assert_eq!((log.closed("rate"), log.forces("rate")), (1, 0));
}

/// When the cluster was asked after it had refused the first request; what was on its way by then is no probe.
fn probes(log: &Log) -> Vec<u64> {
    let refused = log.requests.iter().filter(|line| line["status"] == 503);
    let times: Vec<u64> = refused.map(at).collect();
    let first = times.first().copied().unwrap_or_default();
    times
        .into_iter()
        .filter(|at| *at > first + REFUSED_AFTER_MS + 300)
        .collect()
}

/// Everything is refused while a hundred objects want their jobs closed: one probe after the other, each later than the last.
fn a_cluster_that_is_down() {
    let room = Room::new(controlplane::shared());
    room.elastic.opened_bulk("job-", "all", 100);
    room.connect(&json!({}));
    let _operator = room.operator();
    room.job("watch", &json!({"jobId": "all", "maxJobs": 100}));
    room.until("watch", &["Ready=True/Observing"]);
    room.elastic.inject(&json!({
        "path_contains": "/", "count": null, "delay_ms": REFUSED_AFTER_MS, "status": 503, "type": "cluster_block_exception", "reason": "blocked by: [SERVICE_UNAVAILABLE]",
    }));
    for number in 0..100 {
        let job = format!("job-{number:05}");
        room.close(&job, &json!({}));
    }
    room.elastic
        .until_within(Duration::from_secs(60), "three probes", |log| {
            probes(log).len() >= 3
        });
    let probes = probes(&room.elastic.log());
    let gaps: Vec<u64> = probes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        gaps.iter().all(|gap| *gap >= 1000) && gaps.is_sorted(),
        "{gaps:?}"
    );
    room.elastic.stop_injecting();
    for number in [0, 50, 99] {
        room.until_within::<anomalyjob_operator::api::AnomalyJob>(
            Duration::from_secs(80),
            &format!("job-{number:05}"),
            &IN_STATE,
        );
    }
    let log = room.elastic.log();
    for number in 0..100 {
        let job = format!("job-{number:05}");
        assert_eq!((log.closed(&job), log.forces(&job)), (1, 0), "{job}");
    }
}

#[test]
fn a_cluster_that_refuses_for_load_is_left_alone_and_one_that_is_down_is_asked_by_one_probe_at_a_time()
 {
    side_by_side(&[
        ("a time is named", &a_cluster_that_names_a_time),
        ("down", &a_cluster_that_is_down),
    ]);
}
