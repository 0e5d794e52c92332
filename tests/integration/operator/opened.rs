//! Jobs that are wanted opened: opened, waited for, their datafeeds resumed, and closed again, as Elasticsearch saw it.

use std::time::Duration;

use anomalyjob_operator::api::AnomalyJob;
use elasticsearch_simulator::Profile;
use serde_json::json;

use crate::support::elastic::Elastic;
use crate::support::room::Room;
use crate::support::{controlplane, side_by_side};

fn want(room: &Room, name: &str, state: &str) {
    room.patch::<AnomalyJob>(name, &json!({"spec": {"state": state}}));
}

/// Closed with its datafeed and opened with it, again and again, each time by one call of each kind.
fn there_and_back(profile: Profile) {
    let room = Room::with(controlplane::shared(), Elastic::new(profile));
    room.elastic.fed("rate");
    room.connect(&json!({}));
    let _operator = room.operator();
    room.close("rate", &json!({}));
    for round in 1..=3 {
        let closed = room.until(
            "rate",
            &["Ready=True/InDesiredState", "Closed=True/AllClosed"],
        );
        assert_eq!(
            closed["status"]["resumeDatafeeds"],
            json!(["feed-rate"]),
            "round {round}"
        );
        want(&room, "rate", "Opened");
        let opened = room.until(
            "rate",
            &["Ready=True/InDesiredState", "Closed=False/StillOpen"],
        );
        assert!(opened["status"]["resumeDatafeeds"].is_null());
        assert_eq!(opened["status"]["summary"], "opened");
        let log = room.elastic.log();
        assert_eq!(log.state("rate"), Some("opened"));
        assert_eq!(log.states("datafeed", "feed-rate").last(), Some(&"started"));
        // The first of each is the test's own.
        assert_eq!(
            (log.of("Open"), log.of("StartFeed")),
            (1 + round, 1 + round)
        );
        assert_eq!((log.closes("rate"), log.forces("rate")), (round, 0));
        want(&room, "rate", "Closed");
    }
}

/// No node has room: that is said with Elasticsearch's own words, and is no failure.
fn waiting_for_a_node() {
    let room = Room::new(controlplane::shared());
    room.elastic.opened("first");
    room.elastic.create("late");
    let full = json!({"max_open_jobs": 1, "lazy_nodes": true});
    room.elastic.turn("PUT", "capacity", &full);
    room.connect(&json!({}));
    let _operator = room.operator();
    room.job("late", &json!({"state": "Opened"}));
    let object = room.until(
        "late",
        &["Ready=False/AwaitingNode", "Reconciling=True/AwaitingNode"],
    );
    let stats = room.elastic.call(
        "GET",
        "/_ml/anomaly_detectors/late/_stats",
        &serde_json::Value::Null,
    );
    let why = stats["jobs"][0]["assignment_explanation"]
        .as_str()
        .expect("why");
    let said = object["status"]["conditions"][0]["message"]
        .as_str()
        .expect("a message");
    assert!(
        why.len() > 10 && said.contains(why),
        "{said}, and not: {why}"
    );
    assert_eq!(
        room.elastic.log().of("Open"),
        2,
        "the one that waits is asked for once"
    );
    room.close("first", &json!({}));
    room.until("first", &["Ready=True/InDesiredState"]);
    let opened = ["Ready=True/InDesiredState", "Closed=False/StillOpen"];
    room.until_within::<AnomalyJob>(Duration::from_secs(60), "late", &opened);
    assert_eq!(room.elastic.log().of("Open"), 2);
}

/// Not lazy: the open is refused, and tried again until there is room.
fn refused_for_lack_of_room() {
    let room = Room::new(controlplane::shared());
    room.elastic.opened("first");
    room.elastic.create("late");
    room.elastic
        .turn("PUT", "capacity", &json!({"max_open_jobs": 1}));
    room.connect(&json!({}));
    let _operator = room.operator();
    room.job("late", &json!({"state": "Opened"}));
    room.elastic.until("two tries", |log| log.of("Open") >= 3);
    room.until("late", &["Ready=False", "Reconciling=True"]);
    room.elastic
        .turn("PUT", "capacity", &json!({"max_open_jobs": 2}));
    room.until(
        "late",
        &["Ready=True/InDesiredState", "Closed=False/StillOpen"],
    );
}

#[test]
fn a_job_that_is_wanted_opened_is_opened_with_the_datafeed_that_ran_and_waited_for_where_no_node_takes_it()
 {
    side_by_side(&[
        ("9", &|| there_and_back(Profile::V9)),
        ("7.10", &|| there_and_back(Profile::V7_10)),
        ("lazy", &waiting_for_a_node),
        ("no room", &refused_for_lack_of_room),
    ]);
}
