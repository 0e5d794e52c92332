//! How objects go: at once, also with the operator down, or after their jobs were closed, and never later than promised.

use std::time::{Duration, Instant};

use anomalyjob_operator::api::{AnomalyJob, FINALIZER};
use serde_json::{Value, json};

use crate::support::room::Room;
use crate::support::{LIMIT, controlplane, side_by_side, until};

fn until_held(room: &Room, name: &str) -> Value {
    until(&format!("{name} has the finalizer"), LIMIT, || {
        let object = room.get::<AnomalyJob>(name)?;
        if object["metadata"]["finalizers"] == json!([FINALIZER]) {
            Ok(object)
        } else {
            Err(object["metadata"]["finalizers"].to_string())
        }
    })
}

fn closes(name: &str) -> Value {
    json!({"jobId": name, "deletionPolicy": "Close"})
}

/// An object that keeps jobs open closes them before it goes; one that is suspended calls nothing and goes at once.
fn policy_close() {
    let room = Room::new(controlplane::shared());
    room.elastic.opened_in("web-1", &["web"]);
    room.elastic.opened_in("web-2", &["web"]);
    room.elastic.opened("paused");
    room.connect(&json!({}));
    let _operator = room.operator();
    let mut opened = closes("web");
    opened["state"] = json!("Opened");
    room.job("web", &opened);
    room.until(
        "web",
        &["Ready=True/InDesiredState", "Closed=False/StillOpen"],
    );
    until_held(&room, "web");
    let mut paused = closes("paused");
    (paused["state"], paused["suspend"]) = (json!("Closed"), json!(true));
    room.job("paused", &paused);
    until_held(&room, "paused");
    room.delete("web");
    room.delete("paused");
    room.until_gone(LIMIT, "web");
    room.until_gone(LIMIT, "paused");
    let log = room.elastic.log();
    assert_eq!(
        (log.state("web-1"), log.state("web-2")),
        (Some("closed"), Some("closed"))
    );
    assert_eq!(
        (log.state("paused"), log.closes("paused")),
        (Some("opened"), 0)
    );
    // The policy may be taken back: then it goes at once, and its finalizer with it.
    room.elastic.open("web-1");
    let mut taken_back = closes("web-1");
    taken_back["state"] = json!("Opened");
    room.job("web-1", &taken_back);
    until_held(&room, "web-1");
    room.patch::<AnomalyJob>("web-1", &json!({"spec": {"deletionPolicy": "Retain"}}));
    until("the finalizer is off", LIMIT, || {
        let object = room.get::<AnomalyJob>("web-1")?;
        match &object["metadata"]["finalizers"] {
            Value::Null => Ok(()),
            held => Err(held.to_string()),
        }
    });
    room.kubectl(&["delete", "anomalyjob", "web-1", "--timeout=5s"]);
    assert_eq!(room.elastic.log().state("web-1"), Some("opened"));
}

/// While nobody acts, Retain goes at once and Close waits; who comes next closes, and lets it go.
fn with_the_operator_down() {
    let room = Room::new(controlplane::shared());
    room.elastic.opened("kept");
    room.elastic.opened("held");
    room.connect(&json!({}));
    let mut operator = room.operator();
    room.job("kept", &json!({"state": "Opened"}));
    let mut held = closes("held");
    held["state"] = json!("Opened");
    room.job("held", &held);
    room.until("kept", &["Ready=True/InDesiredState"]);
    room.until("held", &["Ready=True/InDesiredState"]);
    until_held(&room, "held");
    operator.terminate();
    room.kubectl(&["delete", "anomalyjob", "kept", "--timeout=5s"]);
    room.delete("held");
    assert!(room.get::<AnomalyJob>("held").is_ok());
    let _next = room.operator();
    room.until_gone(LIMIT, "held");
    let log = room.elastic.log();
    assert_eq!(
        (log.state("kept"), log.state("held")),
        (Some("opened"), Some("closed"))
    );
    assert_eq!(log.forces("held"), 0);
}

#[test]
fn a_deletion_closes_first_where_that_is_asked_for_and_waits_for_nobody_where_it_is_not() {
    side_by_side(&[
        ("deletionPolicy Close", &policy_close),
        ("the operator is down", &with_the_operator_down),
    ]);
}

/// A cluster that is gone holds no object for longer than `close.timeout` and a minute.
pub(super) fn a_dead_cluster_holds_no_object_for_ever() {
    let room = Room::new(controlplane::shared());
    room.elastic.opened("rate");
    room.connect(&json!({}));
    let operator = room.operator();
    let mut held = closes("rate");
    (held["state"], held["close"]) = (json!("Opened"), json!({"timeout": "1s"}));
    room.job("rate", &held);
    room.until("rate", &["Ready=True/InDesiredState"]);
    until_held(&room, "rate");
    room.elastic.cut_off();
    room.delete("rate");
    let asked = Instant::now();
    std::thread::sleep(Duration::from_secs(50));
    assert!(
        room.get::<AnomalyJob>("rate").is_ok(),
        "it was given its time"
    );
    room.until_gone(Duration::from_secs(30), "rate");
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(68), "gone after {took:?}");
    let log = operator.log();
    assert!(log.contains("DeletedBeforeClosed"), "nobody was told");
}
