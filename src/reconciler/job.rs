//! One Elasticsearch job as the reconciler has seen it: the newest observation, shared by all objects that mean it.
//!
//! It knows which reads may be believed: a read that was sent before the last call ended shows the world before it.

use std::time::Duration;

use super::input::{Call, Depth, Moment, ObjectKey, SeenJob, Ticket};
use super::pace;

/// A job that at least one object means.
#[derive(Debug, Default)]
pub struct Job {
    /// The objects that mean it, oldest first.
    pub users: Vec<ObjectKey>,
    /// The newest observation.
    pub seen: Option<Seen>,
    /// The call that concerns it, at most one.
    pub in_flight: Option<(Ticket, Call)>,
    touched: Ticket,
    newest: Ticket,
}

/// An observation with its age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What was seen.
    pub job: SeenJob,

    /// When the answer arrived.
    pub at: Duration,
    /// The config has been read: until then nothing is known of blocks and datafeeds.
    pub whole: bool,
    /// No call has ended since.
    pub current: bool,
}

impl Job {
    /// Takes what a read found out. Returns whether anything differs from before, or `None` where the read was sent
    /// before the last call ended, or before a read that was answered already, and says nothing of now.
    pub fn see(
        &mut self,
        asked: Ticket,
        depth: Depth,
        found: SeenJob,
        now: Moment,
    ) -> Option<bool> {
        if asked < self.touched.max(self.newest) {
            return None;
        }
        self.newest = asked;
        let before = self.seen.take();
        let job = match (&before, depth) {
            (Some(seen), Depth::States) => SeenJob {
                state: found.state,
                config: seen.job.config.clone(),
                datafeed: found.datafeed.or_else(|| seen.job.datafeed.clone()),
            },
            _ => found,
        };
        let whole = depth == Depth::Full || before.as_ref().is_some_and(|seen| seen.whole);
        let news = before
            .as_ref()
            .is_none_or(|seen| seen.job != job || seen.whole != whole);
        self.seen = Some(Seen {
            job,
            at: now.monotonic,
            whole,
            current: true,
        });
        Some(news)
    }

    /// The observation that may be acted on now, if there is one.
    pub fn fresh(&self, now: Moment) -> Option<&Seen> {
        self.seen.as_ref().filter(|seen| {
            seen.whole && seen.current && now.monotonic.saturating_sub(seen.at) <= pace::FRESH_FOR
        })
    }

    /// How much has to be read before something can be decided.
    pub fn depth_needed(&self, now: Moment) -> Depth {
        let recent =
            |seen: &&Seen| seen.whole && now.monotonic.saturating_sub(seen.at) <= pace::FRESH_FOR;
        self.seen
            .as_ref()
            .filter(recent)
            .map_or(Depth::Full, |_| Depth::States)
    }

    /// A call ended: what was seen before, or by a read sent before ticket `next`, is not acted on any more.
    pub fn touch(&mut self, next: Ticket) {
        self.in_flight = None;
        self.touched = next;
        if let Some(seen) = &mut self.seen {
            seen.current = false;
        }
    }
}
