//! Every reference across namespaces: what a connection names is looked for in one namespace, and what bears the same name in
//! another is never read, although the operator has the right to. Judged by the API server's own record.

use std::collections::BTreeSet;

use anomalyjob_operator::api::{ClusterElasticsearchConnection, ElasticsearchConnection};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};

use crate::support::LIMIT;
use crate::support::controlplane::ControlPlane;
use crate::support::room::{NAME, Room};

const MISSING: [&str; 1] = ["Ready=False/SecretNotFound"];

/// Each field that names something, a spec that says it, and what is looked for under which name.
#[allow(clippy::too_many_lines, reason = "a table")]
fn fields(url: &str) -> [(&'static str, Value, &'static str, &'static str); 9] {
    let at =
        |key: &str, value: Value| json!({"url": url, "allowPlaintext": true, "auth": {key: value}});
    let secure = |ca: Value| json!({"url": "https://es.example", "tls": {"ca": ca}});
    [
        (
            "secret-ref",
            json!({"secretRef": {"name": "whole"}}),
            "Secret",
            "whole",
        ),
        (
            "api-key",
            at("apiKeySecretRef", json!({"name": "key"})),
            "Secret",
            "key",
        ),
        (
            "basic",
            at("basicSecretRef", json!({"name": "user"})),
            "Secret",
            "user",
        ),
        (
            "bearer",
            at("bearerTokenSecretRef", json!({"name": "token"})),
            "Secret",
            "token",
        ),
        (
            "certificate",
            json!({"url": "https://es.example", "auth": {"clientCertificateSecretRef": {"name": "pair"}}}),
            "Secret",
            "pair",
        ),
        (
            "ca-secret",
            secure(json!({"secretRef": {"name": "ca"}})),
            "Secret",
            "ca",
        ),
        (
            "ca-map",
            secure(json!({"configMapRef": {"name": "ca"}})),
            "ConfigMap",
            "ca",
        ),
        (
            "eck",
            json!({"eckRef": {"name": "logs"}}),
            "Secret",
            "logs-es-http-certs-public",
        ),
        (
            "eck-user",
            json!({"eckRef": {"name": "logs"}, "tls": {"ca": {"configMapRef": {"name": "trusted"}}}}),
            "Secret",
            "logs-es-elastic-user",
        ),
    ]
}

/// All that any of the fields could find, in good order.
fn lay_out(room: &Room, url: &str) {
    room.secret("whole", &json!({"url": url, "api-key": "a:b"}));
    room.secret("key", &json!({"api-key": "a:b"}));
    room.secret("user", &json!({"username": "u", "password": "p"}));
    room.secret("token", &json!({"token": "t"}));
    room.secret("pair", &json!({"tls.crt": "c", "tls.key": "k"}));
    room.secret("ca", &json!({"ca.crt": "c"}));
    room.create::<ConfigMap>("ca", json!({"data": {"ca.crt": "c"}}));
    room.secret("logs-es-http-certs-public", &json!({"ca.crt": "c"}));
    room.secret("logs-es-elastic-user", &json!({"elastic": "p"}));
}

/// The namespaces in which the operator has read Secrets or ConfigMaps, by the server's record.
fn read_in(room: &Room) -> BTreeSet<String> {
    let log = std::fs::read_to_string(room.plane.folder().join("audit.log")).expect("an audit log");
    let account = format!("system:serviceaccount:{}:{NAME}", room.namespace);
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let reads = lines.filter(|line| {
        let at = &line["objectRef"]["resource"];
        line["user"]["username"] == *account && (at == "secrets" || at == "configmaps")
    });
    let word = |line: Value| line["objectRef"]["namespace"].as_str().map(str::to_owned);
    reads.filter_map(word).collect()
}

/// The tenant's connections and those of the house, each with every field, look in one place and find nothing there.
fn each_looks_in_one_place(home: &Room, tenant: &Room, url: &str) {
    for (name, _, kind, wanted) in fields(url) {
        let own = tenant.until_connection(name, &MISSING);
        let wide = home.until_within::<ClusterElasticsearchConnection>(LIMIT, name, &MISSING);
        for (said, room) in [(own, tenant), (wide, home)] {
            let message = said["status"]["conditions"][0]["message"].to_string();
            let there = format!(
                "there is no {kind} {wanted} in namespace {}",
                room.namespace
            );
            assert!(message.contains(&there), "{name}: {message}");
        }
    }
}

#[test]
fn no_reference_reaches_what_bears_the_same_name_in_another_namespace() {
    let plane = ControlPlane::start(&["--audit"]);
    plane.apply_crds();
    let (home, tenant, victim) = (Room::new(&plane), Room::new(&plane), Room::new(&plane));
    home.grant_everywhere();
    let url = victim.elastic.url();
    lay_out(&victim, &url);
    let trusted = json!({"data": {"ca.crt": "-"}});
    tenant.create::<ConfigMap>("trusted", trusted.clone());
    home.create::<ConfigMap>("trusted", trusted);
    for (name, spec, ..) in fields(&url) {
        tenant.create::<ElasticsearchConnection>(name, json!({ "spec": spec }));
        let mut wide = spec;
        wide["allowedNamespaces"] = json!([{"names": [tenant.namespace]}]);
        home.create::<ClusterElasticsearchConnection>(name, json!({ "spec": wide }));
    }
    // A connection of the other namespace, which works there.
    victim.connect_to("only-there", &url, &json!({}));
    victim.elastic.opened("rate");
    let by = json!({"state": "Closed", "connectionRef": {"name": "only-there"}});
    tenant.job("rate", &by);
    let watched = format!("{},{}", tenant.namespace, victim.namespace);
    let _operator = home.operator_with(&[
        "--watch-namespace",
        &watched,
        "--cluster-connections",
        "true",
        "--cluster-connections-namespace",
        &home.namespace,
    ]);

    each_looks_in_one_place(&home, &tenant, &url);
    tenant.until("rate", &["Ready=False/ConnectionNotFound"]);
    victim.until_connection("only-there", &["Ready=True/Connected"]);
    assert_eq!(
        read_in(&home),
        BTreeSet::from([home.namespace.clone(), tenant.namespace.clone()])
    );
    assert_eq!(victim.elastic.log().closes("rate"), 0);

    // And the other way: what is in the tenant's own namespace is of no account to a connection that stands in none.
    lay_out(&tenant, &url);
    let look_now = json!({"spec": {"limits": {"maxClosing": 7}}});
    tenant.patch::<ElasticsearchConnection>("api-key", &look_now);
    home.patch::<ClusterElasticsearchConnection>("api-key", &look_now);
    tenant.until_connection("api-key", &["Ready=True/Connected"]);
    let still = home.until_within::<ClusterElasticsearchConnection>(LIMIT, "api-key", &MISSING);
    assert!(still["status"].to_string().contains(&home.namespace));
    assert!(!read_in(&home).contains(&victim.namespace));
}
