//! One close from the patch to the end, counted.

use anomalyjob_operator::api::AnomalyJob;
use serde_json::json;

use crate::support::room::{Room, has_any};
use crate::support::{LIMIT, controlplane, until, until_true};

#[test]
fn a_patch_closes_the_job_with_one_close_one_read_and_one_status_write() {
    let room = Room::new(controlplane::shared());
    room.elastic.opened("rate");
    room.connect(&json!({}));
    let operator = room.operator();
    room.job("rate", &json!({}));
    let object = room.until("rate", &["Ready=True/Observing", "Closed=False/StillOpen"]);
    assert!(!has_any(&object, "Reconciling") && !has_any(&object, "Stalled"));
    room.until_connection("default", &["Ready=True/Connected"]);
    until_true("both statuses are counted", LIMIT, || {
        operator.status_writes() >= 2
    });
    let before = room.elastic.log();
    let writes = operator.status_writes();
    assert_eq!(before.of("Close"), 0, "observing calls nothing");

    let patch = r#"{"spec":{"state":"Closed"}}"#;
    room.kubectl(&["patch", "anomalyjob", "rate", "--type=merge", "-p", patch]);
    room.kubectl(&["wait", "aj/rate", "--for=condition=Closed", "--timeout=30s"]);
    let object = room.until(
        "rate",
        &["Ready=True/InDesiredState", "Closed=True/AllClosed"],
    );
    let log = room.elastic.log();
    assert_eq!(log.state("rate"), Some("closed"));
    assert_eq!(
        log.states("job", "rate"),
        ["opening", "opened", "closing", "closed"]
    );
    let new: Vec<&str> = log.requests[before.len()..]
        .iter()
        .filter_map(|line| line["api"].as_str())
        .collect();
    assert_eq!(new, ["Close", "JobStats"]);

    let target = &object["status"]["targets"][0];
    assert_eq!(object["status"]["summary"], "closed");
    assert_eq!(object["status"]["lastClose"]["graceful"], 1);
    assert_eq!(
        (&target["state"], &target["step"]),
        (&json!("closed"), &json!("Done"))
    );
    assert!(!has_any(&object, "Forced"));

    assert_shown(&room);
    assert_eq!(operator.status_writes() - writes, 1, "one for the close");
    let after = room.get::<AnomalyJob>("rate").expect("it is there");
    assert_eq!(
        after["metadata"]["resourceVersion"], object["metadata"]["resourceVersion"],
        "nothing was written after the outcome"
    );
}

/// What a person sees of it.
fn assert_shown(room: &Room) {
    let table = room.kubectl(&["get", "aj"]);
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        rows[0],
        ["NAME", "JOB", "DESIRED", "STATE", "READY", "REASON", "AGE"]
    );
    assert_eq!(
        rows[1][..6],
        ["rate", "rate", "Closed", "closed", "True", "InDesiredState"]
    );
    let described = until("the event in kubectl describe", LIMIT, || {
        let text = room.kubectl(&["describe", "aj", "rate"]);
        if text.contains("JobClosed") {
            Ok(text)
        } else {
            Err(text)
        }
    });
    assert!(described.contains("Closed job rate ") && described.contains("gracefully"));
}
