//! What any text and any ids make of a request: read back from its request line by a parser that is not the builder's.

use elasticsearch_simulator::cluster::TimeValue;
use hyper::Uri;
use regex::Regex;

use super::*;
use crate::api::id::{ID_PATTERN, MAX_ID_LENGTH};
use crate::properties::{Choices, Met, holds};

/// What turns a path or a query into another one, where it gets in.
const NASTY: [&str; 40] = [
    "/",
    "//",
    "\\",
    "?",
    "#",
    "&",
    "=",
    ";",
    ",",
    "*",
    "%2e",
    "%2F",
    "%252f",
    "%00",
    "..",
    ".",
    "/../",
    "/..",
    "%2e%2e/",
    "?force=true",
    "&force=true",
    "#a",
    "_all",
    "_close",
    "*,-a",
    " ",
    "\t",
    "\r\n",
    "\n",
    "\0",
    "\u{7f}",
    "\u{85}",
    "\u{a0}",
    "\u{202e}",
    "\u{feff}",
    "é",
    "ａ",
    "ſ",
    "A",
    "\u{10ffff}",
];
const BASES: [&str; 5] = [
    "https://es:9200",
    "https://proxy/es",
    "https://proxy.example/some/path/",
    "http://[::1]:9200/a%20b/",
    "https://es/%2e%2e/x/../y",
];

/// An id: some signs, with a letter or digit at both ends, and now and then as long as one may be.
fn id(choices: &mut Choices) -> String {
    let inner = choices.text("abcxyz0189-_.", 12);
    let padding = if choices.chance(10) {
        "x".repeat(choices.below(60))
    } else {
        String::new()
    };
    let text = format!("{}{padding}{inner}", choices.of(&["a", "z", "0"]));
    text.chars().take(MAX_ID_LENGTH - 1).chain(['9']).collect()
}

/// Any text: an id, one with something nasty anywhere in it, signs of all Unicode, more than an id may have.
fn text(choices: &mut Choices) -> String {
    match choices.below(12) {
        0..5 => id(choices),
        5..9 => with(&id(choices), choices.of(&NASTY), choices),
        9 => choices.of(&NASTY).to_owned(),
        10 => choices.many(6, Choices::sign).into_iter().collect(),
        _ => "a".repeat(60 + choices.below(10)),
    }
}

/// The text with something in it, anywhere.
fn with(text: &str, something: &str, choices: &mut Choices) -> String {
    let signs: Vec<char> = text.chars().collect();
    let (before, after) = signs.split_at(choices.below(signs.len() + 1));
    let (before, after): (String, String) = (before.iter().collect(), after.iter().collect());
    before + something + &after
}

fn timeout(choices: &mut Choices) -> Duration {
    Duration::from_millis(choices.large() >> choices.below(64))
}

fn base(choices: &mut Choices) -> Url {
    Url::parse(choices.of(&BASES)).unwrap()
}

/// The path below the base, and the query, as they arrive; all else of the url is the base's.
fn arrives(call: &Call, base: &Url) -> (String, String) {
    let url = call.url(base).unwrap();
    let query = url
        .query()
        .map_or(String::new(), |query| format!("?{query}"));
    let line = format!("{} {}{query} HTTP/1.1", call.method, url.path());
    assert_eq!(line.len(), call.line_length(&url));
    let words: Vec<&str> = line.split(' ').collect();
    let [method, target, "HTTP/1.1"] = words.as_slice() else {
        panic!("{line:?}");
    };
    assert_eq!(*method, call.method.as_str());
    assert!(
        target.bytes().all(|byte| byte.is_ascii_graphic()),
        "{line:?}"
    );
    assert!(url.fragment().is_none() && !target.contains('#'));
    assert_eq!(url.origin(), base.origin());
    let uri: Uri = target.parse().unwrap();
    let below = base.path().trim_end_matches('/');
    let path = uri.path().strip_prefix(below).unwrap();
    (path.to_owned(), uri.query().unwrap_or_default().to_owned())
}

/// What a call names.
#[derive(Clone, Copy)]
enum Names {
    All,
    First,
}

/// Each call that names jobs, and what stands behind the names.
fn of_jobs(ids: &Ids<JobId>, wait: Duration) -> [(Call, Names, &'static str); 6] {
    let first = ids.as_slice().first().unwrap();
    [
        (Call::jobs(ids), Names::All, ""),
        (Call::job_stats(ids), Names::All, "/_stats"),
        (Call::close(ids, wait), Names::All, "/_close"),
        (Call::force_close(first), Names::First, "/_close"),
        (Call::open(first, wait), Names::First, "/_open"),
        (
            Call::newest_snapshot(first),
            Names::First,
            "/model_snapshots",
        ),
    ]
}

/// The same of datafeeds.
fn of_datafeeds(ids: &Ids<DatafeedId>, wait: Duration) -> [(Call, Names, &'static str); 5] {
    let first = ids.as_slice().first().unwrap();
    [
        (Call::datafeeds(ids), Names::All, ""),
        (Call::datafeed_stats(ids), Names::All, "/_stats"),
        (Call::start_datafeed(first, wait), Names::First, "/_start"),
        (
            Call::stop_datafeed(first, false, wait),
            Names::First,
            "/_stop",
        ),
        (
            Call::stop_datafeed(first, true, wait),
            Names::First,
            "/_stop",
        ),
    ]
}

/// The path is these names and no others, and the query what it is whoever is named.
fn names_only(
    calls: &[(Call, Names, &str)],
    of_another: &[(Call, Names, &str)],
    kind: &str,
    texts: &[&str],
    base: &Url,
) {
    for ((call, names, tail), (other, ..)) in calls.iter().zip(of_another) {
        let named = match names {
            Names::All => texts.join(","),
            Names::First => texts[0].to_owned(),
        };
        let (path, query) = arrives(call, base);
        assert_eq!(path, format!("/_ml/{kind}/{named}{tail}"));
        assert_eq!(query, arrives(other, base).1);
    }
}

#[test]
fn no_text_that_is_an_id_changes_the_path_or_the_query_of_any_request() {
    let met = Met::new(["ids", "none", "a text of another alphabet"]);
    let rule = Regex::new(ID_PATTERN).unwrap();
    holds(file!(), 96, |choices| {
        let (mut texts, wait) = (choices.many(3, text), timeout(choices));
        let base = base(choices);
        let is_id = |text: &String| text.chars().count() <= MAX_ID_LENGTH && rule.is_match(text);
        for text in &texts {
            assert_eq!(JobId::parse(text).is_ok(), is_id(text), "{text:?}");
            assert_eq!(DatafeedId::parse(text).is_ok(), is_id(text), "{text:?}");
            let json = serde_json::to_string(text).unwrap();
            assert_eq!(serde_json::from_str::<JobId>(&json).is_ok(), is_id(text));
        }
        let strange = texts.iter().any(|text| !text.is_ascii());
        texts.retain(is_id);
        met.note([!texts.is_empty(), texts.is_empty(), strange]);
        let Some(jobs) = Ids::new(texts.iter().map(|text| JobId::parse(text).unwrap())) else {
            return;
        };
        let feeds = Ids::new(texts.iter().map(|text| DatafeedId::parse(text).unwrap())).unwrap();
        let named: Vec<&str> = jobs.iter().map(JobId::as_str).collect();
        let plain = of_jobs(&Ids::one(JobId::parse("a").unwrap()), wait);
        names_only(
            &of_jobs(&jobs, wait),
            &plain,
            "anomaly_detectors",
            &named,
            &base,
        );
        let plain = of_datafeeds(&Ids::one(DatafeedId::parse("a").unwrap()), wait);
        names_only(
            &of_datafeeds(&feeds, wait),
            &plain,
            "datafeeds",
            &named,
            &base,
        );
    });
    met.is_often();
}

#[test]
fn no_text_that_is_a_wildcard_changes_the_path_or_the_query_of_the_read_it_stands_in() {
    let met = Met::new(["wildcards", "none"]);
    let wild = |choices: &mut Choices| with(&text(choices), "*", choices);
    holds(file!(), 96, |choices| {
        let (texts, base) = (choices.many(3, wild), base(choices));
        let patterns = texts.iter().filter_map(|text| JobPattern::parse(text).ok());
        let patterns: Vec<JobPattern> = patterns.collect();
        met.note([!patterns.is_empty(), patterns.is_empty()]);
        if patterns.is_empty() {
            return;
        }
        let words: Vec<&str> = patterns.iter().map(JobPattern::as_str).collect();
        let call = Call::job_stats_like(&patterns);
        let (path, query) = arrives(&call, &base);
        assert_eq!(
            path,
            format!("/_ml/anomaly_detectors/{}/_stats", words.join(","))
        );
        assert_eq!(
            (query, call.method),
            (format!("filter_path={JOB_STATS_FIELDS}"), Method::GET)
        );
    });
    met.is_often();
}

#[test]
fn a_timeout_arrives_as_elasticsearch_reads_it_and_is_never_the_none_of_its_own_meaning() {
    holds(file!(), 4, |choices| {
        let (wait, force) = (timeout(choices), choices.chance(50));
        let feed = DatafeedId::parse("a").unwrap();
        let base = Url::parse(BASES[0]).unwrap();
        let (_, query) = arrives(&Call::stop_datafeed(&feed, force, wait), &base);
        let (timeout, rest) = query
            .strip_prefix("timeout=")
            .unwrap()
            .split_once('&')
            .map_or_else(
                || (query.strip_prefix("timeout=").unwrap(), ""),
                |(timeout, rest)| (timeout, rest),
            );
        assert_eq!(rest, if force { "force=true" } else { "" });
        let read = TimeValue::parse(timeout, "timeout").unwrap();
        assert!(!read.is_none());
        let bounded = wait.as_millis().clamp(1, 86_400_000);
        assert_eq!(u128::from(read.millis()), bounded);
    });
}

/// Of any length for little: what a number is written as, again and again.
fn quick(choices: &mut Choices) -> JobId {
    let digits = format!("{:x}", choices.number()).repeat(MAX_ID_LENGTH);
    let length = 1 + choices.below(MAX_ID_LENGTH);
    JobId::parse(&digits[..length]).unwrap()
}

#[test]
fn no_list_is_longer_than_the_line_that_was_learned_and_none_of_its_ids_is_lost() {
    let met = Met::new(["one line", "more", "an id that is too long alone"]);
    holds(file!(), 96, |choices| {
        let (wait, base) = (timeout(choices), base(choices));
        let limit = if choices.chance(40) {
            40 + choices.below(660)
        } else {
            512 + choices.below(7680)
        };
        let Some(ids) = Ids::new(choices.many(40, quick)) else {
            return;
        };
        let line = |ids: &Ids<JobId>| {
            let call = Call::close(ids, wait);
            call.line_length(&call.url(&base).unwrap())
        };
        let parts = split(&ids, &base, limit, |ids| Call::close(ids, wait));
        let again: Vec<JobId> = parts
            .iter()
            .flat_map(|part| part.as_slice().to_vec())
            .collect();
        assert_eq!(again, ids.as_slice());
        let too_long = |part: &&Ids<JobId>| line(part) > limit;
        assert!(
            parts
                .iter()
                .filter(too_long)
                .all(|part| part.as_slice().len() == 1)
        );
        for pair in parts.windows(2) {
            let next = pair[1].as_slice().first().unwrap().as_str().len();
            assert!(line(&pair[0]) + 1 + next > limit, "a line was not used");
        }
        // What the brain is told of the room holds whatever the timeout.
        if ids.joined().len() <= close_room(&base, limit) {
            assert!(line(&ids) <= limit);
        }
        met.note([
            parts.len() == 1,
            parts.len() > 1,
            parts.iter().any(|part| too_long(&part)),
        ]);
    });
    met.is_often();
}
