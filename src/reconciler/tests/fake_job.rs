//! A job in the world's Elasticsearch: what it is and how it behaves when it is called. It moves only as the world says.

use std::time::Duration;

use super::world::moment;
use crate::api::{DatafeedId, DatafeedState, JobState};
use crate::reconciler::input::{Millis, SeenConfig, SeenDatafeed, SeenSnapshot, Trouble};

/// A job in the world's Elasticsearch.
#[derive(Debug, Clone)]
pub(super) struct FakeJob {
    pub state: JobState,
    pub assigned: bool,
    pub config: bool,
    /// When it was created, by the clock of Elasticsearch.
    pub created_at: Option<Duration>,
    pub blocked: bool,
    pub datafeed: Option<(DatafeedId, DatafeedState)>,
    /// How long a graceful close takes; `None` = for ever.
    pub close_takes: Option<Duration>,
    pub lost_closes: u32,
    /// The connection of a close of it breaks, and nothing has been done.
    pub breaks_closes: bool,
    /// Closes reach the node that it has just left, and are answered with success.
    pub left_its_node: bool,
    /// A close that only confirms is refused.
    pub refuses_confirms: bool,
    pub ignores_force: bool,
    pub opened_at: Duration,
    pub dirty: bool,
    pub closes_at: Option<Duration>,
    pub groups: Vec<&'static str>,
    /// Its datafeed was started with an end.
    pub has_end: bool,
    /// The time of the newest record that it has analysed.
    pub latest_record: Option<Duration>,
    /// The newest model snapshot: when it was taken, and the newest record that it knows.
    pub snapshot: Option<(Duration, Duration)>,
    /// How long an open takes; `None` = for ever.
    pub open_takes: Option<Duration>,
    pub opens_at: Option<Duration>,
    /// Stops of its datafeed without force that fail.
    pub refuses_stops: u32,
    pub refuses_start: Option<Trouble>,
    /// Starts of its datafeed that are answered, and it stops at once.
    pub lost_starts: u32,
    /// A close is refused for as long as its datafeed cannot be stopped (409).
    pub feed_hinders: bool,
    /// Nothing tells whether its datafeed has an end.
    pub feed_is_mute: bool,
    /// A list with it in it is refused as a whole, without naming it.
    pub refuses_lists: bool,
    pub refuses_open: Option<Trouble>,
    /// The index of its results is closed.
    pub is_untold: bool,
}

impl FakeJob {
    pub(super) fn new(state: JobState) -> Self {
        Self {
            state,
            assigned: true,
            config: true,
            created_at: None,
            blocked: false,
            datafeed: None,
            close_takes: Some(Duration::ZERO),
            lost_closes: 0,
            breaks_closes: false,
            left_its_node: false,
            refuses_confirms: false,
            ignores_force: false,
            opened_at: Duration::ZERO,
            dirty: state != JobState::Closed,
            closes_at: None,
            groups: Vec::new(),
            has_end: false,
            latest_record: None,
            snapshot: None,
            open_takes: Some(Duration::ZERO),
            opens_at: None,
            refuses_stops: 0,
            refuses_start: None,
            lost_starts: 0,
            feed_hinders: false,
            feed_is_mute: false,
            refuses_lists: false,
            refuses_open: None,
            is_untold: false,
        }
    }

    pub(super) fn seen_config(&self) -> SeenConfig {
        let blocked = self.blocked.then_some("reset");
        SeenConfig {
            created_at: self.created_at.and_then(|at| Millis::of(moment(at).wall)),
            ..SeenConfig::of(&self.groups, blocked, false)
        }
    }

    pub(super) fn seen_datafeed(&self) -> Option<SeenDatafeed> {
        let (id, state) = self.datafeed.clone()?;
        let runs = state != DatafeedState::Stopped;
        Some(SeenDatafeed {
            id,
            state,
            real_time: (runs && !self.feed_is_mute).then_some(!self.has_end),
        })
    }

    pub(super) fn closed(&mut self) {
        self.state = JobState::Closed;
        self.closes_at = None;
        self.opens_at = None;
    }

    pub(super) fn snapshot(&self) -> Option<SeenSnapshot> {
        let (taken, latest) = self.snapshot?;
        Some(SeenSnapshot {
            taken_at: moment(taken).wall,
            latest_record: Some(moment(latest).wall),
        })
    }

    /// The datafeed that it has, in this state.
    pub(super) fn with_feed(mut self, state: DatafeedState) -> Self {
        self.datafeed = Some((DatafeedId::parse("feed").unwrap(), state));
        self
    }

    pub(super) fn feed(&self) -> Option<DatafeedState> {
        self.datafeed.as_ref().map(|(_, state)| *state)
    }
}
