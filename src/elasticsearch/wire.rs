//! How good answers are written, and how they become [`super::answers`].
//!
//! Unknown fields are passed over: Elasticsearch adds some with every version. Missing ones are not: an
//! answer that lacks what we read is of another shape, and says nothing. What is free text is cut here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
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
pub(super) const CUT_AT: usize = 10_000;
/// The longest explanation that is kept, in characters.
const MAX_TEXT: usize = 512;
/// `cluster_uuid` of a cluster that has not formed since it started.
pub(super) const NOT_FORMED: &str = "_na_";
const TAGLINE: &str = "You Know, for Search";

/// Reads JSON of a known shape.
pub(super) fn parse<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, Malformed> {
    serde_json::from_slice(body).map_err(|error| {
        if error.is_data() {
            Malformed::WrongShape
        } else {
            Malformed::NotJson
        }
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
        if self.cluster_uuid == NOT_FORMED {
            return Err(Error::NotFormed);
        }
        let good_uuid = is_uuid(&self.cluster_uuid);
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

/// The form of a `cluster_uuid`.
pub(super) fn is_uuid(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    (1..=64).contains(&text.len()) && text.bytes().all(good)
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

/// `{"opened":true,"node":".."}`; the node is empty where none has taken the job yet.
#[derive(Deserialize)]
pub(super) struct Opened {
    pub(super) opened: bool,
}

/// `{"started":true}`.
#[derive(Deserialize)]
pub(super) struct Started {
    pub(super) started: bool,
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
    #[serde(default)]
    groups: Vec<String>,
}

#[derive(Deserialize)]
struct WireCounts {
    latest_record_timestamp: Option<u64>,
    last_data_time: Option<u64>,
}

#[derive(Deserialize)]
struct WireRunning {
    real_time_configured: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct WireJobStats {
    job_id: String,
    state: String,
    node: Option<Node>,
    assignment_explanation: Option<String>,
    open_time: Option<String>,
    data_counts: Option<WireCounts>,
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
    running_state: Option<WireRunning>,
}

/// Texts that many entries of one answer share, each kept once.
#[derive(Default)]
pub(super) struct Shared(BTreeSet<Arc<str>>);

impl Shared {
    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = Arc::from(text);
        self.0.insert(Arc::clone(&new));
        new
    }
}

/// One entry of a list answer.
pub(super) trait Entry {
    type Id: Ord + Clone + std::fmt::Display;
    type Item;
    /// The id as it is written.
    fn name(&self) -> &str;
    /// A text that is an id.
    fn id(text: &str) -> Option<Self::Id>;
    /// The ids of the call that are unknown, where this is what is wrong.
    fn unknown(error: &Error) -> Option<&[Self::Id]>;
    /// The id, and the item where its state is known. Nothing where the id is none that Elasticsearch
    /// could have given out: nobody can have asked for it.
    fn read(self, shared: &mut Shared) -> Option<(Self::Id, Option<Self::Item>)>;
}

impl Entry for WireJob {
    type Id = JobId;
    type Item = JobConfig;
    fn name(&self) -> &str {
        &self.job_id
    }
    fn id(text: &str) -> Option<JobId> {
        JobId::parse(text).ok()
    }
    fn unknown(error: &Error) -> Option<&[JobId]> {
        if let Error::NoSuchJob(ids) = error {
            Some(ids)
        } else {
            None
        }
    }
    fn read(self, shared: &mut Shared) -> Option<(JobId, Option<JobConfig>)> {
        // Groups keep the rule of ids (reference 6); what does not is none that could be meant.
        let groups = self
            .groups
            .iter()
            .filter(|group| JobId::parse(group).is_ok());
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
            groups: groups.map(|group| shared.text(group)).collect(),
        };
        Some((JobId::parse(&self.job_id).ok()?, Some(item)))
    }
}

impl Entry for WireJobStats {
    type Id = JobId;
    type Item = JobStats;
    fn name(&self) -> &str {
        &self.job_id
    }
    fn id(text: &str) -> Option<JobId> {
        JobId::parse(text).ok()
    }
    fn unknown(error: &Error) -> Option<&[JobId]> {
        if let Error::NoSuchJob(ids) = error {
            Some(ids)
        } else {
            None
        }
    }
    fn read(self, _: &mut Shared) -> Option<(JobId, Option<JobStats>)> {
        let id = JobId::parse(&self.job_id).ok()?;
        let counts = self.data_counts.as_ref();
        let item = JobState::parse(&self.state).ok().map(|state| JobStats {
            state,
            has_node: self.node.is_some(),
            assignment_explanation: self
                .assignment_explanation
                .map(|text| printable(&text, MAX_TEXT)),
            open_for: self.open_time.as_deref().and_then(time_value),
            latest_record: counts.and_then(|counts| time(counts.latest_record_timestamp?)),
            last_data: counts.and_then(|counts| time(counts.last_data_time?)),
        });
        Some((id, item))
    }
}

impl Entry for WireDatafeed {
    type Id = DatafeedId;
    type Item = DatafeedConfig;
    fn name(&self) -> &str {
        &self.datafeed_id
    }
    fn id(text: &str) -> Option<DatafeedId> {
        DatafeedId::parse(text).ok()
    }
    fn unknown(error: &Error) -> Option<&[DatafeedId]> {
        if let Error::NoSuchDatafeed(ids) = error {
            Some(ids)
        } else {
            None
        }
    }
    fn read(self, _: &mut Shared) -> Option<(DatafeedId, Option<DatafeedConfig>)> {
        let item = JobId::parse(&self.job_id)
            .ok()
            .map(|job_id| DatafeedConfig { job_id });
        Some((DatafeedId::parse(&self.datafeed_id).ok()?, item))
    }
}

impl Entry for WireDatafeedStats {
    type Id = DatafeedId;
    type Item = DatafeedStats;
    fn name(&self) -> &str {
        &self.datafeed_id
    }
    fn id(text: &str) -> Option<DatafeedId> {
        DatafeedId::parse(text).ok()
    }
    fn unknown(error: &Error) -> Option<&[DatafeedId]> {
        if let Error::NoSuchDatafeed(ids) = error {
            Some(ids)
        } else {
            None
        }
    }
    fn read(self, _: &mut Shared) -> Option<(DatafeedId, Option<DatafeedStats>)> {
        let id = DatafeedId::parse(&self.datafeed_id).ok()?;
        let item = DatafeedState::parse(&self.state)
            .ok()
            .map(|state| DatafeedStats {
                state,
                has_node: self.node.is_some(),
                assignment_explanation: self
                    .assignment_explanation
                    .map(|text| printable(&text, MAX_TEXT)),
                real_time: self
                    .running_state
                    .as_ref()
                    .and_then(|running| running.real_time_configured),
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
    /// The last id, where the entries are sorted: behind it may be more.
    pub(super) fn last(&self) -> Option<T::Id> {
        let sorted = self.entries.is_sorted_by(|a, b| a.name() < b.name());
        let last = self.entries.last().filter(|_| sorted)?;
        T::id(last.name())
    }

    /// The entries by id; where ids were asked for, only those, and which of them are missing.
    pub(super) fn view(self, asked: Option<&[T::Id]>) -> Result<View<T::Id, T::Item>, Malformed> {
        let cut = self.entries.len() >= CUT_AT;
        if !cut && self.entries.len() != self.count {
            return Err(Malformed::WrongShape);
        }
        let mut found = BTreeMap::new();
        let mut unreadable = Vec::new();
        let mut shared = Shared::default();
        let entries = self.entries.into_iter();
        for (id, item) in entries.filter_map(|entry| entry.read(&mut shared)) {
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
            requests: 1,
        })
    }
}

pub(super) fn time(millis: u64) -> Option<SystemTime> {
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
#[path = "wire_tests.rs"]
mod tests;
