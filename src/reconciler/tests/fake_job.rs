//! A job in the world's Elasticsearch: what it is and how it behaves when it is called. It moves only as the world says.

use std::sync::Arc;
use std::time::Duration;

use crate::api::{DatafeedId, DatafeedState, JobState};
use crate::reconciler::input::{SeenConfig, SeenDatafeed, Trouble};

/// A job in the world's Elasticsearch.
#[derive(Debug, Clone)]
pub(super) struct FakeJob {
    pub state: JobState,
    pub assigned: bool,
    pub config: bool,
    pub blocked: bool,
    pub datafeed: Option<(DatafeedId, DatafeedState)>,
    /// How long a graceful close takes; `None` = for ever.
    pub close_takes: Option<Duration>,
    pub lost_closes: u32,
    pub ignores_force: bool,
    pub opened_at: Duration,
    pub dirty: bool,
    pub closes_at: Option<Duration>,
    pub groups: Vec<&'static str>,
    /// Its datafeed was started with an end.
    pub has_end: bool,
    pub last_data: Option<Duration>,
    /// A list with it in it is refused as a whole, without naming it.
    pub refuses_lists: bool,
    pub refuses_open: Option<Trouble>,
}

impl FakeJob {
    pub(super) fn new(state: JobState) -> Self {
        Self {
            state,
            assigned: true,
            config: true,
            blocked: false,
            datafeed: None,
            close_takes: Some(Duration::ZERO),
            lost_closes: 0,
            ignores_force: false,
            opened_at: Duration::ZERO,
            dirty: state != JobState::Closed,
            closes_at: None,
            groups: Vec::new(),
            has_end: false,
            last_data: None,
            refuses_lists: false,
            refuses_open: None,
        }
    }

    pub(super) fn seen_config(&self) -> SeenConfig {
        SeenConfig {
            created_at: None,
            blocked: self.blocked.then(|| Arc::from("reset")),
            groups: self.groups.iter().map(|group| Arc::from(*group)).collect(),
            deleting: false,
        }
    }

    pub(super) fn seen_datafeed(&self) -> Option<SeenDatafeed> {
        let (id, state) = self.datafeed.clone()?;
        let runs = state != DatafeedState::Stopped;
        Some(SeenDatafeed {
            id,
            state,
            real_time: runs.then_some(!self.has_end),
        })
    }

    pub(super) fn closed(&mut self) {
        self.state = JobState::Closed;
        self.closes_at = None;
    }
}
