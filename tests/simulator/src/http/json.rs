//! Request bodies as Elasticsearch's parser sees them: a pull tokenizer that knows line and column, and an object parser
//! that refuses unknown fields with the recorded texts. `serde_json` cannot give these positions, hence a parser of our own.

use serde_json::{Map, Value};

use super::{
    json_kinds::{Kind, Misfit, Spec, Unmade},
    json_tokens::{At, SOURCE, Syntax, Tokens},
    suggest::suggestions,
};
use crate::cluster::ApiError;

/// A parsed body: the fields, and the deprecated names with their places.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) fields: Map<String, Value>,
    pub(crate) warnings: Vec<String>,
}

/// An error, and the place of the token at which the parser stopped: what is around it names this place.
struct Refusal {
    error: ApiError,
    at: At,
}

impl Refusal {
    /// The same, seen from the object around it.
    fn within(self, parser: &str, name: &str) -> Self {
        let text = format!("failed to parse field [{name}]");
        Self {
            error: refused(self.at, parser, &text).caused_by(self.error),
            at: self.at,
        }
    }
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
    object(&mut tokens, spec, start).map_err(|refusal| refusal.error)
}

fn object(tokens: &mut Tokens, spec: Spec, start: At) -> Result<Body, Refusal> {
    let stop = |at: At, syntax: Syntax| Refusal {
        error: broken(at, spec.parser, syntax),
        at,
    };
    tokens.step();
    tokens.last = start;
    let mut body = Body::default();
    let mut seen: Vec<String> = Vec::new();
    loop {
        let last = tokens.last;
        let next = tokens.name(start, seen.is_empty());
        let Some((name, at)) = next.map_err(|syntax| stop(last, syntax))? else {
            let end = tokens.here();
            finish(spec, &body, (end.0, end.1 - 1))?;
            return Ok(body);
        };
        if seen.contains(&name) {
            return Err(stop(
                last,
                tokens.fail(&format!("Duplicate field '{name}'")),
            ));
        }
        tokens.last = at;
        tokens.colon(start).map_err(|syntax| stop(at, syntax))?;
        seen.push(name.clone());
        field(tokens, spec, &mut body, &name, at)?;
    }
}

/// Makes the whole of its parts; a failure there has no place of its own.
fn finish(spec: Spec, body: &Body, at: At) -> Result<(), Refusal> {
    let Some(Err(unmade)) = spec.check.map(|check| check(&body.fields)) else {
        return Ok(());
    };
    let error = match unmade {
        Unmade::Missing(name) => ApiError::bad_argument(format!("Required [{name}]")),
        Unmade::Refused(cause) => ApiError::new(
            400,
            "x_content_parse_exception",
            format!(
                "Failed to build [{}] after last required field arrived",
                spec.parser
            ),
        )
        .caused_by(cause),
    };
    Err(Refusal { error, at })
}

fn unknown(at: At, spec: Spec, name: &str) -> ApiError {
    let known = spec.fields.iter().map(|(known, _)| *known);
    let known = known.chain(spec.old.iter().map(|(old, _)| *old));
    let hint = suggestions(name, known, " did you mean ");
    refused(at, spec.parser, &format!("unknown field [{name}]{hint}"))
}

fn field(
    tokens: &mut Tokens,
    spec: Spec,
    body: &mut Body,
    name: &str,
    at: At,
) -> Result<(), Refusal> {
    let old = spec.old.iter().find(|(old, _)| *old == name);
    let target = old.map_or(name, |(_, new)| *new);
    let place = tokens.here();
    let stop = |error: ApiError| Refusal { error, at: place };
    let Some((_, kind)) = spec.fields.iter().find(|(known, _)| *known == target) else {
        // A broken value behind the name is met before the name is judged.
        return Err(stop(match tokens.value() {
            Err(syntax) => broken(at, spec.parser, syntax),
            Ok(_) => unknown(at, spec, name),
        }));
    };
    if let Some((_, new)) = old {
        body.warnings.push(format!(
            "[{}][{}:{}] Deprecated field [{name}] used, expected [{new}] instead",
            spec.parser, place.0, place.1
        ));
    }
    let wrap = |inner: Refusal| inner.within(spec.parser, name);
    let token = tokens.next_kind();
    let value = match (kind, token) {
        (Kind::Shaped(inner), "START_OBJECT") => {
            Value::Object(object(tokens, **inner, place).map_err(wrap)?.fields)
        }
        (Kind::List(inner), "START_OBJECT" | "START_ARRAY") => {
            Value::Array(list(tokens, **inner, token).map_err(wrap)?)
        }
        _ => {
            let value = tokens.value();
            let value = value.map_err(|syntax| stop(broken(at, spec.parser, syntax)))?;
            kind.value(value, token, name)
                .map_err(|misfit| match misfit {
                    Misfit::Value(error) => wrap(stop(error)),
                    Misfit::Type => {
                        let text = format!("{name} doesn't support values of type: {token}");
                        stop(refused(place, spec.parser, &text))
                    }
                })?
        }
    };
    body.fields.insert(target.to_owned(), value);
    if matches!(kind, Kind::List(_)) {
        // The one field that must be there has come: the whole is made now, not at its end.
        let end = tokens.here();
        finish(spec, body, (end.0, end.1 - 1)).map_err(wrap)?;
    }
    Ok(())
}

/// Objects of one shape: a list of them, or one alone.
fn list(tokens: &mut Tokens, spec: Spec, token: &str) -> Result<Vec<Value>, Refusal> {
    let start = tokens.here();
    if token == "START_OBJECT" {
        return Ok(vec![object(tokens, spec, start)?.fields.into()]);
    }
    tokens.step();
    let mut found = Vec::new();
    loop {
        let place = tokens.last;
        let more = tokens.item(start, found.is_empty());
        if !more.map_err(|syntax| Refusal {
            error: broken(place, spec.parser, syntax),
            at: place,
        })? {
            return Ok(found);
        }
        let at = tokens.here();
        if tokens.next_kind() != "START_OBJECT" {
            let error = no_object(tokens, spec.parser);
            return Err(Refusal { error, at });
        }
        found.push(object(tokens, spec, at)?.fields.into());
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
        check: None,
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
