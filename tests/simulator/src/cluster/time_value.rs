//! Elasticsearch's `TimeValue`: parsing with its exact errors and printing as its messages do.
//! No clock in here.

use super::error::ApiError;

/// A duration as a client wrote it: the number and its unit (nanoseconds per unit).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeValue {
    amount: i64,
    unit_ns: i64,
}

const UNITS: [(&str, i64); 7] = [
    ("nanos", 1),
    ("micros", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

impl TimeValue {
    /// Whole minutes.
    pub fn minutes(amount: i64) -> Self {
        Self {
            amount,
            unit_ns: 60_000_000_000,
        }
    }

    /// Whole seconds.
    pub fn seconds(amount: i64) -> Self {
        Self {
            amount,
            unit_ns: 1_000_000_000,
        }
    }

    /// Milliseconds, rounded up so that a nanosecond is no zero; negative values are 0.
    pub fn millis(self) -> u64 {
        let ns = i128::from(self.amount.max(0)) * i128::from(self.unit_ns);
        u64::try_from((ns + 999_999) / 1_000_000).unwrap_or(u64::MAX)
    }

    /// Whether a wait of this length ends before it began (`0` and `-1`).
    pub fn is_none(self) -> bool {
        self.amount <= 0
    }

    /// Parses as `TimeValue.parseTimeValue(text, setting)` does.
    ///
    /// # Errors
    /// The recorded 400s: no unit, negative, fractional, not a number.
    pub fn parse(text: &str, setting: &str) -> Result<Self, ApiError> {
        let lower = text.to_lowercase();
        let normal = lower.trim_matches(|sign| sign <= ' ');
        for (suffix, unit_ns) in UNITS {
            // Minutes are told from months by case, so the original text decides.
            let fits = if suffix == "m" {
                text.ends_with('m')
            } else {
                normal.ends_with(suffix)
            };
            if let (true, Some(number)) = (fits, normal.strip_suffix(suffix)) {
                return Ok(Self {
                    amount: amount(number.trim_matches(|sign| sign <= ' '), text, setting)?,
                    unit_ns,
                });
            }
        }
        let digits = normal.trim_start_matches('-');
        if normal.starts_with('-') && digits.trim_start_matches('0') == "1" {
            return Ok(Self {
                amount: -1,
                unit_ns: 1_000_000,
            });
        }
        if !normal.is_empty() && normal.chars().all(|sign| sign == '0') {
            return Ok(Self {
                amount: 0,
                unit_ns: 1_000_000,
            });
        }
        Err(ApiError::bad_argument(format!(
            "failed to parse setting [{setting}] with value [{text}] as a time value: unit is missing or unrecognized"
        )))
    }
}

fn amount(number: &str, text: &str, setting: &str) -> Result<i64, ApiError> {
    let unsigned = number.strip_prefix(['+', '-']).unwrap_or(number);
    let whole = !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit());
    if let (true, Ok(amount)) = (whole, number.parse::<i64>()) {
        if amount < -1 {
            return Err(ApiError::bad_argument(format!(
                "failed to parse setting [{setting}] with value [{text}] as a time value: negative durations are not supported"
            )));
        }
        return Ok(amount);
    }
    let cause = ApiError::new(
        400,
        "number_format_exception",
        format!("For input string: \"{number}\""),
    );
    // Java's Double.parseDouble takes a trailing d or f.
    let fraction = number.strip_suffix(['d', 'f', 'D', 'F']).unwrap_or(number);
    let reason = if fraction.parse::<f64>().is_ok() {
        format!("failed to parse [{text}], fractional time values are not supported")
    } else {
        format!("failed to parse [{text}]")
    };
    Err(ApiError::bad_argument(reason).caused_by(cause))
}

impl std::fmt::Display for TimeValue {
    /// `TimeValue.toString`: the largest unit that fits, one decimal at most, cut not rounded.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.amount < 0 {
            return write!(out, "{}", self.amount);
        }
        let ns = i128::from(self.amount) * i128::from(self.unit_ns);
        if ns == 0 {
            return write!(out, "0s");
        }
        let (suffix, unit) = UNITS
            .iter()
            .rev()
            .find(|(_, unit)| ns >= i128::from(*unit))
            .copied()
            .unwrap_or(("nanos", 1));
        let tenths = ns * 10 / i128::from(unit);
        if tenths % 10 == 0 {
            write!(out, "{}{suffix}", tenths / 10)
        } else {
            write!(out, "{}.{}{suffix}", tenths / 10, tenths % 10)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::TimeValue;

    fn shown(text: &str) -> String {
        match TimeValue::parse(text, "timeout") {
            Ok(value) => value.to_string(),
            Err(error) => error.reason.unwrap_or_default(),
        }
    }

    #[test]
    fn accepted_spellings_are_those_of_the_recording() {
        for (text, want) in [
            (" 5s", "5s"),
            ("5 s", "5s"),
            ("5S", "5s"),
            ("+5s", "5s"),
            ("0030s", "30s"),
            ("0", "0s"),
            ("-1", "-1"),
            ("90s", "1.5m"),
            ("1nanos", "1nanos"),
            ("99999999999d", "99999999999d"),
            ("10000000micros", "10s"),
        ] {
            assert_eq!(shown(text), want, "{text}");
        }
    }

    #[test]
    fn refused_spellings_carry_the_recorded_reason() {
        let unit = |text: &str| {
            format!(
                "failed to parse setting [timeout] with value [{text}] as a time value: unit is missing or unrecognized"
            )
        };
        for text in ["abc", "10", "", "5x", "-2", "1w", "1M"] {
            assert_eq!(shown(text), unit(text), "{text}");
        }
        assert_eq!(
            shown("1.5s"),
            "failed to parse [1.5s], fractional time values are not supported"
        );
        assert_eq!(
            shown("9223372036854775808ms"),
            "failed to parse [9223372036854775808ms], fractional time values are not supported"
        );
        assert_eq!(shown("1h30m"), "failed to parse [1h30m]");
        assert_eq!(shown("0x5s"), "failed to parse [0x5s]");
        assert!(shown("-5s").ends_with("negative durations are not supported"));
    }
}
