//! What kubectl shows of the kinds: columns, field selectors and the manual of `kubectl explain`.

use std::time::Duration;

use anomalyjob_operator::api::{
    AnomalyJob, AnomalyJobStatus, ConditionStatus, ConditionType, ConnectionSeen, JobId, JobState,
    Reason, Target, new_condition, stamp,
};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::{changed, connection, create, job, wrong_wide};
use crate::support::controlplane::{eventually, shared};

/// A status in the middle of a close, with every fact that a column or a restart needs.
fn closing(at: Timestamp) -> AnomalyJobStatus {
    let mut target = Target::new(JobId::parse("low_request_rate").unwrap());
    target.state = Some(JobState::Closing);
    target.requested_at = Some(stamp(at));
    target.accepted_at = Some(stamp(at));
    target.forced_at = Some(stamp(at));
    target.deadline = Some(stamp(at));
    target.evidence = Some(Duration::from_secs(450).into());
    target.attempts = 3;
    let ready = new_condition(
        ConditionType::Ready,
        ConditionStatus::False,
        Reason::Closing,
        "low_request_rate is closing",
        1,
        at,
    );
    let forced = new_condition(
        ConditionType::Forced,
        ConditionStatus::True,
        Reason::DeadlinePassed,
        "low_request_rate",
        1,
        at,
    );
    AnomalyJobStatus {
        observed_generation: 1,
        summary: "closing".to_owned(),
        targets: vec![target],
        conditions: vec![ready, forced],
        connection: Some(ConnectionSeen {
            name: "default".to_owned(),
            ..ConnectionSeen::default()
        }),
        ..AnomalyJobStatus::default()
    }
}

async fn closing_job(client: &Client, namespace: &str) -> (AnomalyJobStatus, AnomalyJob) {
    create(client, namespace, &job(), false).await.unwrap();
    let status = closing("2026-11-23T21:58:04.123456789Z".parse().unwrap());
    let api: Api<AnomalyJob> = Api::namespaced(client.clone(), namespace);
    let patch = Patch::Merge(json!({"status": status}));
    api.patch_status("good", &PatchParams::default(), &patch)
        .await
        .unwrap();
    let stored = api.get("good").await.unwrap();
    (status, stored)
}

#[tokio::test]
async fn a_status_comes_back_from_the_api_server_as_it_was_written() {
    let plane = shared();
    let (written, stored) = closing_job(&plane.client().await, &plane.namespace()).await;
    assert_eq!(stored.status, Some(written));
}

#[tokio::test]
async fn columns_tell_what_was_asked_and_how_far_it_is() {
    let plane = shared();
    let namespace = plane.namespace();
    closing_job(&plane.client().await, &namespace).await;
    let columns = |more: &[&str]| {
        let table = plane.kubectl_ok(&[&["get", "aj", "-n", &namespace], more].concat());
        let rows: Vec<Vec<String>> = table
            .lines()
            .map(|l| l.split_whitespace().map(str::to_owned).collect())
            .collect();
        rows
    };
    let narrow = columns(&[]);
    assert_eq!(
        narrow[0],
        ["NAME", "JOB", "DESIRED", "STATE", "READY", "REASON", "AGE"]
    );
    assert_eq!(
        narrow[1][..6],
        [
            "good",
            "low_request_rate",
            "Closed",
            "closing",
            "False",
            "Closing"
        ]
    );
    let wide = columns(&["-o", "wide"]);
    assert_eq!(
        wide[0][7..],
        ["CONNECTION", "DEADLINE", "FORCED", "ATTEMPTS", "MESSAGE"]
    );
    let row = [
        "default",
        "2026-11-23T21:58:04.123456Z",
        "True",
        "3",
        "low_request_rate",
        "is",
        "closing",
    ];
    assert_eq!(wide[1][7..], row);
}

#[tokio::test]
async fn columns_of_a_connection_tell_where_it_is_and_whether_it_works() {
    let plane = shared();
    let namespace = plane.namespace();
    let name = json!({"metadata.name": "shown"});
    for (good, short) in [
        (connection as fn() -> Value, "esconn"),
        (wrong_wide::wide, "cesconn"),
    ] {
        let manifest = changed(good, &name);
        create(&plane.client().await, &namespace, &manifest, false)
            .await
            .unwrap();
        columns_of(&namespace, short);
    }
    plane.kubectl_ok(&["delete", "cesconn", "shown"]);
}

fn columns_of(namespace: &str, short: &str) {
    let plane = shared();
    let status = json!({"status": {"version": "9.2.1", "conditions": [{
        "type": "Ready", "status": "True", "reason": "Connected", "message": "",
        "lastTransitionTime": "2026-11-23T21:58:04Z", "observedGeneration": 1,
    }]}});
    plane.kubectl_ok(&[
        "patch",
        short,
        "shown",
        "-n",
        namespace,
        "--subresource=status",
        "--type=merge",
        "-p",
        &status.to_string(),
    ]);
    let table = plane.kubectl_ok(&["get", short, "shown", "-n", namespace]);
    let mut lines = table
        .lines()
        .map(|l| l.split_whitespace().collect::<Vec<_>>());
    assert_eq!(
        lines.next().unwrap(),
        ["NAME", "URL", "READY", "REASON", "VERSION", "AGE"]
    );
    assert_eq!(
        lines.next().unwrap()[..5],
        [
            "shown",
            "https://es.example:9200",
            "True",
            "Connected",
            "9.2.1"
        ]
    );
}

#[tokio::test]
async fn objects_can_be_selected_by_what_they_ask_for() {
    let plane = shared();
    let namespace = plane.namespace();
    let client = plane.client().await;
    create(&client, &namespace, &job(), false).await.unwrap();
    let other = json!({"metadata.name": "other", "spec": {"jobId": "b", "connectionRef": {"name": "logs"}}});
    create(&client, &namespace, &changed(job, &other), false)
        .await
        .unwrap();
    for (selector, found) in [
        ("spec.jobId=b", "other"),
        ("spec.connectionRef.name=logs", "other"),
        ("spec.connectionRef.name=", "good"),
        ("spec.state=Closed", "good"),
        ("spec.state=", "other"),
    ] {
        let arguments = [
            "get",
            "aj",
            "-n",
            &namespace,
            "-o",
            "name",
            "--field-selector",
            selector,
        ];
        let names = plane.kubectl_ok(&arguments);
        assert_eq!(
            names.trim(),
            format!("anomalyjob.anomalyjob.dev/{found}"),
            "{selector}"
        );
    }
}

#[tokio::test]
async fn the_categories_ml_and_elastic_show_the_kinds() {
    let plane = shared();
    let namespace = plane.namespace();
    let client = plane.client().await;
    create(&client, &namespace, &job(), false).await.unwrap();
    create(&client, &namespace, &connection(), false)
        .await
        .unwrap();
    for category in ["ml", "elastic"] {
        let names = plane.kubectl_ok(&["get", category, "-n", &namespace, "-o", "name"]);
        // Those that stand in no namespace are other tests'.
        let here = names.lines().filter(|name| !name.starts_with("cluster"));
        assert_eq!(here.count(), 2, "{category}: {names}");
    }
}

/// The text of `kubectl explain` in one line, so that a sentence is found wherever it is broken.
fn explain(path: &str) -> String {
    let mut page = String::new();
    // The API server publishes the OpenAPI document of a new kind a moment after the kind itself.
    eventually("kubectl explain knows the kind", || {
        let output = shared().kubectl(&["explain", path]);
        page = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success()
    });
    page.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn explain_close_reads_like_a_manual() {
    let page = explain("anomalyjob.spec.close");
    for sentence in [
        "How the job is closed: gracefully or at once, how long that may take, and when force may be used.",
        "mode <string> enum: Graceful, Immediate How the close begins.",
        "`Graceful` (default): ask, and let the job finish and save what it learned.",
        "`Immediate`: force at once, for jobs whose results nobody wants.",
        "onTimeout <string> enum: Force, Wait, Stall What happens when `timeout` is used up",
        "`Force` (default): close it by force; what it learned since its last model snapshot is lost.",
        "`Wait`: go on waiting, for as long as it takes.",
        "`Stall`: call nothing more and say so (condition Stalled), until a human decides.",
        "onFailed <string> enum: Force, Stall What happens when the job is `failed`",
        "`Stall`: call nothing and say so (condition Stalled), so that the failure can be looked into.",
        "Examples: `90s`, `30m`, `2h`, `1d`.",
    ] {
        assert!(
            page.contains(sentence),
            "{sentence:?} is missing in: {page}"
        );
    }
}

#[test]
fn explain_spec_shows_each_form_of_an_expression_and_each_choice() {
    let page = explain("anomalyjob.spec");
    for sentence in [
        "- An id. Example: `low_request_rate`.",
        "- A group. Example: `nightly`: every job that has it.",
        "- A wildcard over ids and groups. Example: `web-*`.",
        "- A list of these. Example: `low_request_rate,nightly,web-*`.",
        "- `_all` or `*`: every job of the cluster. `maxJobs` must then be said.",
        "Examples: `web-canary-1`, `web-canary-*`.",
        "Absent: 100.",
        "`Opened`: they are open, and their datafeeds run as `open.datafeed` says.",
        "`Report`: call nothing and say so (condition Stalled)",
        "`Retain` (default): nothing; the object goes at once, also while the operator is down.",
        "`Close`: they are closed first, as `close` says.",
    ] {
        assert!(
            page.contains(sentence),
            "{sentence:?} is missing in: {page}"
        );
    }
    let page = explain("anomalyjob.spec.open");
    for sentence in [
        "datafeed <string> enum: Resume, Start, Leave",
        "`Resume` (default): it is started if it ran when the operator closed the job",
        "`Start`: it is started, whether it ran before or not.",
        "`Leave`: it is left as it is.",
    ] {
        assert!(
            page.contains(sentence),
            "{sentence:?} is missing in: {page}"
        );
    }
}

#[test]
fn explain_says_what_an_object_is_for() {
    let page = explain("anomalyjob");
    assert!(
        page.contains(
            "DESCRIPTION: An anomaly detection job of an Elasticsearch cluster, or many of them"
        ),
        "{page}"
    );
    let page = explain("elasticsearchconnection");
    assert!(
        page.contains("need the cluster privilege `manage_ml` and nothing else"),
        "{page}"
    );
    let page = explain("clusterelasticsearchconnection");
    assert!(
        page.contains("Its Secrets and ConfigMaps are in the namespace of the operator"),
        "{page}"
    );
    let page = explain("clusterelasticsearchconnection.spec.allowedNamespaces");
    assert!(
        page.contains("names <[]string> The namespaces by their names."),
        "{page}"
    );
}

#[tokio::test]
async fn a_state_in_lower_case_is_refused_with_the_list_by_kubectl_patch() {
    let plane = shared();
    let namespace = plane.namespace();
    create(&plane.client().await, &namespace, &job(), false)
        .await
        .unwrap();
    let patch = json!({"spec": {"state": "closed"}}).to_string();
    let output = plane.kubectl(&[
        "patch",
        "aj",
        "good",
        "-n",
        &namespace,
        "--type=merge",
        "-p",
        &patch,
    ]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    let expected =
        r#"spec.state: Unsupported value: "closed": supported values: "Closed", "Opened""#;
    assert!(words.contains(expected), "{words}");
}

#[tokio::test]
async fn a_patched_job_id_or_connection_is_a_new_generation_and_allowed() {
    let plane = shared();
    let namespace = plane.namespace();
    let client = plane.client().await;
    create(&client, &namespace, &job(), false).await.unwrap();
    let api: Api<AnomalyJob> = Api::namespaced(client, &namespace);
    let patch: Patch<Value> =
        Patch::Merge(json!({"spec": {"jobId": "b", "connectionRef": {"name": "logs"}}}));
    let edited = api
        .patch("good", &PatchParams::default(), &patch)
        .await
        .unwrap();
    assert_eq!(edited.metadata.generation, Some(2));
    assert_eq!(edited.spec.job_id.as_str(), "b");
}
