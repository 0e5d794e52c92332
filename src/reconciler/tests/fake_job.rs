//! A job in the world's Elasticsearch: what it is and how it behaves when it is called. It moves only as the world says.

use std::time::Duration;

use crate::api::{DatafeedId, DatafeedState, JobState};

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
        }
    }

    pub(super) fn closed(&mut self) {
        self.state = JobState::Closed;
        self.closes_at = None;
    }
}
