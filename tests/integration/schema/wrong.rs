//! Wrong manifests, each one step away from a good one, and the text that must say what would be right.

use serde_json::{Value, json};

use super::{connection, job, put, take};

/// A manifest that must be refused.
pub(super) struct Wrong {
    /// What is wrong, for the report of the test.
    pub(super) what: String,
    pub(super) manifest: Value,
    /// Part of the answer.
    pub(super) says: &'static str,
}

/// A good manifest in which `path` holds `value`.
fn with(good: Value, path: &str, value: impl Into<Value>, says: &'static str) -> Wrong {
    let (mut manifest, value) = (good, value.into());
    let what = format!("{} {path} = {value}", manifest["kind"].as_str().unwrap())
        .chars()
        .take(100)
        .collect();
    put(&mut manifest, path, value);
    Wrong {
        what,
        manifest,
        says,
    }
}

fn without(good: Value, path: &str, says: &'static str) -> Wrong {
    let mut manifest = good;
    let what = format!("{} without {path}", manifest["kind"].as_str().unwrap());
    take(&mut manifest, path);
    Wrong {
        what,
        manifest,
        says,
    }
}

/// The same mistake in many spellings.
fn each<const N: usize>(
    good: fn() -> Value,
    path: &str,
    values: [&str; N],
    says: &'static str,
) -> Vec<Wrong> {
    values
        .into_iter()
        .map(|value| with(good(), path, value, says))
        .collect()
}

const ID: &str = "must be the id of one job: lower-case letters, digits, '_', '-' and '.', beginning and ending with a letter or digit, at most 64 characters, for example low_request_rate";
const SPAN: &str =
    "must be one whole number from 1 and one unit of s, m, h, d, for example 90s, 30m, 2h or 1d";
const NAME: &str = "must be the name of a Kubernetes object";

/// AnomalyJobs that must be refused.
pub(super) fn jobs() -> Vec<Wrong> {
    let mut all = each(
        job,
        "spec.jobId",
        [
            "Low", "_all", "*", "web-*", "a,b", "-a", "a-", "_a", "a/b", "../x", "a b", "low\n",
            "jöb", "a%2fb",
        ],
        ID,
    );
    all.extend(each(
        job,
        "spec.close.timeout",
        [
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
        ],
        SPAN,
    ));
    all.extend(each(
        job,
        "spec.state",
        ["closed", "CLOSED", "Opened", "Open", ""],
        r#"supported values: "Closed""#,
    ));
    all.extend(each(
        job,
        "spec.connectionRef.name",
        ["Logs", "a/b", "-a", "a_b", "a..b"],
        NAME,
    ));
    all.extend(each(
        job,
        "spec.close.mode",
        ["graceful", "Force", ""],
        r#"supported values: "Graceful", "Immediate""#,
    ));
    all.extend(each(
        job,
        "spec.close.onTimeout",
        ["force", "Fail"],
        r#"supported values: "Force", "Wait", "Stall""#,
    ));
    all.extend(each(
        job,
        "spec.close.onFailed",
        ["Wait", "stall"],
        r#"supported values: "Force", "Stall""#,
    ));
    all.extend([
        with(
            job(),
            "spec.jobId",
            "a".repeat(65),
            "may not be more than 64 bytes",
        ),
        with(job(), "spec.jobId", "", "should be at least 1 chars long"),
        with(
            job(),
            "spec.jobId",
            7,
            r#"must be of type string: "integer""#,
        ),
        with(
            job(),
            "spec.jobId",
            json!(["a"]),
            r#"must be of type string: "array""#,
        ),
        with(
            job(),
            "spec.jobId",
            Value::Null,
            "spec.jobId: Required value",
        ),
        without(job(), "spec.jobId", "spec.jobId: Required value"),
        without(job(), "spec", "spec: Required value"),
        with(
            job(),
            "spec.connectionRef.name",
            "",
            "should be at least 1 chars long",
        ),
        with(
            job(),
            "spec.connectionRef.name",
            "a".repeat(254),
            "may not be more than 253 bytes",
        ),
        with(
            job(),
            "spec.connectionRef",
            "default",
            r#"must be of type object: "string""#,
        ),
        with(
            job(),
            "spec.connectionRef.namespace",
            "other",
            r#"unknown field "spec.connectionRef.namespace""#,
        ),
        with(
            job(),
            "spec.state",
            true,
            r#"must be of type string: "boolean""#,
        ),
        with(
            job(),
            "spec.suspend",
            "true",
            r#"must be of type boolean: "string""#,
        ),
        with(
            job(),
            "spec.suspend",
            1,
            r#"must be of type boolean: "integer""#,
        ),
        with(
            job(),
            "spec.close",
            "Graceful",
            r#"must be of type object: "string""#,
        ),
        with(
            job(),
            "spec.close.timeout",
            30,
            r#"must be of type string: "integer""#,
        ),
        with(job(), "spec.close.timeout", "30 minutes", SPAN),
        with(
            job(),
            "spec.close.force",
            true,
            r#"unknown field "spec.close.force""#,
        ),
        with(job(), "spec.stat", "Closed", r#"unknown field "spec.stat""#),
        with(job(), "spec.job_id", "a", r#"unknown field "spec.job_id""#),
        with(job(), "state", "Closed", r#"unknown field "state""#),
    ]);
    all
}

const HTTPS: &str = "must begin with https://, for example https://es.example:9200 (http:// only with allowPlaintext: true)";
const USER: &str = "must have no user name or password: put them into a Secret and name it in auth";
const QUERY: &str = "must have no query (?) and no fragment (#)";
const HOST: &str = "must name a host, for example https://es.example:9200";
const PORT: &str = "must have a port from 1 to 65535, for example https://es.example:9200";
const PREFIX: &str = "must have no path, or a plain prefix, for example https://proxy.example/es";
const PLAIN: &str =
    "an http:// url sends credentials unencrypted: use https://, or say allowPlaintext: true";
const ONE_AUTH: &str = "at most one of apiKeySecretRef and basicSecretRef: remove one of the two";
const ONE_CA: &str = "exactly one of secretRef and configMapRef must say where the certificate is";
const KEY: &str = "must be a key of a Secret or ConfigMap: letters, digits, '-', '_' and '.'";

fn plain_with_tls() -> Wrong {
    let mut good = connection();
    put(&mut good, "spec.allowPlaintext", json!(true));
    with(
        good,
        "spec.url",
        "http://es:9200",
        "tls has no meaning with an http:// url: use https://, or remove tls",
    )
}

/// ElasticsearchConnections that must be refused.
pub(super) fn connections() -> Vec<Wrong> {
    let url = "spec.url";
    let mut all = each(
        connection,
        url,
        [
            "es.example:9200",
            "ftp://es",
            "HTTPS://es",
            "//es",
            "unix:/es",
            " https://es",
        ],
        HTTPS,
    );
    all.extend(each(
        connection,
        url,
        [
            "https://elastic:changeme@es",
            "https://elastic@es:9200",
            "https://es/@x",
        ],
        USER,
    ));
    all.extend(each(
        connection,
        url,
        [
            "https://es?pretty",
            "https://es/x?a=b",
            "https://es#top",
            "https://es/#",
        ],
        QUERY,
    ));
    all.extend(each(
        connection,
        url,
        ["https://", "https:///es", "https://:9200", "https://?x"],
        HOST,
    ));
    all.extend(each(
        connection,
        url,
        [
            "https://es:0",
            "https://es:65536",
            "https://es:99999/x",
            "https://es:http",
            "https://es:",
            "https://[::1]:0",
        ],
        PORT,
    ));
    all.extend(each(
        connection,
        url,
        [
            "https://es/a/../b",
            "https://es//x",
            "https://es/a b",
            "https://es/%2e",
        ],
        PREFIX,
    ));
    all.extend(each(
        connection,
        url,
        ["http://es:9200", "http://es.example/x"],
        PLAIN,
    ));
    all.extend(each(
        connection,
        url,
        [
            "https://es example",
            "https://es_",
            "https://é.example",
            "https://es\n",
        ],
        HOST,
    ));
    all.extend([
        plain_with_tls(),
        with(connection(), url, "", "should be at least 1 chars long"),
        with(
            connection(),
            url,
            format!("https://{}", "a".repeat(512)),
            "may not be more than 512 bytes",
        ),
        with(
            connection(),
            url,
            9200,
            r#"must be of type string: "integer""#,
        ),
        without(connection(), url, "spec.url: Required value"),
        without(connection(), "spec", "spec: Required value"),
        with(
            connection(),
            "spec.allowPlaintext",
            "yes",
            r#"must be of type boolean: "string""#,
        ),
        with(
            connection(),
            "spec.auth.basicSecretRef",
            json!({"name": "user"}),
            ONE_AUTH,
        ),
        with(
            connection(),
            "spec.auth.apiKeySecretRef",
            json!({}),
            "spec.auth.apiKeySecretRef.name: Required value",
        ),
        with(connection(), "spec.auth.apiKeySecretRef.name", "Es", NAME),
        with(connection(), "spec.auth.apiKeySecretRef.key", "a b", KEY),
        with(
            connection(),
            "spec.auth.apiKeySecretRef.key",
            "",
            "should be at least 1 chars long",
        ),
        with(
            connection(),
            "spec.auth.apiKeySecretRef.namespace",
            "x",
            r#"unknown field "spec.auth.apiKeySecretRef.namespace""#,
        ),
        with(
            connection(),
            "spec.auth.password",
            "changeme",
            r#"unknown field "spec.auth.password""#,
        ),
        with(connection(), "spec.tls.ca", json!({}), ONE_CA),
        with(
            connection(),
            "spec.tls.ca.configMapRef",
            json!({"name": "ca"}),
            ONE_CA,
        ),
        with(
            connection(),
            "spec.tls.ca.secretRef",
            json!({"key": "ca.crt"}),
            "spec.tls.ca.secretRef.name: Required value",
        ),
        with(connection(), "spec.tls.ca.secretRef.key", "../ca", KEY),
        with(
            connection(),
            "spec.tls.insecureSkipVerify",
            true,
            r#"unknown field "spec.tls.insecureSkipVerify""#,
        ),
    ]);
    all
}
