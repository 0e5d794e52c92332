//! Answers as they are written by 7.10 and later, and such as nobody should write.

use super::*;
use serde_json::{Value, json};

fn read<T: for<'a> Deserialize<'a>>(value: &Value) -> Result<T, Malformed> {
    parse(value.to_string().as_bytes())
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
