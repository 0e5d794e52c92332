//! What the real API server makes of the CRDs: what it refuses and with which words, what it takes,
//! which defaults it stores, and what kubectl shows of it.

mod shown;
mod status;
mod wrong;
mod wrong_jobs;
mod wrong_sources;
mod wrong_wide;

use anomalyjob_operator::api::{AnomalyJob, JobExpression, JobPattern, TimeSpan};
use kube::api::{PostParams, Request};
use kube::{Client, Error};
use serde_json::{Value, json};

use crate::support::controlplane::shared;

/// A good AnomalyJob, called `good`.
fn job() -> Value {
    json!({
        "apiVersion": "anomalyjob.dev/v1alpha1", "kind": "AnomalyJob", "metadata": {"name": "good"},
        "spec": {"jobId": "low_request_rate", "state": "Closed"},
    })
}

/// A good ElasticsearchConnection, called `good`.
fn connection() -> Value {
    json!({
        "apiVersion": "anomalyjob.dev/v1alpha1", "kind": "ElasticsearchConnection",
        "metadata": {"name": "good"},
        "spec": {
            "url": "https://es.example:9200",
            "auth": {"apiKeySecretRef": {"name": "es"}},
            "tls": {"ca": {"secretRef": {"name": "es-ca"}}},
        },
    })
}

/// Sets the value at a dotted path; objects on the way that are missing are made.
fn put(manifest: &mut Value, path: &str, value: Value) {
    let place = path.split('.').fold(manifest, |at, name| {
        if !at.is_object() {
            *at = json!({});
        }
        &mut at[name]
    });
    *place = value;
}

/// Removes the value at a dotted path.
fn take(manifest: &mut Value, path: &str) {
    let (above, name) = path
        .rsplit_once('.')
        .map_or((None, path), |(above, name)| (Some(above), name));
    let above = above
        .iter()
        .flat_map(|path| path.split('.'))
        .fold(manifest, |at, name| &mut at[name]);
    above
        .as_object_mut()
        .unwrap()
        .remove(name)
        .expect("there was something");
}

fn plural(manifest: &Value) -> &'static str {
    match manifest["kind"].as_str() {
        Some("AnomalyJob") => "anomalyjobs",
        Some("ClusterElasticsearchConnection") => "clusterelasticsearchconnections",
        _ => "elasticsearchconnections",
    }
}

/// Creates, or only tries to, with unknown fields refused as `kubectl apply` does.
async fn create(
    client: &Client,
    namespace: &str,
    manifest: &Value,
    dry_run: bool,
) -> Result<Value, Error> {
    let plural = plural(manifest);
    let place = if plural.starts_with("cluster") {
        String::new()
    } else {
        format!("namespaces/{namespace}/")
    };
    let path = format!("/apis/anomalyjob.dev/v1alpha1/{place}{plural}");
    let params = PostParams {
        dry_run,
        ..PostParams::default()
    };
    let body = serde_json::to_vec(manifest).unwrap();
    let mut request = Request::new(path).create(&params, body).unwrap();
    let uri = request.uri().to_string();
    let separator = if uri.ends_with('?') { "" } else { "&" };
    *request.uri_mut() = format!("{uri}{separator}fieldValidation=Strict")
        .parse()
        .unwrap();
    client.request(request).await
}

/// The words with which a manifest is refused; None where it is taken.
async fn refusal(client: &Client, namespace: &str, manifest: &Value) -> Option<String> {
    match create(client, namespace, manifest, true).await {
        Ok(_) => None,
        Err(Error::Api(status)) => Some(status.message.clone()),
        Err(other) => panic!("the API server did not answer: {other}"),
    }
}

/// Tries each; gives those that are taken or refused with other words.
async fn not_refused_as_expected(all: Vec<wrong::Wrong>, at_least: usize) -> Vec<String> {
    let client = shared().client().await;
    assert!(all.len() >= at_least, "only {} wrong manifests", all.len());
    let mut found = Vec::new();
    for wrong in all {
        match refusal(&client, "default", &wrong.manifest).await {
            Some(words) if words.contains(wrong.says) && words.contains(wrong.field) => {}
            answer => found.push(format!(
                "{}\n   should say: {}\n   says: {answer:?}",
                wrong.what, wrong.says
            )),
        }
    }
    found
}

#[tokio::test]
async fn wrong_anomaly_jobs_are_refused_with_what_would_be_right() {
    let found = not_refused_as_expected(wrong_jobs::jobs(), 120).await;
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[tokio::test]
async fn wrong_connections_are_refused_with_what_would_be_right() {
    let found = not_refused_as_expected(wrong::connections(), 50).await;
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[tokio::test]
async fn wrong_ways_to_name_a_cluster_are_refused_with_what_would_be_right() {
    let found = not_refused_as_expected(wrong_sources::all(), 40).await;
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[tokio::test]
async fn wrong_cluster_wide_connections_are_refused_with_what_would_be_right() {
    let found = not_refused_as_expected(wrong_wide::all(), 40).await;
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn what_the_schema_refuses_the_operator_refuses_as_well() {
    for text in wrong_jobs::BLANK.iter().chain(&wrong_jobs::CONTROL) {
        assert!(JobExpression::parse(text).is_err(), "{text:?}");
    }
    for text in wrong_jobs::NO_PATTERNS {
        assert!(JobPattern::parse(text).is_err(), "{text:?}");
    }
    for span in wrong::SPANS {
        assert!(TimeSpan::parse(span).is_err(), "{span:?}");
    }
}

/// A good manifest with other values in some places.
fn changed(good: fn() -> Value, changes: &Value) -> Value {
    let mut manifest = good();
    for (path, value) in changes.as_object().unwrap() {
        put(&mut manifest, path, value.clone());
    }
    manifest
}

/// Expressions that are taken: those that mean jobs, and those that Elasticsearch itself answers with 404.
fn good_expressions() -> Vec<String> {
    let longest = "a,".repeat(2_048);
    let taken = [
        "a",
        "0",
        "low_request_rate",
        "a-b.c_d",
        "nightly",
        "web-*",
        "*-eu",
        "a*b?",
        "??",
        "a,nightly,web-*",
        "a, b ,c",
        "a,,b",
        ",a",
        "Low",
        "jöb",
        "x%2Fy",
        "../x",
        "<job>",
        "a?force=true",
        "a,_all",
        "_all_",
        "*a",
        "a,?",
        "\u{a0}",
        &longest,
    ];
    taken.map(str::to_owned).into()
}

fn good_jobs() -> Vec<Value> {
    let spans = ["1s", "90s", "30m", "2h", "1d", "999999999d"];
    let mut all: Vec<_> = good_expressions()
        .into_iter()
        .map(|text| changed(job, &json!({"spec.jobId": text})))
        .collect();
    all.extend(spans.map(|span| changed(job, &json!({"spec.close.timeout": span}))));
    all.extend(spans.map(|span| changed(job, &json!({"spec.open.timeout": span}))));
    all.extend(
        wrong_jobs::EVERY_JOB
            .map(|text| changed(job, &json!({"spec.jobId": text, "spec.maxJobs": 100_000}))),
    );
    all.extend(
        [
            json!({"spec": {"jobId": "a"}}),
            json!({"spec.close": {}}),
            json!({"spec.close": {"mode": "Immediate"}}),
            json!({"spec.close": {"mode": "Graceful", "onTimeout": "Wait", "onFailed": "Stall"}}),
            json!({"spec.close.onTimeout": "Stall", "spec.suspend": true}),
            json!({"spec.connectionRef": {}}),
            json!({"spec.connectionRef.name": "logs.eu-1"}),
            json!({"spec.connectionRef": {"kind": "ClusterElasticsearchConnection"}}),
            json!({"spec.state": "Opened", "spec.open": {}}),
            json!({"spec.state": "Opened", "spec.open": {"datafeed": "Start"}}),
            json!({"spec.open": {"datafeed": "Leave", "timeout": "5m"}}),
            json!({"spec.driftPolicy": "Report", "spec.deletionPolicy": "Close"}),
            json!({"spec.exclude": []}),
            json!({"spec.exclude": ["a", "a*", "*", "*.b", "web-canary-*"]}),
            json!({"spec.exclude": ["a".repeat(64)], "spec.allowNoMatch": false, "spec.maxJobs": 1}),
        ]
        .map(|changes| changed(job, &changes)),
    );
    all
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn good_connections() -> Vec<Value> {
    let urls = [
        "https://es",
        "https://es.example:9200",
        "https://es.example:9200/",
        "https://10.0.0.1:65535",
        "https://[::1]:9200",
        "https://proxy.example/es",
        "https://proxy.example/a/b-c/d_e/",
        "https://es:1/x",
        "https://logs-es-http.elastic-system.svc:9200",
    ];
    let mut all: Vec<_> = urls
        .map(|url| changed(connection, &json!({"spec.url": url})))
        .into();
    all.extend(
        [
            json!({"spec": {"url": "https://es"}}),
            json!({"spec": {"url": "http://es:9200", "allowPlaintext": true}}),
            json!({"spec.allowPlaintext": true}),
            json!({"spec.auth": {"basicSecretRef": {"name": "user"}}}),
            json!({"spec.auth": {"apiKeySecretRef": {"name": "es", "key": "API_KEY.1"}}}),
            json!({"spec.auth": {}}),
            json!({"spec.tls": {}}),
            json!({"spec.tls.ca": {"configMapRef": {"name": "ca", "key": "tls.pem"}}}),
            json!({"spec.auth": {"bearerTokenSecretRef": {"name": "es"}}}),
            json!({"spec.auth": {"clientCertificateSecretRef": {"name": "es"}}}),
            json!({"spec.tls.serverName": "es"}),
            json!({"spec.tls.serverName": "ES-1.example"}),
            json!({"spec.limits": {"maxClosing": 1, "maxInFlight": 32, "requestsPerSecond": 1000}}),
            json!({"spec.suspend": true}),
            json!({"spec.allow": {}}),
            json!({"spec.allow": {"jobs": [], "force": "Failed"}}),
            json!({"spec.allow": {"jobs": ["a", "team-*", "*"], "force": "Never"}}),
        ]
        .map(|changes| changed(connection, &changes)),
    );
    all.extend(
        [
            json!({}),
            json!({"spec.auth": {"apiKeySecretRef": {"name": "es"}}}),
            json!({"spec.tls": {"ca": {"secretRef": {"name": "ca"}}, "serverName": "es.example"}}),
        ]
        .map(|changes| changed(wrong_sources::eck, &changes)),
    );
    all.extend(
        [
            json!({}),
            json!({"spec.allowPlaintext": true}),
            json!({"spec.tls": {"serverName": "es.example"}}),
        ]
        .map(|changes| changed(wrong_sources::secret, &changes)),
    );
    all
}

#[tokio::test]
async fn good_manifests_are_taken() {
    let client = shared().client().await;
    for manifest in good_connections().into_iter().chain(wrong_wide::good()) {
        let refused = refusal(&client, "default", &manifest).await;
        assert_eq!(refused, None, "{manifest}");
    }
}

#[tokio::test]
async fn good_jobs_are_taken_and_come_back_as_they_are_stored() {
    let client = shared().client().await;
    let all = good_jobs();
    assert!(all.len() >= 50, "only {}", all.len());
    for manifest in all {
        let stored = create(&client, "default", &manifest, true).await;
        let mut stored = stored.unwrap_or_else(|error| panic!("{manifest}: {error}"));
        let decoded: AnomalyJob = serde_json::from_value(stored.clone()).unwrap();
        // An empty list says nothing, and is not written again.
        if stored["spec"]["exclude"] == json!([]) {
            take(&mut stored, "spec.exclude");
        }
        assert_eq!(serde_json::to_value(&decoded.spec).unwrap(), stored["spec"]);
    }
}

#[tokio::test]
async fn defaults_are_visible_in_the_stored_object() {
    let plane = shared();
    let namespace = plane.namespace();
    let client = plane.client().await;
    let minimal = changed(job, &json!({"spec": {"jobId": "a"}}));
    let stored = create(&client, &namespace, &minimal, false).await.unwrap();
    let close =
        json!({"mode": "Graceful", "timeout": "30m", "onTimeout": "Force", "onFailed": "Force"});
    let open = json!({"timeout": "30m", "datafeed": "Resume"});
    let spec = json!({
        "jobId": "a", "allowNoMatch": true, "suspend": false,
        "close": close, "open": open, "driftPolicy": "Correct", "deletionPolicy": "Retain",
    });
    assert_eq!(stored["spec"], spec);
    assert_eq!(stored["status"], json!({"observedGeneration": -1}));
    let named = changed(
        job,
        &json!({"metadata.name": "named", "spec.connectionRef": {}}),
    );
    let stored = create(&client, &namespace, &named, false).await.unwrap();
    let own = json!({"kind": "ElasticsearchConnection", "name": "default"});
    assert_eq!(stored["spec"]["connectionRef"], own);

    let stored = create(&client, &namespace, &connection(), false)
        .await
        .unwrap();
    assert_eq!(stored["spec"]["auth"]["apiKeySecretRef"]["key"], "api-key");
    assert_eq!(stored["spec"]["tls"]["ca"]["secretRef"]["key"], "ca.crt");
    assert_eq!(stored["spec"]["allowPlaintext"], false);
    assert_eq!(stored["spec"]["suspend"], false);
    assert_eq!(
        stored["spec"]["allow"],
        json!({"jobs": ["*"], "force": "Always"})
    );
    assert_eq!(stored["status"], json!({"observedGeneration": -1}));
}

#[tokio::test]
async fn a_policy_that_says_one_thing_keeps_the_defaults_of_the_rest() {
    let client = shared().client().await;
    let manifest = changed(job, &json!({"spec.close": {"onTimeout": "Wait"}}));
    let stored = create(&client, "default", &manifest, true).await.unwrap();
    let close =
        json!({"mode": "Graceful", "timeout": "30m", "onTimeout": "Wait", "onFailed": "Force"});
    assert_eq!(stored["spec"]["close"], close);
}

#[tokio::test]
async fn a_null_means_the_default_and_not_null() {
    let client = shared().client().await;
    let manifest = changed(
        job,
        &json!({
            "spec.state": null, "spec.close": null, "spec.suspend": null, "spec.open": null,
            "spec.driftPolicy": null, "spec.allowNoMatch": null, "spec.maxJobs": null,
        }),
    );
    let stored = create(&client, "default", &manifest, true).await.unwrap();
    assert_eq!(stored["spec"]["close"]["mode"], "Graceful");
    assert_eq!(stored["spec"]["suspend"], false);
    assert_eq!(stored["spec"]["open"]["datafeed"], "Resume");
    assert_eq!(stored["spec"]["driftPolicy"], "Correct");
    assert_eq!(stored["spec"]["allowNoMatch"], true);
    assert_eq!(stored["spec"].get("state"), None);
    assert_eq!(stored["spec"].get("maxJobs"), None);
}
