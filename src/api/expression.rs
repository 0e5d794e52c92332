//! What a user writes to say which jobs are meant: the API's `<job_id>`, and patterns of `exclude`.
//!
//! Only the form is known here; who is meant is found by `reconciler::expression`. An expression is never sent: it is
//! expanded, and what is sent are ids. So what Elasticsearch itself would answer (an upper-case id, say) is let through,
//! and only what would mean every job by accident, or can be nothing at all, is refused.

use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::glob::Glob;
use super::id::{JobId, MAX_ID_LENGTH};
use super::schema;

/// The longest expression, in characters; a request line of Elasticsearch takes no more bytes (reference 17.12).
pub const MAX_EXPRESSION_LENGTH: usize = 4096;
/// The form as a pattern for the schema: no control character, and something beside blanks and commas.
pub const EXPRESSION_PATTERN: &str =
    r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f ,][^\x00-\x1f\x7f-\x9f]*$";
/// The form of an entry of `exclude` as a pattern for the schema. [`JobPattern::parse`] checks the same by hand.
pub const JOB_PATTERN_PATTERN: &str = r"^[a-z0-9*]([a-z0-9*_\-.]*[a-z0-9*])?$";

/// Why a text is no expression. The texts say what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidExpression {
    /// Only blanks and commas, which Elasticsearch takes for every job.
    #[error("no job is named; write _all where every job is meant")]
    NoToken,
    /// More than [`MAX_EXPRESSION_LENGTH`] characters.
    #[error(
        "a job expression has at most 4096 characters, this one has {0}; use a group or a wildcard"
    )]
    TooLong(usize),
    /// A line break, a tab or another control character.
    #[error("a job expression has no line break, tab or other control character, not {0:?}")]
    Control(char),
}

/// The API's `<job_id>`: an id, a group, a wildcard, a comma list of these, `_all` or `*`. Keeps its text; cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobExpression {
    text: Arc<str>,
}

impl JobExpression {
    /// Takes a text that names something.
    pub fn parse(text: &str) -> Result<Self, InvalidExpression> {
        let length = text.chars().count();
        if length > MAX_EXPRESSION_LENGTH {
            return Err(InvalidExpression::TooLong(length));
        }
        if let Some(wrong) = text.chars().find(|sign| sign.is_control()) {
            return Err(InvalidExpression::Control(wrong));
        }
        if tokens(text).next().is_none() {
            return Err(InvalidExpression::NoToken);
        }
        Ok(Self {
            text: Arc::from(text),
        })
    }

    /// The text as the user wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands between the commas, in its order, as Elasticsearch takes it: trimmed, and without what is empty.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        tokens(&self.text)
    }

    /// Whether every job is meant: exactly one token, and it is `_all` or `*`. Beside others `_all` is a job's name.
    pub fn is_all(&self) -> bool {
        matches!(self.single(), Some("_all" | "*"))
    }

    /// The one token where it has the form of an id; it may still be the name of a group.
    pub fn literal(&self) -> Option<JobId> {
        self.single().and_then(|token| JobId::parse(token).ok())
    }

    fn single(&self) -> Option<&str> {
        let mut tokens = self.tokens();
        tokens.next().filter(|_| tokens.next().is_none())
    }
}

/// Blanks are what Java's `trim` takes away, everything up to U+0020 (reference 17.11).
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(|token| token.trim_matches(|sign| sign <= ' '))
        .filter(|token| !token.is_empty())
}

/// Why a text is no entry of `exclude`. The texts say what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// Nothing at all.
    #[error("an entry of exclude has at least one character, for example web-canary-*")]
    Empty,
    /// More than 64 characters.
    #[error("an entry of exclude has at most 64 characters, this one has {0}")]
    TooLong(usize),
    /// A character that no id has.
    #[error(
        "an entry of exclude has lower-case letters, digits, '_', '-', '.' and '*', not {0:?}; one id or wildcard each"
    )]
    Character(char),
    /// No id begins or ends like this, so it would leave out nothing.
    #[error(
        "an entry of exclude begins and ends with a lower-case letter, a digit or '*', not with {0:?}"
    )]
    Edge(char),
}

/// An id, or a wildcard over ids in which `*` is any run of characters. What can match no id is refused: a slip of the
/// pen here would have a job closed that was to be left alone. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobPattern {
    text: Arc<str>,
}

impl JobPattern {
    /// Takes an id or a wildcard.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let edge = |sign: char| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == '*';
        let (Some(first), Some(last)) = (text.chars().next(), text.chars().next_back()) else {
            return Err(InvalidPattern::Empty);
        };
        if let Some(wrong) = text
            .chars()
            .find(|&sign| !edge(sign) && !"_-.".contains(sign))
        {
            return Err(InvalidPattern::Character(wrong));
        }
        if let Some(wrong) = [first, last].into_iter().find(|&sign| !edge(sign)) {
            return Err(InvalidPattern::Edge(wrong));
        }
        // Only ASCII is left, so bytes are characters.
        if text.len() > MAX_ID_LENGTH {
            return Err(InvalidPattern::TooLong(text.len()));
        }
        Ok(Self {
            text: Arc::from(text),
        })
    }

    /// The text as the user wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether this job is meant.
    pub fn matches(&self, id: &JobId) -> bool {
        if self.text.contains('*') {
            Glob::plain(&self.text).matches(id.as_str())
        } else {
            *self.text == *id.as_str()
        }
    }
}

macro_rules! text_of_the_api {
    ($name:ident, $error:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.text, f)
            }
        }
        impl std::str::FromStr for $name {
            type Err = $error;
            fn from_str(text: &str) -> Result<Self, $error> {
                Self::parse(text)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.text)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(de::Error::custom)
            }
        }
    };
}

text_of_the_api!(JobExpression, InvalidExpression);
text_of_the_api!(JobPattern, InvalidPattern);

impl JsonSchema for JobExpression {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "JobExpression".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "minLength": 1, "maxLength": MAX_EXPRESSION_LENGTH,
            "pattern": EXPRESSION_PATTERN, "x-kubernetes-validations": schema::expression_rules(),
        })
    }
}

impl JsonSchema for JobPattern {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "JobPattern".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "minLength": 1, "maxLength": MAX_ID_LENGTH,
            "pattern": JOB_PATTERN_PATTERN, "x-kubernetes-validations": schema::job_pattern_rules(),
        })
    }
}
