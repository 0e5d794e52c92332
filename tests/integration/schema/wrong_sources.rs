//! ElasticsearchConnections that say wrongly where Elasticsearch is, who the operator is to it, or how much it may ask.

use serde_json::{Value, json};

use super::wrong::{EMPTY, MISSING, NAME, Wrong, each, table};
use super::{changed, connection};

const ONE_SOURCE: &str = "exactly one of url, eckRef and secretRef must say where Elasticsearch is";
const ONE_AUTH: &str = "at most one of apiKeySecretRef, basicSecretRef, bearerTokenSecretRef and clientCertificateSecretRef";

/// A good connection to an Elasticsearch of ECK.
pub(super) fn eck() -> Value {
    changed(connection, &json!({"spec": {"eckRef": {"name": "logs"}}}))
}

/// A good connection whose Secret holds everything.
pub(super) fn secret() -> Value {
    changed(connection, &json!({"spec": {"secretRef": {"name": "es"}}}))
}

fn plain() -> Value {
    changed(
        connection,
        &json!({"spec": {"url": "http://es:9200", "allowPlaintext": true}}),
    )
}

pub(super) fn all() -> Vec<Wrong> {
    [
        sources(),
        auths(),
        forms(),
        names(),
        limits(),
        allows(),
        crossings(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn sources() -> Vec<Wrong> {
    let of_url = table(
        connection,
        [
            ("spec.url", json!(MISSING), ONE_SOURCE),
            ("spec.eckRef", json!({"name": "logs"}), ONE_SOURCE),
            (
                "spec.secretRef",
                json!({"name": "es"}),
                "exactly one of url, eckRef and secretRef",
            ),
        ],
    );
    let of_eck = table(
        eck,
        [
            ("spec.secretRef", json!({"name": "es"}), ONE_SOURCE),
            (
                "spec.allowPlaintext",
                json!(true),
                "allowPlaintext has no meaning with eckRef, which is always encrypted",
            ),
        ],
    );
    let of_secret = table(
        secret,
        [
            (
                "spec.auth",
                json!({}),
                "auth has no meaning with secretRef, whose Secret holds the credentials",
            ),
            (
                "spec.auth",
                json!({"basicSecretRef": {"name": "user"}}),
                "auth has no meaning with secretRef, whose Secret holds the credentials",
            ),
            (
                "spec.tls.ca",
                json!({"secretRef": {"name": "ca"}}),
                "tls.ca has no meaning with secretRef, whose Secret holds the authority",
            ),
        ],
    );
    let of_plain = table(
        plain,
        [
            (
                "spec.auth.clientCertificateSecretRef",
                json!({"name": "me"}),
                "auth.clientCertificateSecretRef has no meaning with an http:// url",
            ),
            (
                "spec.tls",
                json!({"serverName": "es.example"}),
                "tls has no meaning with an http:// url",
            ),
        ],
    );
    [of_url, of_eck, of_secret, of_plain]
        .into_iter()
        .flatten()
        .collect()
}

fn only_token() -> Value {
    let auth = json!({"bearerTokenSecretRef": {"name": "es"}});
    changed(connection, &json!({"spec.auth": auth}))
}

fn auths() -> Vec<Wrong> {
    let (token, certificate, basic) = (
        "spec.auth.bearerTokenSecretRef",
        "spec.auth.clientCertificateSecretRef",
        "spec.auth.basicSecretRef",
    );
    let mut all = table(
        connection,
        [
            (token, json!({"name": "es"}), ONE_AUTH),
            (certificate, json!({"name": "es"}), ONE_AUTH),
        ],
    );
    all.extend(table(
        only_token,
        [
            (certificate, json!({"name": "es"}), ONE_AUTH),
            (basic, json!({"name": "es"}), ONE_AUTH),
            (
                token,
                json!({}),
                "spec.auth.bearerTokenSecretRef.name: Required value",
            ),
            (
                token,
                json!({"name": "es", "key": "a/b"}),
                "must be a key of a Secret or ConfigMap",
            ),
            (
                token,
                json!({"name": "es", "namespace": "x"}),
                r#"unknown field "spec.auth.bearerTokenSecretRef.namespace""#,
            ),
            (
                "spec.auth.bearerToken",
                json!("AAE"),
                r#"unknown field "spec.auth.bearerToken""#,
            ),
        ],
    ));
    all
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn forms() -> Vec<Wrong> {
    let mut all = table(
        eck,
        [
            ("spec.eckRef", json!({}), "spec.eckRef.name: Required value"),
            (
                "spec.eckRef",
                json!({"name": "logs", "namespace": "x"}),
                r#"unknown field "spec.eckRef.namespace""#,
            ),
            (
                "spec.eckRef.name",
                json!("a".repeat(37)),
                "may not be more than 36 bytes",
            ),
            ("spec.eckRef.name", json!(""), EMPTY),
            (
                "spec.auth.clientCertificateSecretRef",
                json!({"name": "Me"}),
                NAME,
            ),
            (
                "spec.auth.clientCertificateSecretRef",
                json!({}),
                "spec.auth.clientCertificateSecretRef.name: Required value",
            ),
        ],
    );
    all.extend(each(
        eck,
        "spec.eckRef.name",
        ["Logs", "a.b", "-a", "a_b", "x/y", "logs-"],
        "must be the name of an Elasticsearch of ECK",
    ));
    all.extend(table(
        secret,
        [
            (
                "spec.secretRef",
                json!({}),
                "spec.secretRef.name: Required value",
            ),
            ("spec.secretRef", json!({"name": "a b"}), NAME),
            (
                "spec.secretRef",
                json!({"name": "es", "key": "url"}),
                r#"unknown field "spec.secretRef.key""#,
            ),
            ("spec.suspend", json!("yes"), "must be of type boolean"),
        ],
    ));
    all
}

fn names() -> Vec<Wrong> {
    let mut all = each(
        connection,
        "spec.tls.serverName",
        [
            "10.0.0.1",
            "127.1",
            "0x7f.1",
            "2130706433",
            "[::1]",
            "::1",
            "es.example:9200",
            "es.example.",
            "https://es.example",
            "*.example",
            "es example",
            "-es",
            "é.example",
            "es_1",
        ],
        "must be a host name without a port and no IP address, for example es.example",
    );
    all.extend(table(
        connection,
        [
            ("spec.tls.serverName", json!(""), EMPTY),
            (
                "spec.tls.serverName",
                json!("a".repeat(254)),
                "may not be more than 253 bytes",
            ),
            (
                "spec.tls.verify",
                json!(false),
                r#"unknown field "spec.tls.verify""#,
            ),
            (
                "spec.tls.insecure",
                json!(true),
                r#"unknown field "spec.tls.insecure""#,
            ),
        ],
    ));
    all
}

fn limits() -> Vec<Wrong> {
    let (closing, flight, rate) = (
        "spec.limits.maxClosing",
        "spec.limits.maxInFlight",
        "spec.limits.requestsPerSecond",
    );
    table(
        connection,
        [
            (closing, json!(0), "should be greater than or equal to 1"),
            (
                closing,
                json!(10_001),
                "should be less than or equal to 10000",
            ),
            (flight, json!(0), "should be greater than or equal to 1"),
            (flight, json!(33), "should be less than or equal to 32"),
            (flight, json!("8"), "must be of type integer"),
            (rate, json!(0), "should be greater than or equal to 1"),
            (rate, json!(1001), "should be less than or equal to 1000"),
            (rate, json!(0.5), "must be of type integer"),
        ],
    )
}

fn allows() -> Vec<Wrong> {
    let (jobs, force) = ("spec.allow.jobs", "spec.allow.force");
    let mut all = table(
        connection,
        [
            (
                force,
                json!("Sometimes"),
                r#"supported values: "Always", "Failed", "Never""#,
            ),
            (force, json!(true), "must be of type string"),
            (jobs, json!("*"), "must be of type array"),
            (jobs, json!(["a", "a"]), "Duplicate value"),
            (jobs, json!(vec!["a"; 101]), "must have at most 100 items"),
            (
                "spec.allow.namespaces",
                json!(["x"]),
                r#"unknown field "spec.allow.namespaces""#,
            ),
        ],
    );
    for text in ["", "A", "a,b", "a?", "a/b", "_all", "a b"] {
        all.extend(table(
            connection,
            [(jobs, json!([text]), "must be one id or one wildcard of ids")],
        ));
    }
    all
}

/// No reference leads out of the namespace of its connection, in whatever way it is tried.
fn crossings() -> Vec<Wrong> {
    let of_connection = [
        "spec.auth.apiKeySecretRef",
        "spec.auth.basicSecretRef",
        "spec.auth.bearerTokenSecretRef",
        "spec.auth.clientCertificateSecretRef",
        "spec.tls.ca.secretRef",
        "spec.tls.ca.configMapRef",
    ];
    let bare = || json!({"apiVersion": "anomalyjob.dev/v1alpha1", "kind": "ElasticsearchConnection", "metadata": {"name": "good"}, "spec": {"url": "https://es"}});
    let mut all = Vec::new();
    for (good, path) in of_connection
        .map(|path| (bare as fn() -> Value, path))
        .into_iter()
        .chain([
            (eck as fn() -> Value, "spec.eckRef"),
            (secret, "spec.secretRef"),
        ])
    {
        let says = if path == "spec.eckRef" {
            "must be the name of an Elasticsearch of ECK"
        } else {
            NAME
        };
        all.extend(table(
            good,
            [
                (path, json!({"name": "other/es"}), says),
                (path, json!({"name": "../other/es"}), says),
                (
                    path,
                    json!({"name": "es", "namespace": "other"}),
                    "unknown field",
                ),
            ],
        ));
    }
    all
}
