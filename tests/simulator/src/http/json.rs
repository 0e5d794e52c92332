//! Request bodies as Elasticsearch's parser sees them: a pull tokenizer that knows line and column, and an object parser
//! that refuses unknown fields with the recorded texts. `serde_json` cannot give these positions, hence a parser of our own.

use serde_json::{Map, Value};

use super::{
    json_tokens::{At, SOURCE, Syntax, Tokens},
    suggest::suggestions,
};
use crate::cluster::{ApiError, TimeValue};

/// What a field takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `true`, `false` or these words as text.
    Bool,
    /// Text only.
    Text,
    /// A duration as text.
    Time,
    /// Anything.
    Any,
}

/// A parsed body: the fields, and the deprecated names with their places.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) fields: Map<String, Value>,
    pub(crate) warnings: Vec<String>,
}

/// Names of a parser, its fields, and old names of fields with the new ones.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spec<'a> {
    pub(crate) parser: &'a str,
    pub(crate) fields: &'a [(&'a str, Kind)],
    pub(crate) old: &'a [(&'a str, &'a str)],
}

fn refused(at: At, parser: &str, text: &str) -> ApiError {
    ApiError::new(
        400,
        "x_content_parse_exception",
        format!("[{}:{}] [{parser}] {text}", at.0, at.1),
    )
}

fn broken(at: At, parser: &str, syntax: Syntax) -> ApiError {
    let kind = if syntax.end {
        "json_e_o_f_exception"
    } else {
        "json_parse_exception"
    };
    refused(at, parser, "failed to parse object").caused_by(ApiError::new(400, kind, syntax.text))
}

/// What stands where an object should.
fn no_object(tokens: &mut Tokens, parser: &str) -> ApiError {
    let start = tokens.here();
    let kind = tokens.next_kind();
    if kind == "null" {
        let text = "Expected START_OBJECT but was: null";
        return refused((tokens.line, 0), parser, text);
    }
    if tokens.peek() == Some(b'}') {
        tokens.step();
        let syntax = tokens.fail(&format!("Unexpected close marker '}}': expected ']' (for root starting at {SOURCE}1, column: 0])"));
        return broken((1, 1), parser, syntax);
    }
    match tokens.value() {
        Err(syntax) => broken((1, 1), parser, syntax),
        Ok(_) => refused(
            start,
            parser,
            &format!("Expected START_OBJECT but was: {kind}"),
        ),
    }
}

/// Parses an object strictly by its `spec`.
///
/// # Errors
/// 400 `x_content_parse_exception` with the place of the offence.
pub(crate) fn parse_object(text: &[u8], spec: Spec) -> Result<Body, ApiError> {
    let mut tokens = Tokens::new(text);
    tokens.blanks();
    let start = tokens.here();
    if tokens.next_kind() != "START_OBJECT" {
        return Err(no_object(&mut tokens, spec.parser));
    }
    tokens.step();
    tokens.last = start;
    let mut body = Body::default();
    let mut seen: Vec<String> = Vec::new();
    loop {
        let last = tokens.last;
        let Some((name, at)) = tokens
            .name(start, seen.is_empty())
            .map_err(|syntax| broken(last, spec.parser, syntax))?
        else {
            return Ok(body);
        };
        if seen.contains(&name) {
            return Err(broken(
                last,
                spec.parser,
                tokens.fail(&format!("Duplicate field '{name}'")),
            ));
        }
        tokens.last = at;
        tokens
            .colon(start)
            .map_err(|syntax| broken(at, spec.parser, syntax))?;
        seen.push(name.clone());
        field(&mut tokens, spec, &mut body, &name, at)?;
    }
}

fn unknown(at: At, spec: Spec, name: &str) -> ApiError {
    let known = spec.fields.iter().map(|(known, _)| *known);
    let known = known.chain(spec.old.iter().map(|(old, _)| *old));
    let hint = suggestions(name, known, " did you mean ");
    refused(at, spec.parser, &format!("unknown field [{name}]{hint}"))
}

/// Why a value does not fit its field.
enum Misfit {
    Type(&'static str),
    Value(ApiError),
}

impl Misfit {
    fn told(self, place: At, parser: &str, name: &str) -> ApiError {
        match self {
            Self::Type(token) => {
                let text = format!("{name} doesn't support values of type: {token}");
                refused(place, parser, &text)
            }
            Self::Value(cause) => {
                let text = format!("failed to parse field [{name}]");
                refused(place, parser, &text).caused_by(cause)
            }
        }
    }
}

fn typed(value: Value, token: &'static str, kind: Kind, name: &str) -> Result<Value, Misfit> {
    let fits = match kind {
        Kind::Any => true,
        Kind::Text | Kind::Time => token == "VALUE_STRING",
        Kind::Bool => token == "VALUE_STRING" || token == "VALUE_BOOLEAN",
    };
    if !fits {
        return Err(Misfit::Type(token));
    }
    match (kind, &value) {
        (Kind::Bool, Value::String(text)) => {
            bool_text(text).map(Value::Bool).map_err(Misfit::Value)
        }
        (Kind::Time, Value::String(text)) => match TimeValue::parse(text, name) {
            Ok(_) => Ok(value),
            Err(error) => Err(Misfit::Value(error)),
        },
        _ => Ok(value),
    }
}

fn field(
    tokens: &mut Tokens,
    spec: Spec,
    body: &mut Body,
    name: &str,
    at: At,
) -> Result<(), ApiError> {
    let new = spec
        .old
        .iter()
        .find(|(old, _)| *old == name)
        .map(|(_, new)| *new);
    let target = new.unwrap_or(name);
    let Some((_, kind)) = spec.fields.iter().find(|(known, _)| *known == target) else {
        // A broken value behind the name is met before the name is judged.
        return Err(match tokens.value() {
            Err(syntax) => broken(at, spec.parser, syntax),
            Ok(_) => unknown(at, spec, name),
        });
    };
    let place = tokens.here();
    if let Some(new) = new {
        body.warnings.push(format!(
            "[{}][{}:{}] Deprecated field [{name}] used, expected [{new}] instead",
            spec.parser, place.0, place.1
        ));
    }
    let token = tokens.next_kind();
    let value = tokens
        .value()
        .map_err(|syntax| broken(at, spec.parser, syntax))?;
    let value =
        typed(value, token, *kind, name).map_err(|fault| fault.told(place, spec.parser, name))?;
    body.fields.insert(target.to_owned(), value);
    Ok(())
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

/// Parses any JSON object without looking at names.
///
/// # Errors
/// 400 for what is no object.
pub(crate) fn loose_object(text: &[u8], parser: &str) -> Result<Map<String, Value>, ApiError> {
    let mut tokens = Tokens::new(text);
    match tokens.value() {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(ApiError::new(
            400,
            "parse_exception",
            format!("failed to parse {parser}, expected an object"),
        )),
        Err(syntax) => Err(ApiError::new(
            400,
            if syntax.end {
                "json_e_o_f_exception"
            } else {
                "json_parse_exception"
            },
            syntax.text,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Spec, parse_object};

    const CLOSE: Spec = Spec {
        parser: "close",
        fields: &[
            ("force", Kind::Bool),
            ("timeout", Kind::Time),
            ("allow_no_match", Kind::Bool),
            ("job_id", Kind::Text),
        ],
        old: &[("allow_no_jobs", "allow_no_match")],
    };

    fn refusal(text: &str) -> String {
        parse_object(text.as_bytes(), CLOSE)
            .err()
            .and_then(|error| error.reason)
            .unwrap_or_default()
    }

    #[test]
    fn offences_carry_the_recorded_place() {
        for (text, want) in [
            (r#"{"bogus":1}"#, "[1:2] [close] unknown field [bogus]"),
            (
                r#"{"Force":true}"#,
                "[1:2] [close] unknown field [Force] did you mean [force]?",
            ),
            (
                r#"{"force":true,"bogus":1}"#,
                "[1:15] [close] unknown field [bogus]",
            ),
            (
                r#"{"force":1}"#,
                "[1:10] [close] force doesn't support values of type: VALUE_NUMBER",
            ),
            (
                r#"{"timeout":-1}"#,
                "[1:12] [close] timeout doesn't support values of type: VALUE_NUMBER",
            ),
            (
                r#"{"force":"yes"}"#,
                "[1:10] [close] failed to parse field [force]",
            ),
            (
                "[]",
                "[1:1] [close] Expected START_OBJECT but was: START_ARRAY",
            ),
            (" ", "[1:0] [close] Expected START_OBJECT but was: null"),
            ("{", "[1:1] [close] failed to parse object"),
            (r#"{"force":}"#, "[1:2] [close] failed to parse object"),
            (
                r#"{"force":true,}"#,
                "[1:10] [close] failed to parse object",
            ),
            (
                r#"{"force":true,"force":true}"#,
                "[1:10] [close] failed to parse object",
            ),
        ] {
            assert_eq!(refusal(text), want, "{text}");
        }
    }

    #[test]
    fn comments_a_mark_and_text_behind_the_object_are_taken() {
        for text in ["// c\n{}", "\u{feff}{}", "{} trailing", "{}{}", "\n{}\n"] {
            assert!(parse_object(text.as_bytes(), CLOSE).is_ok(), "{text}");
        }
    }
}
