//! Wrong manifests, each one step away from a good one, and the text that must say what would be right.

use serde_json::{Value, json};

use super::{connection, put, take};

/// A manifest that must be refused.
pub(super) struct Wrong {
    /// What is wrong, for the report of the test.
    pub(super) what: String,
    pub(super) manifest: Value,
    /// The field that the answer must name.
    pub(super) field: &'static str,
    /// Part of the answer.
    pub(super) says: &'static str,
}

pub(super) type Row = (&'static str, Value, &'static str);

/// Good manifests in which one path holds another value; `MISSING` takes it away.
pub(super) fn table<const N: usize>(good: fn() -> Value, rows: [Row; N]) -> Vec<Wrong> {
    let row = |(path, value, says): Row| {
        let mut manifest = good();
        let what = format!("{} {path} = {value}", manifest["kind"].as_str().unwrap());
        if value == json!(MISSING) {
            take(&mut manifest, path);
        } else {
            put(&mut manifest, path, value);
        }
        Wrong {
            what: what.chars().take(100).collect(),
            manifest,
            field: path.rsplit('.').next().unwrap(),
            says,
        }
    };
    rows.into_iter().map(row).collect()
}

/// The same mistake in many spellings.
pub(super) fn each<const N: usize>(
    good: fn() -> Value,
    path: &'static str,
    values: [&str; N],
    says: &'static str,
) -> Vec<Wrong> {
    table(good, values.map(|value| (path, json!(value), says)))
}

/// No spans of time.
pub(super) const SPANS: [&str; 17] = [
    "0",
    "0s",
    "soon",
    "30",
    "30M",
    "1.5h",
    "-5m",
    "1h30m",
    "500ms",
    "30 m",
    "00m",
    "1000000000s",
    "1w",
    "s",
    "",
    "30 minutes",
    "30m\n",
];

pub(super) const MISSING: &str = "\u{0}missing";
pub(super) const EMPTY: &str = "should be at least 1 chars long";
pub(super) const NAME: &str = "must be the name of a Kubernetes object";

/// ElasticsearchConnections that must be refused.
pub(super) fn connections() -> Vec<Wrong> {
    [urls(), plaintext(), references(), connection_forms()]
        .into_iter()
        .flatten()
        .collect()
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn urls() -> Vec<Wrong> {
    let spellings = |values: &[&str], says| -> Vec<Wrong> {
        values
            .iter()
            .flat_map(|value| each(connection, "spec.url", [*value], says))
            .collect()
    };
    let all = [
        spellings(
            &[
                "es.example:9200",
                "ftp://es",
                "HTTPS://es",
                "//es",
                "unix:/es",
                " https://es",
            ],
            "must begin with https://, for example https://es.example:9200 (http:// only with allowPlaintext: true)",
        ),
        spellings(
            &[
                "https://elastic:changeme@es",
                "https://elastic@es:9200",
                "https://es/@x",
            ],
            "must have no user name or password: put them into a Secret and name it in auth",
        ),
        spellings(
            &[
                "https://es?pretty",
                "https://es/x?a=b",
                "https://es#top",
                "https://es/#",
            ],
            "must have no query (?) and no fragment (#)",
        ),
        spellings(
            &[
                "https://",
                "https:///es",
                "https://:9200",
                "https://?x",
                "https://es example",
                "https://es_",
                "https://é.example",
                "https://es\n",
            ],
            "must name a host, for example https://es.example:9200",
        ),
        spellings(
            &[
                "https://es:0",
                "https://es:65536",
                "https://es:99999/x",
                "https://es:http",
                "https://es:",
                "https://[::1]:0",
            ],
            "must have a port from 1 to 65535, for example https://es.example:9200",
        ),
        spellings(
            &[
                "https://es/a/../b",
                "https://es//x",
                "https://es/a b",
                "https://es/%2e",
            ],
            "must have no path, or a plain prefix, for example https://proxy.example/es",
        ),
    ];
    all.into_iter().flatten().collect()
}

fn plaintext() -> Vec<Wrong> {
    fn allowed() -> Value {
        let mut manifest = connection();
        put(&mut manifest, "spec.allowPlaintext", json!(true));
        manifest
    }
    let says =
        "an http:// url sends credentials unencrypted: use https://, or say allowPlaintext: true";
    let mut all = each(
        connection,
        "spec.url",
        ["http://es:9200", "http://es.example/x"],
        says,
    );
    let says = "tls has no meaning with an http:// url: use https://, or remove tls";
    all.extend(each(allowed, "spec.url", ["http://es:9200"], says));
    all
}

fn references() -> Vec<Wrong> {
    let (api_key, ca) = ("spec.auth.apiKeySecretRef", "spec.tls.ca.secretRef");
    let one_auth = "at most one of apiKeySecretRef, basicSecretRef";
    let one_ca = "exactly one of secretRef and configMapRef must say where the certificate is";
    let key = "must be a key of a Secret or ConfigMap: letters, digits, '-', '_' and '.'";
    table(
        connection,
        [
            (
                "spec.auth.basicSecretRef",
                json!({"name": "user"}),
                one_auth,
            ),
            (
                "spec.auth.basicSecretRef",
                json!({}),
                "spec.auth.basicSecretRef.name: Required value",
            ),
            (
                api_key,
                json!({}),
                "spec.auth.apiKeySecretRef.name: Required value",
            ),
            (api_key, json!({"name": "Es"}), NAME),
            (api_key, json!({"name": ""}), EMPTY),
            (api_key, json!({"name": "es", "key": "a b"}), key),
            (api_key, json!({"name": "es", "key": ""}), EMPTY),
            (
                api_key,
                json!({"name": "es", "namespace": "x"}),
                r#"unknown field "spec.auth.apiKeySecretRef.namespace""#,
            ),
            ("spec.tls.ca", json!({}), one_ca),
            ("spec.tls.ca.configMapRef", json!({"name": "ca"}), one_ca),
            (
                ca,
                json!({"key": "ca.crt"}),
                "spec.tls.ca.secretRef.name: Required value",
            ),
            (ca, json!({"name": "ca", "key": "../ca"}), key),
            (
                ca,
                json!({"name": "ca", "key": "x".repeat(254)}),
                "may not be more than 253 bytes",
            ),
        ],
    )
}

fn connection_forms() -> Vec<Wrong> {
    let long = format!("https://{}", "a".repeat(512));
    table(
        connection,
        [
            ("spec.url", json!(""), EMPTY),
            ("spec.url", json!(long), "may not be more than 512 bytes"),
            (
                "spec.url",
                json!(9200),
                r#"must be of type string: "integer""#,
            ),
            ("spec", json!(MISSING), "spec: Required value"),
            (
                "spec.allowPlaintext",
                json!("yes"),
                r#"must be of type boolean: "string""#,
            ),
            (
                "spec.auth.password",
                json!("changeme"),
                r#"unknown field "spec.auth.password""#,
            ),
            (
                "spec.tls.insecureSkipVerify",
                json!(true),
                r#"unknown field "spec.tls.insecureSkipVerify""#,
            ),
            (
                "spec.tls.ca.pem",
                json!("x"),
                r#"unknown field "spec.tls.ca.pem""#,
            ),
        ],
    )
}
