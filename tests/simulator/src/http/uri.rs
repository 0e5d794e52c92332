//! Request targets byte for byte: where the path ends, how segments and parameters are decoded, and the exact words for bad
//! escapes. Unescaped bytes are Latin-1, escaped ones UTF-8 (recorded README).

/// Raw bytes as Latin-1 text, as Elasticsearch reads a request line.
pub(crate) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// Decodes percent escapes of Latin-1 text; `plus` turns `+` into a blank.
///
/// # Errors
/// The words of Netty's decoder, without what the caller adds.
pub(crate) fn decode(text: &str, plus: bool) -> Result<String, String> {
    if !text.contains(['%', '+']) {
        return Ok(text.to_owned());
    }
    let signs: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut escaped = Vec::new();
    let mut at = 0;
    while let Some(sign) = signs.get(at) {
        if *sign != '%' {
            flush(&mut escaped, &mut out);
            out.push(if plus && *sign == '+' { ' ' } else { *sign });
            at += 1;
            continue;
        }
        let (high, low) = match (signs.get(at + 1), signs.get(at + 2)) {
            (None, _) => {
                return Err(format!(
                    "unterminated escape sequence at end of string: {text}"
                ));
            }
            (Some(_), None) => {
                return Err(format!("partial escape sequence at end of string: {text}"));
            }
            (Some(high), Some(low)) => (*high, *low),
        };
        match (high.to_digit(16), low.to_digit(16)) {
            (Some(a), Some(b)) => escaped.push(u8::try_from(a * 16 + b).unwrap_or(b'?')),
            _ => {
                return Err(format!(
                    "invalid escape sequence `%{high}{low}' at index {at} of: {text}"
                ));
            }
        }
        at += 3;
    }
    flush(&mut escaped, &mut out);
    Ok(out)
}

fn flush(escaped: &mut Vec<u8>, out: &mut String) {
    // Java takes an encoded surrogate for one bad character, Rust for three.
    while let Some(at) = escaped
        .windows(3)
        .position(|three| matches!(three, [0xED, 0xA0..=0xBF, 0x80..=0xBF]))
    {
        let rest = escaped.split_off(at);
        out.push_str(&String::from_utf8_lossy(escaped));
        out.push(char::REPLACEMENT_CHARACTER);
        *escaped = rest.into_iter().skip(3).collect();
    }
    out.push_str(&String::from_utf8_lossy(escaped));
    escaped.clear();
}

/// Segments of a path as the path trie sees them: empty ones at the end are dropped, inner ones stay.
pub(crate) fn segments(path: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = path.split('/').collect();
    while parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    if parts.first().is_some_and(|part| part.is_empty()) {
        parts.remove(0);
    }
    parts
}

/// Splits a query string at `&` and `;`; a later value replaces an earlier one.
///
/// # Errors
/// The decoder's words.
pub(crate) fn query(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut found: Vec<(String, String)> = Vec::new();
    for part in text.split(['&', ';']) {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name, value),
            None => (part, ""),
        };
        if part.is_empty() {
            continue;
        }
        let (name, value) = (decode(name, true)?, decode(value, true)?);
        match found.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = value,
            None => found.push((name, value)),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{decode, latin1, query, segments};

    #[test]
    fn escapes_are_utf8_and_bare_bytes_latin1() {
        assert_eq!(decode("%C3%A9", false).as_deref(), Ok("é"));
        assert_eq!(decode(&latin1("é".as_bytes()), false).as_deref(), Ok("Ã©"));
        assert_eq!(decode("%FF", false).as_deref(), Ok("\u{fffd}"));
        assert_eq!(decode("a%ED%A0%80b", false).as_deref(), Ok("a\u{fffd}b"));
        assert_eq!(
            decode("%zz", false),
            Err("invalid escape sequence `%zz' at index 0 of: %zz".into())
        );
        assert_eq!(
            decode("j1%", false),
            Err("unterminated escape sequence at end of string: j1%".into())
        );
        assert_eq!(
            decode("%4", false),
            Err("partial escape sequence at end of string: %4".into())
        );
    }

    #[test]
    fn inner_empty_segments_stay_and_trailing_ones_go() {
        assert_eq!(segments("/_ml/a//_close"), ["_ml", "a", "", "_close"]);
        assert_eq!(segments("/_ml/a///"), ["_ml", "a"]);
        assert_eq!(segments("//_ml"), ["", "_ml"]);
        assert!(segments("/").is_empty());
    }

    #[test]
    fn the_last_value_of_a_parameter_wins() {
        let got = query("force=true;timeout=1s&timeout=%205s&flag").unwrap();
        let want = [("force", "true"), ("timeout", " 5s"), ("flag", "")]
            .map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(got, want);
    }
}
