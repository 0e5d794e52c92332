//! How good answers are written, and how they become [`super::answers`].
//!
//! Unknown fields are passed over: Elasticsearch adds some with every version. Missing ones are not: an
//! answer that lacks what we read is of another shape, and says nothing. What is free text is cut here.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Deserialize;

use super::answers::{
    Blocked, DatafeedConfig, DatafeedStats, Flavor, Identity, JobConfig, JobStats, MlInfo, Version,
    View,
};
use super::error::{Error, Impostor, Malformed};
use crate::api::id::{DatafeedId, JobId};
use crate::api::state::{DatafeedState, JobState};

/// The server's limit on entries (reference 17, point 1).
const CUT_AT: usize = 10_000;
/// The longest explanation that is kept, in characters.
const MAX_TEXT: usize = 512;
const TAGLINE: &str = "You Know, for Search";

/// Reads JSON of a known shape.
pub(super) fn parse<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, Malformed> {
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Malformed::WrongShape,
        _ => Malformed::NotJson,
    })
}

#[derive(Deserialize)]
pub(super) struct Root {
    cluster_name: String,
    cluster_uuid: String,
    version: RootVersion,
    tagline: String,
}

#[derive(Deserialize)]
struct RootVersion {
    number: String,
    build_flavor: Option<String>,
    distribution: Option<String>,
}

impl Root {
    /// Checks that this is an Elasticsearch, of a version that is supported, in a cluster that has formed.
    pub(super) fn identity(self, has_header: bool) -> Result<Identity, Error> {
        if self.version.distribution.is_some() || self.tagline != TAGLINE {
            return Err(Error::NotElasticsearch(Impostor::OtherProduct));
        }
        let stranger = Error::NotElasticsearch(Impostor::Stranger);
        let version = Version::parse(&self.version.number).ok_or(stranger)?;
        if !has_header && version >= Version::WITH_PRODUCT_HEADER {
            return Err(Error::NotElasticsearch(Impostor::NoProductHeader));
        }
        let flavor = match self.version.build_flavor.as_deref() {
            Some("default") => Flavor::Default,
            Some("oss") => Flavor::Oss,
            Some("serverless") => Flavor::Serverless,
            _ => Flavor::Other,
        };
        if version < Version::OLDEST && flavor != Flavor::Serverless {
            return Err(Error::VersionTooOld(version));
        }
        if self.cluster_uuid == "_na_" {
            return Err(Error::NotFormed);
        }
        let uuid = self.cluster_uuid.as_bytes();
        let good_uuid = (1..=64).contains(&uuid.len())
            && uuid
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        let good_name = self.cluster_name.chars().count() <= 255
            && !self.cluster_name.chars().any(char::is_control);
        if !good_uuid || !good_name {
            return Err(Error::UnexpectedAnswer {
                status: 200,
                what: Malformed::WrongShape,
            });
        }
        Ok(Identity {
            cluster_name: self.cluster_name,
            cluster_uuid: self.cluster_uuid,
            version,
            flavor,
        })
    }
}

/// `_ml/info`. `defaults` is read to know the answer for what it is: where `/` is refused, this form is the
/// only proof that an Elasticsearch answers.
#[derive(Deserialize)]
pub(super) struct Info {
    upgrade_mode: bool,
    #[serde(rename = "defaults")]
    _defaults: InfoDefaults,
}
#[derive(Deserialize)]
struct InfoDefaults {
    #[serde(rename = "datafeeds")]
    _datafeeds: InfoDatafeeds,
}
#[derive(Deserialize)]
struct InfoDatafeeds {
    #[serde(rename = "scroll_size")]
    _scroll_size: u64,
}

impl From<Info> for MlInfo {
    fn from(info: Info) -> Self {
        Self {
            upgrade_mode: info.upgrade_mode,
        }
    }
}

/// `{"closed":true}`.
#[derive(Deserialize)]
pub(super) struct Closed {
    pub(super) closed: bool,
}

/// `{"stopped":true}`.
#[derive(Deserialize)]
pub(super) struct Stopped {
    pub(super) stopped: bool,
}

#[derive(Deserialize)]
struct Node {
    #[serde(rename = "id")]
    _id: String,
}

#[derive(Deserialize)]
struct WireBlocked {
    reason: String,
}

#[derive(Deserialize)]
pub(super) struct WireJob {
    job_id: String,
    create_time: Option<u64>,
    finished_time: Option<u64>,
    blocked: Option<WireBlocked>,
    #[serde(default)]
    deleting: bool,
}

#[derive(Deserialize)]
pub(super) struct WireJobStats {
    job_id: String,
    state: String,
    node: Option<Node>,
    assignment_explanation: Option<String>,
    open_time: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct WireDatafeed {
    datafeed_id: String,
    job_id: String,
}

#[derive(Deserialize)]
pub(super) struct WireDatafeedStats {
    datafeed_id: String,
    state: String,
    node: Option<Node>,
    assignment_explanation: Option<String>,
}

/// One entry of a list answer.
pub(super) trait Entry {
    type Id: Ord + Clone;
    type Item;
    /// The id, and the item where its state is known. Nothing where the id is none that Elasticsearch
    /// could have given out: nobody can have asked for it.
    fn read(self) -> Option<(Self::Id, Option<Self::Item>)>;
}

impl Entry for WireJob {
    type Id = JobId;
    type Item = JobConfig;
    fn read(self) -> Option<(JobId, Option<JobConfig>)> {
        let blocked = self.blocked.map(|blocked| match blocked.reason.as_str() {
            "delete" => Blocked::Delete,
            "reset" => Blocked::Reset,
            "revert" => Blocked::Revert,
            _ => Blocked::Other,
        });
        let item = JobConfig {
            create_time: self.create_time.and_then(time),
            finished_time: self.finished_time.and_then(time),
            blocked,
            deleting: self.deleting,
        };
        Some((JobId::parse(&self.job_id).ok()?, Some(item)))
    }
}

impl Entry for WireJobStats {
    type Id = JobId;
    type Item = JobStats;
    fn read(self) -> Option<(JobId, Option<JobStats>)> {
        let id = JobId::parse(&self.job_id).ok()?;
        let item = JobState::parse(&self.state).ok().map(|state| JobStats {
            state,
            has_node: self.node.is_some(),
            assignment_explanation: self
                .assignment_explanation
                .map(|text| printable(&text, MAX_TEXT)),
            open_for: self.open_time.as_deref().and_then(time_value),
        });
        Some((id, item))
    }
}

impl Entry for WireDatafeed {
    type Id = DatafeedId;
    type Item = DatafeedConfig;
    fn read(self) -> Option<(DatafeedId, Option<DatafeedConfig>)> {
        let item = JobId::parse(&self.job_id)
            .ok()
            .map(|job_id| DatafeedConfig { job_id });
        Some((DatafeedId::parse(&self.datafeed_id).ok()?, item))
    }
}

impl Entry for WireDatafeedStats {
    type Id = DatafeedId;
    type Item = DatafeedStats;
    fn read(self) -> Option<(DatafeedId, Option<DatafeedStats>)> {
        let id = DatafeedId::parse(&self.datafeed_id).ok()?;
        let item = DatafeedState::parse(&self.state)
            .ok()
            .map(|state| DatafeedStats {
                state,
                has_node: self.node.is_some(),
                assignment_explanation: self
                    .assignment_explanation
                    .map(|text| printable(&text, MAX_TEXT)),
            });
        Some((id, item))
    }
}

/// `{"count":n,"jobs":[..]}`. The list is left out where it is empty, because `filter_path` drops it.
#[derive(Deserialize)]
pub(super) struct List<T> {
    count: usize,
    #[serde(alias = "datafeeds", alias = "jobs", default = "Vec::new")]
    entries: Vec<T>,
}

impl<T: Entry> List<T> {
    /// The entries by id; where ids were asked for, only those, and which of them are missing.
    pub(super) fn view(self, asked: Option<&[T::Id]>) -> Result<View<T::Id, T::Item>, Malformed> {
        let cut = self.entries.len() >= CUT_AT;
        if !cut && self.entries.len() != self.count {
            return Err(Malformed::WrongShape);
        }
        let mut found = BTreeMap::new();
        let mut unreadable = Vec::new();
        for (id, item) in self.entries.into_iter().filter_map(T::read) {
            if asked.is_some_and(|asked| !asked.contains(&id)) {
                continue;
            }
            match item {
                Some(item) => drop(found.insert(id, item)),
                None => unreadable.push(id),
            }
        }
        let is_missing = |id: &&T::Id| !found.contains_key(*id) && !unreadable.contains(*id);
        let missing = asked
            .unwrap_or_default()
            .iter()
            .filter(is_missing)
            .cloned()
            .collect();
        Ok(View {
            found,
            missing,
            unreadable,
            cut,
        })
    }
}

fn time(millis: u64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}

/// A duration as Elasticsearch prints it: `13s`, `1.5m`, `2.1h`, `3d`, `500ms`, `12micros`, `7nanos`.
fn time_value(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at_checked(unit_at)?;
    let seconds = match unit {
        "nanos" => 1e-9,
        "micros" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number: f64 = plain.then(|| number.parse().ok()).flatten()?;
    Duration::try_from_secs_f64(number * seconds).ok()
}

/// A text from outside for people to read: cut, and with control characters escaped.
pub(super) fn printable(text: &str, length: usize) -> String {
    let escaped = text.chars().flat_map(|c| {
        if c.is_control() {
            c.escape_default().collect::<Vec<_>>()
        } else {
            vec![c]
        }
    });
    escaped.take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn ids(of: &[&str]) -> Vec<JobId> {
        of.iter().map(|id| JobId::parse(id).unwrap()).collect()
    }

    fn read<T: for<'a> Deserialize<'a>>(value: &Value) -> Result<T, Malformed> {
        parse(value.to_string().as_bytes())
    }

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
            a.has_node
                && a.open_for == Some(Duration::from_secs(13))
                && a.state == JobState::Opened
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
}
