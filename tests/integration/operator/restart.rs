//! What an operator costs that starts where everything is done: Elasticsearch's own count of requests, and no write.

use std::collections::BTreeSet;
use std::time::Duration;

use elasticsearch_simulator::{ApiKey, Options, Profile};
use serde_json::{Value, json};

use crate::support::elastic::Elastic;
use crate::support::operator::Operator;
use crate::support::room::Room;
use crate::support::{LIMIT, controlplane, side_by_side, until_true};

/// Thirty jobs of one object and five of objects of their own, all closed and told.
fn done(privileges: &[&str]) -> (Room<'static>, Operator) {
    let key = ApiKey::new("key", "secret", privileges);
    let options = Options {
        profile: Profile::V9,
        api_keys: vec![key],
        ..Options::default()
    };
    let room = Room::with(controlplane::shared(), Elastic::with(options));
    room.elastic.opened_bulk("web-", "web", 30);
    room.elastic.opened_bulk("one-", "one", 5);
    room.secret("key", &json!({"api-key": "key:secret"}));
    room.connect(&json!({"auth": {"apiKeySecretRef": {"name": "key"}}}));
    let operator = room.operator();
    room.job("web", &json!({"jobId": "web", "state": "Closed"}));
    for number in 0..5 {
        room.close(&format!("one-0000{number}"), &json!({}));
    }
    for name in [
        "web",
        "one-00000",
        "one-00001",
        "one-00002",
        "one-00003",
        "one-00004",
    ] {
        room.until(
            name,
            &["Ready=True/InDesiredState", "Closed=True/AllClosed"],
        );
    }
    room.until_connection("default", &["Ready=True/Connected"]);
    (room, operator)
}

/// Every object with its version, and its status to be shown where that differs.
fn versions(room: &Room) -> Vec<(String, String, String)> {
    let listed = room.kubectl(&["get", "aj,esconn", "-o", "json"]);
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let items = listed["items"].as_array().cloned().unwrap_or_default();
    let shown = |value: &Value| value.to_string();
    items
        .iter()
        .map(|item| {
            let meta = &item["metadata"];
            (
                shown(&meta["name"]),
                shown(&meta["resourceVersion"]),
                shown(&item["status"]),
            )
        })
        .collect()
}

fn restarted(privileges: &[&str], fault: &Value) {
    let (room, mut operator) = done(privileges);
    let (status, _) = operator.terminate();
    assert_eq!(status.code(), Some(0));
    if !fault.is_null() {
        room.elastic.inject(fault);
    }
    let (before, stored) = (room.elastic.log(), versions(&room));
    let next = room.operator();
    until_true("it has looked", LIMIT, || {
        room.elastic.log().since(&before).of("ClusterState") == 1
    });
    std::thread::sleep(Duration::from_secs(4));
    let log = room.elastic.log().since(&before);
    // `/` and `_ml/info` prove the connection, and what may be done with it is asked once; info, configs and datafeeds are
    // one list, or two where an object is delivered after the first; then the tasks.
    let (of_health, others): (Vec<&str>, Vec<&str>) = log
        .apis()
        .into_iter()
        .partition(|api| ["HasPrivileges", "License"].contains(api));
    let apis: BTreeSet<&str> = others.iter().copied().collect();
    let expected = ["ClusterState", "GetFeeds", "GetJobs", "Info", "Root"];
    assert_eq!(apis, BTreeSet::from(expected));
    assert!(others.len() <= 9, "{others:?}");
    assert!(of_health.len() <= 2, "{of_health:?}");
    assert_eq!(versions(&room), stored, "nothing has changed");
    assert_eq!(next.status_writes(), 0);
}

#[test]
fn a_restart_where_all_is_closed_asks_for_no_state_and_writes_nothing() {
    let both = ["manage_ml", "monitor"];
    let gone = json!({
        "api": "ClusterState", "count": null, "status": 410,
        "type": "api_not_available_exception", "reason": "as the test says",
    });
    side_by_side(&[
        ("with monitor", &|| restarted(&both, &Value::Null)),
        ("without", &|| restarted(&["manage_ml"], &Value::Null)),
        ("where there is no such API", &|| restarted(&both, &gone)),
    ]);
}

#[test]
fn a_job_that_was_opened_while_nobody_looked_is_found_at_the_start_and_closed_by_one_call() {
    let (room, mut operator) = done(&["manage_ml", "monitor"]);
    operator.terminate();
    let before = room.elastic.log();
    room.elastic.open("web-00007");
    let _next = room.operator();
    room.elastic.until("closed again", |log| {
        log.state("web-00007") == Some("closed")
    });
    room.until(
        "web",
        &["Ready=True/InDesiredState", "Drifted=False/Corrected"],
    );
    let log = room.elastic.log().since(&before);
    assert_eq!(
        (
            log.of("Close"),
            log.closes("web-00007"),
            log.forces("web-00007")
        ),
        (1, 1, 0)
    );
}
