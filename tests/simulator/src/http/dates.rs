//! ISO dates from epoch milliseconds and back: the licence page shows them and datafeed starts take them.

/// `2026-11-23T20:09:50.783Z` of epoch ms.
pub(crate) fn iso(ms: u64) -> String {
    let (days, rest) = (ms / 86_400_000, ms % 86_400_000);
    let (year, month, day) = civil(i64::try_from(days).unwrap_or_default());
    let (hours, minutes, seconds) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60);
    format!(
        "{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{:03}Z",
        rest % 1000
    )
}

/// Epoch ms of `YYYY-MM-DD` with an optional `THH:MM[:SS[.mmm]]` and `Z`.
pub(crate) fn parse_iso(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T').unwrap_or((text, ""));
    let mut parts = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (
        parts.next()?.ok()?,
        parts.next()?.ok()?,
        parts.next()?.ok()?,
    );
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let clock = time.trim_end_matches('Z');
    let mut seconds = 0.0;
    for (part, weight) in clock
        .split(':')
        .filter(|part| !part.is_empty())
        .zip([3600.0, 60.0, 1.0])
    {
        seconds += part.parse::<f64>().ok()? * weight;
    }
    #[expect(clippy::cast_possible_truncation, reason = "seconds of one day")]
    let ms = (seconds * 1000.0) as i64;
    Some(days(year, month, day) * 86_400_000 + ms)
}

/// Days since 1970 to a date (Howard Hinnant's algorithm).
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (
        year_of_era + era * 400 + i64::from(month <= 2),
        month,
        of_year - (153 * shifted + 2) / 5 + 1,
    )
}

fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::{iso, parse_iso};

    #[test]
    fn dates_go_both_ways() {
        assert_eq!(iso(1_795_464_590_783), "2026-11-23T20:09:50.783Z");
        assert_eq!(
            parse_iso("2026-11-23T20:09:50.783Z"),
            Some(1_795_464_590_783)
        );
        assert_eq!(parse_iso("abc"), None);
    }
}
