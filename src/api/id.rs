//! Ids as Elasticsearch allows them.
//!
//! An id ends up in the path of a request, so it is checked here once more, whatever the API server
//! let through: what is not an id cannot be made into one of these types. Job and datafeed ids
//! have one rule but are two types, because mixing them up would close the wrong thing.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The longest id, in characters (reference section 6).
pub const MAX_ID_LENGTH: usize = 64;
/// The rule as a pattern for the schema, anchored. [`JobId::parse`] checks the same by hand.
pub const ID_PATTERN: &str = r"^[a-z0-9]([a-z0-9_\-.]*[a-z0-9])?$";

/// Why a text is no id. The texts say what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Nothing at all.
    #[error("an id has at least one character, for example low_request_rate")]
    Empty,
    /// More than [`MAX_ID_LENGTH`] characters.
    #[error("an id has at most 64 characters, this one has {0}")]
    TooLong(usize),
    /// A character outside `a-z0-9_-.`.
    #[error("an id has lower-case letters, digits, '_', '-' and '.', not {0:?}")]
    Character(char),
    /// The first or last character is not a letter or digit.
    #[error("an id begins and ends with a lower-case letter or a digit, not with {0:?}")]
    Edge(char),
    /// `_all`, which means every job and is never one of them.
    #[error("_all is not an id: it means every job")]
    All,
}

fn check(text: &str) -> Result<(), InvalidId> {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if text == "_all" {
        return Err(InvalidId::All);
    }
    let (Some(first), Some(last)) = (text.chars().next(), text.chars().next_back()) else {
        return Err(InvalidId::Empty);
    };
    if let Some(wrong) = text.chars().find(|&c| !edge(c) && !"_-.".contains(c)) {
        return Err(InvalidId::Character(wrong));
    }
    if let Some(wrong) = [first, last].into_iter().find(|&c| !edge(c)) {
        return Err(InvalidId::Edge(wrong));
    }
    // Only ASCII is left, so bytes are characters.
    if text.len() > MAX_ID_LENGTH {
        return Err(InvalidId::TooLong(text.len()));
    }
    Ok(())
}

/// An id of the thing that `Of` names. Cheap to clone. Use it as [`JobId`] or [`DatafeedId`].
pub struct Id<Of> {
    text: Arc<str>,
    of: PhantomData<fn() -> Of>,
}

/// Marks the id of an anomaly detection job.
#[derive(Debug)]
pub enum Job {}
/// Marks the id of a datafeed.
#[derive(Debug)]
pub enum Datafeed {}

/// The id of an anomaly detection job, the API's `<job_id>`.
pub type JobId = Id<Job>;
/// The id of a datafeed, the API's `<datafeed_id>`.
pub type DatafeedId = Id<Datafeed>;

impl<Of> Id<Of> {
    /// Takes a text that keeps the API's rule for ids.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        check(text)?;
        Ok(Self {
            text: Arc::from(text),
            of: PhantomData,
        })
    }

    /// The id as it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The room of its text, for another who keeps the same text.
    pub(super) fn text(&self) -> &Arc<str> {
        &self.text
    }
}

// Written out, because a derive would ask the same of the marker types.
impl<Of> Clone for Id<Of> {
    fn clone(&self) -> Self {
        Self {
            text: Arc::clone(&self.text),
            of: PhantomData,
        }
    }
}
impl<Of> PartialEq for Id<Of> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl<Of> Eq for Id<Of> {}
impl<Of> PartialOrd for Id<Of> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<Of> Ord for Id<Of> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}
impl<Of> std::hash::Hash for Id<Of> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}
impl<Of> fmt::Display for Id<Of> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl<Of> fmt::Debug for Id<Of> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.text, f)
    }
}
impl<Of> AsRef<str> for Id<Of> {
    fn as_ref(&self) -> &str {
        &self.text
    }
}
impl<Of> std::borrow::Borrow<str> for Id<Of> {
    fn borrow(&self) -> &str {
        &self.text
    }
}
impl<Of> std::str::FromStr for Id<Of> {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::parse(text)
    }
}
impl<Of> Serialize for Id<Of> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}
impl<'de, Of> Deserialize<'de> for Id<Of> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}
impl<Of> JsonSchema for Id<Of> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Id".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "minLength": 1, "maxLength": MAX_ID_LENGTH, "pattern": ID_PATTERN,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_elasticsearch_takes_are_taken() {
        let longest = "a".repeat(64);
        for good in ["a", "0", "low_request_rate", "a-b.c_d", "a..b", &longest] {
            assert_eq!(JobId::parse(good).expect(good).as_str(), good);
        }
        assert_eq!(
            DatafeedId::parse(&longest).map(|id| id.to_string()),
            Ok(longest)
        );
    }

    #[test]
    fn ids_that_elasticsearch_refuses_are_refused_with_the_reason() {
        let long = "a".repeat(65);
        for (bad, why) in [
            ("", InvalidId::Empty),
            ("_all", InvalidId::All),
            ("Job", InvalidId::Character('J')),
            ("a,b", InvalidId::Character(',')),
            ("a*", InvalidId::Character('*')),
            ("a/b", InvalidId::Character('/')),
            ("a b", InvalidId::Character(' ')),
            ("a\n", InvalidId::Character('\n')),
            ("jöb", InvalidId::Character('ö')),
            ("..", InvalidId::Edge('.')),
            ("-a", InvalidId::Edge('-')),
            ("a_", InvalidId::Edge('_')),
            (long.as_str(), InvalidId::TooLong(65)),
        ] {
            assert_eq!(JobId::parse(bad), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn a_stored_text_that_is_no_id_does_not_decode() {
        assert!(serde_json::from_str::<JobId>("\"../_cluster\"").is_err());
        let id: JobId = serde_json::from_str("\"rate\"").unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"rate\"");
    }
}
