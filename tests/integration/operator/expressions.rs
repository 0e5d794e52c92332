//! Objects that mean many jobs: which ones are called is asserted from Elasticsearch's side, by the ids in its log.

use std::collections::BTreeSet;

use anomalyjob_operator::api::AnomalyJob;
use serde_json::{Value, json};

use crate::support::controlplane;
use crate::support::room::{Room, has_any};

const IN_STATE: [&str; 2] = ["Ready=True/InDesiredState", "Closed=True/AllClosed"];

fn close(room: &Room, name: &str, expression: &str, more: &Value) {
    let mut spec = json!({"jobId": expression, "state": "Closed"});
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    room.job(name, &spec);
}

/// Only ids are called, and only these.
fn assert_called(room: &Room, expected: &[&str]) {
    let log = room.elastic.log();
    let expected: BTreeSet<&str> = expected.iter().copied().collect();
    assert_eq!(log.named_in_closes(), expected);
    for job in expected {
        assert_eq!(log.closed(job), 1, "{job}");
    }
}

#[test]
fn a_group_a_wildcard_and_a_list_are_expanded_to_the_jobs_they_mean_and_no_other_is_called() {
    let room = Room::new(controlplane::shared());
    for job in ["web-1", "web-2"] {
        room.elastic.opened_in(job, &["frontend"]);
    }
    for job in ["log-1", "log-2", "log-canary-1", "one", "two", "other"] {
        room.elastic.opened(job);
    }
    room.connect(&json!({}));
    let _operator = room.operator();
    close(&room, "group", "frontend", &json!({}));
    let exclude = json!({"exclude": ["log-canary-*"]});
    close(&room, "wildcard", "log-*", &exclude);
    close(&room, "list", "one,,two,nowhere", &json!({}));
    let group = room.until("group", &IN_STATE);
    assert_eq!(group["status"]["summary"], "2/2 closed");
    let counts =
        json!({"matched": 2, "opened": 0, "opening": 0, "closing": 0, "closed": 2, "failed": 0});
    assert_eq!(group["status"]["jobs"], counts);
    assert_eq!(group["status"]["lastClose"]["graceful"], 2);
    let wildcard = room.until("wildcard", &IN_STATE);
    assert_eq!(wildcard["status"]["summary"], "2/2 closed");
    // The missing literal keeps nobody else from being closed, and may still be created.
    let list = room.until(
        "list",
        &["Ready=False/JobNotFound", "Closed=False/JobNotFound"],
    );
    assert!(has_any(&list, "Reconciling") && !has_any(&list, "Stalled"));
    assert!(list["status"]["conditions"].to_string().contains("nowhere"));
    room.elastic.until("the others of the list", |log| {
        log.state("one") == Some("closed") && log.state("two") == Some("closed")
    });
    assert_called(&room, &["web-1", "web-2", "log-1", "log-2", "one", "two"]);
    room.elastic.opened("nowhere");
    room.look_again("list", "now");
    let list = room.until("list", &IN_STATE);
    assert_eq!(list["status"]["summary"], "3/3 closed");
    let all = ["web-1", "web-2", "log-1", "log-2", "one", "two", "nowhere"];
    assert_called(&room, &all);
}

#[test]
fn a_job_that_joins_a_group_is_closed_too_and_one_that_leaves_is_let_go() {
    let room = Room::new(controlplane::shared());
    for job in ["web-1", "web-2"] {
        room.elastic.opened_in(job, &["frontend"]);
    }
    room.connect(&json!({}));
    let _operator = room.operator();
    close(&room, "group", "frontend", &json!({}));
    room.until("group", &IN_STATE);

    room.elastic.opened_in("web-3", &["frontend"]);
    let groups = json!({"groups": []});
    room.elastic
        .call("POST", "/_ml/anomaly_detectors/web-1/_update", &groups);
    room.elastic.open("web-1");
    room.look_again("group", "2030-01-01T00:00:00Z");
    room.elastic.until("the new one is closed", |log| {
        log.state("web-3") == Some("closed")
    });
    let object = room.until("group", &IN_STATE);
    assert_eq!(object["status"]["summary"], "2/2 closed");
    let listed = object["status"]["targets"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let listed: BTreeSet<&str> = listed
        .iter()
        .filter_map(|target| target["jobId"].as_str())
        .collect();
    assert_eq!(listed, BTreeSet::from(["web-2", "web-3"]));
    let log = room.elastic.log();
    assert_eq!(
        log.state("web-1"),
        Some("opened"),
        "it is nobody's any more"
    );
    assert_eq!(
        (
            log.closes("web-1"),
            log.closes("web-2"),
            log.closes("web-3")
        ),
        (1, 1, 1)
    );
}

#[test]
fn all_jobs_are_closed_where_max_jobs_allows_so_many_and_none_where_it_does_not() {
    let room = Room::new(controlplane::shared());
    for job in ["a", "b", "c"] {
        room.elastic.opened(job);
    }
    room.connect(&json!({}));
    let _operator = room.operator();
    close(&room, "all", "_all", &json!({"maxJobs": 2}));
    let object = room.until(
        "all",
        &["Ready=False/TooManyJobs", "Stalled=True/TooManyJobs"],
    );
    assert_eq!(object["status"]["jobs"]["matched"], 3);
    assert_eq!(room.elastic.log().of("Close"), 0);
    room.patch::<AnomalyJob>("all", &json!({"spec": {"maxJobs": 3}}));
    let object = room.until("all", &IN_STATE);
    assert_eq!(object["status"]["summary"], "3/3 closed");
    assert_called(&room, &["a", "b", "c"]);
    // What matches nothing is where it should be, and says so.
    close(&room, "nothing", "none-*", &json!({}));
    room.until(
        "nothing",
        &["Ready=True/NoJobsMatched", "Closed=True/NoJobsMatched"],
    );
    let strict = json!({"allowNoMatch": false});
    close(&room, "strict", "none-*", &strict);
    room.until("strict", &["Ready=False", "Closed=False"]);
}
