//! The API server in memory is held to the real one: the same conversation with both, and the same answers, as far as the
//! operator looks at them.

use elasticsearch_simulator::Profile;
use http::Request;
use kube::Client;
use serde_json::{Value, json};

use super::world::{NAMESPACE, run};
use crate::support::RUNTIME;
use crate::support::controlplane;

/// Says what was answered: the code, and what of the object the operator relies on.
async fn say(
    client: &Client,
    told: &mut Vec<String>,
    method: &str,
    path: &str,
    body: Value,
) -> Value {
    let kind = if method == "PATCH" {
        "application/merge-patch+json"
    } else {
        "application/json"
    };
    let text = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", kind);
    let answer = client
        .request::<Value>(request.body(text.into_bytes()).expect("a request"))
        .await;
    let (code, value) = match answer {
        Ok(value) => (200, value),
        Err(kube::Error::Api(status)) => (
            status.code,
            json!({"reason": status.reason, "details": status.details.as_ref().map(|details| details.name.clone())}),
        ),
        Err(error) => panic!("{method} {path}: {error}"),
    };
    let meta = &value["metadata"];
    told.push(format!(
        "{method} {code} {} generation {} deleted {} grace {} finalizers {} spec {} status {} uid {} items {}",
        value["reason"], meta["generation"], meta["deletionTimestamp"].is_string(), meta["deletionGracePeriodSeconds"],
        meta["finalizers"], sorted(&value["spec"]), value["status"]["summary"], meta["uid"].is_string(), value["items"].as_array().map_or(0, Vec::len),
    ));
    value
}

/// The same, with its fields in one order.
fn sorted(value: &Value) -> Value {
    let Value::Object(map) = value else {
        return value.clone();
    };
    let fields: std::collections::BTreeMap<_, _> = map
        .iter()
        .map(|(name, value)| (name, sorted(value)))
        .collect();
    json!(fields)
}

async fn conversation(client: Client, namespace: &str) -> Vec<String> {
    let all = format!("/apis/anomalyjob.dev/v1alpha1/namespaces/{namespace}/anomalyjobs");
    let one = format!("{all}/a");
    let status = format!("{one}/status");
    let mut told = Vec::new();
    let spec = json!({"jobId": "a", "state": "Closed"});
    let object = json!({
        "apiVersion": "anomalyjob.dev/v1alpha1", "kind": "AnomalyJob",
        "metadata": {"name": "a", "finalizers": ["x.y/z"]}, "spec": spec, "status": {"summary": "mine"},
    });
    let created = say(&client, &mut told, "POST", &all, object.clone()).await;
    say(&client, &mut told, "POST", &all, object).await;
    let mut write = created.clone();
    write["status"] = json!({"observedGeneration": 1, "summary": "closing", "conditions": []});
    write["spec"]["suspend"] = json!(true);
    let written = say(&client, &mut told, "PUT", &status, write.clone()).await;
    // By a version that is no more, by another uid, and without any change.
    say(&client, &mut told, "PUT", &status, write).await;
    let mut other = written.clone();
    other["metadata"]["uid"] = json!("00000000-0000-0000-0000-000000000000");
    say(&client, &mut told, "PUT", &status, other).await;
    let again = say(&client, &mut told, "PUT", &status, written.clone()).await;
    told.push(format!(
        "kept its version: {}",
        again["metadata"]["resourceVersion"] == written["metadata"]["resourceVersion"]
    ));
    let version = &written["metadata"]["resourceVersion"];
    edits(&client, &mut told, &all, version).await;
    told
}

/// Edits, a deletion that a finalizer holds back, and the end.
async fn edits(client: &Client, told: &mut Vec<String>, all: &str, version: &Value) {
    let one = format!("{all}/a");
    say(
        client,
        told,
        "PATCH",
        &one,
        json!({"spec": {"suspend": true}, "status": {"summary": "not here"}}),
    )
    .await;
    say(
        client,
        told,
        "PATCH",
        &one,
        json!({"metadata": {"resourceVersion": version, "finalizers": []}}),
    )
    .await;
    say(
        client,
        told,
        "PATCH",
        &one,
        json!({"metadata": {"annotations": {"a": "b"}}}),
    )
    .await;
    say(client, told, "GET", all, Value::Null).await;
    say(client, told, "DELETE", &one, Value::Null).await;
    say(client, told, "GET", &one, Value::Null).await;
    say(
        client,
        told,
        "PATCH",
        &one,
        json!({"metadata": {"finalizers": null}}),
    )
    .await;
    say(client, told, "GET", &one, Value::Null).await;
    say(
        client,
        told,
        "PATCH",
        &one,
        json!({"metadata": {"finalizers": null}}),
    )
    .await;
}

#[test]
fn the_api_server_in_memory_answers_as_the_real_one() {
    let plane = controlplane::shared();
    let namespace = plane.namespace();
    let real = RUNTIME.block_on(async { conversation(plane.client().await, &namespace).await });
    let memory = run(1, Profile::V9, |world| async move {
        conversation(world.api.client("test"), NAMESPACE).await
    });
    assert_eq!(real, memory);
}
