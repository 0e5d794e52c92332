//! What stays of a status that InvalidObject is laid over, and that it is written until it is taken, and then not again.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use kube::Client;
use tokio::time::Instant;

use super::*;
use crate::api::ElasticsearchConnection;
use crate::clock::Clock;
use crate::lease::Grant;
use crate::telemetry::Metrics;

const NOW: &str = "2026-11-28T10:00:00Z";
const BEFORE: &str = "2026-11-28T09:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// An object of generation 4 with this status.
fn object(status: &Value) -> Undecodable {
    Undecodable {
        key: ObjectKey::new("ns", "a"),
        uid: "uid".to_owned(),
        resource_version: "7".to_owned(),
        generation: 4,
        status: status.as_object().cloned().unwrap_or_default(),
        why: "unknown variant `Ajar`".to_owned(),
    }
}

fn said(of: &str, status: &str) -> Value {
    json!({"type": of, "status": status, "reason": "Whatever", "message": "", "observedGeneration": 3, "lastTransitionTime": BEFORE})
}

/// Type, value and beginning of each condition.
fn conditions_of(status: &Value) -> Vec<String> {
    let conditions = status["conditions"].as_array().unwrap().iter();
    let words = |of: &Value| ["type", "status", "lastTransitionTime"].map(|key| of[key].clone());
    let text = |of| words(of).map(|word| word.as_str().unwrap().to_owned());
    conditions.map(|of| text(of).join(" ")).collect()
}

fn laid_over<K: 'static>(before: &Value) -> Value {
    Value::Object(status::<K>(&object(before), now()))
}

#[test]
fn what_was_noted_of_jobs_and_of_a_cluster_stays() {
    let target = json!({"jobId": "a", "state": "closing", "step": "ForceClosing", "forcedAt": "2026-11-28T09:00:00.000000Z", "attempts": 1, "failures": 0, "corrections": 0});
    let noted = json!({
        "observedGeneration": 3, "targets": [target], "resumeDatafeeds": ["datafeed-a"],
        "lastClose": {"graceful": 1}, "lastHandledReconcileAt": "then", "connection": {"clusterUUID": "u"},
    });
    let mut before = noted.clone();
    before["summary"] = "0/1 closed".into();
    before["jobs"] = json!({"matched": 1});
    let kinds = ["Ready", "Closed", "Reconciling", "Forced"];
    before["conditions"] = ["False", "True", "True", "True"]
        .iter()
        .zip(kinds)
        .map(|(status, of)| said(of, status))
        .collect();
    let mut after = laid_over::<AnomalyJob>(&before);
    let expected = [
        format!("Ready False {BEFORE}"),
        format!("Closed Unknown {NOW}"),
        format!("Stalled True {NOW}"),
        format!("Forced True {BEFORE}"),
    ];
    assert_eq!(conditions_of(&after), expected);
    let ready = &after["conditions"][0];
    assert_eq!(ready["reason"], "InvalidObject");
    assert_eq!(ready["observedGeneration"], 4);
    assert!(ready["message"].as_str().unwrap().contains("`Ajar`"));
    after.as_object_mut().unwrap().remove("conditions");
    let mut expected = noted;
    expected["observedGeneration"] = 4.into();
    assert_eq!(after, expected);

    let connection =
        laid_over::<ElasticsearchConnection>(&json!({"clusterUUID": "u", "version": "9.1.0"}));
    assert_eq!(
        (&connection["clusterUUID"], &connection["version"]),
        (&json!("u"), &json!("9.1.0"))
    );
    let expected = [format!("Ready False {NOW}"), format!("Stalled True {NOW}")];
    assert_eq!(conditions_of(&connection), expected);
}

/// Whoever can decode the object takes its generation for one that was looked at.
#[test]
fn that_a_job_was_where_it_should_be_does_not_outlive_an_edit() {
    let target = json!({"jobId": "a", "state": "closed", "step": "Done", "attempts": 1, "failures": 0, "corrections": 1});
    let mut changed = target.clone();
    changed["drift"] = json!({"cause": "ReopenedElsewhere", "state": "opened", "at": "2026-11-28T09:00:00.000000Z", "corrected": true});
    for (generation, step, drifts) in [(3, "Pending", false), (4, "Done", true)] {
        let before = json!({"observedGeneration": generation, "targets": [changed]});
        let after = laid_over::<AnomalyJob>(&before);
        let target = &after["targets"][0];
        assert_eq!(
            (&target["step"], target["drift"].is_object()),
            (&json!(step), drifts)
        );
    }
}

#[test]
fn a_status_that_cannot_be_decoded_either_is_kept_as_it_is() {
    let targets = json!([{"jobId": 7, "drift": "much"}]);
    for conditions in [
        json!("none"),
        json!([{"type": "Ready", "status": 7}]),
        json!([7]),
    ] {
        let after = laid_over::<AnomalyJob>(&json!({"targets": targets, "conditions": conditions}));
        assert_eq!(after["targets"], targets);
        assert_eq!(after["conditions"][0]["reason"], "InvalidObject");
    }
}

/// Bodies of the writes that an API server got, which takes none before the third.
type Got = Arc<Mutex<Vec<Value>>>;

fn writer() -> (Writer, Got, Grant) {
    let got = Got::default();
    let stored = Arc::clone(&got);
    let server = move |request: Request| {
        let got = Arc::clone(&stored);
        async move {
            let body = axum::body::to_bytes(request.into_body(), 1 << 20).await;
            let body: Value = serde_json::from_slice(&body.unwrap()).unwrap();
            let mut got = got.lock().unwrap();
            got.push(body);
            if got.len() < 3 {
                return (StatusCode::SERVICE_UNAVAILABLE, String::new());
            }
            let answer = json!({"metadata": {"resourceVersion": "8"}});
            (StatusCode::OK, answer.to_string())
        }
    };
    let client = Client::new(Router::new().fallback(server), "default");
    let (grant, claim) = Grant::new(Instant::now(), Duration::from_secs(600), Clock::system());
    let (writer, _telling) = Writer::new(client, claim, Metrics::new("x"));
    (writer, got, grant)
}

#[tokio::test(start_paused = true)]
async fn what_is_not_taken_is_written_again_and_what_was_is_not() {
    let (writer, got, _grant) = writer();
    let (mut invalid, mut tasks) = (Invalid::default(), JoinSet::new());
    let mut tell = |status: &Value| {
        let beside = (&writer, &mut tasks);
        invalid.tell::<AnomalyJob>(object(status), beside, now())
    };
    assert!(tell(&Value::Null));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(got.lock().unwrap().len(), 1);
    // Delivered again, as after a list: it is no news, and one write is on its way, not two.
    assert!(!tell(&Value::Null));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(got.lock().unwrap().len(), 2);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(got.lock().unwrap().len(), 3);
    // Our own status comes back, and the one of before with it.
    let stored = got.lock().unwrap()[2]["status"].clone();
    assert!(!tell(&stored) && !tell(&Value::Null));
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(got.lock().unwrap().len(), 3);

    // Another process finds it said.
    let (mut other, mut tasks) = (Invalid::default(), JoinSet::new());
    assert!(!other.tell::<AnomalyJob>(object(&stored), (&writer, &mut tasks), now()));
    assert!(tasks.is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_more_is_written_of_what_is_gone_or_mended() {
    let (writer, got, _grant) = writer();
    let (mut invalid, mut tasks) = (Invalid::default(), JoinSet::new());
    let beside = (&writer, &mut tasks);
    assert!(invalid.tell::<AnomalyJob>(object(&Value::Null), beside, now()));
    tokio::time::sleep(Duration::from_millis(500)).await;
    invalid.forget::<AnomalyJob>(&ObjectKey::new("ns", "a"));
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(got.lock().unwrap().len(), 1);
    assert!(invalid.is_empty());
}
