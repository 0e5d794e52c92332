//! What goes back over the wire: bodies in JSON, pretty JSON, YAML or text, and errors in Elasticsearch's envelope.

use serde_json::{Map, Value};

use super::filter::Filter;
use crate::{cluster::ApiError, profile::Profile};

/// A finished answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

/// How a body is to be written: from `pretty`, `format`, `filter_path`, `error_trace` and the `Accept` header.
#[derive(Debug, Default)]
pub(crate) struct Style {
    pub(crate) pretty: bool,
    pub(crate) yaml: bool,
    pub(crate) filter: Filter,
    pub(crate) trace: bool,
    /// `compatible-with` version the client accepts.
    pub(crate) compatible: Option<u8>,
}

impl Answer {
    /// Plain text.
    pub(crate) fn text(status: u16, text: String) -> Self {
        Self {
            status,
            headers: Vec::new(),
            content_type: "text/plain; charset=UTF-8".into(),
            body: text.into_bytes(),
        }
    }

    /// JSON without any style.
    pub(crate) fn json(status: u16, value: &Value, profile: Profile) -> Self {
        Self::styled(status, value, &Style::default(), profile)
    }

    /// JSON or YAML as the style says, already filtered.
    pub(crate) fn styled(status: u16, value: &Value, style: &Style, profile: Profile) -> Self {
        let (content_type, body) = if style.yaml {
            let mut out = String::from("---\n");
            yaml(value, 0, &mut out);
            ("application/yaml".to_owned(), out)
        } else {
            let content_type = match style.compatible {
                Some(version) => {
                    format!("application/vnd.elasticsearch+json;compatible-with={version}")
                }
                None if profile.is_7() => "application/json; charset=UTF-8".into(),
                None => "application/json".into(),
            };
            (
                content_type,
                if style.pretty {
                    pretty(value)
                } else {
                    value.to_string()
                },
            )
        };
        Self {
            status,
            headers: Vec::new(),
            content_type,
            body: body.into_bytes(),
        }
    }

    /// An exception in its envelope.
    pub(crate) fn error(error: &ApiError, style: &Style, profile: Profile) -> Self {
        let mut whole = describe(error, style.trace);
        let root = ApiError {
            cause: None,
            ..error.root().clone()
        };
        let roots = if error.rootless {
            Value::Array(Vec::new())
        } else {
            Value::Array(vec![Value::Object(describe(&root, style.trace))])
        };
        whole.shift_insert(0, "root_cause".into(), roots);
        let mut envelope = Map::new();
        envelope.insert("error".into(), whole.into());
        envelope.insert("status".into(), error.status.into());
        let mut answer = Self::styled(error.status, &envelope.into(), style, profile);
        let challenges = error
            .extra
            .iter()
            .find(|(name, _)| name == "header")
            .and_then(|(_, header)| header.get("WWW-Authenticate")?.as_array());
        for challenge in challenges.into_iter().flatten().filter_map(Value::as_str) {
            answer
                .headers
                .push(("WWW-Authenticate".into(), challenge.into()));
        }
        answer
    }
}

fn describe(error: &ApiError, trace: bool) -> Map<String, Value> {
    let mut shown = Map::new();
    shown.insert("type".into(), error.kind.clone().into());
    shown.insert(
        "reason".into(),
        error.reason.clone().map_or(Value::Null, Value::from),
    );
    // `header` stands behind the cause, other keys before it.
    for (name, value) in error.extra.iter().filter(|(name, _)| name != "header") {
        shown.insert(name.clone(), value.clone());
    }
    if let Some(cause) = &error.cause {
        shown.insert("caused_by".into(), describe(cause, trace).into());
    }
    if let Some((name, value)) = error.extra.iter().find(|(name, _)| name == "header") {
        shown.insert(name.clone(), value.clone());
    }
    if trace {
        shown.insert("stack_trace".into(), "(stack trace)".into());
    }
    shown
}

/// Elasticsearch's indented JSON: two blanks, ` : `, a line for each element, a newline at the end.
fn pretty(value: &Value) -> String {
    let mut out = String::new();
    indented(value, 0, &mut out);
    out.push('\n');
    out
}

fn indented(value: &Value, depth: usize, out: &mut String) {
    let pad = |depth: usize, out: &mut String| (0..depth).for_each(|_| out.push_str("  "));
    match value {
        Value::Object(map) if map.is_empty() => out.push_str("{ }"),
        Value::Array(list) if list.is_empty() => out.push_str("[ ]"),
        Value::Object(map) => {
            out.push_str("{\n");
            for (at, (name, inner)) in map.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ",\n" });
                pad(depth + 1, out);
                out.push_str(&Value::String(name.clone()).to_string());
                out.push_str(" : ");
                indented(inner, depth + 1, out);
            }
            out.push('\n');
            pad(depth, out);
            out.push('}');
        }
        Value::Array(list) => {
            out.push_str("[\n");
            for (at, inner) in list.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ",\n" });
                pad(depth + 1, out);
                indented(inner, depth + 1, out);
            }
            out.push('\n');
            pad(depth, out);
            out.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            out.push_str(&value.to_string());
        }
    }
}

fn yaml(value: &Value, depth: usize, out: &mut String) {
    let pad = "  ".repeat(depth);
    match value {
        Value::Object(map) if map.is_empty() => out.push_str("{}\n"),
        Value::Array(list) if list.is_empty() => out.push_str("[]\n"),
        Value::Object(map) => {
            for (name, inner) in map {
                out.push_str(&pad);
                out.push_str(name);
                out.push(':');
                nested(inner, depth, out);
            }
        }
        Value::Array(list) => {
            for inner in list {
                out.push_str(&pad);
                out.push('-');
                nested(inner, depth, out);
            }
        }
        scalar @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
            out.push_str(&scalar.to_string());
            out.push('\n');
        }
    }
}

fn nested(inner: &Value, depth: usize, out: &mut String) {
    let deep = matches!(inner, Value::Object(map) if !map.is_empty())
        || matches!(inner, Value::Array(list) if !list.is_empty());
    out.push_str(if deep { "\n" } else { " " });
    yaml(inner, if deep { depth + 1 } else { 0 }, out);
}
