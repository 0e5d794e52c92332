//! Query parameters with Elasticsearch's strictness: what nobody has read is an error, and what was read is a candidate for
//! "did you mean".

use std::collections::BTreeSet;

use super::{json_kinds::bool_text, suggest::suggestions};
use crate::cluster::{ApiError, TimeValue};

/// Parameters of one request and which of them have been read.
#[derive(Debug)]
pub(crate) struct Params {
    path: String,
    values: Vec<(String, String)>,
    read: BTreeSet<String>,
    /// Deprecation warnings of old names.
    pub(crate) warnings: Vec<String>,
}

impl Params {
    pub(crate) fn new(path: String, values: Vec<(String, String)>) -> Self {
        Self {
            path,
            values,
            read: BTreeSet::new(),
            warnings: Vec::new(),
        }
    }

    /// A part of the path; it hides a parameter of the same name and counts as read.
    pub(crate) fn set_path_part(&mut self, name: &str, value: String) {
        self.values.retain(|(known, _)| known != name);
        self.values.push((name.to_owned(), value));
    }

    /// Whether the parameter is there; does not read it.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.values.iter().any(|(known, _)| known == name)
    }

    /// Reads a parameter.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.read.insert(name.to_owned());
        self.values
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
    }

    /// Looks without reading.
    pub(crate) fn peek(&self, name: &str) -> Option<&str> {
        self.values
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Reads a boolean; empty is true.
    pub(crate) fn flag(&mut self, name: &str, default: bool) -> Result<bool, ApiError> {
        match self.text(name).as_deref() {
            None => Ok(default),
            Some("") => Ok(true),
            Some(text) => bool_text(text),
        }
    }

    /// Reads a duration.
    pub(crate) fn time(&mut self, name: &str, default: TimeValue) -> Result<TimeValue, ApiError> {
        self.text(name)
            .map_or(Ok(default), |text| TimeValue::parse(&text, name))
    }

    /// Reads `allow_no_match` and, where versions know it, its old name, which warns.
    pub(crate) fn allow_no_match(
        &mut self,
        old: Option<&str>,
        guarded: bool,
    ) -> Result<bool, ApiError> {
        let mut allowed = true;
        if let Some(old) = old {
            if self.has(old) {
                self.warnings.push(format!(
                    "Deprecated field [{old}] used, expected [allow_no_match] instead"
                ));
            }
            if self.has(old) || !guarded {
                allowed = self.flag(old, true)?;
            }
        }
        if self.has("allow_no_match") || !guarded {
            self.flag("allow_no_match", allowed)
        } else {
            Ok(allowed)
        }
    }

    /// Refuses what was not read.
    ///
    /// # Errors
    /// 400 with all unread names in order, each with its suggestion.
    pub(crate) fn finish(&self) -> Result<(), ApiError> {
        let unread: BTreeSet<&str> = self
            .values
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| !self.read.contains(*name))
            .collect();
        if unread.is_empty() {
            return Ok(());
        }
        let parts: Vec<String> = unread
            .iter()
            .map(|name| {
                format!(
                    "[{name}]{}",
                    suggestions(
                        name,
                        self.read.iter().map(String::as_str),
                        " -> did you mean "
                    )
                )
            })
            .collect();
        let plural = if unread.len() > 1 { "s" } else { "" };
        Err(ApiError::bad_argument(format!(
            "request [{}] contains unrecognized parameter{plural}: {}",
            self.path,
            parts.join(", ")
        )))
    }
}
