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

    /// The expression that is nothing but this id, and keeps its text in the same room.
    pub fn of(id: &JobId) -> Self {
        Self {
            text: Arc::clone(id.text()),
        }
    }

    /// Whether it is written as this id and nothing else.
    pub fn is(&self, id: &JobId) -> bool {
        self.text == *id.text()
    }

    /// The text as the user wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where it is nothing but this id, keeps its text in the same room.
    pub fn share(&mut self, id: &JobId) {
        if self.is(id) {
            *self = Self::of(id);
        }
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
pub(crate) fn tokens(text: &str) -> impl Iterator<Item = &str> {
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
            "x-kubernetes-validations": schema::expression_rules(),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> JobExpression {
        JobExpression::parse(text).unwrap()
    }

    #[test]
    fn what_elasticsearch_itself_answers_is_taken_as_it_stands() {
        let longest = "ö".repeat(MAX_EXPRESSION_LENGTH);
        for text in [
            "low_request_rate",
            "web-*",
            "a,,b",
            " a , b ",
            "_all",
            "*",
            "jöb",
            "x%2Fy",
            "Low",
            "../_cluster",
            "\u{a0}",
            &longest,
        ] {
            let expression = parsed(text);
            assert_eq!(expression.as_str(), text);
            let json = serde_json::to_string(&expression).unwrap();
            assert_eq!(
                serde_json::from_str::<JobExpression>(&json).unwrap(),
                expression
            );
        }
    }

    #[test]
    fn what_names_nothing_or_can_be_nothing_is_refused_with_what_would_be_right() {
        for text in ["", " ", ",", " , ,, "] {
            let error = JobExpression::parse(text).unwrap_err();
            assert_eq!(error, InvalidExpression::NoToken, "{text:?}");
            assert!(error.to_string().contains("write _all"));
        }
        for (text, sign) in [
            ("a\n", '\n'),
            ("a,\tb", '\t'),
            ("a\u{7f}", '\u{7f}'),
            ("\u{85}", '\u{85}'),
        ] {
            assert_eq!(
                JobExpression::parse(text),
                Err(InvalidExpression::Control(sign))
            );
        }
        let long = "a".repeat(MAX_EXPRESSION_LENGTH + 1);
        assert_eq!(
            JobExpression::parse(&long),
            Err(InvalidExpression::TooLong(4097))
        );
        assert!(serde_json::from_str::<JobExpression>("\",\"").is_err());
    }

    #[test]
    fn tokens_are_trimmed_of_blanks_and_empty_ones_are_dropped() {
        let tokens = |text| parsed(text).tokens().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(tokens(" a ,, b c,"), ["a", "b c"]);
        assert_eq!(tokens("\u{a0}a"), ["\u{a0}a"]);
    }

    #[test]
    fn all_and_a_literal_are_told_apart_from_the_rest() {
        for (text, all, literal) in [
            ("_all", true, None),
            (" *,", true, None),
            ("**", false, None),
            ("_all,a", false, None),
            ("a", false, Some("a")),
            (" a ,", false, Some("a")),
            ("a,a", false, None),
            ("a*", false, None),
            ("A", false, None),
        ] {
            let expression = parsed(text);
            assert_eq!(expression.is_all(), all, "{text:?}");
            assert_eq!(
                expression.literal(),
                literal.map(|id| JobId::parse(id).unwrap()),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_pattern_leaves_out_ids_and_nothing_else() {
        let matches = |pattern: &str, id: &str| {
            let pattern = JobPattern::parse(pattern).unwrap();
            pattern.matches(&JobId::parse(id).unwrap())
        };
        assert!(matches("web-canary-*", "web-canary-1"));
        assert!(matches("*", "a") && matches("a*c", "abc") && matches("a", "a"));
        assert!(!matches("web-canary-*", "web-1") && !matches("a", "aa"));
    }

    #[test]
    fn a_pattern_that_could_leave_out_nothing_is_refused() {
        for (text, why) in [
            ("", InvalidPattern::Empty),
            ("Web-*", InvalidPattern::Character('W')),
            ("a,b", InvalidPattern::Character(',')),
            ("a?", InvalidPattern::Character('?')),
            ("-a*", InvalidPattern::Edge('-')),
            ("*_", InvalidPattern::Edge('_')),
            ("_all", InvalidPattern::Edge('_')),
        ] {
            assert_eq!(JobPattern::parse(text), Err(why), "{text:?}");
        }
        assert_eq!(
            JobPattern::parse(&"a".repeat(65)),
            Err(InvalidPattern::TooLong(65))
        );
    }
}
