//! What may be in status: the operator's own mistakes are refused as well, and neither side of an
//! object can be changed through the other.

use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::{Api, Error};
use serde_json::{Value, json};

use super::{connection, create, job};
use crate::support::controlplane::shared;

fn condition(of: &str) -> Value {
    json!({
        "type": of, "status": "True", "reason": "AllClosed", "message": "",
        "lastTransitionTime": "2026-11-23T21:58:04Z",
    })
}

fn target(id: &str) -> Value {
    json!({"jobId": id, "step": "Pending"})
}

/// A good condition or target in which one field is something else.
fn but(good: Value, field: &str, value: Value) -> Value {
    let mut other = good;
    other[field] = value;
    other
}

/// Status of an AnomalyJob, and the part of the answer that must refuse it.
type Wrong = (Value, &'static str);

fn wrong_conditions() -> Vec<Wrong> {
    let one = |field, value| json!({"conditions": [but(condition("Ready"), field, value)]});
    let many: Vec<_> = (0..17).map(|n| condition(&format!("Type{n}"))).collect();
    let twice = [condition("Ready"), condition("Ready")];
    let statuses = r#"supported values: "True", "False", "Unknown""#;
    let bare = json!({"conditions": [{"type": "Ready"}]});
    vec![
        (
            json!({ "conditions": twice }),
            r#"Duplicate value: {"type":"Ready"}"#,
        ),
        (json!({ "conditions": many }), "must have at most 16 items"),
        (bare, "conditions[0].reason: Required value"),
        (one("status", json!("Maybe")), statuses),
        (one("reason", json!("")), "should be at least 1 chars long"),
        (one("reason", json!("not one word")), "should match"),
        (
            one("message", json!("x".repeat(4097))),
            "may not be more than 4096 bytes",
        ),
        (
            one("lastTransitionTime", json!("yesterday")),
            "must be of type date-time",
        ),
        (
            one("observedGeneration", json!(-1)),
            "should be greater than or equal to 0",
        ),
    ]
}

fn wrong_targets() -> Vec<Wrong> {
    let one = |field, value| json!({"targets": [but(target("a"), field, value)]});
    let many: Vec<_> = (0..101).map(|n| target(&format!("job{n}"))).collect();
    let twice = [target("a"), target("a")];
    let steps = r#"supported values: "Pending", "StoppingDatafeed""#;
    let states = r#"supported values: "opening", "opened", "closing", "closed", "failed""#;
    vec![
        (
            json!({ "targets": twice }),
            r#"Duplicate value: {"jobId":"a"}"#,
        ),
        (json!({ "targets": many }), "must have at most 100 items"),
        (one("step", json!("closing")), steps),
        (one("state", json!("Closed")), states),
        (
            one("attempts", json!(-1)),
            "should be greater than or equal to 0",
        ),
        (one("evidence", json!("long")), "should match"),
        (one("forcedAt", json!("soon")), "must be of type date-time"),
        (
            one("correctedAt", json!("soon")),
            "must be of type date-time",
        ),
        (
            one("corrections", json!(-1)),
            "should be greater than or equal to 0",
        ),
    ]
}

fn wrong_facts() -> Vec<Wrong> {
    vec![
        (
            json!({"observedGeneration": -2}),
            "should be greater than or equal to -1",
        ),
        (
            json!({"resumeDatafeeds": ["a", "a"]}),
            r#"Duplicate value: "a""#,
        ),
        (json!({"resumeDatafeeds": ["A"]}), "should match"),
        (
            json!({"lastClose": {"forced": ["x", "x"]}}),
            r#"Duplicate value: "x""#,
        ),
        (
            json!({"lastClose": {"losses": [{"jobId": "x"}, {"jobId": "x"}]}}),
            r#"Duplicate value: {"jobId":"x"}"#,
        ),
        (
            json!({"lastClose": {"losses": [{"jobId": "x", "snapshotAge": "old"}]}}),
            "should match",
        ),
        (
            json!({"connection": {"kind": "Secret", "name": "x"}}),
            r#"supported values: "ElasticsearchConnection""#,
        ),
        (
            json!({"lastHandledReconcileAt": "x".repeat(257)}),
            "may not be more than 256 bytes",
        ),
        (
            json!({"jobs": {"matched": 1}}),
            "jobs.opened: Required value",
        ),
    ]
}

/// A namespace with one job.
async fn with_a_job() -> Api<DynamicObject> {
    let plane = shared();
    let namespace = plane.namespace();
    let client = plane.client().await;
    create(&client, &namespace, &job(), false).await.unwrap();
    let kind = GroupVersionKind::gvk("anomalyjob.dev", "v1alpha1", "AnomalyJob");
    Api::namespaced_with(client, &namespace, &ApiResource::from_gvk(&kind))
}

#[tokio::test]
async fn a_wrong_status_is_refused() {
    let api = with_a_job().await;
    let params = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    for (status, says) in [wrong_conditions(), wrong_targets(), wrong_facts()].concat() {
        let patch = Patch::Merge(json!({ "status": status }));
        match api.patch_status("good", &params, &patch).await {
            Err(Error::Api(answer)) => {
                assert!(
                    answer.message.contains(says),
                    "should say {says:?}: {}",
                    answer.message
                );
            }
            other => panic!("should say {says:?}: {other:?}"),
        }
    }
}

/// As large as a status may get: 10 000 datafeeds to start again, and each list full. The API server takes it.
#[tokio::test]
async fn a_full_status_is_taken() {
    let api = with_a_job().await;
    let name = |n: usize| format!("{n:0>64}");
    let ids: Vec<_> = (0..100).map(name).collect();
    let message = json!({"category": "TimedOut", "message": "x".repeat(4_096)});
    let targets: Vec<_> = ids
        .iter()
        .map(|id| but(target(id), "lastError", message.clone()))
        .collect();
    let losses: Vec<_> = ids
        .iter()
        .map(|id| json!({"jobId": id, "snapshotAge": "1d"}))
        .collect();
    let feeds: Vec<_> = (0..10_000).map(name).collect();
    let status = json!({
        "summary": "99999/100000 closed", "targets": targets, "resumeDatafeeds": feeds,
        "lastClose": {"forced": ids, "unsaved": ids, "losses": losses},
    });
    let patch = Patch::Merge(json!({ "status": status }));
    let stored = api
        .patch_status("good", &PatchParams::default(), &patch)
        .await
        .unwrap();
    let kept = stored.data["status"]["resumeDatafeeds"].as_array().unwrap();
    assert_eq!(kept.len(), 10_000);
    let patch = Patch::Merge(
        json!({"status": {"resumeDatafeeds": (0..10_001).map(name).collect::<Vec<_>>()}}),
    );
    let refused = api
        .patch_status("good", &PatchParams::default(), &patch)
        .await;
    assert!(refused.is_err_and(|error| error.to_string().contains("at most 10000 items")));
}

#[tokio::test]
async fn status_is_written_only_through_the_subresource_and_spec_never_through_it() {
    let plane = shared();
    let namespace = plane.namespace();
    let client = plane.client().await;
    for (manifest, kind) in [
        (job(), "AnomalyJob"),
        (connection(), "ElasticsearchConnection"),
    ] {
        create(&client, &namespace, &manifest, false).await.unwrap();
        let kind = GroupVersionKind::gvk("anomalyjob.dev", "v1alpha1", kind);
        let resource = ApiResource::from_gvk(&kind);
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &resource);
        let both = Patch::Merge(json!({
            "spec": {"jobId": "other", "url": "https://other"}, "status": {"observedGeneration": 1},
        }));
        let through_status = api
            .patch_status("good", &PatchParams::default(), &both)
            .await
            .unwrap();
        assert_eq!(
            through_status.data["spec"]["jobId"],
            manifest["spec"]["jobId"]
        );
        assert_eq!(through_status.data["spec"]["url"], manifest["spec"]["url"]);
        assert_eq!(through_status.data["status"]["observedGeneration"], 1);
        let forged = Patch::Merge(json!({"status": {"observedGeneration": 99}}));
        let through_main = api
            .patch("good", &PatchParams::default(), &forged)
            .await
            .unwrap();
        assert_eq!(through_main.data["status"]["observedGeneration"], 1);
    }
}

#[tokio::test]
async fn a_status_that_is_set_at_creation_is_dropped_for_the_default() {
    let plane = shared();
    let namespace = plane.namespace();
    let mut forged = job();
    forged["status"] = json!({"observedGeneration": 1, "conditions": [condition("Ready")]});
    let stored = create(&plane.client().await, &namespace, &forged, false)
        .await
        .unwrap();
    assert_eq!(stored["status"], json!({"observedGeneration": -1}));
}
