//! One of the two sides is away. No outage brings a force nearer, and afterwards all goes on by itself.

use std::time::{Duration, Instant};

use anomalyjob_operator::api::AnomalyJob;
use serde_json::{Value, json};

use super::{crash, deletion};
use crate::support::controlplane::ControlPlane;
use crate::support::elastic::Log;
use crate::support::room::{Room, has_any};
use crate::support::{LIMIT, controlplane, side_by_side, until_true};

#[test]
fn an_api_server_that_is_killed_during_a_close_changes_nothing_about_its_end() {
    let plane = ControlPlane::start(&[]);
    plane.apply_crds();
    let room = Room::new(&plane);
    room.elastic.opened("rate");
    room.elastic.tune("rate", &json!({"close_ms": 5000}));
    room.connect(&json!({}));
    let mut operator = room.operator();
    room.close("rate", &json!({}));
    room.elastic
        .until("closing", |log| log.state("rate") == Some("closing"));
    plane.kill("kube-apiserver");
    let object = room.until("rate", &["Ready=True/InDesiredState", "Closed=True"]);
    assert_eq!(object["status"]["lastClose"]["graceful"], 1);
    let log = room.elastic.log();
    assert_eq!((log.closes("rate"), log.forces("rate")), (1, 0));
    assert!(operator.is_running(), "the same process");
}

fn an_api_server_away_for_40_s() {
    let plane = ControlPlane::start(&[]);
    plane.apply_crds();
    let room = Room::new(&plane);
    room.elastic.opened("rate");
    room.elastic.tune("rate", &json!({"close_ms": 30_000}));
    room.connect(&json!({}));
    let mut operator = room.operator();
    room.close("rate", &json!({"timeout": "9s"}));
    room.until_target("rate", "acceptedAt");
    plane.hold(true);
    plane.kill("kube-apiserver");
    let away = Instant::now();
    // The timeout is used up while it may still act, and it may not force without having read the object.
    until_true("leadership is lost", LIMIT, || !operator.leads());
    assert!(
        operator
            .get("/livez")
            .is_ok_and(|(status, _)| status == 200)
    );
    room.elastic.until("closed by itself", |log| {
        log.state("rate") == Some("closed")
    });
    std::thread::sleep(Duration::from_secs(40).saturating_sub(away.elapsed()));
    plane.hold(false);
    until_true("leadership is regained", LIMIT, || operator.leads());
    let object = room.until("rate", &["Ready=True/InDesiredState", "Closed=True"]);
    assert!(!has_any(&object, "Forced"));
    let log = room.elastic.log();
    assert_eq!((log.closes("rate"), log.forces("rate")), (1, 0));
    assert!(operator.is_running(), "the same process");
}

/// What `close.timeout` has to be filled with, in ms: reads that were answered and said closing.
const TIMEOUT: u64 = 5000;

/// Elasticsearch is away for longer than `close.timeout`, in one of two ways, while a close hangs.
fn elasticsearch_away(leave: impl Fn(&Room), reason: &str) {
    let room = Room::new(controlplane::shared());
    room.elastic.opened("rate");
    room.elastic.tune("rate", &json!({"close_ms": "hang"}));
    room.connect(&json!({}));
    let _operator = room.operator();
    room.close("rate", &json!({"timeout": format!("{}s", TIMEOUT / 1000)}));
    room.until_target("rate", "acceptedAt");
    leave(&room);
    let away = Instant::now();
    let object = room.until("rate", &[&format!("Ready=False/{reason}")]);
    assert!(!has_any(&object, "Stalled"), "it heals by itself");
    std::thread::sleep(Duration::from_millis(TIMEOUT + 1000).saturating_sub(away.elapsed()));
    room.elastic.come_back();
    let forced = ["Ready=True/InDesiredState", "Forced=True/DeadlinePassed"];
    room.until_within::<AnomalyJob>(Duration::from_secs(80), "rate", &forced);
    let log = room.elastic.log();
    assert_eq!((log.closes("rate"), log.forced("rate")), (1, 1));
    assert_evidence(&log);
}

/// Before the outage and after it there were answered reads for the whole of `close.timeout`; the outage itself is none.
fn assert_evidence(log: &Log) {
    let at = |line: &Value| line["at_ms"].as_u64().unwrap_or_default();
    let of = |api: &str| {
        let lines = log.requests.iter().filter(move |line| line["api"] == api);
        lines.map(at).collect::<Vec<u64>>()
    };
    let (reads, closes) = (of("JobStats"), of("Close"));
    let (before, after) = reads
        .windows(2)
        .map(|pair| (pair[0], pair[1]))
        .max_by_key(|(one, two)| two - one)
        .expect("reads");
    assert!(after - before > TIMEOUT, "no outage was seen: {reads:?}");
    let (closing, force) = (closes[0], closes[1]);
    let evidence = (before - closing) + force.saturating_sub(after);
    assert!(
        evidence + 100 >= TIMEOUT,
        "forced after {evidence} ms of evidence"
    );
}

#[test]
fn an_elasticsearch_that_refuses_for_longer_than_the_timeout_brings_no_force_nearer() {
    elasticsearch_away(|room| room.elastic.cut_off(), "ConnectionRefused");
}

/// Those that take a minute each, next to each other.
#[test]
fn neither_silence_of_either_side_nor_a_force_of_unknown_fate_brings_a_force_that_must_not_be() {
    side_by_side(&[
        (
            "the API server is away for 40 s",
            &an_api_server_away_for_40_s,
        ),
        ("Elasticsearch takes calls and never answers", &|| {
            elasticsearch_away(|room| room.elastic.swallow(), "TimedOut");
        }),
        (
            "a deletion while the cluster is dead",
            &deletion::a_dead_cluster_holds_no_object_for_ever,
        ),
        (
            "a force is noted and does not arrive",
            &crash::a_force_that_was_noted_and_never_arrived_is_sent_again_after_a_minute,
        ),
    ]);
}
