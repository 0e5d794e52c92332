//! Spans of time in the objects: the ones that users write and the ones that people read.
//!
//! A user writes one integer and one unit, a form that Elasticsearch takes as it stands. What the
//! operator measured is told as people say it (`7m30s`) and must be read back to the second after a
//! crash, because the deadline of a close is counted with it.

use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The form of a [`TimeSpan`] as a pattern for the schema.
pub const TIME_SPAN_PATTERN: &str = "^[1-9][0-9]{0,8}(s|m|h|d)$";
/// The form of an [`Elapsed`] as a pattern for the schema: what it lets in is never too long to be read.
pub const ELAPSED_PATTERN: &str = "^([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?$";

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// The text is not a span of time; the message says what is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no time span: write one whole number from 1 and one unit of s, m, h, d, for example 30m"
)]
pub struct InvalidTimeSpan(String);

/// One integer and one unit of `s`, `m`, `h`, `d`; at least one second. Shown as it was written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TimeSpan {
    count: u32,
    unit: char,
}

impl TimeSpan {
    /// Takes a text such as `30m`.
    pub fn parse(text: &str) -> Result<Self, InvalidTimeSpan> {
        Self::read(text).ok_or_else(|| InvalidTimeSpan(text.chars().take(40).collect()))
    }

    fn read(text: &str) -> Option<Self> {
        let unit = text.chars().next_back()?;
        let digits = text.strip_suffix(unit)?;
        let well_formed = UNITS.iter().any(|(name, _)| *name == unit)
            && (1..=9).contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit())
            && !digits.starts_with('0');
        let count = digits.parse().ok()?;
        well_formed.then_some(Self { count, unit })
    }

    /// A span of whole minutes, for defaults.
    pub fn minutes(minutes: u32) -> Self {
        Self {
            count: minutes.clamp(1, 999_999_999),
            unit: 'm',
        }
    }

    /// The length. Up to 2.7 million years: add it to a point in time with a checked addition only.
    pub fn as_duration(self) -> Duration {
        let scale = UNITS.iter().find(|(name, _)| *name == self.unit);
        // Nine digits of days are far below the end of u64.
        Duration::from_secs(scale.map_or(1, |(_, scale)| *scale) * u64::from(self.count))
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.count, self.unit)
    }
}
impl fmt::Debug for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl std::str::FromStr for TimeSpan {
    type Err = InvalidTimeSpan;
    fn from_str(text: &str) -> Result<Self, InvalidTimeSpan> {
        Self::parse(text)
    }
}
impl Serialize for TimeSpan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for TimeSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
impl JsonSchema for TimeSpan {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TimeSpan".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": 32, "pattern": TIME_SPAN_PATTERN })
    }
}

/// A measured span of whole seconds, written as people say it: `7m30s`. See [`humane`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Elapsed(u64);

impl Elapsed {
    /// The longest that is told, more than any two points in time are apart.
    const MOST: Self = Self(999_999_999 * 86_400 + 86_399);

    /// The length.
    pub fn as_duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}
impl From<Duration> for Elapsed {
    /// Cuts off what is below a second, so that what is kept is what will be read back.
    fn from(length: Duration) -> Self {
        Self(length.as_secs().min(Self::MOST.0))
    }
}
impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&humane(self.as_duration()))
    }
}
impl Serialize for Elapsed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Elapsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_humane(&text)
            .map(Self::from)
            .ok_or_else(|| de::Error::custom("not a span such as 7m30s"))
    }
}
impl JsonSchema for Elapsed {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Elapsed".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 2, "maxLength": 32, "pattern": ELAPSED_PATTERN })
    }
}

/// A span as people say it: `45s`, `7m30s`, `2h`, `1d4h`. Exact to the second; below it is cut off.
pub fn humane(length: Duration) -> String {
    let mut rest = length.as_secs();
    let mut text = String::new();
    for (unit, scale) in UNITS {
        let count = rest / scale;
        rest %= scale;
        if count > 0 {
            text += &count.to_string();
            text.push(unit);
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

/// Reads what [`humane`] wrote. None where the text is anything else: units in falling order, each
/// at most once, at least one.
pub fn parse_humane(text: &str) -> Option<Duration> {
    let mut units = UNITS.into_iter();
    let mut rest = text;
    let mut total: u64 = 0;
    if text.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let (digits, tail) = rest.split_at_checked(end)?;
        let name = tail.chars().next()?;
        let (_, scale) = units.find(|(unit, _)| *unit == name)?;
        total = total.checked_add(digits.parse::<u64>().ok()?.checked_mul(scale)?)?;
        rest = tail.strip_prefix(name)?;
    }
    Some(Duration::from_secs(total))
}

#[cfg(test)]
#[path = "time_span_properties.rs"]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_span_is_one_number_and_one_unit() {
        for (text, seconds) in [
            ("1s", 1),
            ("90s", 90),
            ("30m", 1_800),
            ("2h", 7_200),
            ("1d", 86_400),
            ("999999999d", 86_399_999_913_600),
        ] {
            let span = TimeSpan::parse(text).expect(text);
            assert_eq!(span.as_duration(), Duration::from_secs(seconds), "{text}");
            assert_eq!(span.to_string(), text);
        }
        assert_eq!(TimeSpan::minutes(30), TimeSpan::parse("30m").unwrap());
    }

    #[test]
    fn what_is_no_time_span_is_refused_with_an_example() {
        for text in [
            "",
            "0",
            "0s",
            "soon",
            "30",
            "m",
            "1.5h",
            "-5m",
            "30 m",
            "30M",
            "500ms",
            "1h30m",
            "01m",
            "1000000000s",
            "٣m",
            "1ü",
        ] {
            let error = TimeSpan::parse(text).expect_err(text).to_string();
            assert!(error.contains("for example 30m"), "{error}");
        }
    }

    #[test]
    fn measured_spans_come_back_to_the_second() {
        for (seconds, text) in [
            (0, "0s"),
            (45, "45s"),
            (450, "7m30s"),
            (7_200, "2h"),
            (100_800, "1d4h"),
            (90_061, "1d1h1m1s"),
        ] {
            assert_eq!(humane(Duration::from_secs(seconds)), text);
        }
        for seconds in (0..200_000).step_by(37).chain([u64::MAX]) {
            let length = Duration::from_secs(seconds);
            assert_eq!(parse_humane(&humane(length)), Some(length));
        }
        assert_eq!(
            Elapsed::from(Duration::from_millis(1_999)).to_string(),
            "1s"
        );
    }

    #[test]
    fn a_text_that_humane_never_writes_is_not_read() {
        for text in [
            "",
            "5",
            "s",
            "5x",
            "1s1m",
            "1m1m",
            "-1s",
            "99999999999999999999s",
            "999999999999999999d",
            "1s ",
        ] {
            assert_eq!(parse_humane(text), None, "{text:?}");
        }
    }
}
