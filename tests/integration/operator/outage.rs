//! One of the two sides is away. No outage brings a force nearer, and afterwards all goes on by itself.

use std::time::{Duration, Instant};

use anomalyjob_operator::api::AnomalyJob;
use serde_json::json;

use super::crash;
use crate::support::controlplane::ControlPlane;
use crate::support::room::{Room, has_any};
use crate::support::{LIMIT, controlplane, side_by_side, until, until_true};

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

#[test]
fn neither_40_s_without_api_server_nor_a_force_of_unknown_fate_brings_a_force_that_must_not_be() {
    side_by_side(&[
        (
            "the API server is away for 40 s",
            &an_api_server_away_for_40_s,
        ),
        (
            "a force is noted and does not arrive",
            &crash::a_force_that_was_noted_and_never_arrived_is_sent_again_after_a_minute,
        ),
    ]);
}

/// Elasticsearch is away for longer than `close.timeout`, in one of two ways.
fn elasticsearch_away(leave: impl Fn(&Room), reasons: &[&str]) {
    let room = Room::new(controlplane::shared());
    room.elastic.opened("rate");
    room.elastic.tune("rate", &json!({"close_ms": 14_000}));
    room.connect(&json!({}));
    let _operator = room.operator();
    room.close("rate", &json!({"timeout": "8s"}));
    room.until_target("rate", "acceptedAt");
    leave(&room);
    let away = Instant::now();
    if !reasons.is_empty() {
        until("the object says why nothing is known", LIMIT, || {
            let object = room.get::<AnomalyJob>("rate")?;
            let said = |reason: &&str| {
                crate::support::room::has(&object, &format!("Ready=False/{reason}"))
            };
            assert!(!has_any(&object, "Stalled"), "it heals by itself");
            if reasons.iter().any(said) {
                Ok(())
            } else {
                Err(object["status"].to_string())
            }
        });
    }
    std::thread::sleep(Duration::from_secs(10).saturating_sub(away.elapsed()));
    room.elastic.come_back();
    let object = room.until("rate", &["Ready=True/InDesiredState", "Closed=True"]);
    assert!(!has_any(&object, "Forced"));
    let log = room.elastic.log();
    assert_eq!((log.closes("rate"), log.forces("rate")), (1, 0));
}

#[test]
fn an_elasticsearch_that_is_away_for_longer_than_the_timeout_is_not_forced() {
    side_by_side(&[
        ("refusing", &|| {
            elasticsearch_away(|room| room.elastic.cut_off(), &["ConnectionRefused"]);
        }),
        ("silent", &|| {
            elasticsearch_away(|room| room.elastic.swallow(), &[]);
        }),
    ]);
}
