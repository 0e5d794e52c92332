//! Every version of an object, judged by the real kstatus: never done before it is, never failed where it heals.

use anomalyjob_operator::api::AnomalyJob;
use serde_json::{Value, json};

use crate::support::controlplane;
use crate::support::kstatus::{History, Verdict, Version, judge, run};
use crate::support::room::Room;
use crate::support::{LIMIT, until_true};

const IN_STATE: [&str; 2] = ["Ready=True/InDesiredState", "Closed=True/AllClosed"];

fn object(generation: i64, observed: i64, conditions: &[(&str, &str)]) -> Value {
    let conditions: Vec<Value> = conditions
        .iter()
        .map(|(of, status)| json!({"type": of, "status": status, "reason": "R", "message": "why"}))
        .collect();
    json!({
        "apiVersion": "anomalyjob.dev/v1alpha1",
        "kind": "AnomalyJob",
        "metadata": {"name": "rate", "namespace": "a", "generation": generation},
        "status": {"observedGeneration": observed, "conditions": conditions},
    })
}

#[test]
fn the_program_says_what_kstatus_says_of_each_kind_of_object() {
    let mut deleted = object(1, 1, &[("Ready", "True")]);
    deleted["metadata"]["deletionTimestamp"] = json!("2030-01-01T00:00:00Z");
    let mut untouched = object(1, 1, &[]);
    untouched["status"] = json!({});
    let stalled = [("Ready", "False"), ("Stalled", "True")];
    let working = [("Ready", "False"), ("Reconciling", "True")];
    let cases = [
        (object(2, 2, &[("Ready", "True")]), "Current", "Ready"),
        (
            object(3, 2, &[("Ready", "True")]),
            "InProgress",
            "generation is 3",
        ),
        (object(1, -1, &[]), "InProgress", "generation is 1"),
        (object(2, 2, &working), "InProgress", "why"),
        (object(2, 2, &[("Ready", "False")]), "InProgress", "why"),
        (object(2, 2, &[("Ready", "Unknown")]), "InProgress", "why"),
        (object(2, 2, &stalled), "Failed", "why"),
        (object(3, 2, &stalled), "InProgress", "generation is 3"),
        (deleted, "Terminating", "deletion"),
        (untouched, "Current", "current"),
        (Value::Null, "NotFound", "not found"),
        // Beyond what a float tells apart: the numbers are read as whole ones.
        (
            object(
                9_007_199_254_740_993,
                9_007_199_254_740_992,
                &[("Ready", "True")],
            ),
            "InProgress",
            "generation is 9007199254740993",
        ),
    ];
    let history: Vec<Value> = cases.iter().map(|(object, ..)| object.clone()).collect();
    for (verdict, (object, status, words)) in judge(&history).iter().zip(&cases) {
        assert_eq!(verdict.status, *status, "{object}");
        assert!(verdict.message.contains(words), "{verdict:?} of {object}");
    }
    let error = run("{}\n{not an object\n").unwrap_err();
    assert!(error.contains("line 2"), "{error}");
}

/// The state that this version wants its job to be in.
fn wants(object: &Value) -> Option<&str> {
    let state = match object["spec"]["state"].as_str()? {
        "Closed" => "closed",
        _ => "opened",
    };
    (object["spec"]["suspend"] != true).then_some(state)
}

/// Does this version say that a human must act, about the spec that it has?
fn stalls(object: &Value) -> bool {
    let all = object["status"]["conditions"].as_array();
    let stalled = |one: &Value| one["type"] == "Stalled" && one["status"] == "True";
    let answered = object["status"]["observedGeneration"] == object["metadata"]["generation"];
    answered && all.into_iter().flatten().any(stalled)
}

/// Judges all versions, and holds each `Current` against the world and each `Failed` against the conditions. Gives the statuses, repetitions left out.
fn judged(name: &str, versions: &[Version]) -> Vec<String> {
    let history: Vec<Value> = versions.iter().map(|seen| seen.object.clone()).collect();
    let verdicts = judge(&history);
    for (number, (seen, verdict)) in versions.iter().zip(&verdicts).enumerate() {
        let wanted = wants(&seen.object);
        let too_early = wanted.is_some() && seen.job.as_deref() != wanted;
        let shown = || format!("{name}, version {number}: {verdict:?} of {seen:#?}");
        assert!(verdict.status != "Current" || !too_early, "{}", shown());
        let failed = verdict.status == "Failed";
        assert_eq!(failed, stalls(&seen.object), "{}", shown());
    }
    let mut statuses: Vec<String> = verdicts
        .into_iter()
        .map(|Verdict { status, .. }| status)
        .collect();
    statuses.dedup();
    statuses
}

#[test]
#[should_panic(expected = "rate, version 1: Verdict { status: \"Current\"")]
fn a_success_that_is_told_while_the_job_still_closes_would_be_noticed() {
    let mut claimed = object(2, 2, &[("Ready", "True")]);
    claimed["spec"] = json!({"state": "Closed"});
    let version = |object: &Value, job: &str| Version {
        object: object.clone(),
        job: Some(job.to_owned()),
    };
    let early = object(2, 1, &[]);
    judged(
        "rate",
        &[version(&early, "closing"), version(&claimed, "closing")],
    );
}

fn assert_judged(room: &Room, history: &History, name: &str, expected: &[&str]) {
    let stored = room.get::<AnomalyJob>(name).unwrap_or_default();
    let versions = history.up_to(&stored);
    assert_eq!(judged(name, &versions), expected, "{name}: {versions:#?}");
}

fn patch(room: &Room, name: &str, spec: &Value) {
    room.patch::<AnomalyJob>(name, &json!({"spec": spec}));
}

#[test]
fn no_version_on_the_way_to_the_end_is_a_false_success_or_a_false_failure() {
    let room = Room::new(controlplane::shared());
    for job in ["fast", "slow", "hang", "sick", "paused"] {
        room.elastic.opened(job);
    }
    room.elastic.tune("slow", &json!({"close_ms": 3000}));
    room.elastic.tune("hang", &json!({"close_ms": "hang"}));
    room.elastic.turn("POST", "jobs/sick/fail", &json!({}));
    room.connect(&json!({}));
    let names = ["fast", "slow", "hang", "sick", "paused", "ghost"];
    let [fast, slow, hang, sick, paused, ghost] = names.map(|name| History::begin(&room, name));
    // Before the operator, so that the versions nobody has looked at yet are judged, too.
    room.job("fast", &json!({}));
    room.close("slow", &json!({}));
    let _operator = room.operator();
    room.close("hang", &json!({"timeout": "2s"}));
    room.close("sick", &json!({"onFailed": "Stall"}));
    room.close("ghost", &json!({}));
    room.job("paused", &json!({"state": "Closed", "suspend": true}));

    room.until("fast", &["Ready=True/Observing"]);
    patch(&room, "fast", &json!({"state": "Closed"}));
    room.until("fast", &IN_STATE);
    room.until("slow", &IN_STATE);
    room.until(
        "hang",
        &["Ready=True/InDesiredState", "Forced=True/DeadlinePassed"],
    );
    room.until("sick", &["Ready=False/JobFailed", "Stalled=True/JobFailed"]);
    patch(&room, "sick", &json!({"close": {"onFailed": "Force"}}));
    room.until("sick", &["Ready=True/InDesiredState"]);
    room.until("paused", &["Ready=False/Suspended"]);
    patch(&room, "paused", &json!({"suspend": false}));
    room.until("paused", &IN_STATE);
    room.until("ghost", &["Ready=False/JobNotFound"]);
    room.elastic.opened("ghost");
    room.until("ghost", &IN_STATE);
    room.kubectl(&["delete", "anomalyjob", "fast", "--wait=true"]);
    until_true("it is gone", LIMIT, || {
        room.get::<AnomalyJob>("fast").is_err()
    });

    let done = ["InProgress", "Current"];
    assert_judged(&room, &slow, "slow", &done);
    assert_judged(&room, &hang, "hang", &done);
    assert_judged(&room, &ghost, "ghost", &done);
    // Suspended is not done: what is wanted was not reached, and nothing says that it will be.
    assert_judged(&room, &paused, "paused", &done);
    let gone = ["InProgress", "Current", "InProgress", "Current", "NotFound"];
    assert_judged(&room, &fast, "fast", &gone);
    let mended = ["InProgress", "Failed", "InProgress", "Current"];
    assert_judged(&room, &sick, "sick", &mended);
}

/// A group of which one member is slow and one has failed; and a job that is opened, with a wait for room.
#[test]
fn an_object_of_many_jobs_or_of_an_opened_one_is_current_only_when_all_is_as_wanted() {
    let room = Room::new(controlplane::shared());
    for job in ["web", "web-2", "web-3"] {
        room.elastic.opened_in(job, &["all"]);
    }
    room.elastic.tune("web", &json!({"close_ms": 4000}));
    room.elastic.create("late");
    room.elastic.turn("POST", "jobs/web-3/fail", &json!({}));
    room.connect(&json!({}));
    // Of the first the slow job is looked at, which has the object's name.
    let [web, late] = ["web", "late"].map(|name| History::begin(&room, name));
    let _operator = room.operator();
    let stalls = json!({"jobId": "all,web*", "state": "Closed", "close": {"onFailed": "Stall"}});
    room.job("web", &stalls);
    room.until("web", &["Ready=False/JobFailed", "Stalled=True/JobFailed"]);
    let slow = room.elastic.log();
    assert_eq!(slow.state("web"), Some("closed"), "it moved until then");
    patch(&room, "web", &json!({"close": {"onFailed": "Force"}}));
    room.until("web", &IN_STATE);
    let mended = ["InProgress", "Failed", "InProgress", "Current"];
    assert_judged(&room, &web, "web", &mended);

    let full = json!({"max_open_jobs": 0, "lazy_nodes": true});
    room.elastic.turn("PUT", "capacity", &full);
    room.job("late", &json!({"state": "Opened"}));
    room.until("late", &["Ready=False/AwaitingNode"]);
    room.elastic
        .turn("PUT", "capacity", &json!({"max_open_jobs": null}));
    room.until(
        "late",
        &["Ready=True/InDesiredState", "Closed=False/StillOpen"],
    );
    patch(&room, "late", &json!({"state": "Closed"}));
    room.until("late", &IN_STATE);
    let twice = ["InProgress", "Current", "InProgress", "Current"];
    assert_judged(&room, &late, "late", &twice);
}

#[test]
fn an_outage_in_the_middle_of_a_close_is_neither_an_end_nor_a_failure() {
    let room = Room::new(controlplane::shared());
    room.elastic.opened("rate");
    room.elastic.tune("rate", &json!({"close_ms": 10_000}));
    room.connect(&json!({}));
    let history = History::begin(&room, "rate");
    let _operator = room.operator();
    room.close("rate", &json!({}));
    room.until_target("rate", "acceptedAt");
    room.elastic.cut_off();
    room.until("rate", &["Ready=False/ConnectionRefused"]);
    room.elastic.come_back();
    room.until_within::<AnomalyJob>(2 * LIMIT, "rate", &IN_STATE);
    assert_judged(&room, &history, "rate", &["InProgress", "Current"]);
}
