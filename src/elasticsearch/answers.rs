//! What Elasticsearch said, in our types: what a good answer means, without how it was written.
//!
//! Nothing here is believed further than it was checked: ids and states are typed, free texts are cut and
//! have no control characters.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::api::id::{DatafeedId, JobId};
use crate::api::state::{DatafeedState, JobState};

/// A version of Elasticsearch, without what follows the third number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 9 of 9.2.1.
    pub major: u32,
    /// 2 of 9.2.1.
    pub minor: u32,
    /// 1 of 9.2.1.
    pub patch: u32,
}

impl Version {
    /// The oldest that is supported.
    pub const OLDEST: Self = Self {
        major: 7,
        minor: 10,
        patch: 0,
    };
    /// The first that sends `X-Elastic-Product` and whose close stops datafeeds by itself.
    pub const WITH_PRODUCT_HEADER: Self = Self {
        major: 7,
        minor: 14,
        patch: 0,
    };

    /// The first that closes jobs by itself that were given no data for two days (reference 10.2, J28).
    pub const CLOSES_IDLE_JOBS: Self = Self {
        major: 9,
        minor: 4,
        patch: 0,
    };

    /// Reads `7.10.0-SNAPSHOT` or `9.2.1`.
    pub fn parse(text: &str) -> Option<Self> {
        let numbers = text.split(['-', '+']).next()?;
        let mut parts = numbers.split('.').map(|part| {
            let digits = (1..=6).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse::<u32>().ok()).flatten()
        });
        let version = Self {
            major: parts.next()??,
            minor: parts.next()??,
            patch: parts.next()??,
        };
        parts.next().is_none().then_some(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// `version.build_flavor` of `/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// The usual distribution.
    Default,
    /// Without X-Pack, so without machine learning (7.x only).
    Oss,
    /// Serverless; its version number means nothing (reference 9.1).
    Serverless,
    /// Something else, or not said.
    Other,
}

/// `GET /`: which cluster this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name, at most 255 characters, none of them a control character.
    pub cluster_name: String,
    /// The id that says whether it is still the same cluster; letters, digits, `-` and `_`.
    pub cluster_uuid: String,
    /// The version of the node that answered.
    pub version: Version,
    /// The distribution.
    pub flavor: Flavor,
}

/// `GET /_ml/info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MlInfo {
    /// Mutating calls are refused for now.
    pub upgrade_mode: bool,
}

/// What a job is blocked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// It is being deleted.
    Delete,
    /// It is being reset.
    Reset,
    /// It is being set back to a model snapshot.
    Revert,
    /// A word that is not known here.
    Other,
}

/// The part of a job's config that matters here (`GET _ml/anomaly_detectors`). It has no state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobConfig {
    /// When the job was made: tells a job from a later one of the same id.
    pub create_time: Option<SystemTime>,
    /// When it was last closed; absent while it is open, and after a forced close that could not write it.
    pub finished_time: Option<SystemTime>,
    /// What keeps it from being opened.
    pub blocked: Option<Blocked>,
    /// It is being deleted.
    pub deleting: bool,
    /// The groups that it is in, as Elasticsearch lists them. Equal names within one read share their text.
    pub groups: Vec<Arc<str>>,
}

/// The state of a job (`GET _ml/anomaly_detectors/_stats`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobStats {
    /// The state as Elasticsearch says it, even where it is stale (reference 5.2).
    pub state: JobState,
    /// A live process answered for it. Never on serverless.
    pub has_node: bool,
    /// Why it has no node, at most 512 characters; empty where it has one, absent where it has no task.
    pub assignment_explanation: Option<String>,
    /// How long ago it was opened, with a node only. To the second below a minute, coarser above: the
    /// server writes two digits of the greatest unit.
    pub open_for: Option<Duration>,
    /// The time of the newest record that it has taken, in the time of the data.
    pub latest_record: Option<SystemTime>,
}

/// The part of a datafeed's config that matters here (`GET _ml/datafeeds`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatafeedConfig {
    /// The job that it feeds.
    pub job_id: JobId,
}

/// The state of a datafeed (`GET _ml/datafeeds/_stats`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatafeedStats {
    /// The state as Elasticsearch says it.
    pub state: DatafeedState,
    /// It is assigned to a node.
    pub has_node: bool,
    /// Why it has no node, at most 512 characters.
    pub assignment_explanation: Option<String>,
    /// It was started without an end, so its end is no end of the job. Told of running ones since 7.13 or so.
    pub real_time: Option<bool>,
}

/// The task of a job that is not closed (`GET /_cluster/state/metadata`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobTask {
    /// Its state; a task without one is opening. Stale where a node was lost.
    pub state: JobState,
    /// A node has it.
    pub assigned: bool,
}

/// The task of a datafeed that is not stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatafeedTask {
    /// The job that it feeds.
    pub job_id: Option<JobId>,
    /// Its state; a task without one is starting.
    pub state: DatafeedState,
    /// It was started with an end: at that end it closes its job.
    pub has_end: bool,
}

/// All machine learning tasks of the cluster. A job without a task is most often closed, but right after a
/// restart nothing has one (reference 17, point 2): it is a hint to look, and no more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tasks {
    /// Which cluster said so.
    pub cluster_uuid: Option<String>,
    /// The tasks of jobs.
    pub jobs: BTreeMap<JobId, JobTask>,
    /// The tasks of datafeeds.
    pub datafeeds: BTreeMap<DatafeedId, DatafeedTask>,
    /// Jobs that have a task with a state this version does not know.
    pub unreadable: Vec<JobId>,
    /// Datafeeds that have such a task.
    pub unreadable_datafeeds: Vec<DatafeedId>,
}

/// A saved model of a job (`GET _ml/anomaly_detectors/{id}/model_snapshots`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// When it was saved, by the clock of Elasticsearch.
    pub taken_at: Option<SystemTime>,
    /// The newest record that it has seen, in the time of the data.
    pub latest_record: Option<SystemTime>,
}

/// What was read of several jobs or datafeeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View<Id, Item> {
    /// What is known, by id. Of a read by id, only ids that were asked for.
    pub found: BTreeMap<Id, Item>,
    /// Ids that were asked for and do not exist. A name that is only a group's is here too: Elasticsearch
    /// answers it with the group's jobs, and a close of it would close them all.
    pub missing: Vec<Id>,
    /// Ids that are there, but with a state this version does not know: neither found nor missing.
    pub unreadable: Vec<Id>,
    /// Ids of which some keep the others from being told, and it was given up to find out which: nothing is known of them.
    pub undecided: Vec<Id>,
    /// The server gave 10 000 entries, its limit, and says nothing of the rest (reference 17, point 1):
    /// what is not in `found` may exist all the same.
    pub cut: bool,
    /// How many requests it took.
    pub requests: u32,
}

impl<Id: Ord, Item> Default for View<Id, Item> {
    fn default() -> Self {
        Self {
            found: BTreeMap::new(),
            missing: Vec::new(),
            unreadable: Vec::new(),
            undecided: Vec::new(),
            cut: false,
            requests: 0,
        }
    }
}

impl<Id: Ord, Item> View<Id, Item> {
    /// It is known whether this one is there, whatever else was cut: it was told of.
    pub fn tells(&self, id: &Id) -> bool {
        self.found.contains_key(id) || self.unreadable.contains(id)
    }

    /// Takes in what another part of the same read found.
    pub(crate) fn absorb(&mut self, mut part: Self) {
        self.found.append(&mut part.found);
        self.missing.append(&mut part.missing);
        self.unreadable.append(&mut part.unreadable);
        self.undecided.append(&mut part.undecided);
        self.cut |= part.cut;
        self.requests += part.requests;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_with_and_without_a_suffix_and_ordered() {
        let of = |text| Version::parse(text).unwrap();
        assert_eq!(of("7.10.0-SNAPSHOT"), Version::OLDEST);
        assert_eq!(of("9.2.1").to_string(), "9.2.1");
        assert!(of("7.9.3") < Version::OLDEST && of("10.0.0") > of("9.99.99"));
        for text in [
            "",
            "7",
            "7.10",
            "7.10.0.1",
            "a.b.c",
            "7.10.x",
            "-1.2.3",
            "7.+1.0",
            "7.1000000000000.0",
        ] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
