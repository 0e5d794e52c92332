//! What is asked of Elasticsearch and what it said: plain data of the brain's reads.
//!
//! It holds no behaviour and nothing of how the answers are written.

use std::collections::BTreeMap;
use std::num::NonZeroI64;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::input::Delivered;
use super::seldom::{Seldom, rare};
use crate::api::{Allow, DatafeedId, DatafeedState, JobId, JobPattern, JobState};

/// What a read is to find out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Ids, groups, blocks and datafeeds of all jobs, and upgrade mode: three requests, whatever their number.
    Catalogue,
    /// Which jobs and datafeeds have a task: one request, no search; not everybody may.
    Tasks,
    /// Upgrade mode alone.
    Info,
    /// The states of these jobs and of these of their datafeeds.
    States {
        /// The jobs; never empty.
        jobs: Vec<JobId>,
        /// Datafeeds whose state is wanted as well.
        datafeeds: Vec<(JobId, DatafeedId)>,
        /// Words for many of the jobs, where that makes the question shorter; all others are asked for by their ids.
        /// More jobs than these may be told of.
        wildcards: Vec<JobPattern>,
    },
}

/// The answer to a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Question::Catalogue`].
    Catalogue(Listing),
    /// To [`Question::Tasks`]; `None` where it may not be read.
    Tasks(Option<Tasks>),
    /// To [`Question::Info`]: upgrade mode is on.
    Info(bool),
    /// To [`Question::States`]: one entry for each job that was asked about and answered intelligibly, and the jobs of whom
    /// it is not known whether they would have been.
    States(BTreeMap<JobId, SeenJob>, Vec<JobId>),
}

/// The configs of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Every job that has a config.
    pub jobs: BTreeMap<JobId, SeenConfig>,
    /// The datafeed of each job that has one.
    pub datafeeds: BTreeMap<JobId, DatafeedId>,
    /// Elasticsearch told all of them; it stops at 10 000 and says nothing of the rest.
    pub complete: bool,
    /// Upgrade mode is on.
    pub upgrade_mode: bool,
    /// How many requests it took.
    pub requests: u32,
}

/// What a job's config said. Small, because a cluster has ten thousand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenConfig {
    /// `create_time`.
    pub created_at: Option<Millis>,
    /// What most configs do not say.
    pub more: Seldom<MoreConfig>,
}

/// What most configs do not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MoreConfig {
    /// `blocked.reason` or `deleting`: reset, revert or delete works on the job.
    pub blocked: Option<Arc<str>>,
    /// `groups`.
    pub groups: Vec<Arc<str>>,
    /// `deleting`: wildcards and groups do not match it any more.
    pub deleting: bool,
}

rare!(MoreConfig);

impl Deref for SeenConfig {
    type Target = MoreConfig;

    fn deref(&self) -> &MoreConfig {
        &self.more
    }
}

#[cfg(test)]
impl SeenConfig {
    /// A job in these groups.
    pub(super) fn of(groups: &[&str], blocked: Option<&str>, deleting: bool) -> Self {
        let more = MoreConfig {
            blocked: blocked.map(Arc::from),
            groups: groups.iter().map(|group| Arc::from(*group)).collect(),
            deleting,
        };
        Self {
            created_at: None,
            more: Seldom::from(more),
        }
    }
}

/// A point in time as Elasticsearch tells it, to the millisecond: one word, also where there may be none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(NonZeroI64);

impl Millis {
    /// This time; `None` for the first millisecond of 1970, which nobody means.
    pub fn of(at: Timestamp) -> Option<Self> {
        NonZeroI64::new(at.as_millisecond()).map(Self)
    }

    /// The time.
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_millisecond(self.0.get()).unwrap_or_default()
    }
}

/// The persistent tasks of the cluster state. They are a hint: an absent one says that it is worth looking.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tasks {
    /// Every job that has a task.
    pub jobs: BTreeMap<JobId, SeenTask>,
    /// Every datafeed that has one, by its job, and whether it has an end.
    pub datafeeds: BTreeMap<JobId, (SeenDatafeed, bool)>,
}

/// A job's task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenTask {
    /// Its raw state, stale or not.
    pub state: JobState,
    /// It is assigned to a node.
    pub assigned: bool,
}

/// What `_stats` said of a job that has a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenState {
    /// The raw state, stale or not.
    pub state: JobState,
    /// Some node runs the task: the assignment explanation is empty.
    pub assigned: bool,
    /// The assignment explanation speaks of upgrade mode.
    pub upgrade_mode: bool,
    /// What only a job tells that has a task.
    pub on_node: Seldom<OnNode>,
    /// The time of the newest record that it has analysed.
    pub latest_record: Option<Millis>,
}

/// What `_stats` says of the task of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OnNode {
    /// Why no node runs it, in Elasticsearch's words, cut and without control characters.
    pub explanation: Option<Arc<str>>,
    /// How long the job has been open on its node, to the second; absent without a live process.
    pub open_for: Option<Duration>,
}

rare!(OnNode);

impl SeenState {
    /// A job in this state, of which nothing else is told.
    pub fn of(state: JobState) -> Self {
        Self {
            state,
            assigned: true,
            upgrade_mode: false,
            on_node: Seldom::default(),
            latest_record: None,
        }
    }
}

/// A job's datafeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenDatafeed {
    /// Its id.
    pub id: DatafeedId,
    /// Its state.
    pub state: DatafeedState,
    /// It runs without an end; absent where nothing told.
    pub real_time: Option<bool>,
}

impl SeenDatafeed {
    /// It has a task.
    pub fn runs(&self) -> bool {
        self.state != DatafeedState::Stopped
    }
}

/// What a read of states found out about one job.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeenJob {
    /// From `_stats`; `None` when it did not know the id.
    pub state: Option<SeenState>,
    /// Its datafeed, where that was asked for.
    pub datafeed: Option<SeenDatafeed>,
}

/// What the live reads before a force found in Elasticsearch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LiveLook {
    /// State and datafeed.
    pub job: SeenJob,
    /// The config; `None` where there is none.
    pub config: Option<SeenConfig>,
    /// Upgrade mode is on.
    pub upgrade_mode: bool,
    /// The newest model snapshot; `None` where there is none or it may not be read.
    pub snapshot: Option<SeenSnapshot>,
}

/// All that is read live before a force.
#[derive(Debug, Clone)]
pub struct Live {
    /// The object; `None`: gone, or another uid.
    pub object: Option<Delivered>,
    /// What its connection allows.
    pub allow: Allow,
    /// What Elasticsearch says.
    pub look: LiveLook,
}

/// A model snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenSnapshot {
    /// When it was taken.
    pub taken_at: Timestamp,
    /// The time of the newest record that it has learned from.
    pub latest_record: Option<Timestamp>,
}
