//! What any text is as a span of time: for the parser, for the pattern in the CRD, for Elasticsearch, and for people.

use elasticsearch_simulator::cluster::TimeValue;
use regex::Regex;

use super::*;
use crate::properties::{Choices, Met, holds};

/// What Kubernetes, Go or Elasticsearch take for a span, or a person might, and ours is not.
const ODD: [&str; 24] = [
    "0", "0s", "-1", "1.5h", "-5m", "+5m", "30M", "500ms", "1h30m", "01m", "5micros", "9nanos",
    "1w", "30 m", " 30m", "30m ", "1e3s", "1_000s", "٣m", "1ü", "∞", "soon", "1d1d", "PT30M",
];

fn digits(choices: &mut Choices) -> String {
    match choices.below(7) {
        0..3 => choices.number().to_string(),
        3..6 => choices.text("0123456789", 10),
        _ => choices.large().to_string(),
    }
}

fn part(choices: &mut Choices) -> String {
    let odd = ["", "ms", "S", "M", "w", "y", "µs", "\n", "s\n", "s "];
    let digits = digits(choices);
    let unit = if choices.chance(10) {
        choices.of(&odd)
    } else {
        choices.of(&["s", "m", "h", "d"])
    };
    digits + unit
}

fn text(choices: &mut Choices) -> String {
    match choices.below(13) {
        0..8 => part(choices),
        8..11 => choices.many(4, part).concat(),
        11 => choices.of(&ODD).to_owned(),
        _ => choices.many(5, Choices::sign).into_iter().collect(),
    }
}

/// Units in falling order, none of them needed: what people are told, and more.
fn falling(choices: &mut Choices) -> String {
    let of = |unit| {
        choices
            .some(60, |choices| choices.text("0123456789", 10))
            .map_or(String::new(), |digits| format!("{digits}{unit}"))
    };
    ["d", "h", "m", "s"].map(of).concat()
}

/// The schema of the CRD takes it: length and pattern, as the API server reads them.
fn is_taken(text: &str, least: usize, pattern: &Regex) -> bool {
    (least..=32).contains(&text.chars().count()) && pattern.is_match(text)
}

#[test]
fn what_the_schema_takes_for_a_span_is_one_here_and_in_elasticsearch_and_nothing_else_is() {
    let met = Met::new(["a span", "none"]);
    let pattern = Regex::new(TIME_SPAN_PATTERN).unwrap();
    holds(file!(), 64, |choices| {
        let text = text(choices);
        let parsed = TimeSpan::parse(&text);
        assert_eq!(parsed.is_ok(), is_taken(&text, 0, &pattern));
        let json = serde_json::to_string(&text).unwrap();
        assert_eq!(serde_json::from_str(&json).ok(), parsed.clone().ok());
        met.note([parsed.is_ok(), parsed.is_err()]);
        let Ok(span) = parsed else {
            return;
        };
        assert_eq!(serde_json::to_string(&span).unwrap(), json);
        let theirs = TimeValue::parse(&span.to_string(), "timeout").unwrap();
        assert_eq!(u128::from(theirs.millis()), span.as_duration().as_millis());
        assert!(!theirs.is_none());
    });
    met.is_often();
}

#[test]
fn a_longer_span_is_longer_whatever_its_unit() {
    holds(file!(), 3, |choices| {
        let number = 1 + choices.number() % 999_999_999;
        let [one, other] = [choices.of(&UNITS), choices.of(&UNITS)];
        let span = |number: u32, unit| TimeSpan::parse(&format!("{number}{unit}")).unwrap();
        let (short, long) = (number.min(999_999_998), number.min(999_999_998) + 1);
        assert!(span(short, one.0).as_duration() < span(long, one.0).as_duration());
        let lengths = [one, other].map(|(unit, _)| span(number, unit).as_duration());
        assert_eq!(lengths[0].cmp(&lengths[1]), one.1.cmp(&other.1));
    });
}

#[test]
fn a_span_that_was_measured_is_told_so_that_the_schema_and_a_restart_take_it_as_it_was() {
    let met = Met::new(["days", "seconds", "more than is told"]);
    let pattern = Regex::new(ELAPSED_PATTERN).unwrap();
    holds(file!(), 4, |choices| {
        let seconds = choices.large() >> choices.below(64);
        let length = Duration::new(seconds, choices.number() % 1_000_000_000);
        let elapsed = Elapsed::from(length);
        let told = elapsed.to_string();
        assert!(is_taken(&told, 2, &pattern), "{told}");
        let json = serde_json::to_string(&elapsed).unwrap();
        assert_eq!(serde_json::from_str::<Elapsed>(&json).unwrap(), elapsed);
        let whole = Duration::from_secs(length.as_secs());
        assert_eq!(parse_humane(&humane(length)), Some(whole));
        let more = elapsed.as_duration() != whole;
        assert!(
            !more
                || elapsed.as_duration() == Elapsed::MOST.as_duration()
                    && whole > elapsed.as_duration()
        );
        met.note([told.contains('d'), told.ends_with('s'), more]);
    });
    met.is_often();
}

#[test]
fn what_the_schema_takes_for_a_measured_span_is_read_and_what_is_read_is_told_as_it_was() {
    let met = Met::new(["taken", "refused"]);
    let pattern = Regex::new(ELAPSED_PATTERN).unwrap();
    holds(file!(), 64, |choices| {
        let text = if choices.chance(30) {
            text(choices)
        } else {
            falling(choices)
        };
        let json = serde_json::to_string(&text).unwrap();
        let read = serde_json::from_str::<Elapsed>(&json);
        let taken = is_taken(&text, 2, &pattern);
        met.note([taken, !taken]);
        assert!(!taken || read.is_ok(), "the schema lets {text:?} in");
        if let Ok(elapsed) = read {
            let again = elapsed.to_string();
            let json = serde_json::to_string(&again).unwrap();
            assert_eq!(serde_json::from_str::<Elapsed>(&json).unwrap(), elapsed);
        }
    });
    met.is_often();
}
