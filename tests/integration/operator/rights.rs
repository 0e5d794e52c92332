//! What the operator asks of the API server, by the server's own record, against what the chart allows it.

use std::collections::BTreeSet;
use std::time::Duration;

use anomalyjob_operator::api::{AnomalyJob, ClusterElasticsearchConnection, FINALIZER};
use elasticsearch_simulator::Profile;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};

use crate::support::controlplane::ControlPlane;
use crate::support::elastic::Elastic;
use crate::support::room::{NAME, Room, rights};
use crate::support::tls::{Authority, Front};
use crate::support::{LIMIT, until};

/// All rights are used only where ClusterElasticsearchConnections are served.
const WIDE: [&str; 2] = ["--cluster-connections", "true"];

/// One right: API group, resource with its subresource, verb.
type Right = (String, String, String);

/// What the chart's rules allow.
fn granted() -> BTreeSet<Right> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(rights()).expect("YAML");
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut all = BTreeSet::new();
    for rule in documents
        .iter()
        .flat_map(|document| list(&document["rules"]))
    {
        for group in list(&rule["apiGroups"]) {
            for resource in list(&rule["resources"]) {
                for verb in list(&rule["verbs"]) {
                    let word = |value: &Value| value.as_str().expect("a word").to_owned();
                    all.insert((word(&group), word(&resource), word(&verb)));
                }
            }
        }
    }
    all
}

/// The lines of the server's record that are the operator's.
fn recorded(room: &Room) -> Vec<Value> {
    let log = std::fs::read_to_string(room.plane.folder().join("audit.log")).expect("an audit log");
    let account = format!("system:serviceaccount:{}:{NAME}", room.namespace);
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter(|line| line["user"]["username"] == *account)
        .collect()
}

fn used(record: &[Value]) -> BTreeSet<Right> {
    let right = |line: &Value| {
        let at = &line["objectRef"];
        let word = |name: &str| at[name].as_str().unwrap_or_default().to_owned();
        let resource = match at["subresource"].as_str() {
            Some(sub) => format!("{}/{sub}", word("resource")),
            None => word("resource"),
        };
        (
            word("apiGroup"),
            resource,
            line["verb"].as_str().unwrap_or_default().to_owned(),
        )
    };
    record.iter().map(right).collect()
}

#[test]
fn the_operator_uses_every_right_that_the_chart_gives_and_asks_for_no_other() {
    // A list that streams is a watch by its right, so the right to list is used where the server cannot stream one.
    let plane = ControlPlane::start(&["--audit", "--paged"]);
    plane.apply_crds();
    let room = Room::with(&plane, Elastic::new(Profile::V9));
    for job in ["plain", "forced", "fed", "again"] {
        if job == "fed" {
            room.elastic.fed(job);
        } else {
            room.elastic.opened(job);
        }
    }
    room.elastic.tune("forced", &json!({"close_ms": "hang"}));
    let authority = Authority::new();
    let front = Front::before(room.elastic.port(), authority.acceptor("127.0.0.1", |_| {}));
    let ca = String::from_utf8(authority.pem()).expect("PEM");
    room.create::<ConfigMap>("ca", json!({"data": {"ca.crt": ca}}));
    room.secret(
        "key",
        &json!({"api-key": "id:not-looked-at-without-security"}),
    );
    let tls = json!({"tls": {"ca": {"configMapRef": {"name": "ca"}}}, "auth": {"apiKeySecretRef": {"name": "key"}}, "allowPlaintext": false});
    room.connect_to("default", &front.url(), &tls);
    connect_by_label(&room);
    let mut operator = room.operator_with(&WIDE);
    room.close("plain", &json!({}));
    room.close("fed", &json!({}));
    room.close("forced", &json!({"timeout": "1s"}));
    room.close("nowhere", &json!({}));
    for job in ["plain", "fed", "forced", "widely"] {
        room.until(job, &["Ready=True/InDesiredState", "Closed=True"]);
    }
    room.until("nowhere", &["Ready=False/JobNotFound"]);
    // An event that comes again is a patch of the first one.
    for _ in 0..2 {
        room.patch::<AnomalyJob>("plain", &json!({"spec": {"state": null}}));
        room.until("plain", &["Ready=True/Observing"]);
        room.elastic.open("plain");
        room.patch::<AnomalyJob>("plain", &json!({"spec": {"state": "Closed"}}));
        room.until("plain", &["Ready=True/InDesiredState"]);
    }
    // A restart reads the lease of another holder, and takes over from it.
    let (status, _) = operator.terminate();
    assert_eq!(status.code(), Some(0));
    let next = room.operator_with(&WIDE);
    room.close("again", &json!({}));
    room.until("again", &["Ready=True/InDesiredState", "Closed=True"]);
    hold_and_let_go(&room, "again");
    assert_rights(&room);
    drop(next);
}

/// A connection that stands in no namespace, and goes by the labels of namespaces.
fn connect_by_label(room: &Room) {
    let labels = json!({"kubernetes.io/metadata.name": room.namespace});
    let spec = json!({
        "url": room.elastic.url(), "allowPlaintext": true,
        "allowedNamespaces": [{"selector": {"matchLabels": labels}}],
    });
    room.create::<ClusterElasticsearchConnection>("wide", json!({ "spec": spec }));
    room.elastic.opened("widely");
    let by = json!({"kind": "ClusterElasticsearchConnection", "name": "wide"});
    room.job("widely", &json!({"state": "Closed", "connectionRef": by}));
}

/// The right to patch is for the finalizer alone.
fn hold_and_let_go(room: &Room, name: &str) {
    room.patch::<AnomalyJob>(name, &json!({"spec": {"deletionPolicy": "Close"}}));
    let held = until("the finalizer", LIMIT, || {
        let object = room.get::<AnomalyJob>(name)?;
        match &object["metadata"]["finalizers"] {
            Value::Null => Err("none".to_owned()),
            held => Ok(held.clone()),
        }
    });
    assert_eq!(held, json!([FINALIZER]));
    room.delete(name);
    room.until_gone(LIMIT, name);
}

/// All rights are used, none is missing, and nothing was refused.
fn assert_rights(room: &Room) {
    let granted = granted();
    until("every right is used", Duration::from_secs(20), || {
        let used = used(&recorded(room));
        let idle: Vec<&Right> = granted.difference(&used).collect();
        if idle.is_empty() {
            Ok(())
        } else {
            Err(format!("granted and not used: {idle:?}"))
        }
    });

    let record = recorded(room);
    let refused = |line: &&Value| {
        [401, 403]
            .map(Value::from)
            .contains(&line["responseStatus"]["code"])
    };
    let refused: Vec<&Value> = record.iter().filter(refused).collect();
    assert!(refused.is_empty(), "refused: {refused:#?}");
    let used = used(&record);
    let missing: Vec<&Right> = used.difference(&granted).collect();
    assert!(missing.is_empty(), "used and not granted: {missing:?}");
}
