//! Reading the bodies of knobs strictly, and their common answers.

use serde_json::{Map, Value, json};

pub(super) fn only(body: &Map<String, Value>, known: &[&str]) -> Result<(), String> {
    match body.keys().find(|key| !known.contains(&key.as_str())) {
        Some(odd) => Err(format!("unknown key '{odd}': one of {}", known.join(", "))),
        None => Ok(()),
    }
}

pub(super) fn done(ok: bool, what: &str) -> Result<Value, String> {
    if ok {
        Ok(acknowledged())
    } else {
        Err(format!("there is no {what}"))
    }
}

pub(super) fn acknowledged() -> Value {
    json!({"acknowledged": true})
}

pub(super) fn no_knob(method: &str, parts: &[&str]) -> Result<Value, String> {
    Err(format!("no knob {method} {}", parts.join("/")))
}

pub(super) fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    body.get(name).and_then(Value::as_str)
}

pub(super) fn flag(body: &Map<String, Value>, name: &str) -> Result<bool, String> {
    body.get(name)
        .and_then(Value::as_bool)
        .ok_or_else(|| format!("'{name}' is true or false"))
}

pub(super) fn number(body: &Map<String, Value>, name: &str) -> Result<u64, String> {
    body.get(name)
        .and_then(Value::as_u64)
        .ok_or_else(|| format!("'{name}' is a number"))
}
