//! Pieces of schema that several fields share, and the CRDs as a whole.
//!
//! Every limit, pattern and rule that the API server checks comes from here or from the types. A
//! pattern serves tools that read the CRD; beside it stands a CEL rule whose message tells a human
//! what would be right. Rules stand at the smallest object that holds what they compare.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, JSONSchemaProps,
    JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::condition::{ConditionStatus, MAX_MESSAGE_LENGTH};
use super::expression::JOB_PATTERN_PATTERN;
use super::time_span::TIME_SPAN_PATTERN;
use super::{AnomalyJob, ClusterElasticsearchConnection, ElasticsearchConnection};

const NAME_PATTERN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
const LABEL_KEY_PATTERN: &str =
    r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";
const LABEL_VALUE_PATTERN: &str = "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$";
const LABEL_PATTERN: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
const SERVER_NAME_PATTERN: &str =
    r"^([A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?\.)*[A-Za-z]([-A-Za-z0-9]*[A-Za-z0-9])?$";
const DATA_KEY_PATTERN: &str = r"^[-._a-zA-Z0-9]+$";
const REASON_PATTERN: &str = "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$";
const EVERY_JOB_PATTERN: &str = r"^[ ,]*_all[ ,]*$|(^|,) *[*?]*[*][*?]* *(,|$)";
/// A host name, an IPv4 address, or an IPv6 address in brackets.
const HOST_PATTERN: &str = r"([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])";
/// Nothing, `/`, or a prefix without empty or dotted segments.
const PATH_PATTERN: &str = "(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?";
/// The greatest integer that every JSON reader keeps exact, for generations.
const MAX_EXACT: i64 = 9_007_199_254_740_991;

/// Every CRD of the operator, as it is installed.
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![
        finished(AnomalyJob::crd()),
        finished(with_columns(ElasticsearchConnection::crd())),
        finished(with_columns(ClusterElasticsearchConnection::crd())),
    ]
}

/// The same of both kinds of connections.
fn with_columns(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let column = |name: &str, path: &str, description: &str| CustomResourceColumnDefinition {
        name: name.to_owned(),
        type_: if name == "Age" { "date" } else { "string" }.to_owned(),
        json_path: path.to_owned(),
        description: Some(description.to_owned()),
        priority: (name == "Message").then_some(1),
        ..CustomResourceColumnDefinition::default()
    };
    let ready = |field: &str| format!(".status.conditions[?(@.type==\"Ready\")].{field}");
    for version in &mut crd.spec.versions {
        version.additional_printer_columns = Some(vec![
            column("URL", ".spec.url", "Where the Elasticsearch is"),
            column(
                "Ready",
                &ready("status"),
                "Does it answer, and may the credentials manage jobs",
            ),
            column(
                "Reason",
                &ready("reason"),
                "Why it is ready or not; docs/conditions.md explains each",
            ),
            column(
                "Version",
                ".status.version",
                "Version of Elasticsearch, where the credentials may read it",
            ),
            column("Age", ".metadata.creationTimestamp", "Age of this object"),
            column("Message", &ready("message"), "Ready in words"),
        ]);
    }
    crd
}

/// What the derive leaves to do: kube marks `status` nullable, where null says nothing, and keeps the
/// line breaks of the source in descriptions, where `kubectl explain` breaks lines by itself.
fn finished(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        if let Some(root) = version
            .schema
            .as_mut()
            .and_then(|s| s.open_api_v3_schema.as_mut())
        {
            if let Some(status) = root.properties.as_mut().and_then(|p| p.get_mut("status")) {
                status.nullable = None;
            }
            reflow_all(root);
        }
    }
    crd
}

fn reflow_all(schema: &mut JSONSchemaProps) {
    if let Some(text) = schema.description.as_mut() {
        *text = reflow(text);
    }
    for property in schema
        .properties
        .iter_mut()
        .flat_map(|all| all.values_mut())
    {
        reflow_all(property);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = schema.items.as_mut() {
        reflow_all(items);
    }
}

/// Joins the lines of a paragraph; a line that begins with `- ` stays an entry of a list.
fn reflow(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines().map(str::trim) {
        let gap = match () {
            () if out.is_empty() || out.ends_with('\n') => "",
            () if line.is_empty() => "\n\n",
            () if line.starts_with("- ") => "\n",
            () => " ",
        };
        out.push_str(gap);
        out.push_str(line);
    }
    out.trim_end().to_owned()
}

fn rule(rule: &str, message: &str) -> Value {
    json!({ "rule": rule, "message": message })
}

/// A CEL string literal of a pattern, as a raw string so that backslashes stay.
fn matches(pattern: &str) -> String {
    format!("self.matches(r'{pattern}')")
}

pub(super) fn expression_rules() -> Vec<Value> {
    vec![
        rule(
            r"!self.matches(r'[\x00-\x1f\x7f-\x9f]')",
            "must have no line break, tab or other control character: write it in one line, for example web-*,nightly",
        ),
        rule(
            r"self.matches(r'[^\x00-\x20,]')",
            "must name a job, for example low_request_rate; where every job is meant, write _all",
        ),
    ]
}

pub(super) fn job_pattern_rules() -> Vec<Value> {
    vec![rule(
        &matches(JOB_PATTERN_PATTERN),
        "must be one id or one wildcard of ids: lower-case letters, digits, '_', '-', '.' and '*', beginning and ending with a letter, a digit or '*', for example web-canary-*",
    )]
}

/// What means every job, whatever it is called: alone `_all` or `*`, and any entry of nothing but `*` and `?`.
pub(super) fn job_rules() -> Vec<Value> {
    vec![json!({
        "rule": format!("has(self.maxJobs) || !self.jobId.matches(r'{EVERY_JOB_PATTERN}')"),
        "message": "maxJobs must be said where jobId means every job: the most jobs that this object may close or open, for example maxJobs: 500",
        "fieldPath": ".maxJobs",
        "reason": "FieldValueRequired",
    })]
}

/// A number that is absent where the default is meant, so that a rule can tell whether it was said.
pub(super) fn max_jobs(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 1, "maximum": 100_000 })
}

pub(super) fn time_span_rules() -> Vec<Value> {
    vec![rule(
        &matches(TIME_SPAN_PATTERN),
        "must be one whole number from 1 and one unit of s, m, h, d, for example 90s, 30m, 2h or 1d",
    )]
}

pub(super) fn connection_rules() -> Vec<Value> {
    let plain = "has(self.url) && self.url.startsWith('http://')";
    vec![
        rule(
            "[has(self.url), has(self.eckRef), has(self.secretRef)].filter(given, given).size() == 1",
            "exactly one of url, eckRef and secretRef must say where Elasticsearch is, for example url: https://es.example:9200",
        ),
        rule(
            "!has(self.secretRef) || !has(self.auth)",
            "auth has no meaning with secretRef, whose Secret holds the credentials (api-key, or username and password): remove auth",
        ),
        rule(
            "!has(self.secretRef) || !has(self.tls) || !has(self.tls.ca)",
            "tls.ca has no meaning with secretRef, whose Secret holds the authority (ca.crt): remove tls.ca",
        ),
        rule(
            "!has(self.eckRef) || !self.allowPlaintext",
            "allowPlaintext has no meaning with eckRef, which is always encrypted: remove it, or give the url in place of eckRef",
        ),
        rule(
            &format!("!({plain}) || self.allowPlaintext"),
            "an http:// url sends credentials unencrypted: use https://, or say allowPlaintext: true",
        ),
        rule(
            &format!("!({plain}) || !has(self.tls)"),
            "tls has no meaning with an http:// url: use https://, or remove tls",
        ),
        rule(
            &format!("!({plain}) || !has(self.auth) || !has(self.auth.clientCertificateSecretRef)"),
            "auth.clientCertificateSecretRef has no meaning with an http:// url: use https://, or other credentials",
        ),
    ]
}

pub(super) fn allowed_namespaces_rules() -> Vec<Value> {
    vec![rule(
        "has(self.names) != has(self.selector)",
        "exactly one of names and selector must say which namespaces are meant, for example names: [team-a]; selector: {} means all",
    )]
}

pub(super) fn label_requirement_rules() -> Vec<Value> {
    vec![rule(
        "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
        "values must be given with the operators In and NotIn, and with no other",
    )]
}

pub(super) fn namespace_names(_: &mut SchemaGenerator) -> Schema {
    let name = json!({
        "type": "string", "maxLength": 63, "pattern": LABEL_PATTERN,
        "x-kubernetes-validations": [rule(
            &matches(LABEL_PATTERN),
            "must be the name of a namespace: lower-case letters, digits and '-', for example team-a; no wildcard, see selector",
        )],
    });
    json_schema!({
        "type": "array", "minItems": 1, "maxItems": 100, "x-kubernetes-list-type": "set", "items": name,
    })
}

pub(super) fn labels(_: &mut SchemaGenerator) -> Schema {
    let value = json!({ "type": "string", "maxLength": 63, "pattern": LABEL_VALUE_PATTERN });
    json_schema!({ "type": "object", "maxProperties": 20, "additionalProperties": value })
}

pub(super) fn label_key(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 317, "pattern": LABEL_KEY_PATTERN,
        "x-kubernetes-validations": [rule(
            &matches(LABEL_KEY_PATTERN),
            "must be the key of a label, for example team or example.com/team",
        )],
    })
}

pub(super) fn label_values(_: &mut SchemaGenerator) -> Schema {
    let value = json!({ "type": "string", "maxLength": 63, "pattern": LABEL_VALUE_PATTERN });
    json_schema!({
        "type": "array", "maxItems": 20, "x-kubernetes-list-type": "set", "items": value,
    })
}

pub(super) fn auth_rules() -> Vec<Value> {
    vec![rule(
        "[has(self.apiKeySecretRef), has(self.basicSecretRef), has(self.bearerTokenSecretRef), has(self.clientCertificateSecretRef)].filter(given, given).size() <= 1",
        "at most one of apiKeySecretRef, basicSecretRef, bearerTokenSecretRef and clientCertificateSecretRef: remove all but one",
    )]
}

pub(super) fn ca_rules() -> Vec<Value> {
    vec![rule(
        "has(self.secretRef) != has(self.configMapRef)",
        "exactly one of secretRef and configMapRef must say where the certificate is",
    )]
}

/// Rules of which each says one thing, so that one mistake is answered with one sentence.
pub(super) fn url(_: &mut SchemaGenerator) -> Schema {
    let host = format!("^[a-z]+://{HOST_PATTERN}");
    let port =
        "0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";
    let valid_host = format!(
        "!self.contains('://') || {}",
        matches(&format!("{host}([:/?#@]|$)"))
    );
    let valid_port = format!(
        "self.contains('@') || !{} || {}",
        matches(&format!("{host}:")),
        matches(&format!("{host}:{port}([/?#]|$)")),
    );
    let plain_path = format!(
        "!{} || {}",
        matches("^[a-z]+://[^/?#]+/"),
        matches(&format!("^[a-z]+://[^/?#]+{PATH_PATTERN}([?#]|$)")),
    );
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 512,
        "pattern": format!("^https?://{HOST_PATTERN}(:[0-9]{{1,5}})?{PATH_PATTERN}$"),
        "x-kubernetes-validations": [
            rule("self.startsWith('https://') || self.startsWith('http://')",
                 "must begin with https://, for example https://es.example:9200 (http:// only with allowPlaintext: true)"),
            rule("!self.contains('@')",
                 "must have no user name or password: put them into a Secret and name it in auth"),
            rule("!self.contains('?') && !self.contains('#')",
                 "must have no query (?) and no fragment (#)"),
            rule(&valid_host, "must name a host, for example https://es.example:9200"),
            rule(&valid_port, "must have a port from 1 to 65535, for example https://es.example:9200"),
            rule(&plain_path, "must have no path, or a plain prefix, for example https://proxy.example/es"),
        ],
    })
}

pub(super) fn object_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 253, "pattern": NAME_PATTERN,
        "x-kubernetes-validations": [rule(
            &matches(NAME_PATTERN),
            "must be the name of a Kubernetes object: lower-case letters, digits, '-' and '.', for example logs",
        )],
    })
}

/// The longest from which the names of ECK's Services and Secrets can be made.
pub(super) fn eck_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 36, "pattern": LABEL_PATTERN,
        "x-kubernetes-validations": [rule(
            &matches(LABEL_PATTERN),
            "must be the name of an Elasticsearch of ECK: at most 36 lower-case letters, digits and '-', for example logs",
        )],
    })
}

/// A host name whose last label is no number, so that it is no IP address in any notation.
pub(super) fn server_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 253, "pattern": SERVER_NAME_PATTERN,
        "x-kubernetes-validations": [rule(
            &matches(SERVER_NAME_PATTERN),
            "must be a host name without a port and no IP address, for example es.example",
        )],
    })
}

pub(super) fn data_key(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 253, "pattern": DATA_KEY_PATTERN,
        "x-kubernetes-validations": [rule(
            &matches(DATA_KEY_PATTERN),
            "must be a key of a Secret or ConfigMap: letters, digits, '-', '_' and '.', for example ca.crt",
        )],
    })
}

pub(super) fn actions(_: &mut SchemaGenerator) -> Schema {
    let action = json!({ "type": "string", "maxLength": 512 });
    json_schema!({
        "type": "array", "maxItems": 32, "x-kubernetes-list-type": "set", "items": action,
    })
}

pub(super) fn short_text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 64 })
}

pub(super) fn long_text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 512 })
}

pub(super) fn annotation(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 256 })
}

pub(super) fn message(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": MAX_MESSAGE_LENGTH })
}

pub(super) fn reason(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 64, "pattern": REASON_PATTERN })
}

pub(super) fn max_closing(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "format": "int32", "minimum": 1, "maximum": 10_000 })
}

pub(super) fn max_in_flight(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "format": "int32", "minimum": 1, "maximum": 32 })
}

pub(super) fn requests_per_second(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "format": "int32", "minimum": 1, "maximum": 1000 })
}

pub(super) fn count(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "format": "int64", "minimum": 0, "maximum": u32::MAX })
}

pub(super) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time", "maxLength": 64 })
}

/// The list of conditions with the limits that `metav1.Condition` has and its derived schema lacks.
pub(super) fn conditions(_: &mut SchemaGenerator) -> Schema {
    let statuses: Vec<&str> = ConditionStatus::ALL.iter().map(|s| s.as_str()).collect();
    json_schema!({
        "type": "array", "maxItems": 16,
        "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "description": "One aspect of the state of affairs.",
            "required": ["type", "status", "reason", "message", "lastTransitionTime"],
            "properties": {
                "type": {
                    "type": "string", "minLength": 1, "maxLength": 64, "pattern": REASON_PATTERN,
                    "description": "The aspect. Example: `Ready`.",
                },
                "status": {
                    "type": "string", "enum": statuses,
                    "description": "`True`, `False`, or `Unknown` where Elasticsearch could not be asked.",
                },
                "reason": {
                    "type": "string", "minLength": 1, "maxLength": 64, "pattern": REASON_PATTERN,
                    "description": "Why, in one word of docs/conditions.md. Example: `InDesiredState`.",
                },
                "message": {
                    "type": "string", "maxLength": MAX_MESSAGE_LENGTH,
                    "description": "Why, in words, with the names of what is meant. Example: `low_request_rate is closed`.",
                },
                "lastTransitionTime": {
                    "type": "string", "format": "date-time", "maxLength": 64,
                    "description": "When `status` changed last. Example: `2026-11-23T21:58:04Z`.",
                },
                "observedGeneration": {
                    "type": "integer", "format": "int64", "minimum": 0, "maximum": MAX_EXACT,
                    "description": "The generation of the spec that this was decided on. Example: 3.",
                },
            },
        },
    })
}
