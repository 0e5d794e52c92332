//! Answers as they are written by 7.10 and later, and such as nobody should write.

use super::*;
use serde_json::{Value, json};

fn ids(of: &[&str]) -> Vec<JobId> {
    of.iter().map(|id| JobId::parse(id).unwrap()).collect()
}

fn read<T: for<'a> Deserialize<'a>>(value: &Value) -> Result<T, Malformed> {
    parse(value.to_string().as_bytes())
}

#[allow(clippy::needless_pass_by_value, reason = "json! makes values")]
fn stats(jobs: Value, asked: Option<&[JobId]>) -> View<JobId, JobStats> {
    let count = jobs.as_array().unwrap().len();
    read::<List<WireJobStats>>(&json!({"count": count, "jobs": jobs}))
        .unwrap()
        .view(asked)
        .unwrap()
}

fn root(number: &str) -> Value {
    json!({"name": "n", "cluster_name": "c", "cluster_uuid": "03oTFWkpQs6_TlHKvl1yrw",
        "version": {"number": number, "build_flavor": "default"}, "tagline": TAGLINE})
}

fn identity(value: &Value, has_header: bool) -> Result<Identity, Error> {
    read::<Root>(value).unwrap().identity(has_header)
}

#[test]
fn an_old_elasticsearch_is_known_without_the_header_and_a_new_one_is_not() {
    assert_eq!(
        identity(&root("7.10.0-SNAPSHOT"), false).unwrap().version,
        Version::OLDEST
    );
    assert_eq!(
        identity(&root("7.13.4"), false).unwrap().flavor,
        Flavor::Default
    );
    assert_eq!(
        identity(&root("7.14.0"), false),
        Err(Error::NotElasticsearch(Impostor::NoProductHeader))
    );
    assert!(identity(&root("9.2.1"), true).is_ok());
}

#[test]
fn another_product_and_an_old_version_are_refused() {
    let mut other = root("7.10.2");
    other["version"]["distribution"] = json!("opensearch");
    assert_eq!(
        identity(&other, false),
        Err(Error::NotElasticsearch(Impostor::OtherProduct))
    );
    let mut other = root("7.10.2");
    other["tagline"] = json!("The OpenSearch Project: https://opensearch.org/");
    assert_eq!(
        identity(&other, true),
        Err(Error::NotElasticsearch(Impostor::OtherProduct))
    );
    assert!(matches!(
        identity(&root("7.9.3"), false),
        Err(Error::VersionTooOld(_))
    ));
    assert_eq!(
        identity(&root("new"), true),
        Err(Error::NotElasticsearch(Impostor::Stranger))
    );
}

#[test]
fn a_cluster_that_has_not_formed_has_no_identity() {
    let mut fresh = root("9.2.1");
    fresh["cluster_uuid"] = json!("_na_");
    assert_eq!(identity(&fresh, true), Err(Error::NotFormed));
    for (key, value) in [
        ("cluster_uuid", "a b"),
        ("cluster_uuid", ""),
        ("cluster_name", "a\nb"),
    ] {
        let mut odd = root("9.2.1");
        odd[key] = json!(value);
        assert!(
            matches!(identity(&odd, true), Err(Error::UnexpectedAnswer { .. })),
            "{value:?}"
        );
    }
}

#[test]
fn a_job_with_a_node_and_one_without_are_told_apart() {
    let view = stats(
        json!([
            {"job_id": "a", "state": "opened", "node": {"id": "n"}, "assignment_explanation": "", "open_time": "13s"},
            {"job_id": "b", "state": "closed"},
        ]),
        None,
    );
    let a = &view.found[&ids(&["a"])[0]];
    assert!(
        a.has_node && a.open_for == Some(Duration::from_secs(13)) && a.state == JobState::Opened
    );
    let b = &view.found[&ids(&["b"])[0]];
    assert!(!b.has_node && b.open_for.is_none() && b.assignment_explanation.is_none());
}

#[test]
fn a_group_answers_with_its_jobs_and_is_missing_all_the_same() {
    let asked = ids(&["a", "g"]);
    let view = stats(
        json!([{"job_id": "a", "state": "closed"}, {"job_id": "b", "state": "opened"}]),
        Some(&asked),
    );
    assert_eq!(view.found.keys().cloned().collect::<Vec<_>>(), ids(&["a"]));
    assert_eq!(view.missing, ids(&["g"]));
}

#[test]
fn a_job_in_an_unknown_state_is_neither_found_nor_missing() {
    let view = stats(
        json!([{"job_id": "a", "state": "hibernating"}]),
        Some(&ids(&["a"])),
    );
    assert!(view.found.is_empty() && view.missing.is_empty());
    assert_eq!(view.unreadable, ids(&["a"]));
}

#[test]
fn ten_thousand_entries_are_a_cut_view_and_one_less_is_whole() {
    let jobs = |n: usize| {
        (0..n)
            .map(|n| json!({"job_id": format!("j{n}"), "state": "closed"}))
            .collect()
    };
    assert!(stats(jobs(10_000), None).cut);
    assert!(!stats(jobs(9_999), None).cut);
}

#[test]
fn a_list_that_does_not_hold_what_it_counts_is_refused() {
    let view = |value: Value| read::<List<WireJob>>(&value).and_then(|list| list.view(None));
    assert!(view(json!({"count": 0})).unwrap().found.is_empty());
    assert_eq!(view(json!({"count": 1})), Err(Malformed::WrongShape));
    for odd in [
        json!({}),
        json!([]),
        json!({"count": -1}),
        json!({"jobs": []}),
        json!({"count": 1, "jobs": [{}]}),
    ] {
        assert_eq!(view(odd.clone()), Err(Malformed::WrongShape), "{odd}");
    }
}

#[test]
fn the_config_of_a_job_says_what_blocks_it() {
    let list = json!({"count": 2, "jobs": [
        {"job_id": "a", "create_time": 1_600_000_000_000_u64, "finished_time": 1_600_000_060_000_u64},
        {"job_id": "b", "blocked": {"reason": "revert", "task_id": "x"}, "deleting": true},
    ]});
    let view = read::<List<WireJob>>(&list).unwrap().view(None).unwrap();
    let a = &view.found[&ids(&["a"])[0]];
    assert_eq!(
        a.finished_time
            .unwrap()
            .duration_since(a.create_time.unwrap())
            .unwrap()
            .as_secs(),
        60
    );
    let b = &view.found[&ids(&["b"])[0]];
    assert_eq!((b.blocked, b.deleting), (Some(Blocked::Revert), true));
}

#[test]
fn times_are_read_as_elasticsearch_prints_them() {
    let cases = [
        ("13s", 13_000),
        ("1.5m", 90_000),
        ("2h", 7_200_000),
        ("1.1d", 95_040_000),
        ("500ms", 500),
    ];
    for (text, millis) in cases {
        assert_eq!(
            time_value(text),
            Some(Duration::from_millis(millis)),
            "{text}"
        );
    }
    for text in [
        "",
        "13",
        "s",
        "-1s",
        "1e9s",
        "1..5m",
        "NaNs",
        "13 s",
        "13x",
        "9999999999999999999999d",
    ] {
        assert_eq!(time_value(text), None, "{text}");
    }
}

#[test]
fn no_json_and_json_of_another_shape_are_told_apart_and_depth_does_no_harm() {
    let of = |body: &[u8]| parse::<Closed>(body).map(|closed| closed.closed);
    assert_eq!(of(br#"{"closed":true}"#), Ok(true));
    for body in [&b"<html>"[..], b"", b"{\"closed\":tr", b"\xff\xfe"] {
        assert_eq!(of(body), Err(Malformed::NotJson));
    }
    assert_eq!(of(b"{}"), Err(Malformed::WrongShape));
    let deep = "[".repeat(1_000_000);
    assert!(of(deep.as_bytes()).is_err());
    assert!(of(format!("{{\"x\":{deep}").as_bytes()).is_err());
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(parse::<Value>(deep.as_bytes()).is_err());
}

#[test]
fn texts_are_cut_and_have_no_control_characters() {
    assert_eq!(printable("a\nb\u{1b}[31m", 100), "a\\nb\\u{1b}[31m");
    assert_eq!(printable(&"ä".repeat(600), 512).chars().count(), 512);
}
