//! ClusterElasticsearchConnections: what only they can say wrongly, and what they have in common with the other kind.

use serde_json::{Value, json};

use super::wrong::{EMPTY, MISSING, NAME, Wrong, each, table};
use super::{changed, connection};

/// A good ClusterElasticsearchConnection, called `good`.
pub(super) fn wide() -> Value {
    changed(
        connection,
        &json!({
            "kind": "ClusterElasticsearchConnection",
            "spec.allowedNamespaces": [{"names": ["team-a"]}],
        }),
    )
}

/// One whose only entry of `allowedNamespaces` is this.
fn entry(entry: &Value) -> Value {
    changed(wide, &json!({"spec.allowedNamespaces": [entry]}))
}

/// Those that are taken.
pub(super) fn good() -> Vec<Value> {
    let selector = json!({
        "matchLabels": {"kubernetes.io/metadata.name": "team-a", "ml": ""},
        "matchExpressions": [
            {"key": "team", "operator": "In", "values": ["a", "B_1"]},
            {"key": "example.com/team", "operator": "NotIn", "values": ["c"]},
            {"key": "ml", "operator": "Exists"},
            {"key": "old", "operator": "DoesNotExist", "values": []},
        ],
    });
    let many: Vec<String> = (0..100).map(|number| format!("team-{number}")).collect();
    let one = entry(&json!({"names": ["a"], "allow": {"jobs": ["a-*"], "force": "Never"}}));
    let mut all = vec![wide(), one];
    all.extend(
        [
            json!({"names": many}),
            json!({"selector": selector}),
            json!({"selector": {}}),
        ]
        .map(|of| entry(&of)),
    );
    all.extend(
        [
            json!({"spec.allowedNamespaces": []}),
            json!({"spec.allowedNamespaces": [{"names": ["a"]}, {"names": ["a", "b"]}, {"selector": {}}]}),
            json!({"spec": {"eckRef": {"name": "logs"}, "allowedNamespaces": []}}),
            json!({"spec": {"secretRef": {"name": "es"}, "allowedNamespaces": []}}),
            json!({"spec": {"url": "http://es", "allowPlaintext": true, "allowedNamespaces": []}}),
        ]
        .map(|changes| changed(wide, &changes)),
    );
    all
}

pub(super) fn all() -> Vec<Wrong> {
    [namespaces(), labels(), in_common()]
        .into_iter()
        .flatten()
        .collect()
}

const ALLOWED: &str = "spec.allowedNamespaces";

/// Wrong entries, and what is said of each.
fn entries<const N: usize>(rows: [(Value, &'static str); N]) -> Vec<Wrong> {
    table(
        wide,
        rows.map(|(entry, says)| (ALLOWED, json!([entry]), says)),
    )
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn namespaces() -> Vec<Wrong> {
    let one = "exactly one of names and selector must say which namespaces are meant";
    let many: Vec<String> = (0..101).map(|number| format!("team-{number}")).collect();
    let name = "must be the name of a namespace: lower-case letters, digits and '-', for example team-a; no wildcard, see selector";
    let mut all = entries([
        (json!({}), one),
        (json!({"allow": {}}), one),
        (json!({"names": ["a"], "selector": {}}), one),
        (json!({"names": []}), "should have at least 1 items"),
        (json!({ "names": many }), "must have at most 100 items"),
        (json!({"names": ["a", "a"]}), "Duplicate value: \"a\""),
        (
            json!({"names": ["a".repeat(64)]}),
            "may not be more than 63 bytes",
        ),
        (
            json!({"names": "team-a"}),
            r#"must be of type array: "string""#,
        ),
        (
            json!({"names": [7]}),
            r#"must be of type string: "integer""#,
        ),
        (
            json!({"namespaces": ["a"]}),
            r#"unknown field "spec.allowedNamespaces[0].namespaces""#,
        ),
        (
            json!({"names": ["a"], "allow": {"force": "Sometimes"}}),
            r#"supported values: "Always", "Failed", "Never""#,
        ),
        (
            json!({"names": ["a"], "allow": {"jobs": ["A"]}}),
            "must be one id or one wildcard of ids",
        ),
    ]);
    for wrong in ["Team_A", "team-*", "", "a.b", "-a", "a-"] {
        all.extend(entries([(json!({"names": [wrong]}), name)]));
    }
    all.extend(table(
        wide,
        [
            (
                ALLOWED,
                json!(MISSING),
                "spec.allowedNamespaces: Required value",
            ),
            (
                ALLOWED,
                json!(["team-a"]),
                r#"must be of type object: "string""#,
            ),
            (
                ALLOWED,
                json!(vec![json!({"names": ["a"]}); 65]),
                "must have at most 64 items",
            ),
            (
                "spec.allow",
                json!({"force": "Never"}),
                r#"unknown field "spec.allow""#,
            ),
            (
                "spec.namespace",
                json!("x"),
                r#"unknown field "spec.namespace""#,
            ),
        ],
    ));
    all
}

fn labels() -> Vec<Wrong> {
    let values = "values must be given with the operators In and NotIn, and with no other";
    let term = |key: &str, operator: &str, values: Value| {
        let term = json!({"key": key, "operator": operator, "values": values});
        json!({"selector": {"matchExpressions": [term]}})
    };
    entries([
        (term("team", "In", json!([])), values),
        (term("team", "NotIn", json!([])), values),
        (term("team", "Exists", json!(["a"])), values),
        (term("team", "DoesNotExist", json!(["a"])), values),
        (
            term("team", "in", json!(["a"])),
            r#"supported values: "In", "NotIn", "Exists", "DoesNotExist""#,
        ),
        (term("", "Exists", json!([])), EMPTY),
        (
            term("te am", "Exists", json!([])),
            "must be the key of a label",
        ),
        (
            term("a/b/c", "Exists", json!([])),
            "must be the key of a label",
        ),
        (term("team", "In", json!(["a b"])), "should match"),
        (term("team", "In", json!(["a", "a"])), "Duplicate value"),
        (
            json!({"selector": {"matchLabels": {"team": "a b"}}}),
            "should match",
        ),
        (
            json!({"selector": {"matchLabels": {"team": "a".repeat(64)}}}),
            "may not be more than 63 bytes",
        ),
        (
            json!({"selector": {"team": "a"}}),
            r#"unknown field "spec.allowedNamespaces[0].selector.team""#,
        ),
    ])
}

/// The rules of the other kind hold here too: they stand at what both have in common.
#[allow(clippy::too_many_lines, reason = "a table")]
fn in_common() -> Vec<Wrong> {
    let mut all = table(
        wide,
        [
            (
                "spec.url",
                json!(MISSING),
                "exactly one of url, eckRef and secretRef",
            ),
            (
                "spec.eckRef",
                json!({"name": "logs"}),
                "exactly one of url, eckRef and secretRef",
            ),
            (
                "spec.auth.basicSecretRef",
                json!({"name": "x"}),
                "at most one of apiKeySecretRef",
            ),
            (
                "spec.auth.apiKeySecretRef",
                json!({"name": "x", "namespace": "y"}),
                r#"unknown field "spec.auth.apiKeySecretRef.namespace""#,
            ),
            ("spec.auth.apiKeySecretRef.name", json!("Es"), NAME),
            (
                "spec.tls.ca.secretRef",
                json!({"name": "x", "namespace": "y"}),
                r#"unknown field "spec.tls.ca.secretRef.namespace""#,
            ),
            (
                "spec.tls.ca.configMapRef",
                json!({"name": "x"}),
                "exactly one of secretRef and configMapRef",
            ),
            (
                "spec.tls.serverName",
                json!("10.0.0.1"),
                "must be a host name without a port",
            ),
            (
                "spec.tls.insecureSkipVerify",
                json!(true),
                r#"unknown field "spec.tls.insecureSkipVerify""#,
            ),
            (
                "spec.limits",
                json!({"maxClosing": 0}),
                "should be greater than or equal to 1",
            ),
        ],
    );
    all.extend(each(
        wide,
        "spec.url",
        ["http://es:9200"],
        "an http:// url sends credentials unencrypted",
    ));
    all.extend(each(
        wide,
        "spec.url",
        ["https://a:b@es"],
        "must have no user name or password",
    ));
    all
}
