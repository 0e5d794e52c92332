//! What a force cost: the snapshot that is left and the data whose model changes are lost, told in status and in words.

use serde_json::json;

use crate::support::controlplane;
use crate::support::room::Room;

/// 2023-11-14T22:13:20Z.
const TAKEN: u64 = 1_700_000_000_000;

#[test]
fn a_force_tells_the_age_of_the_newest_snapshot_and_the_data_that_is_lost() {
    let room = Room::new(controlplane::shared());
    for job in ["snapped", "bare"] {
        room.elastic.opened(job);
        room.elastic.tune(job, &json!({"close_ms": "hang"}));
    }
    let data = json!({"records": 100, "latest_ms": TAKEN + 600_000});
    room.elastic.turn("PUT", "jobs/snapped/data", &data);
    let snapshots = json!({"snapshots": [
        {"timestamp_ms": TAKEN - 3_600_000, "latest_record_ms": TAKEN - 3_700_000},
        {"timestamp_ms": TAKEN, "latest_record_ms": TAKEN - 60_000},
    ]});
    room.elastic
        .turn("PUT", "jobs/snapped/snapshots", &snapshots);
    room.connect(&json!({}));
    let _operator = room.operator();
    room.close("snapped", &json!({"timeout": "1s"}));
    room.close("bare", &json!({"mode": "Immediate"}));
    let object = room.until(
        "snapped",
        &["Ready=True/InDesiredState", "Forced=True/DeadlinePassed"],
    );
    let last = &object["status"]["lastClose"];
    assert_eq!(last["forced"], json!(["snapped"]));
    let loss = &last["losses"][0];
    assert_eq!(loss["jobId"], "snapped");
    assert_eq!(loss["snapshotAt"], "2023-11-14T22:13:20.000000Z");
    assert!(
        loss["snapshotAge"]
            .as_str()
            .is_some_and(|age| age.contains('d')),
        "{loss}"
    );
    assert_eq!(loss["lostFrom"], "2023-11-14T22:12:20.000000Z");
    assert_eq!(loss["lostUntil"], "2023-11-14T22:23:20.000000Z");
    let conditions = object["status"]["conditions"]
        .as_array()
        .expect("conditions");
    let forced = conditions
        .iter()
        .find(|one| one["type"] == "Forced")
        .expect("Forced");
    let said = forced["message"].as_str().expect("a message");
    assert!(
        said.contains("2023-11-14T22:12:20") && said.contains("2023-11-14T22:23:20"),
        "{said}"
    );
    assert_bare(&room);
}

/// Without a snapshot there is nothing to be told of it but that.
fn assert_bare(room: &Room) {
    let bare = room.until(
        "bare",
        &["Ready=True/InDesiredState", "Forced=True/RequestedByUser"],
    );
    let loss = &bare["status"]["lastClose"]["losses"][0];
    assert_eq!(
        (&loss["jobId"], &loss["snapshotAt"]),
        (&json!("bare"), &serde_json::Value::Null)
    );
}
