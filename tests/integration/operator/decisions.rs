//! The rows of the decision table that the whole process can show: policies, failures, datafeeds, the cluster's own moods.

use std::time::Duration;

use anomalyjob_operator::api::AnomalyJob;
use elasticsearch_simulator::Profile;
use serde_json::json;

use crate::support::elastic::Elastic;
use crate::support::operator::Operator;
use crate::support::room::{Room, has_any};
use crate::support::{controlplane, side_by_side};

fn room() -> (Room<'static>, Operator) {
    let room = Room::new(controlplane::shared());
    room.connect(&json!({}));
    let operator = room.operator();
    (room, operator)
}

#[test]
fn when_the_timeout_is_used_up_the_job_is_forced_waited_for_or_left_as_the_policy_says() {
    let (room, _operator) = room();
    for job in ["force", "wait", "stall"] {
        room.elastic.opened(job);
        room.elastic.tune(job, &json!({"close_ms": "hang"}));
    }
    for (job, policy) in [("force", "Force"), ("wait", "Wait"), ("stall", "Stall")] {
        room.close(job, &json!({"timeout": "3s", "onTimeout": policy}));
    }
    let forced = room.until(
        "force",
        &[
            "Ready=True/InDesiredState",
            "Closed=True",
            "Forced=True/DeadlinePassed",
        ],
    );
    assert_eq!(forced["status"]["lastClose"]["forced"], json!(["force"]));
    assert_eq!(room.event("force", "ForceClosing")["type"], "Warning");
    room.until(
        "wait",
        &[
            "Ready=False/Waiting",
            "Closed=False/StillClosing",
            "Reconciling=True/Waiting",
        ],
    );
    let stalled = room.until(
        "stall",
        &["Ready=False/CloseTimedOut", "Stalled=True/CloseTimedOut"],
    );
    assert!(!has_any(&stalled, "Reconciling"));
    let log = room.elastic.log();
    assert_eq!(
        (
            log.closes("force"),
            log.forces("force"),
            log.forced("force")
        ),
        (1, 1, 1)
    );
    assert!(log.confirmations("force") >= 1, "a master was there");
    for job in ["wait", "stall"] {
        assert_eq!(
            (log.closes(job), log.forces(job), log.state(job)),
            (1, 0, Some("closing"))
        );
    }
    the_policy_may_be_changed_and_what_was_seen_until_then_counts(&room);
}

fn the_policy_may_be_changed_and_what_was_seen_until_then_counts(room: &Room) {
    room.patch::<AnomalyJob>("stall", &json!({"spec": {"close": {"onTimeout": "Force"}}}));
    room.until(
        "stall",
        &["Ready=True/InDesiredState", "Forced=True/DeadlinePassed"],
    );
    assert_eq!(room.elastic.log().forced("stall"), 1);
}

#[test]
fn a_failed_job_is_forced_or_left_and_immediate_forces_at_once() {
    let (room, _operator) = room();
    for job in ["failed", "left", "now"] {
        room.elastic.opened(job);
    }
    for job in ["failed", "left"] {
        room.elastic
            .turn("POST", &format!("jobs/{job}/fail"), &json!({}));
    }
    room.close("failed", &json!({}));
    room.close("left", &json!({"onFailed": "Stall"}));
    room.close("now", &json!({"mode": "Immediate"}));
    room.until(
        "failed",
        &["Ready=True/InDesiredState", "Forced=True/JobFailed"],
    );
    room.until(
        "left",
        &[
            "Ready=False/JobFailed",
            "Closed=False/SomeFailed",
            "Stalled=True/JobFailed",
        ],
    );
    room.until(
        "now",
        &["Ready=True/InDesiredState", "Forced=True/RequestedByUser"],
    );
    let log = room.elastic.log();
    for job in ["failed", "now"] {
        assert_eq!(
            (log.closes(job), log.forces(job), log.forced(job)),
            (0, 1, 1),
            "{job}"
        );
    }
    assert_eq!((log.closes("left"), log.forces("left")), (0, 0));
}

fn a_missing_job_and_a_blocked_one() {
    let (room, _operator) = room();
    room.elastic.opened("blocked");
    room.elastic
        .turn("PUT", "jobs/blocked/block", &json!({"reason": "reset"}));
    room.close("missing", &json!({}));
    room.close("blocked", &json!({}));
    let missing = room.until(
        "missing",
        &["Ready=False/JobNotFound", "Reconciling=True/JobNotFound"],
    );
    assert!(!has_any(&missing, "Stalled"), "it may still be created");
    room.until(
        "blocked",
        &["Ready=False/JobBlocked", "Reconciling=True/JobBlocked"],
    );
    assert_eq!(room.elastic.log().of("Close"), 0);
    room.elastic.opened("missing");
    room.elastic
        .turn("PUT", "jobs/blocked/block", &json!({"reason": null}));
    for job in ["missing", "blocked"] {
        room.until(job, &["Ready=True/InDesiredState", "Closed=True"]);
        let log = room.elastic.log();
        assert_eq!((log.closes(job), log.forces(job)), (1, 0));
    }
}

#[test]
fn a_job_whose_index_of_results_is_closed_does_not_keep_the_others_open() {
    let (room, _operator) = room();
    room.elastic.call(
        "PUT",
        "/_ml/anomaly_detectors/a-old",
        &json!({
            "analysis_config": {"bucket_span": "15m", "detectors": [{"function": "count"}]},
            "data_description": {"time_field": "time"},
            "results_index_name": "old",
        }),
    );
    room.elastic.open("a-old");
    for job in ["b", "c"] {
        room.elastic.opened(job);
    }
    room.elastic
        .call("POST", "/.ml-anomalies-custom-old/_close", &json!({}));
    for job in ["a-old", "b", "c"] {
        room.close(job, &json!({}));
    }
    for job in ["b", "c"] {
        room.until(job, &["Ready=True/InDesiredState", "Closed=True"]);
    }
    let untold = room.until(
        "a-old",
        &[
            "Ready=False/StateNotTold",
            "Closed=Unknown/StateNotTold",
            "Reconciling=True",
        ],
    );
    let said = untold["status"]["conditions"][0]["message"].as_str();
    assert!(
        said.is_some_and(|said| said.contains("open the index")),
        "{said:?}"
    );
    assert_eq!(room.elastic.log().closes("a-old"), 0);
    room.elastic
        .call("POST", "/.ml-anomalies-custom-old/_open", &json!({}));
    room.patch::<AnomalyJob>("a-old", &json!({"spec": {"close": {"timeout": "31m"}}}));
    room.until("a-old", &["Ready=True/InDesiredState", "Closed=True"]);
}

/// A job with a running datafeed: who ran is noted before anything stops it.
fn a_running_datafeed(profile: Profile, order: &[&str]) {
    let room = Room::with(controlplane::shared(), Elastic::new(profile));
    room.elastic.fed("rate");
    room.connect(&json!({}));
    let _operator = room.operator();
    room.close("rate", &json!({}));
    let object = room.until("rate", &["Ready=True/InDesiredState", "Closed=True"]);
    assert_eq!(object["status"]["resumeDatafeeds"], json!(["feed-rate"]));
    assert_eq!(object["status"]["lastClose"]["graceful"], 1);
    let log = room.elastic.log();
    let calls = log.requests.iter().filter_map(|line| line["api"].as_str());
    let calls: Vec<&str> = calls
        .filter(|api| ["Close", "StopFeed"].contains(api))
        .collect();
    assert_eq!(calls, order);
    assert_eq!(log.states("datafeed", "feed-rate").last(), Some(&"stopped"));
    assert_eq!((log.state("rate"), log.forces("rate")), (Some("closed"), 0));
}

/// The datafeed of a job that is closed already is not stopped by a close any more.
fn a_stray_datafeed(profile: Profile) {
    let room = Room::with(controlplane::shared(), Elastic::new(profile));
    room.elastic.fed("rate");
    room.elastic.turn("POST", "jobs/rate/lose_task", &json!({}));
    room.connect(&json!({}));
    let _operator = room.operator();
    room.close("rate", &json!({}));
    room.until("rate", &["Ready=True/InDesiredState", "Closed=True"]);
    let log = room.elastic.log();
    assert_eq!((log.of("StopFeed"), log.of("Close")), (1, 0));
    assert_eq!(log.states("datafeed", "feed-rate").last(), Some(&"stopped"));
}

#[test]
fn a_running_datafeed_is_noted_and_stopped_by_the_close_or_before_it_as_the_version_needs() {
    side_by_side(&[
        ("9", &|| a_running_datafeed(Profile::V9, &["Close"])),
        ("7.10", &|| {
            a_running_datafeed(Profile::V7_10, &["StopFeed", "Close"]);
        }),
        ("9, stray", &|| a_stray_datafeed(Profile::V9)),
        ("7.10, stray", &|| a_stray_datafeed(Profile::V7_10)),
    ]);
}

/// An open job, and one that is closing and hangs, in a cluster that is about to have a mood.
fn before_a_mood() -> (Room<'static>, Operator) {
    let (room, operator) = room();
    for job in ["closing", "open"] {
        room.elastic.opened(job);
    }
    room.elastic.tune("closing", &json!({"close_ms": "hang"}));
    room.close("closing", &json!({"timeout": "6s", "onTimeout": "Stall"}));
    room.until_target("closing", "acceptedAt");
    (room, operator)
}

fn upgrade_mode() {
    let (room, _operator) = before_a_mood();
    room.elastic
        .turn("PUT", "upgrade_mode", &json!({"enabled": true}));
    room.close("open", &json!({"timeout": "2s"}));
    let said = ["Ready=False/UpgradeMode", "Reconciling=True/UpgradeMode"];
    room.until("open", &said);
    room.until("closing", &said);
    assert_eq!(room.elastic.log().closes("open"), 0);
    room.elastic
        .turn("PUT", "upgrade_mode", &json!({"enabled": false}));
    room.until("open", &["Ready=True/InDesiredState", "Closed=True"]);
    let log = room.elastic.log();
    assert_eq!(
        (
            log.closes("open"),
            log.forces("open"),
            log.forces("closing")
        ),
        (1, 0, 0)
    );
}

fn no_master() {
    let (room, _operator) = before_a_mood();
    room.elastic
        .turn("PUT", "master", &json!({"present": false}));
    room.close("open", &json!({"timeout": "2s"}));
    let said = ["Ready=False/NoMaster", "Reconciling=True/NoMaster"];
    room.until("open", &said);
    room.until("closing", &said);
    // Reads are answered without a master, so only a call can find out.
    let log = room
        .elastic
        .until("four tries", |log| log.closes("open") == 4);
    let tries = log.times_of_closes("open");
    let gaps: Vec<u64> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        gaps[0] * 3 / 2 <= gaps[1] && gaps[1] * 3 / 2 <= gaps[2],
        "{gaps:?}"
    );
    room.elastic
        .turn("PUT", "master", &json!({"present": true}));
    room.until("open", &["Ready=True/InDesiredState", "Closed=True"]);
    let log = room.elastic.log();
    assert_eq!(
        (
            log.closes("open"),
            log.forces("open"),
            log.forces("closing")
        ),
        (5, 0, 0)
    );
}

fn a_lost_close() {
    let (room, _operator) = room();
    room.elastic.opened("rate");
    room.elastic.tune("rate", &json!({"lost_closes": 1}));
    room.close("rate", &json!({"timeout": "2s"}));
    room.until_within::<AnomalyJob>(
        Duration::from_secs(70),
        "rate",
        &["Ready=True/InDesiredState", "Closed=True"],
    );
    let log = room.elastic.log();
    assert_eq!((log.closes("rate"), log.forces("rate")), (2, 0));
}

#[test]
fn what_cannot_be_closed_now_is_waited_for_and_a_close_that_got_lost_is_asked_for_again() {
    side_by_side(&[
        ("missing and blocked", &a_missing_job_and_a_blocked_one),
        ("a lost close", &a_lost_close),
    ]);
}

#[test]
fn in_upgrade_mode_and_without_a_master_little_or_nothing_is_called_and_afterwards_all_goes_on() {
    side_by_side(&[("upgrade mode", &upgrade_mode), ("no master", &no_master)]);
}
