//! How lists of jobs and datafeeds are written, and how they become views.
//!
//! An entry whose id was not asked for is passed over, one whose state is not known is told apart: what an answer does
//! not say plainly is not made up here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;

use super::answers::{Blocked, DatafeedConfig, DatafeedStats, JobConfig, JobStats, View};
use super::error::{Error, Malformed};
use super::wire::{AtMost, printable, time, time_value};
use crate::api::id::{DatafeedId, JobId};
use crate::api::state::{DatafeedState, JobState};

/// The server's limit on entries (reference 17, point 1).
pub(super) const CUT_AT: usize = 10_000;
/// The longest explanation that is kept, in characters.
const MAX_TEXT: usize = 512;

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

/// What entries are known by.
pub(super) trait Name: Ord + Clone + std::fmt::Display {
    /// A text that is an id.
    fn of(text: &str) -> Option<Self>;
    /// The ids of the call that are unknown, where this is what is wrong.
    fn unknown(error: &Error) -> Option<&[Self]>;
}

impl Name for JobId {
    fn of(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }
    fn unknown(error: &Error) -> Option<&[Self]> {
        match error {
            Error::NoSuchJob(ids) => Some(ids),
            _ => None,
        }
    }
}

impl Name for DatafeedId {
    fn of(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }
    fn unknown(error: &Error) -> Option<&[Self]> {
        match error {
            Error::NoSuchDatafeed(ids) => Some(ids),
            _ => None,
        }
    }
}

/// One entry of a list answer.
pub(super) trait Entry {
    type Id: Name;
    type Item;
    /// The id as it is written.
    fn name(&self) -> &str;
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
    #[serde(alias = "datafeeds", alias = "jobs", default = "AtMost::default")]
    entries: AtMost<T, { 2 * CUT_AT }>,
}

impl<T: Entry> List<T> {
    /// The last id, where the entries are sorted: behind it may be more.
    pub(super) fn last(&self) -> Option<T::Id> {
        let entries = &self.entries.0;
        let sorted = entries.is_sorted_by(|a, b| a.name() < b.name());
        let last = entries.last().filter(|_| sorted)?;
        T::Id::of(last.name())
    }

    /// The entries by id; where ids were asked for, only those, and which of them are missing.
    pub(super) fn view(self, asked: Option<&[T::Id]>) -> Result<View<T::Id, T::Item>, Malformed> {
        let entries = self.entries.0;
        let cut = entries.len() >= CUT_AT;
        if !cut && entries.len() != self.count {
            return Err(Malformed::WrongShape);
        }
        let mut found = BTreeMap::new();
        let mut unreadable = Vec::new();
        let mut shared = Shared::default();
        for (id, item) in entries
            .into_iter()
            .filter_map(|entry| entry.read(&mut shared))
        {
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
            undecided: Vec::new(),
            cut,
            requests: 1,
        })
    }
}

#[cfg(test)]
#[path = "wire_lists_tests.rs"]
mod tests;
