//! The ways to say where an Elasticsearch is and who the operator is to it, each by what reaches the cluster.

use anomalyjob_operator::api::{AnomalyJob, ElasticsearchConnection};
use elasticsearch_simulator::{ApiKey, Options, Profile, User};
use serde_json::{Value, json};

use crate::support::elastic::Elastic;
use crate::support::room::{Room, has_any};
use crate::support::{LIMIT, controlplane, side_by_side, until};

fn secured() -> Elastic {
    Elastic::with(Options {
        profile: Profile::V9,
        users: vec![User::new("operator", "pass", &["manage_ml"])],
        api_keys: vec![
            ApiKey::new("key", "secret", &["manage_ml"]),
            ApiKey::new("reader", "secret", &["monitor"]),
            ApiKey::new("nobody", "secret", &[]),
        ],
        ..Options::default()
    })
}

/// A connection of exactly this spec.
fn connection(room: &Room, name: &str, spec: &Value) {
    room.create::<ElasticsearchConnection>(name, json!({ "spec": spec }));
}

/// A job that is open is closed over the connection of its name.
fn is_closed_over(room: &Room, name: &str) {
    let by = json!({"state": "Closed", "connectionRef": {"name": name}});
    room.elastic.opened(name);
    room.job(name, &by);
    room.until(name, &["Ready=True/InDesiredState", "Closed=True"]);
    assert_eq!(room.elastic.log().closes(name), 1);
}

/// What stands in the Secrets, and how each that is wrong is named.
fn wrong_secrets(url: &str) -> [(&'static str, Value, &'static str, &'static str); 6] {
    [
        (
            "nobody",
            json!({"url": url, "api-key": "nobody:secret"}),
            "MissingPrivilege",
            "the credentials lack cluster:admin/xpack/ml/job/close, cluster:admin/xpack/ml/job/open",
        ),
        (
            "twice",
            json!({"url": url, "api-key": "key:secret", "username": "operator"}),
            "SecretInvalid",
            "Secret twice holds both api-key and username",
        ),
        (
            "urlless",
            json!({"api-key": "key:secret"}),
            "SecretInvalid",
            "Secret urlless has no key url, which must hold the address of Elasticsearch",
        ),
        (
            "half",
            json!({"url": url, "username": "operator"}),
            "SecretInvalid",
            "Secret half has no key password, which must hold a password",
        ),
        (
            "elsewhere",
            json!({"url": "https://u:p@es", "api-key": "key:secret"}),
            "URLInvalid",
            "key url of Secret elsewhere: it holds a user name or password",
        ),
        (
            "odd-key",
            json!({"url": url, "api-key": "two words"}),
            "SecretInvalid",
            "key api-key of Secret odd-key: the API key is neither",
        ),
    ]
}

/// A key that may only read is no reason not to read; what it lacks is said when something was refused.
fn reader_says_what_it_lacks(room: &Room) {
    room.elastic.opened("reader");
    room.job(
        "reader",
        &json!({"state": "Closed", "connectionRef": {"name": "reader"}}),
    );
    let says = "they may not close jobs, open jobs, start datafeeds, stop datafeeds: give them the cluster privilege manage_ml";
    until("what it lacks", LIMIT, || {
        let said = room.get::<ElasticsearchConnection>("reader")?;
        let ready = said["status"]["conditions"][0].to_string();
        if ready.contains(says) && ready.contains("Connected") {
            Ok(())
        } else {
            Err(ready)
        }
    });
    let job = room.until("reader", &["Closed=False/StillOpen"]);
    let ready = job["status"]["conditions"].to_string();
    assert!(ready.contains("manage_ml"), "{ready}");
}

fn one_secret_holds_everything() {
    let room = Room::with(controlplane::shared(), secured());
    let url = format!("{}\n", room.elastic.url());
    let by_secret = |name: &str, data: &Value| {
        room.secret(name, data);
        let spec = json!({"secretRef": {"name": name}, "allowPlaintext": true});
        connection(&room, name, &spec);
    };
    by_secret("by-key", &json!({"url": url, "api-key": "key:secret\n"}));
    let user = json!({"url": url, "username": "operator", "password": "pass"});
    by_secret("by-user", &user);
    by_secret("reader", &json!({"url": url, "api-key": "reader:secret"}));
    let wrong = wrong_secrets(&url);
    for (name, data, ..) in &wrong {
        by_secret(name, data);
    }
    let _operator = room.operator();
    is_closed_over(&room, "by-key");
    is_closed_over(&room, "by-user");
    reader_says_what_it_lacks(&room);
    for (name, _, reason, says) in wrong {
        let said = room.until_connection(name, &[&format!("Ready=False/{reason}")]);
        let message = said["status"]["conditions"][0]["message"].to_string();
        assert!(message.contains(says), "{name}: {message}");
    }
    // A value that is wrong is never shown.
    let all = room.kubectl(&["get", "esconn,events", "-o", "yaml"]);
    assert!(!all.contains("two words") && !all.contains("u:p@"), "{all}");
}

/// Nothing reaches the cluster while it is suspended, not even a question; what waits goes on afterwards.
fn a_suspended_connection_sends_nothing() {
    let room = Room::with(controlplane::shared(), secured());
    room.secret("key", &json!({"api-key": "key:secret"}));
    room.connect(&json!({"suspend": true, "auth": {"apiKeySecretRef": {"name": "key"}}}));
    room.elastic.opened("rate");
    let before = asked(&room);
    let _operator = room.operator();
    room.close("rate", &json!({}));
    room.until("rate", &["Ready=False/ConnectionSuspended"]);
    let said = room.until_connection("default", &["Ready=False/ConnectionSuspended"]);
    assert!(!has_any(&said, "Stalled") && !has_any(&said, "Reconciling"));
    assert_eq!(asked(&room), before);
    room.patch::<ElasticsearchConnection>("default", &json!({"spec": {"suspend": false}}));
    room.until("rate", &["Ready=True/InDesiredState", "Closed=True"]);

    room.patch::<ElasticsearchConnection>("default", &json!({"spec": {"suspend": true}}));
    room.until_connection("default", &["Ready=False/ConnectionSuspended"]);
    let silent = asked(&room);
    room.patch::<AnomalyJob>("rate", &json!({"spec": {"state": "Opened"}}));
    room.until("rate", &["Ready=False/ConnectionSuspended"]);
    assert_eq!(asked(&room), silent);
}

/// What is not covered is neither touched nor looked at; what is, is closed, and by no force.
fn only_what_is_allowed_is_touched() {
    let room = Room::new(controlplane::shared());
    for job in ["mine", "theirs", "broken"] {
        room.elastic.opened(job);
    }
    room.elastic.tune("broken", &json!({"close_ms": "hang"}));
    room.connect(&json!({"allow": {"jobs": ["mine", "broken"], "force": "Never"}}));
    let _operator = room.operator();
    room.job("all", &json!({"jobId": "mine,theirs", "state": "Closed"}));
    room.close("broken", &json!({"timeout": "1s"}));
    let all = room.until(
        "all",
        &["Ready=False/NotAllowed", "Closed=Unknown/NotAllowed"],
    );
    assert_eq!(all["status"]["jobs"]["closed"], 1);
    room.until("broken", &["Ready=False/NotAllowed"]);
    let everything = json!({"spec": {"allow": null}});
    let log = room.elastic.log();
    let touched = ["mine", "theirs", "broken"].map(|job| (log.closes(job) > 0, log.forces(job)));
    assert_eq!(touched, [(true, 0), (false, 0), (true, 0)]);
    room.patch::<ElasticsearchConnection>("default", &everything);
    for object in ["all", "broken"] {
        room.until(object, &["Ready=True/InDesiredState", "Closed=True"]);
    }
    assert_eq!(room.elastic.log().forces("broken"), 1);
}

/// Who may write a connection reaches nothing that only the operator can reach.
fn closed_addresses_are_not_reached() {
    let room = Room::new(controlplane::shared());
    room.elastic.opened("rate");
    let before = asked(&room);
    room.connect(&json!({}));
    let metadata = json!({"url": "http://169.254.169.254", "allowPlaintext": true});
    connection(&room, "metadata", &metadata);
    let api_server = json!({"url": "https://127.0.0.1:1", "tls": {"serverName": "es.example"}});
    connection(&room, "by-another-name", &api_server);
    let _operator = room.operator_with(&["--allow-endpoints", "127.0.0.99,*.lab.example"]);
    room.close("rate", &json!({}));
    room.until("rate", &["Ready=False/EndpointNotAllowed"]);
    for name in ["default", "metadata", "by-another-name"] {
        let both = [
            "Ready=False/EndpointNotAllowed",
            "Stalled=True/EndpointNotAllowed",
        ];
        let said = room.until_connection(name, &both);
        let message = said["status"]["conditions"][0]["message"].to_string();
        assert!(message.contains("--allow-endpoints"), "{message}");
    }
    assert_eq!(asked(&room), before);
}

fn asked(room: &Room) -> usize {
    let log = room.elastic.log();
    let ours = log.requests.iter().filter(|line| line["user"] != "test");
    ours.count()
}

#[test]
fn every_way_to_name_a_cluster_and_its_credentials_leads_there() {
    side_by_side(&[
        ("one Secret holds everything", &one_secret_holds_everything),
        ("suspend", &a_suspended_connection_sends_nothing),
        ("closed addresses", &closed_addresses_are_not_reached),
        ("allow", &only_what_is_allowed_is_touched),
    ]);
}
