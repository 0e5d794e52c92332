//! What the API server says when it does not do what was asked, in the words of the real one.

use serde_json::{Value, json};

use super::kinds::Kind;

/// A `Status` that is no success.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    details: Value,
}

impl Refusal {
    pub(crate) fn new(code: u16, reason: &'static str, message: &str) -> Self {
        Self {
            code,
            reason,
            message: message.to_owned(),
            details: Value::Null,
        }
    }

    fn of(code: u16, reason: &'static str, kind: &Kind, name: &str, message: String) -> Self {
        Self {
            code,
            reason,
            message,
            details: json!({"name": name, "group": kind.group(), "kind": kind.plural}),
        }
    }

    pub(crate) fn not_found(kind: &Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", qualified(kind));
        Self::of(404, "NotFound", kind, name, message)
    }

    pub(crate) fn already_exists(kind: &Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", qualified(kind));
        Self::of(409, "AlreadyExists", kind, name, message)
    }

    pub(crate) fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": {why}",
            qualified(kind)
        );
        Self::of(409, "Conflict", kind, name, message)
    }

    pub(crate) fn expired(version: u64) -> Self {
        Self::new(
            410,
            "Expired",
            &format!("too old resource version: {version}"),
        )
    }

    pub(crate) fn body(&self) -> Value {
        let mut body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if !self.details.is_null() {
            body["details"] = self.details.clone();
        }
        body
    }
}

fn qualified(kind: &Kind) -> String {
    if kind.group().is_empty() {
        kind.plural.to_owned()
    } else {
        format!("{}.{}", kind.plural, kind.group())
    }
}
