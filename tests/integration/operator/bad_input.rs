//! Connections that are wrong in every way: each says its own reason, none disturbs another, asks too often, or shows a secret.

use std::time::Duration;

use anomalyjob_operator::api::{AnomalyJob, ElasticsearchConnection};
use base64::Engine as _;
use elasticsearch_simulator::{ApiKey, Options, Profile};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use crate::support::elastic::Elastic;
use crate::support::room::Room;
use crate::support::tls::Authority;
use crate::support::{controlplane, side_by_side};

const SENTINEL: &str = "Sentinel0fTheSecret5";

/// Enough for a probe that comes each minute, and for an answer that never comes.
const SLOW: Duration = Duration::from_secs(90);

/// An Elasticsearch with security, that takes one key which holds the sentinel.
fn guarded(profile: Profile, privileges: &[&str]) -> Elastic {
    let api_keys = vec![ApiKey::new("key", SENTINEL, privileges)];
    Elastic::with(Options {
        profile,
        api_keys,
        ..Options::default()
    })
}

/// Something that is no Elasticsearch.
fn hostile(body: &str) -> Elastic {
    let elastic = Elastic::new(Profile::V9);
    elastic.inject(&json!({"body": body, "count": null}));
    elastic
}

fn api_key(name: &str) -> Value {
    json!({"auth": {"apiKeySecretRef": {"name": name}}})
}

/// The job `NAME` over the connection `NAME`.
fn job_over(room: &Room, name: &str) {
    room.job(
        name,
        &json!({"state": "Closed", "connectionRef": {"name": name}}),
    );
}

/// The connection and its job say the same reason.
fn both_say(room: &Room, name: &str, reason: &str) {
    let ready = format!("Ready=False/{reason}");
    let connection = room.until_within::<ElasticsearchConnection>(SLOW, name, &[&ready]);
    let message = connection["status"]["conditions"][0]["message"]
        .as_str()
        .unwrap_or_default();
    assert!(message.len() > 10, "{name}: {message}");
    let job = room.until_within::<AnomalyJob>(SLOW, name, &[&ready]);
    assert!(job["status"]["conditions"].to_string().contains(reason));
}

/// No value of a Secret, plain or encoded, in what anybody can read.
fn assert_silent(room: &Room, log: &str, metrics: &str) {
    let encoded = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let forms = [
        SENTINEL.to_owned(),
        encoded(SENTINEL),
        encoded(&format!("key:{SENTINEL}")),
        encoded(&format!("user:{SENTINEL}")),
    ];
    let objects = room.kubectl(&[
        "get",
        "aj,esconn,events.events.k8s.io,events,leases,configmaps",
        "-o",
        "yaml",
    ]);
    assert!(
        log.contains("\"TRACE\"") && objects.contains("SecretInvalid"),
        "nothing was looked at"
    );
    for form in &forms {
        for (what, text) in [("log", log), ("metrics", metrics), ("objects", &objects)] {
            let found = text.lines().find(|line| line.contains(form.as_str()));
            assert!(found.is_none(), "a secret is in the {what}: {found:?}");
        }
    }
}

/// One good connection, the others each wrong in its own way, and what stands behind those that are no Elasticsearch.
fn connect_all(room: &Room) -> [(&'static str, Elastic); 4] {
    room.secret("good", &json!({"api-key": format!("key:{SENTINEL}")}));
    room.secret("keyless", &json!({"another": SENTINEL}));
    room.secret("user", &json!({"username": "user", "password": SENTINEL}));
    room.secret(
        "no-pem",
        &json!({"ca.crt": format!("no PEM, but {SENTINEL}")}),
    );
    let bodies = [
        ("html", "html"),
        ("product", "other_product"),
        ("endless", "endless"),
        ("silent", "silence"),
    ];
    let hostiles = bodies.map(|(name, body)| (name, hostile(body)));
    for (name, elastic) in &hostiles {
        room.connect_to(name, &elastic.url(), &api_key("good"));
    }
    let url = room.elastic.url();
    room.connect_to("default", &url, &api_key("good"));
    room.connect_to("secretless", &url, &api_key("absent"));
    room.connect_to("keyless", &url, &api_key("keyless"));
    room.connect_to(
        "rejected",
        &url,
        &json!({"auth": {"basicSecretRef": {"name": "user"}}}),
    );
    connect_in_other_ways(room, &url);
    let ca = json!({"tls": {"ca": {"secretRef": {"name": "no-pem"}}}});
    room.connect_to("no-pem", &url.replace("http:", "https:"), &ca);
    hostiles
}

/// A token that nobody gave out, a key that is none, and a url with what belongs elsewhere.
fn connect_in_other_ways(room: &Room, url: &str) {
    room.secret("token", &json!({"token": SENTINEL}));
    let token = json!({"auth": {"bearerTokenSecretRef": {"name": "token"}}});
    room.connect_to("token", url, &token);
    let own = Authority::new().sign("operator", |_| {}).0.pem();
    room.secret("own", &json!({"tls.crt": own, "tls.key": SENTINEL}));
    let own = json!({"auth": {"clientCertificateSecretRef": {"name": "own"}}});
    room.connect_to("own", &url.replace("http:", "https:"), &own);
    let all = json!({"url": format!("https://user:{SENTINEL}@es"), "api-key": SENTINEL});
    room.secret("together", &all);
    let by_secret = json!({"spec": {"secretRef": {"name": "together"}}});
    room.create::<ElasticsearchConnection>("together", by_secret);
}

/// In ten seconds each is asked a few times.
fn assert_no_storm(hostiles: &[(&str, Elastic)]) {
    let asked = || hostiles.iter().map(|(_, elastic)| elastic.log().len());
    let before: Vec<usize> = asked().collect();
    std::thread::sleep(Duration::from_secs(10));
    for (((name, _), before), after) in hostiles.iter().zip(before).zip(asked()) {
        let asked = after - before;
        assert!(asked <= 6, "{name} was asked {asked} times in 10 s");
    }
}

fn heal(room: &Room) {
    for job in ["absent", "secretless", "keyless"] {
        room.elastic.opened(job);
    }
    let key = json!({"api-key": format!("key:{SENTINEL}")});
    room.connect_to("absent", &room.elastic.url(), &api_key("good"));
    room.until("absent", &["Ready=True/InDesiredState", "Closed=True"]);
    room.secret("absent", &key);
    room.patch::<Secret>("keyless", &json!({ "stringData": key }));
    for job in ["secretless", "keyless"] {
        room.until_within::<AnomalyJob>(SLOW, job, &["Ready=True/InDesiredState", "Closed=True"]);
    }
}

fn each_wrong_connection_says_why() {
    let room = Room::with(controlplane::shared(), guarded(Profile::V9, &["all"]));
    room.elastic.opened("default");
    let hostiles = connect_all(&room);
    let operator = room.operator_with(&["--log-level", "trace"]);
    for name in [
        "default",
        "html",
        "product",
        "endless",
        "silent",
        "secretless",
        "keyless",
        "rejected",
        "no-pem",
        "token",
        "own",
        "together",
        "absent",
    ] {
        job_over(&room, name);
    }
    // The good one first: it must not wait for any of the others.
    room.until("default", &["Ready=True/InDesiredState", "Closed=True"]);
    for (name, reason) in [
        ("html", "NotElasticsearch"),
        ("product", "NotElasticsearch"),
        ("endless", "UnexpectedAnswer"),
        ("secretless", "SecretNotFound"),
        ("keyless", "SecretInvalid"),
        ("rejected", "CredentialsInvalid"),
        ("no-pem", "CAInvalid"),
        ("token", "CredentialsInvalid"),
        ("own", "SecretInvalid"),
        ("together", "URLInvalid"),
    ] {
        both_say(&room, name, reason);
    }
    room.until("absent", &["Ready=False/ConnectionNotFound"]);
    assert_no_storm(&hostiles);
    both_say(&room, "silent", "TimedOut");
    assert_silent(&room, &operator.log(), &operator.metrics());

    heal(&room);
    assert_silent(&room, &operator.log(), &operator.metrics());
}

fn wrong_credentials_heal_with_the_secret() {
    let room = Room::with(controlplane::shared(), guarded(Profile::V9, &["all"]));
    room.elastic.opened("default");
    room.secret("key", &json!({"api-key": "key:wrong"}));
    room.connect(&api_key("key"));
    let _operator = room.operator();
    job_over(&room, "default");
    both_say(&room, "default", "CredentialsInvalid");
    room.patch::<Secret>(
        "key",
        &json!({"stringData": {"api-key": format!("key:{SENTINEL}")}}),
    );
    room.until_within::<AnomalyJob>(
        SLOW,
        "default",
        &["Ready=True/InDesiredState", "Closed=True"],
    );
    room.until_connection("default", &["Ready=True/Connected"]);
    assert_eq!(room.elastic.log().closes("default"), 1);
}

#[test]
fn every_wrong_connection_says_its_own_reason_and_heals_without_a_storm_or_a_secret_shown() {
    side_by_side(&[
        ("each wrong connection", &each_wrong_connection_says_why),
        ("wrong credentials", &wrong_credentials_heal_with_the_secret),
    ]);
}

fn manage_ml_alone(profile: Profile, calls: &[&str]) {
    let room = Room::with(controlplane::shared(), guarded(profile, &["manage_ml"]));
    room.elastic.fed("default");
    room.secret("key", &json!({"api-key": format!("key:{SENTINEL}")}));
    room.connect(&api_key("key"));
    let _operator = room.operator();
    job_over(&room, "default");
    let job = room.until("default", &["Ready=True/InDesiredState", "Closed=True"]);
    let connection = room.until_connection("default", &["Ready=True/Connected"]);
    for (what, status) in [
        ("job", &job["status"]["connection"]),
        ("connection", &connection["status"]),
    ] {
        assert_eq!(
            (&status["version"], &status["clusterUUID"]),
            (&Value::Null, &Value::Null),
            "{what}"
        );
    }
    let message = connection["status"]["conditions"][0]["message"].to_string();
    assert!(
        message.contains("monitor") && message.contains("unknown"),
        "{message}"
    );
    let log = room.elastic.log();
    let made = log
        .requests
        .iter()
        .filter(|line| line["user"] != "test")
        .filter_map(|line| line["api"].as_str());
    let made: Vec<&str> = made
        .filter(|api| ["Close", "StopFeed"].contains(api))
        .collect();
    assert_eq!(made, calls);
}

#[test]
fn manage_ml_alone_is_enough_and_version_and_uuid_are_then_unknown() {
    side_by_side(&[
        ("9", &|| manage_ml_alone(Profile::V9, &["Close"])),
        ("7.10", &|| {
            manage_ml_alone(Profile::V7_10, &["StopFeed", "Close"]);
        }),
    ]);
}
