//! What a connection names is replaced while the operator runs: it is used without a restart, and without a storm.

use anomalyjob_operator::api::{AnomalyJob, ElasticsearchConnection};
use elasticsearch_simulator::{Options, Profile, User};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::{Value, json};

use crate::support::elastic::Elastic;
use crate::support::room::Room;
use crate::support::tls::{Authority, Front};
use crate::support::{controlplane, side_by_side};

fn secured() -> Room<'static> {
    let elastic = Elastic::with(Options {
        profile: Profile::V9,
        users: vec![User::new("operator", "first", &["manage_ml"])],
        ..Options::default()
    });
    Room::with(controlplane::shared(), elastic)
}

fn password(value: &str) -> Value {
    json!({"username": "operator", "password": value})
}

/// Requests that were refused for their credentials.
fn rejected(room: &Room) -> usize {
    let log = room.elastic.log();
    let refused = log.requests.iter().filter(|line| line["status"] == 401);
    refused.count()
}

fn by_user() -> Value {
    json!({"auth": {"basicSecretRef": {"name": "user"}}})
}

/// Has the connection looked at now and not within a minute.
fn touch(room: &Room, max_closing: u32) {
    let patch = json!({"spec": {"limits": {"maxClosing": max_closing}}});
    room.patch::<ElasticsearchConnection>("default", &patch);
}

fn rejected_credentials_are_not_shown_again() {
    let room = secured();
    room.elastic.opened("rate");
    room.secret("user", &password("wrong"));
    room.connect(&by_user());
    let _operator = room.operator();
    room.close("rate", &json!({}));
    let said = room.until_connection("default", &["Ready=False/CredentialsInvalid"]);
    let message = said["status"]["conditions"][0]["message"].to_string();
    assert!(message.contains("mend Secret user"), "{message}");
    room.until("rate", &["Ready=False/CredentialsInvalid"]);
    // One try, and one more after the Secret was read again.
    assert_eq!(rejected(&room), 2);
    for most in [10, 11, 12] {
        touch(&room, most);
        room.until_connection("default", &["Ready=False/CredentialsInvalid"]);
    }
    assert_eq!(rejected(&room), 2);
    // Others go at once; and if they are wrong too, twice.
    room.patch::<Secret>("user", &json!({"stringData": password("wrong too")}));
    touch(&room, 13);
    room.until_connection("default", &["Ready=False/CredentialsInvalid"]);
    assert_eq!(rejected(&room), 4);
    room.patch::<Secret>("user", &json!({"stringData": password("first")}));
    touch(&room, 14);
    room.until("rate", &["Ready=True/InDesiredState", "Closed=True"]);
    assert_eq!(rejected(&room), 4);
}

fn a_password_that_is_replaced_is_used_at_once() {
    let room = secured();
    room.elastic.opened("rate");
    room.secret("user", &password("first"));
    room.connect(&by_user());
    let _operator = room.operator();
    room.close("rate", &json!({}));
    room.until("rate", &["Ready=True/InDesiredState", "Closed=True"]);
    for next in ["second", "third"] {
        room.patch::<Secret>("user", &json!({"stringData": password(next)}));
        let user = json!({"password": next, "roles": ["rotated"]});
        room.elastic.call(
            "PUT",
            "/_security/role/rotated",
            &json!({"cluster": ["manage_ml"]}),
        );
        room.elastic.call("PUT", "/_security/user/operator", &user);
        let looked = room.look_again("rate", next);
        assert_eq!(
            looked["status"]["conditions"][0]["status"], "True",
            "{looked}"
        );
    }
    assert!((2..=6).contains(&rejected(&room)), "{}", rejected(&room));
}

/// The certificates of a generation: that of Elasticsearch, and that of the operator.
fn certificates(authority: &Authority) -> (Value, Value) {
    let (certificate, key) = authority.sign("operator", |_| {});
    let ca = String::from_utf8(authority.pem()).expect("PEM");
    let own = json!({"tls.crt": certificate.pem(), "tls.key": key.serialize_pem()});
    (json!({"ca.crt": ca}), own)
}

fn all_certificates_are_replaced() {
    let room = Room::new(controlplane::shared());
    room.elastic.opened("rate");
    let first = Authority::new();
    let front = Front::before(room.elastic.port(), first.acceptor_of_known_clients());
    let (ca, own) = certificates(&first);
    room.create::<ConfigMap>("ca", json!({ "data": ca }));
    room.secret("own", &own);
    let more = json!({
        "allowPlaintext": false, "tls": {"ca": {"configMapRef": {"name": "ca"}}},
        "auth": {"clientCertificateSecretRef": {"name": "own"}},
    });
    room.connect_to("default", &front.url(), &more);
    let _operator = room.operator();
    room.close("rate", &json!({}));
    room.until("rate", &["Ready=True/InDesiredState", "Closed=True"]);
    for timeout in ["1h", "2h"] {
        let next = Authority::new();
        let (ca, own) = certificates(&next);
        front.change(next.acceptor_of_known_clients());
        room.patch::<AnomalyJob>("rate", &json!({"spec": {"close": {"timeout": timeout}}}));
        room.until_connection("default", &["Ready=False/TLSUntrusted"]);
        // The bundle of one moment is that of another than the key: each is looked at until both fit.
        room.patch::<ConfigMap>("ca", &json!({ "data": ca }));
        room.patch::<Secret>("own", &json!({ "stringData": own }));
        room.until_connection("default", &["Ready=True/Connected"]);
        room.look_again("rate", timeout);
    }
    room.until("rate", &["Ready=True/InDesiredState", "Closed=True"]);
}

/// When the connection became ready; nothing while it is not.
fn ready_since(room: &Room) -> Value {
    let connection = room.until_connection("default", &["Ready=True/Connected"]);
    let conditions = connection["status"]["conditions"]
        .as_array()
        .expect("a list");
    let ready = conditions.iter().find(|one| one["type"] == "Ready");
    ready.expect("Ready")["lastTransitionTime"].clone()
}

/// Both authorities are trusted while the certificate of the server is replaced.
fn an_authority_is_replaced_with_an_overlap_and_nothing_is_interrupted() {
    let room = Room::new(controlplane::shared());
    room.elastic.opened("rate");
    let (old, new) = (Authority::new(), Authority::new());
    let acceptor = |of: &Authority| of.acceptor("127.0.0.1", |_| {});
    let front = Front::before(room.elastic.port(), acceptor(&old));
    let bundle = |all: &[&Authority]| {
        let pem: Vec<u8> = all.iter().flat_map(|authority| authority.pem()).collect();
        json!({"data": {"ca.crt": String::from_utf8(pem).expect("PEM")}})
    };
    room.create::<ConfigMap>("ca", bundle(&[&old]));
    let ca = json!({"ca": {"configMapRef": {"name": "ca"}}});
    room.connect_to(
        "default",
        &front.url(),
        &json!({"allowPlaintext": false, "tls": ca}),
    );
    let _operator = room.operator();
    room.close("rate", &json!({}));
    room.until("rate", &["Ready=True/InDesiredState", "Closed=True"]);
    let since = ready_since(&room);
    let trust = |all: &[&Authority], most: u32| {
        room.patch::<ConfigMap>("ca", &bundle(all));
        touch(&room, most);
        // What follows would break off a probe that is still on its way.
        room.until_connection("default", &["Ready=True/Connected"]);
        room.look_again("rate", &most.to_string());
    };
    trust(&[&old, &new], 10);
    front.change(acceptor(&new));
    room.look_again("rate", "new");
    trust(&[&new], 11);
    assert_eq!(ready_since(&room), since);
    // The old one is not trusted any more: the last bundle was used.
    front.change(acceptor(&old));
    room.patch::<AnomalyJob>("rate", &json!({"spec": {"close": {"timeout": "1h"}}}));
    room.until_connection("default", &["Ready=False/TLSUntrusted"]);
}

#[test]
fn what_a_connection_names_may_be_replaced_at_any_time() {
    side_by_side(&[
        ("rejected", &rejected_credentials_are_not_shown_again),
        ("password", &a_password_that_is_replaced_is_used_at_once),
        ("certificates", &all_certificates_are_replaced),
        (
            "overlap",
            &an_authority_is_replaced_with_an_overlap_and_nothing_is_interrupted,
        ),
    ]);
}
