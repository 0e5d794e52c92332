//! Names in recorded requests: `{{name}}` and `{{b64:user:password}}`, filled with what earlier answers gave.
//!
//! It must not know what the names mean.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;

/// Values taken from answers (`capture`) by their names.
#[derive(Debug, Default)]
pub(crate) struct Names(HashMap<String, String>);

static NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\{\{([a-z0-9_:.-]+)\}\}").expect("a pattern of this file"));

impl Names {
    /// Gives a name a value.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// A text with its names filled in; a name that is not known stays as it stands.
    pub(crate) fn fill(&self, text: &str) -> String {
        NAME.replace_all(text, |found: &Captures<'_>| {
            self.value(&found[1]).unwrap_or_else(|| found[0].to_owned())
        })
        .into_owned()
    }

    /// A JSON value with the names in all of its strings filled in.
    pub(crate) fn fill_json(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.fill(text)),
            Value::Array(list) => list.iter().map(|v| self.fill_json(v)).collect(),
            Value::Object(map) => map
                .iter()
                .map(|(k, v)| (k.clone(), self.fill_json(v)))
                .collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    fn value(&self, name: &str) -> Option<String> {
        let Some(pair) = name.strip_prefix("b64:") else {
            return self.0.get(name).cloned();
        };
        let (user, password) = pair.split_once(':')?;
        let known = |part: &str| self.0.get(part).cloned().unwrap_or_else(|| part.to_owned());
        Some(base64(
            format!("{}:{}", known(user), known(password)).as_bytes(),
        ))
    }
}

/// Base64 with padding, as HTTP's `Authorization` wants it.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0_u32, |w, b| (w << 8) | u32::from(*b)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let sign = SIGNS[(word >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= chunk.len() {
                char::from(sign)
            } else {
                '='
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_filled_in_plain_and_in_base64() {
        let mut names = Names::default();
        names.set("k_id", "Aladdin");
        assert_eq!(names.fill("id {{k_id}} {{other}}"), "id Aladdin {{other}}");
        assert_eq!(
            names.fill("Basic {{b64:k_id:open sesame}}"),
            "Basic {{b64:k_id:open sesame}}"
        );
        assert_eq!(
            names.fill("Basic {{b64:k_id:secret-1}}"),
            format!("Basic {}", base64(b"Aladdin:secret-1"))
        );
        assert_eq!(
            base64(b"Aladdin:open sesame"),
            "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
        assert_eq!(
            (base64(b"a"), base64(b"ab"), base64(b"abc")),
            ("YQ==".into(), "YWI=".into(), "YWJj".into())
        );
    }
}
