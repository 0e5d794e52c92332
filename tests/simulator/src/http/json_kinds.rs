//! What a field of a body takes, as Elasticsearch's object parser declares it: which tokens, and what is made of the value.
//! Places and nesting are the parser's; nothing here reads text.

use serde_json::{Map, Value};

use crate::cluster::{ApiError, TimeValue};

/// What a field takes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// `true`, `false` or these words as text.
    Bool,
    /// Text only.
    Text,
    /// Text, or null for nothing.
    TextOrNull,
    /// A duration as text.
    Time,
    /// A whole number, also as text.
    Number,
    /// A whole number of at least 0, also as text.
    Count,
    /// A list of texts, or one text.
    Texts,
    /// An amount of memory: text with a unit, or a number.
    Memory,
    /// The name of a detector's function.
    Function,
    /// An object of any shape.
    Object,
    /// An object of this shape.
    Shaped(&'static Spec<'static>),
    /// A list of objects of this shape, or one.
    List(&'static Spec<'static>),
    /// Anything.
    Any,
}

/// Names of a parser, its fields, and old names of fields with the new ones.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spec<'a> {
    pub(crate) parser: &'a str,
    pub(crate) fields: &'a [(&'a str, Kind)],
    pub(crate) old: &'a [(&'a str, &'a str)],
    /// What must be there, and what is made of the whole.
    pub(crate) check: Option<Check>,
}

/// Looks at an object whose fields have been read.
pub(crate) type Check = fn(&Map<String, Value>) -> Result<(), Unmade>;

/// Why an object that was read could not be made.
pub(crate) enum Unmade {
    /// A field is missing.
    Missing(&'static str),
    /// The parts do not fit.
    Refused(ApiError),
}

/// Why a value does not fit its field.
pub(crate) enum Misfit {
    /// The token cannot be it.
    Type,
    /// The token could, the value is not.
    Value(ApiError),
}

const FUNCTIONS: &str = "count low_count high_count non_zero_count nzc low_non_zero_count low_nzc high_non_zero_count high_nzc \
    distinct_count dc low_distinct_count low_dc high_distinct_count high_dc rare freq_rare info_content low_info_content \
    high_info_content metric mean low_mean high_mean avg low_avg high_avg median low_median high_median min max sum low_sum \
    high_sum non_null_sum low_non_null_sum high_non_null_sum varp low_varp high_varp time_of_day time_of_week lat_long";

impl Kind {
    /// Whether a token may stand here.
    fn takes(self, token: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Text | Self::Time | Self::Function => token == "VALUE_STRING",
            Self::TextOrNull => matches!(token, "VALUE_STRING" | "VALUE_NULL"),
            Self::Bool => matches!(token, "VALUE_STRING" | "VALUE_BOOLEAN"),
            Self::Number | Self::Count => matches!(token, "VALUE_STRING" | "VALUE_NUMBER"),
            Self::Texts => matches!(token, "VALUE_STRING" | "START_ARRAY"),
            Self::Memory => token.starts_with("VALUE_"),
            Self::Object | Self::Shaped(_) => token == "START_OBJECT",
            Self::List(_) => matches!(token, "START_OBJECT" | "START_ARRAY"),
        }
    }

    /// The value as it is stored.
    ///
    /// # Errors
    /// What does not fit.
    pub(crate) fn value(self, value: Value, token: &str, name: &str) -> Result<Value, Misfit> {
        if !self.takes(token) {
            return Err(Misfit::Type);
        }
        let refuse = |error: ApiError| Err(Misfit::Value(error));
        match (self, &value) {
            (Self::Bool, Value::String(text)) => {
                bool_text(text).map(Value::Bool).map_err(Misfit::Value)
            }
            (Self::Time, Value::String(text)) => match TimeValue::parse(text, name) {
                Ok(_) => Ok(value),
                Err(error) => refuse(error),
            },
            (Self::Number | Self::Count, Value::String(text)) => match text.parse::<i64>() {
                Ok(number) => Self::value(self, number.into(), "VALUE_NUMBER", name),
                Err(_) => refuse(no_number(text)),
            },
            (Self::Count, Value::Number(number)) if number.as_i64().is_some_and(|n| n < 0) => {
                refuse(ApiError::status(
                    400,
                    format!("Invalid {name} value '{number}' in datafeed configuration"),
                ))
            }
            (Self::Texts, Value::String(_)) => Ok(Value::Array(vec![value])),
            (Self::Memory, Value::String(text)) if !has_unit(text) => refuse(no_memory(name, text)),
            (Self::Function, Value::String(text))
                if !FUNCTIONS.split_whitespace().any(|known| known == text) =>
            {
                refuse(ApiError::bad_argument(format!("Unknown function '{text}'")))
            }
            _ => Ok(value),
        }
    }
}

fn no_number(text: &str) -> ApiError {
    let reason = format!("For input string: \"{text}\"");
    ApiError::new(400, "number_format_exception", reason)
}

fn no_memory(name: &str, text: &str) -> ApiError {
    ApiError::new(
        400,
        "parse_exception",
        format!(
            "failed to parse setting [{name}] with value [{text}] as a size in bytes: unit is missing or unrecognized"
        ),
    )
}

/// Sizes end in a unit, but for a bare 0 or -1.
fn has_unit(text: &str) -> bool {
    let text = text.trim().to_lowercase();
    matches!(text.as_str(), "0" | "-1") || text.ends_with(['k', 'm', 'g', 't', 'p', 'b'])
}

/// A boolean as text, strictly.
///
/// # Errors
/// 400 with the recorded text.
pub(crate) fn bool_text(text: &str) -> Result<bool, ApiError> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(ApiError::bad_argument(format!(
            "Failed to parse value [{other}] as only [true] or [false] are allowed."
        ))),
    }
}
