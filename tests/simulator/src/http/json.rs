//! Request bodies as Elasticsearch's parser sees them: a pull tokenizer that knows line and column, and an object parser
//! that refuses unknown fields with the recorded texts. `serde_json` cannot give these positions, hence a parser of our own.

use serde_json::{Map, Number, Value};

use super::suggest::suggestions;
use crate::cluster::{ApiError, TimeValue};

const SOURCE: &str = "[Source: (org.elasticsearch.common.bytes.AbstractBytesReference$MarkSupportingStreamInputWrapper); line: ";

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

type At = (usize, usize);

struct Syntax {
    end: bool,
    text: String,
}

struct Tokens<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
    start_of_line: usize,
    /// Place of the last token that was read whole.
    last: At,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a [u8]) -> Self {
        let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
        Self { text, at: 0, line: 1, start_of_line: 0, last: (1, 1) }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn step(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        if byte == b'\n' {
            self.line += 1;
            self.start_of_line = self.at;
        }
        Some(byte)
    }

    fn here(&self) -> At {
        (self.line, self.at - self.start_of_line + 1)
    }

    fn blanks(&mut self) {
        while let Some(byte) = self.peek() {
            match (byte, self.text.get(self.at + 1)) {
                (b' ' | b'\t' | b'\r' | b'\n', _) => drop(self.step()),
                (b'/', Some(b'/')) => while !matches!(self.peek(), None | Some(b'\n')) { self.step(); },
                (b'/', Some(b'*')) => {
                    while self.peek().is_some() && !self.text.get(self.at..).is_some_and(|rest| rest.starts_with(b"*/")) { self.step(); }
                    self.step();
                    self.step();
                }
                _ => return,
            }
        }
    }

    fn fail(&self, text: &str) -> Syntax {
        Syntax { end: false, text: format!("{text}\n at {SOURCE}{}, column: {}]", self.line, self.at - self.start_of_line + 1) }
    }

    fn odd(&mut self, want: &str) -> Syntax {
        let Some(byte) = self.step() else { return self.end("input", (1, 0)) };
        self.fail(&format!("Unexpected character ('{}' (code {byte})): {want}", char::from(byte)))
    }

    fn end(&self, what: &str, start: At) -> Syntax {
        let text = format!("Unexpected end-of-input: expected close marker for {what} (start marker at {SOURCE}{}, column: {}])", start.0, start.1);
        Syntax { end: true, text: self.fail(&text).text }
    }

    /// Name of the next token, as `XContentParser.Token` has it.
    fn next_kind(&self) -> &'static str {
        match self.peek() {
            None => "null",
            Some(b'{') => "START_OBJECT",
            Some(b'[') => "START_ARRAY",
            Some(b'"') => "VALUE_STRING",
            Some(b't' | b'f') => "VALUE_BOOLEAN",
            Some(b'n') => "VALUE_NULL",
            Some(_) => "VALUE_NUMBER",
        }
    }

    fn value(&mut self) -> Result<Value, Syntax> {
        self.blanks();
        let start = self.here();
        let value = match self.peek() {
            Some(b'"') => Value::String(self.string()?),
            Some(b'{') => return self.object(start),
            Some(b'[') => return self.array(start),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(byte) if byte.is_ascii_alphabetic() || byte == b'_' => self.word()?,
            Some(b'}' | b']') => return Err(self.odd("expected a value")),
            Some(_) => return Err(self.odd("expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')")),
            None => return Err(self.end("Object", start)),
        };
        self.last = start;
        Ok(value)
    }

    fn object(&mut self, start: At) -> Result<Value, Syntax> {
        let mut map = Map::new();
        self.step();
        self.last = start;
        while let Some((name, _)) = self.name(start, map.is_empty())? {
            self.colon(start)?;
            let value = self.value()?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }

    /// The next field's name with its place, or `None` at the end of the object. The colon is left.
    fn name(&mut self, start: At, first: bool) -> Result<Option<(String, At)>, Syntax> {
        self.blanks();
        match self.peek() {
            Some(b'}') => {
                self.step();
                return Ok(None);
            }
            None => return Err(self.end("Object", start)),
            Some(b',') if !first => drop(self.step()),
            Some(_) if !first => return Err(self.odd("was expecting comma to separate Object entries")),
            Some(_) => {}
        }
        self.blanks();
        let at = self.here();
        match self.peek() {
            Some(b'"') => {}
            Some(_) => return Err(self.odd("was expecting double-quote to start field name")),
            None => return Err(self.end("Object", start)),
        }
        let name = self.string()?;
        Ok(Some((name, at)))
    }

    fn colon(&mut self, start: At) -> Result<(), Syntax> {
        self.blanks();
        match self.peek() {
            Some(b':') => drop(self.step()),
            Some(_) => return Err(self.odd("was expecting a colon to separate field name and value")),
            None => return Err(self.end("Object", start)),
        }
        self.blanks();
        Ok(())
    }

    fn array(&mut self, start: At) -> Result<Value, Syntax> {
        let mut list = Vec::new();
        self.step();
        self.last = start;
        loop {
            self.blanks();
            match self.peek() {
                Some(b']') => {
                    self.step();
                    return Ok(Value::Array(list));
                }
                Some(b',') if !list.is_empty() => drop(self.step()),
                Some(_) if !list.is_empty() => return Err(self.odd("was expecting comma to separate Array entries")),
                Some(_) => {}
                None => return Err(self.end("Array", start)),
            }
            list.push(self.value()?);
        }
    }

    fn string(&mut self) -> Result<String, Syntax> {
        let from = self.at;
        self.step();
        loop {
            match self.step() {
                Some(b'"') => break,
                Some(b'\\') => drop(self.step()),
                Some(_) => {}
                None => {
                    let text = self.fail("Unexpected end-of-input in VALUE_STRING").text;
                    return Err(Syntax { end: true, text });
                }
            }
        }
        let raw = self.text.get(from..self.at).unwrap_or_default();
        serde_json::from_slice::<String>(raw).map_err(|_| self.fail("Invalid string"))
    }

    fn number(&mut self) -> Result<Value, Syntax> {
        let from = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E')) {
            self.step();
        }
        let raw = self.text.get(from..self.at).unwrap_or_default();
        serde_json::from_slice::<Number>(raw).map(Value::Number).map_err(|_| self.fail("Invalid numeric value"))
    }

    fn word(&mut self) -> Result<Value, Syntax> {
        let from = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80) {
            self.step();
        }
        let word = String::from_utf8_lossy(self.text.get(from..self.at).unwrap_or_default()).into_owned();
        match word.as_str() {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            "null" => Ok(Value::Null),
            _ => {
                // Jackson has looked at the sign behind the word before it complains.
                self.step();
                Err(self.fail(&format!("Unrecognized token '{word}': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')")))
            }
        }
    }
}

fn refused(at: At, parser: &str, text: &str) -> ApiError {
    ApiError::new(400, "x_content_parse_exception", format!("[{}:{}] [{parser}] {text}", at.0, at.1))
}

fn broken(at: At, parser: &str, syntax: Syntax) -> ApiError {
    let kind = if syntax.end { "json_e_o_f_exception" } else { "json_parse_exception" };
    refused(at, parser, "failed to parse object").caused_by(ApiError::new(400, kind, syntax.text))
}

/// Parses an object strictly by its `spec`.
///
/// # Errors
/// 400 `x_content_parse_exception` with the place of the offence.
pub(crate) fn parse_object(text: &[u8], spec: Spec) -> Result<Body, ApiError> {
    let mut tokens = Tokens::new(text);
    tokens.blanks();
    let start = tokens.here();
    match tokens.next_kind() {
        "START_OBJECT" => {}
        "null" => return Err(refused((tokens.line, 0), spec.parser, "Expected START_OBJECT but was: null")),
        kind => {
            if tokens.peek() == Some(b'}') {
                tokens.step();
                let syntax = tokens.fail(&format!("Unexpected close marker '}}': expected ']' (for root starting at {SOURCE}1, column: 0])"));
                return Err(broken((1, 1), spec.parser, syntax));
            }
            return Err(match tokens.value() {
                Err(syntax) => broken((1, 1), spec.parser, syntax),
                Ok(_) => refused(start, spec.parser, &format!("Expected START_OBJECT but was: {kind}")),
            });
        }
    }
    tokens.step();
    tokens.last = start;
    let mut body = Body::default();
    let mut seen: Vec<String> = Vec::new();
    loop {
        let last = tokens.last;
        let Some((name, at)) = tokens.name(start, seen.is_empty()).map_err(|syntax| broken(last, spec.parser, syntax))? else { return Ok(body) };
        if seen.contains(&name) {
            return Err(broken(last, spec.parser, tokens.fail(&format!("Duplicate field '{name}'"))));
        }
        tokens.last = at;
        tokens.colon(start).map_err(|syntax| broken(at, spec.parser, syntax))?;
        seen.push(name.clone());
        field(&mut tokens, spec, &mut body, &name, at)?;
    }
}

fn field(tokens: &mut Tokens, spec: Spec, body: &mut Body, name: &str, at: At) -> Result<(), ApiError> {
    let new = spec.old.iter().find(|(old, _)| *old == name).map(|(_, new)| *new);
    let target = new.unwrap_or(name);
    let Some((_, kind)) = spec.fields.iter().find(|(known, _)| *known == target) else {
        let known: Vec<&str> = spec.fields.iter().map(|(known, _)| *known).chain(spec.old.iter().map(|(old, _)| *old)).collect();
        // A broken value behind the name is met before the name is judged.
        if let Err(syntax) = tokens.value() {
            return Err(broken(at, spec.parser, syntax));
        }
        return Err(refused(at, spec.parser, &format!("unknown field [{name}]{}", suggestions(name, known.into_iter(), " did you mean "))));
    };
    let place = tokens.here();
    if let Some(new) = new {
        body.warnings.push(format!("[{}][{}:{}] Deprecated field [{name}] used, expected [{new}] instead", spec.parser, place.0, place.1));
    }
    let token = tokens.next_kind();
    let value = tokens.value().map_err(|syntax| broken(at, spec.parser, syntax))?;
    let fits = match kind {
        Kind::Any => true,
        Kind::Text | Kind::Time => token == "VALUE_STRING",
        Kind::Bool => token == "VALUE_STRING" || token == "VALUE_BOOLEAN",
    };
    if !fits {
        return Err(refused(place, spec.parser, &format!("{name} doesn't support values of type: {token}")));
    }
    let failed = |error: ApiError| refused(place, spec.parser, &format!("failed to parse field [{name}]")).caused_by(error);
    let value = match (kind, &value) {
        (Kind::Bool, Value::String(text)) => Value::Bool(bool_text(text).map_err(failed)?),
        (Kind::Time, Value::String(text)) => {
            TimeValue::parse(text, name).map_err(failed)?;
            value
        }
        _ => value,
    };
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
        other => Err(ApiError::bad_argument(format!("Failed to parse value [{other}] as only [true] or [false] are allowed."))),
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
        Ok(_) => Err(ApiError::new(400, "parse_exception", format!("failed to parse {parser}, expected an object"))),
        Err(syntax) => Err(ApiError::new(400, if syntax.end { "json_e_o_f_exception" } else { "json_parse_exception" }, syntax.text)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Spec, parse_object};

    const CLOSE: Spec = Spec {
        parser: "close",
        fields: &[("force", Kind::Bool), ("timeout", Kind::Time), ("allow_no_match", Kind::Bool), ("job_id", Kind::Text)],
        old: &[("allow_no_jobs", "allow_no_match")],
    };

    fn refusal(text: &str) -> String {
        parse_object(text.as_bytes(), CLOSE).err().and_then(|error| error.reason).unwrap_or_default()
    }

    #[test]
    fn offences_carry_the_recorded_place() {
        for (text, want) in [
            (r#"{"bogus":1}"#, "[1:2] [close] unknown field [bogus]"),
            (r#"{"Force":true}"#, "[1:2] [close] unknown field [Force] did you mean [force]?"),
            (r#"{"force":true,"bogus":1}"#, "[1:15] [close] unknown field [bogus]"),
            (r#"{"force":1}"#, "[1:10] [close] force doesn't support values of type: VALUE_NUMBER"),
            (r#"{"timeout":-1}"#, "[1:12] [close] timeout doesn't support values of type: VALUE_NUMBER"),
            (r#"{"force":"yes"}"#, "[1:10] [close] failed to parse field [force]"),
            ("[]", "[1:1] [close] Expected START_OBJECT but was: START_ARRAY"),
            (" ", "[1:0] [close] Expected START_OBJECT but was: null"),
            ("{", "[1:1] [close] failed to parse object"),
            (r#"{"force":}"#, "[1:2] [close] failed to parse object"),
            (r#"{"force":true,}"#, "[1:10] [close] failed to parse object"),
            (r#"{"force":true,"force":true}"#, "[1:10] [close] failed to parse object"),
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
