//! What is wrong with a cluster that is reached, or is not: each cause has a reason of its own at the connection, and a sentence
//! that says what to do. Those of wrong Secrets and hostile servers are in `bad_input`, of certificates in `faults`.

use anomalyjob_operator::api::ElasticsearchConnection;
use elasticsearch_simulator::{ApiKey, Options, Profile};
use serde_json::{Value, json};

use crate::support::elastic::Elastic;
use crate::support::room::{Room, has_any};
use crate::support::tls::{Authority, Front};
use crate::support::{LIMIT, controlplane, side_by_side, until};

/// One that answers a request with this instead.
fn answering(api: &str, status: u16, json: &Value) -> Elastic {
    let elastic = Elastic::new(Profile::V9);
    elastic.inject(&json!({"api": api, "status": status, "json": json, "count": null}));
    elastic
}

/// The name of a connection, its url, what it says besides, and what is said of it.
type Cause = (&'static str, String, Value, &'static str, &'static str);

fn causes(old: &Elastic, without: &Elastic, front: &Front, closed: &str) -> [Cause; 5] {
    let ca = json!({"allowPlaintext": false, "tls": {"ca": {"secretRef": {"name": "ca"}}}});
    [
        (
            "name",
            "http://es.nowhere.invalid:9200".to_owned(),
            json!({}),
            "NameNotResolved",
            "cannot be resolved",
        ),
        (
            "port",
            closed.to_owned(),
            json!({}),
            "ConnectionRefused",
            "nothing listens",
        ),
        ("certificate", front.url(), ca, "TLSWrongName", "name"),
        ("old", old.url(), json!({}), "VersionTooOld", "7.10"),
        (
            "without",
            without.url(),
            json!({}),
            "MLUnavailable",
            "machine learning",
        ),
    ]
}

fn each_cause_has_its_own_reason() {
    let room = Room::new(controlplane::shared());
    let old = json!({
        "name": "n", "cluster_name": "old", "cluster_uuid": "03oTFWkpQs6_TlHKvl1yrw",
        "version": {"number": "7.9.3", "build_flavor": "default"}, "tagline": "You Know, for Search",
    });
    let old = answering("Root", 200, &old);
    let no_handler = "no handler found for uri [/_ml/info] and method [GET]";
    let without = answering("Info", 400, &json!({"error": no_handler, "status": 400}));
    let gone = Elastic::new(Profile::V9);
    let closed = gone.url();
    drop(gone);
    let authority = Authority::new();
    let front = Front::before(
        room.elastic.port(),
        authority.acceptor("es.example", |_| {}),
    );
    let ca = String::from_utf8(authority.pem()).expect("PEM");
    room.secret("ca", &json!({ "ca.crt": ca }));
    let causes = causes(&old, &without, &front, &closed);
    for (name, url, more, ..) in &causes {
        room.connect_to(name, url, more);
    }
    let _operator = room.operator();
    for (name, _, _, reason, says) in causes {
        let said = room.until_connection(name, &[&format!("Ready=False/{reason}")]);
        let message = said["status"]["conditions"][0]["message"].to_string();
        assert!(message.contains(says), "{name}: {message}");
    }
    let said = room.until_connection("without", &["Stalled=True/MLUnavailable"]);
    assert_eq!(said["status"]["mlAvailable"], false);
}

fn status(room: &Room, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    until(what, LIMIT, || {
        let status = room.get::<ElasticsearchConnection>("default")?["status"].clone();
        holds(&status)
            .then(|| status.clone())
            .ok_or_else(|| status.to_string())
    })
}

/// What the cluster does to itself is noticed by what is asked of it anyway, and told when it begins and when it ends.
fn moods_come_and_go() {
    let room = Room::new(controlplane::shared());
    for job in ["first", "second", "third"] {
        room.elastic.opened(job);
    }
    room.connect(&json!({}));
    let _operator = room.operator();
    let said = room.until_connection("default", &["Ready=True/Connected"]);
    assert_eq!(said["status"]["mlAvailable"], true);
    assert_eq!(said["status"]["upgradeMode"], false);
    let turn = |knob: &str, body: Value| room.elastic.turn("PUT", knob, &body);

    turn("upgrade_mode", json!({"enabled": true}));
    room.close("first", &json!({}));
    let waits = ["Ready=False/UpgradeMode", "Reconciling=True/UpgradeMode"];
    let said = room.until_connection("default", &waits);
    assert_eq!(said["status"]["upgradeMode"], true);
    turn("upgrade_mode", json!({"enabled": false}));
    room.until("first", &["Closed=True"]);
    let said = room.until_connection("default", &["Ready=True/Connected"]);
    assert_eq!(said["status"]["upgradeMode"], false);

    turn("master", json!({"present": false}));
    room.close("second", &json!({}));
    let waits = ["Ready=False/NoMaster", "Reconciling=True/NoMaster"];
    room.until_connection("default", &waits);
    turn("master", json!({"present": true}));
    room.until("second", &["Closed=True"]);
    let said = room.until_connection("default", &["Ready=True/Connected"]);
    assert!(!has_any(&said, "Reconciling"));

    // Closing needs no licence, so jobs are closed all the same.
    turn(
        "license",
        json!({"valid": false, "type": "basic", "closes": false}),
    );
    room.patch::<ElasticsearchConnection>(
        "default",
        &json!({"spec": {"limits": {"maxClosing": 9}}}),
    );
    let calls = ["Ready=False/LicenseMissing", "Stalled=True/LicenseMissing"];
    let said = room.until_connection("default", &calls);
    assert_eq!(said["status"]["mlAvailable"], false);
    room.close("third", &json!({}));
    room.until("third", &["Ready=True/InDesiredState", "Closed=True"]);
    turn("license", json!({"valid": true, "type": "trial"}));
    room.patch::<ElasticsearchConnection>(
        "default",
        &json!({"spec": {"limits": {"maxClosing": 8}}}),
    );
    room.until_connection("default", &["Ready=True/Connected"]);
}

/// Another cluster behind the same address is called only when a human has said that it is meant.
fn another_cluster_is_accepted_by_name() {
    let room = Room::new(controlplane::shared());
    room.elastic.opened("rate");
    room.connect(&json!({}));
    let _operator = room.operator();
    room.until_connection("default", &["Ready=True/Connected"]);
    let known = status(&room, "a uuid", |status| status["clusterUUID"].is_string());
    let another = "anotherClusterUuid0001";
    room.elastic
        .turn("PUT", "uuid", &json!({ "uuid": another }));
    let look = json!({"spec": {"limits": {"maxClosing": 9}}});
    room.patch::<ElasticsearchConnection>("default", &look);
    let changed = ["Ready=False/ClusterChanged", "Stalled=True/ClusterChanged"];
    let said = room.until_connection("default", &changed);
    let message = said["status"]["conditions"][0]["message"].to_string();
    let command = format!("anomalyjob.dev/accept-cluster-uuid={another}");
    assert!(message.contains(&command), "{message}");
    assert_eq!(said["status"]["clusterUUID"], known["clusterUUID"]);
    room.close("rate", &json!({}));
    room.until("rate", &["Ready=False/ClusterChanged"]);
    assert_eq!(room.elastic.log().closes("rate"), 0);
    room.kubectl(&["annotate", "esconn", "default", &command]);
    room.until("rate", &["Ready=True/InDesiredState", "Closed=True"]);
    status(&room, "the other uuid", |status| {
        status["clusterUUID"] == another
    });
}

/// `manage_ml` alone does all that is needed, and status says what it costs; with `monitor` nothing is lacking.
fn privileges_are_told() {
    let elastic = Elastic::with(Options {
        profile: Profile::V9,
        api_keys: vec![
            ApiKey::new("least", "secret", &["manage_ml"]),
            ApiKey::new("both", "secret", &["manage_ml", "monitor"]),
        ],
        ..Options::default()
    });
    let room = Room::with(controlplane::shared(), elastic);
    room.secret("least", &json!({"api-key": "least:secret"}));
    room.secret("both", &json!({"api-key": "both:secret"}));
    let by = |name: &str| json!({"auth": {"apiKeySecretRef": {"name": name}}});
    room.connect(&by("least"));
    let _operator = room.operator();
    let said = room.until_connection("default", &["Ready=True/Connected"]);
    let told = &said["status"]["privileges"];
    let lacking: Vec<&str> = told["lacking"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|of| of["action"].as_str())
        .collect();
    let optional = [
        "cluster:monitor/main",
        "cluster:monitor/state",
        "cluster:monitor/xpack/license/get",
    ];
    assert_eq!(lacking, optional);
    assert_eq!(told["granted"].as_array().map(Vec::len), Some(10));
    assert!(
        told.to_string()
            .contains("version and cluster id are unknown")
    );
    let patch = json!({ "spec": by("both") });
    room.patch::<ElasticsearchConnection>("default", &patch);
    let full = status(&room, "all is granted", |status| {
        status["privileges"]["granted"].as_array().map(Vec::len) == Some(13)
    });
    assert!(full["privileges"]["lacking"].is_null() && full["version"].is_string());
}

#[test]
fn each_cause_is_named_at_the_connection_and_what_passes_is_told_when_it_has_passed() {
    side_by_side(&[
        ("causes", &each_cause_has_its_own_reason),
        ("moods", &moods_come_and_go),
        ("another cluster", &another_cluster_is_accepted_by_name),
        ("privileges", &privileges_are_told),
    ]);
}
