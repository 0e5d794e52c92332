//! Faults put between the client and the cluster: foreign answers, cuts, silence, delays. A rule matches some requests and is
//! used up after `count` of them.

use serde_json::{Map, Value, json};

use super::{answer::Answer, request::Request};
use crate::{cluster::ApiError, profile::Profile};

/// What happens to a request that a rule matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Only the delay.
    Pass,
    /// Closed before anything is done.
    CutBefore,
    /// Done, then closed without an answer.
    CutAfter,
    /// Never answered.
    Silence,
    /// This answer instead.
    Instead(Box<Canned>),
}

/// An answer that no cluster has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Canned {
    status: u16,
    kind: String,
    reason: Option<String>,
    retry_after: Option<String>,
    body: Shape,
    gzip: bool,
    location: Option<String>,
    headers: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    Error,
    Html,
    Endless,
    Truncated,
    NotJson,
    OtherProduct,
    Json(Value),
}

/// A rule.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) id: u64,
    api: Option<String>,
    path_contains: Option<String>,
    /// Request lines of more bytes, without the line's end.
    longer_than: Option<usize>,
    method: Option<String>,
    /// Matches that are left; `None` is without end.
    pub(crate) left: Option<u64>,
    /// Matching requests that pass untouched first.
    skip: u64,
    pub(crate) delay_ms: u64,
    pub(crate) fault: Fault,
    source: Value,
}

const KEYS: [&str; 18] = [
    "api",
    "path_contains",
    "longer_than",
    "method",
    "count",
    "skip",
    "status",
    "type",
    "reason",
    "retry_after",
    "delay_ms",
    "cut",
    "body",
    "gzip",
    "location",
    "json",
    "headers",
    "silence",
];

fn text(body: &Map<String, Value>, name: &str) -> Option<String> {
    body.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn number(body: &Map<String, Value>, name: &str) -> Option<u64> {
    body.get(name).and_then(Value::as_u64)
}

impl Fault {
    fn parse(body: &Map<String, Value>) -> Result<Self, String> {
        match text(body, "cut").as_deref() {
            Some("before") => return Ok(Self::CutBefore),
            Some("after") => return Ok(Self::CutAfter),
            Some(other) => return Err(format!("cut is 'before' or 'after', not '{other}'")),
            None => {}
        }
        let shape = match text(body, "body").as_deref() {
            Some("silence") => return Ok(Self::Silence),
            Some(name) => Some(Shape::parse(name)?),
            None => body.get("json").cloned().map(Shape::Json),
        };
        let told = ["status", "location"]
            .iter()
            .any(|name| body.contains_key(*name));
        Ok(if shape.is_some() || told {
            Self::Instead(Box::new(Canned::parse(body, shape)))
        } else {
            Self::Pass
        })
    }
}

impl Shape {
    fn parse(name: &str) -> Result<Self, String> {
        match name {
            "html" => Ok(Self::Html),
            "endless" => Ok(Self::Endless),
            "truncated" => Ok(Self::Truncated),
            "not_json" => Ok(Self::NotJson),
            "other_product" => Ok(Self::OtherProduct),
            "error" => Ok(Self::Error),
            other => Err(format!(
                "body is html, endless, truncated, not_json, other_product, error or silence, not '{other}'"
            )),
        }
    }
}

impl Rule {
    /// Reads a rule.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(id: u64, body: &Map<String, Value>) -> Result<Self, String> {
        if let Some(odd) = body.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(format!("unknown key '{odd}': one of {}", KEYS.join(", ")));
        }
        let left = match body.get("count") {
            None => Some(1),
            Some(Value::Null) => None,
            Some(count) => Some(
                count
                    .as_u64()
                    .ok_or("count is a number, or null for always")?,
            ),
        };
        Ok(Self {
            id,
            api: text(body, "api"),
            path_contains: text(body, "path_contains"),
            longer_than: number(body, "longer_than").and_then(|bytes| usize::try_from(bytes).ok()),
            method: text(body, "method"),
            left,
            skip: number(body, "skip").unwrap_or(0),
            delay_ms: number(body, "delay_ms").unwrap_or(0),
            fault: Fault::parse(body)?,
            source: Value::Object(body.clone()),
        })
    }

    /// Whether the rule is for this request; counts it if so.
    pub(crate) fn takes(&mut self, request: &Request, api: &str) -> bool {
        let fits = self.left != Some(0)
            && self.api.as_ref().is_none_or(|wanted| wanted == api)
            && self
                .path_contains
                .as_ref()
                .is_none_or(|part| request.uri.contains(part))
            && self
                .longer_than
                .is_none_or(|bytes| line_length(request) > bytes)
            && self
                .method
                .as_ref()
                .is_none_or(|method| *method == request.method);
        if !fits {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.left = self.left.map(|left| left - 1);
        true
    }

    /// As it was given, with what is left.
    pub(crate) fn shown(&self) -> Value {
        json!({"id": self.id, "left": self.left, "rule": self.source})
    }
}

/// Bytes of `METHOD URI HTTP/1.1`.
fn line_length(request: &Request) -> usize {
    request.method.len() + 1 + request.uri.len() + " HTTP/1.1".len()
}

fn kind_of(status: u16) -> &'static str {
    match status {
        401 | 403 => "security_exception",
        404 => "resource_not_found_exception",
        429 => "es_rejected_execution_exception",
        503 => "master_not_discovered_exception",
        400..=499 => "status_exception",
        _ => "exception",
    }
}

/// How a canned answer is put on the wire.
#[derive(Debug)]
pub(crate) enum Wire {
    /// As any answer.
    Whole(Answer),
    /// The head promises more than comes.
    Truncated(Answer),
    /// Chunks without end.
    Endless(Answer),
}

impl Canned {
    fn parse(body: &Map<String, Value>, shape: Option<Shape>) -> Self {
        let usual = match shape {
            _ if body.contains_key("location") => 302,
            Some(Shape::Error) => 500,
            _ => 200,
        };
        let status =
            number(body, "status").map_or(usual, |status| u16::try_from(status).unwrap_or(500));
        let as_text = |value: &Value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        };
        let headers = body.get("headers").and_then(Value::as_object);
        Self {
            status,
            kind: text(body, "type").unwrap_or_else(|| kind_of(status).into()),
            reason: text(body, "reason"),
            retry_after: body.get("retry_after").map(as_text),
            body: shape.unwrap_or(Shape::Error),
            gzip: body.get("gzip").and_then(Value::as_bool).unwrap_or(false),
            location: text(body, "location"),
            headers: headers
                .into_iter()
                .flatten()
                .map(|(name, value)| (name.clone(), as_text(value)))
                .collect(),
        }
    }

    /// Makes the answer.
    pub(crate) fn wire(&self, profile: Profile) -> Wire {
        let mut error = ApiError::new(self.status, &self.kind, "");
        error.reason.clone_from(&self.reason);
        let text = |kind: &str, body: &str| Answer {
            status: self.status,
            headers: Vec::new(),
            content_type: kind.into(),
            body: body.as_bytes().to_vec(),
        };
        let mut answer = match &self.body {
            Shape::Error => Answer::error(&error, &super::answer::Style::default(), profile),
            Shape::Html => text(
                "text/html",
                "<!DOCTYPE html><html><head><title>Log in</title></head><body><form>Sign in to continue</form></body></html>",
            ),
            Shape::NotJson => text("application/json", "{\"closed\": tru"),
            Shape::Truncated => text("application/json", "{\"closed\":true}"),
            Shape::Endless => text("application/json", "{\"jobs\":["),
            Shape::OtherProduct => text(
                "application/json",
                "{\"name\":\"n\",\"cluster_name\":\"c\",\"cluster_uuid\":\"u\",\"version\":{\"distribution\":\"opensearch\",\"number\":\"2.11.0\",\"build_type\":\"tar\"},\"tagline\":\"The OpenSearch Project: https://opensearch.org/\"}",
            ),
            Shape::Json(value) => Answer::json(self.status, value, profile),
        };
        if matches!(self.body, Shape::OtherProduct | Shape::Html) {
            answer
                .headers
                .push(("x-simulator-foreign".into(), "true".into()));
        }
        if let Some(after) = &self.retry_after {
            answer.headers.push(("Retry-After".into(), after.clone()));
        }
        if let Some(location) = &self.location {
            answer.headers.push(("Location".into(), location.clone()));
        }
        answer.headers.extend(self.headers.iter().cloned());
        if self.gzip {
            answer.body = gzip(&answer.body);
            answer
                .headers
                .push(("Content-Encoding".into(), "gzip".into()));
        }
        match self.body {
            Shape::Truncated => Wire::Truncated(answer),
            Shape::Endless => Wire::Endless(answer),
            Shape::Error | Shape::Html | Shape::NotJson | Shape::OtherProduct | Shape::Json(_) => {
                Wire::Whole(answer)
            }
        }
    }
}

/// A gzip file of stored blocks: valid, not small.
fn gzip(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut chunks = data.chunks(0xFFFF).peekable();
    if chunks.peek().is_none() {
        out.extend([1, 0, 0, 0xFF, 0xFF]);
    }
    while let Some(chunk) = chunks.next() {
        let length = u16::try_from(chunk.len()).unwrap_or(u16::MAX);
        out.push(u8::from(chunks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(chunk);
    }
    let mut crc = u32::MAX;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0xEDB8_8320
            } else {
                crc >> 1
            };
        }
    }
    out.extend((!crc).to_le_bytes());
    out.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes());
    out
}
