//! Every recorded answer of a real Elasticsearch 7.10 to an expression, compared with what is resolved here.
//!
//! The numbers of what is compared and what is not are asserted, so that none is passed over in silence.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::api::expression::tokens;
use crate::api::{JobExpression, JobId};
use crate::reconciler::expression::*;
use crate::reconciler::input::SeenConfig;

/// Read when the test runs: an image is built without the recordings.
fn recorded() -> String {
    let root = env!("CARGO_MANIFEST_DIR");
    std::fs::read_to_string(format!("{root}/tests/contract/recorded/expressions.json")).unwrap()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn words(value: &Value) -> Vec<&str> {
    list(value).filter_map(Value::as_str).collect()
}

fn fixture(file: &Value) -> Names {
    let config = |job: &Value| {
        let config = SeenConfig::of(&words(&job["groups"]), None, false);
        (
            JobId::parse(job["job_id"].as_str().unwrap()).unwrap(),
            config,
        )
    };
    Names::of(list(&file["fixture"]["jobs"]).map(config).collect())
}

/// The expression that the server sees. None where the case is a matter of HTTP, as the README of the recordings tells
/// them apart: `?`, `#`, `/` or non-ASCII in the path, or an escape that is broken or makes no text.
fn seen(raw: &str) -> Option<String> {
    if !raw.is_ascii() || raw.contains(['?', '#', '/']) {
        return None;
    }
    let mut parts = raw.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (hex, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(hex, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

/// What is resolved, in the short form of the file. By tokens, because [`JobExpression`] refuses some texts that
/// Elasticsearch takes; and no token, which it refuses too, is there another word for all.
fn answer(text: &str, allow_no_match: bool, names: &Names) -> Value {
    let mut tokens: Vec<&str> = tokens(text).collect();
    if tokens.is_empty() {
        tokens.push("_all");
    }
    let found = expand(&tokens, allow_no_match, names);
    if let Ok(expression) = JobExpression::parse(text) {
        assert_eq!(found, resolve(&expression, &[], allow_no_match, names));
    }
    if found.refused {
        return serde_json::json!({
            "status": 400, "type": "search_phase_execution_exception", "reason": "all shards failed",
        });
    }
    if found.unmatched.is_empty() {
        return serde_json::json!({"status": 200, "ids": found.jobs});
    }
    let reason = format!("No known job with id '{}'", found.unmatched.join(","));
    serde_json::json!({"status": 404, "type": "resource_not_found_exception", "reason": reason})
}

/// Calls `compare` for each case that is no matter of HTTP; how many were compared, refused by our own type, passed over.
fn each_case(mut compare: impl FnMut(&Value, &str, &Names)) -> (usize, usize, usize) {
    let file: Value = serde_json::from_str(&recorded()).unwrap();
    let names = fixture(&file);
    assert_eq!(list(&file["fixture"]["jobs"]).count(), 62);
    let (mut compared, mut refused, mut http) = (0, 0, 0);
    for case in list(&file["cases"]) {
        let Some(text) = seen(case["raw"].as_str().unwrap()) else {
            http += 1;
            continue;
        };
        assert_eq!(text, case["decoded"], "{}", case["id"]);
        compared += 1;
        refused += usize::from(JobExpression::parse(&text).is_err());
        compare(case, &text, &names);
    }
    (compared, refused, http)
}

#[test]
fn every_recorded_expression_means_what_a_real_elasticsearch_said() {
    let mut answers = 0;
    let counted = each_case(|case, text, names| {
        for result in list(&case["results"]) {
            for setting in list(&result["allow_no_match"]) {
                let got = answer(text, setting.as_bool().unwrap_or(true), names);
                assert_eq!(got, result["get"], "{} {text:?} {setting}", case["id"]);
                answers += 1;
            }
        }
    });
    assert_eq!((counted, answers), ((2126, 17, 21), 6378));
}

#[test]
fn a_recorded_close_is_refused_exactly_where_a_name_is_missing() {
    let mut answers = 0;
    each_case(|case, text, names| {
        for result in list(&case["results"]) {
            let close = Some(&result["close"]).filter(|close| *close != "=get");
            for setting in list(&result["allow_no_match"]) {
                let mut got = answer(text, setting.as_bool().unwrap_or(true), names);
                got.as_object_mut().unwrap().remove("ids");
                let expected = close.unwrap_or(&result["get"]);
                assert_eq!(&got, expected, "{} {text:?} {setting}", case["id"]);
                answers += 1;
            }
        }
    });
    assert_eq!(answers, 6378);
}

/// What a close closed among the jobs that were open: those that are meant, and no other.
#[test]
fn every_recorded_close_touched_the_jobs_that_are_meant() {
    let file: Value = serde_json::from_str(&recorded()).unwrap();
    let opened = words(&file["fixture"]["opened_for_touch"]);
    let mut touches = 0;
    each_case(|case, text, names| {
        for touch in list(&case["touch"]) {
            let allow_no_match = touch["allow_no_match"].as_bool().unwrap_or(true);
            let got = answer(text, allow_no_match, names);
            let meant = words(&got["ids"]);
            let closed: BTreeSet<_> = opened.iter().filter(|id| meant.contains(id)).collect();
            let expected = words(&touch["closed"]);
            assert_eq!(
                closed,
                expected.iter().collect(),
                "{} {text:?} {touch}",
                case["id"]
            );
            touches += 1;
        }
    });
    assert_eq!(touches, 185);
}
