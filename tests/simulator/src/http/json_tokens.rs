//! A pull tokenizer for JSON that knows line and column of every token and fails in Jackson's words. Comments and a byte order
//! mark are taken, as Elasticsearch takes them. What fields mean is not known here.

use serde_json::{Map, Number, Value};

/// How Jackson names its source.
pub(super) const SOURCE: &str = "[Source: (org.elasticsearch.common.bytes.AbstractBytesReference$MarkSupportingStreamInputWrapper); line: ";

pub(super) type At = (usize, usize);

/// A syntax error: whether the text ended too early, and Jackson's words.
pub(super) struct Syntax {
    pub(super) end: bool,
    pub(super) text: String,
}

/// The tokenizer.
pub(super) struct Tokens<'a> {
    text: &'a [u8],
    at: usize,
    pub(super) line: usize,
    start_of_line: usize,
    /// Place of the last token that was read whole.
    pub(super) last: At,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
        Self {
            text,
            at: 0,
            line: 1,
            start_of_line: 0,
            last: (1, 1),
        }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(super) fn step(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        if byte == b'\n' {
            self.line += 1;
            self.start_of_line = self.at;
        }
        Some(byte)
    }

    pub(super) fn here(&self) -> At {
        (self.line, self.at - self.start_of_line + 1)
    }

    pub(super) fn blanks(&mut self) {
        while let Some(byte) = self.peek() {
            match (byte, self.text.get(self.at + 1)) {
                (b' ' | b'\t' | b'\r' | b'\n', _) => drop(self.step()),
                (b'/', Some(b'/')) => {
                    while !matches!(self.peek(), None | Some(b'\n')) {
                        self.step();
                    }
                }
                (b'/', Some(b'*')) => {
                    while self.peek().is_some()
                        && !self
                            .text
                            .get(self.at..)
                            .is_some_and(|rest| rest.starts_with(b"*/"))
                    {
                        self.step();
                    }
                    self.step();
                    self.step();
                }
                _ => return,
            }
        }
    }

    pub(super) fn fail(&self, text: &str) -> Syntax {
        Syntax {
            end: false,
            text: format!(
                "{text}\n at {SOURCE}{}, column: {}]",
                self.line,
                self.at - self.start_of_line + 1
            ),
        }
    }

    fn odd(&mut self, want: &str) -> Syntax {
        let Some(byte) = self.step() else {
            return self.end("input", (1, 0));
        };
        self.fail(&format!(
            "Unexpected character ('{}' (code {byte})): {want}",
            char::from(byte)
        ))
    }

    fn end(&self, what: &str, start: At) -> Syntax {
        let text = format!(
            "Unexpected end-of-input: expected close marker for {what} (start marker at {SOURCE}{}, column: {}])",
            start.0, start.1
        );
        Syntax {
            end: true,
            text: self.fail(&text).text,
        }
    }

    /// Name of the next token, as `XContentParser.Token` has it.
    pub(super) fn next_kind(&self) -> &'static str {
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

    pub(super) fn value(&mut self) -> Result<Value, Syntax> {
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
    pub(super) fn name(&mut self, start: At, first: bool) -> Result<Option<(String, At)>, Syntax> {
        self.blanks();
        match self.peek() {
            Some(b'}') => {
                self.step();
                return Ok(None);
            }
            None => return Err(self.end("Object", start)),
            Some(b',') if !first => drop(self.step()),
            Some(_) if !first => {
                return Err(self.odd("was expecting comma to separate Object entries"));
            }
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

    pub(super) fn colon(&mut self, start: At) -> Result<(), Syntax> {
        self.blanks();
        match self.peek() {
            Some(b':') => drop(self.step()),
            Some(_) => {
                return Err(self.odd("was expecting a colon to separate field name and value"));
            }
            None => return Err(self.end("Object", start)),
        }
        self.blanks();
        Ok(())
    }

    fn array(&mut self, start: At) -> Result<Value, Syntax> {
        let mut list = Vec::new();
        self.step();
        self.last = start;
        while self.item(start, list.is_empty())? {
            list.push(self.value()?);
        }
        Ok(Value::Array(list))
    }

    /// Whether another entry of a list follows; its bracket is taken at the end.
    pub(super) fn item(&mut self, start: At, first: bool) -> Result<bool, Syntax> {
        self.blanks();
        match self.peek() {
            Some(b']') => {
                self.step();
                return Ok(false);
            }
            Some(b',') if !first => drop(self.step()),
            Some(_) if !first => {
                return Err(self.odd("was expecting comma to separate Array entries"));
            }
            Some(_) => {}
            None => return Err(self.end("Array", start)),
        }
        self.blanks();
        Ok(true)
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
        while self.peek().is_some_and(|byte| {
            byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E')
        }) {
            self.step();
        }
        let raw = self.text.get(from..self.at).unwrap_or_default();
        serde_json::from_slice::<Number>(raw)
            .map(Value::Number)
            .map_err(|_| self.fail("Invalid numeric value"))
    }

    fn word(&mut self) -> Result<Value, Syntax> {
        let from = self.at;
        while self
            .peek()
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80)
        {
            self.step();
        }
        let word =
            String::from_utf8_lossy(self.text.get(from..self.at).unwrap_or_default()).into_owned();
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
