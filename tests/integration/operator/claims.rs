//! Two objects that mean one job through two connections, each by another url of the same cluster: one acts.

use anomalyjob_operator::api::AnomalyJob;
use serde_json::json;

use crate::support::room::Room;
use crate::support::{LIMIT, controlplane};

#[test]
fn of_two_objects_over_two_urls_of_one_cluster_the_older_acts_and_the_other_takes_over() {
    let room = Room::new(controlplane::shared());
    room.elastic.opened("rate");
    room.connect(&json!({}));
    let other = format!("http://localhost:{}", room.elastic.port());
    room.connect_to("other", &other, &json!({}));
    let _operator = room.operator();
    room.close("rate", &json!({}));
    room.until("rate", &["Ready=True/InDesiredState", "Closed=True"]);
    // Ages are told in whole seconds.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let younger = json!({
        "jobId": "rate*", "state": "Closed", "connectionRef": {"name": "other"},
    });
    room.job("younger", &younger);
    room.until(
        "younger",
        &["Ready=False/Conflict", "Stalled=True/Conflict"],
    );
    let before = room.elastic.log();
    room.elastic.open("rate");
    room.look_again("younger", "1");
    room.look_again("rate", "1");
    room.elastic
        .until("the older closes it again", |log| log.closed("rate") == 2);
    let log = room.elastic.log().since(&before);
    assert_eq!(
        (log.closes("rate"), log.forces("rate")),
        (1, 0),
        "one of the two acts"
    );

    room.delete("rate");
    room.until_gone(LIMIT, "rate");
    room.until(
        "younger",
        &["Ready=True/InDesiredState", "Closed=True/AllClosed"],
    );
    room.elastic.open("rate");
    room.look_again("younger", "2");
    room.elastic
        .until("the younger closes it", |log| log.closed("rate") == 3);
    // Where nothing is enforced nothing is claimed.
    room.patch::<AnomalyJob>("younger", &json!({"spec": {"suspend": true}}));
    room.until("younger", &["Ready=False/Suspended"]);
    room.close("rate", &json!({}));
    room.until("rate", &["Ready=True/InDesiredState"]);
}

/// Nobody acts before all objects are known; those that may not be listed never are, and nobody waits for them.
#[test]
fn a_namespace_whose_objects_may_not_be_listed_keeps_no_other_from_being_served() {
    let room = Room::new(controlplane::shared());
    room.elastic.opened("rate");
    room.connect(&json!({}));
    room.close("rate", &json!({}));
    let operator = room.operator_with(&["--watch-namespace", "not-granted"]);
    room.until("rate", &["Ready=True/InDesiredState", "Closed=True"]);
    assert!(!operator.is_ready(), "what it lacks is seen");
}
