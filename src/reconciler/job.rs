//! One Elasticsearch job as the reconciler has seen it: the newest observation, shared by all objects that mean it.
//!
//! It knows which reads may be believed: a read that was sent before the last call ended shows the world before it.
//! What its config says stands in the catalogue.

use std::time::Duration;

use smallvec::SmallVec;

use super::decision::Ask;
use super::input::{Moment, ObjectKey, SeenDatafeed, SeenJob, SeenState, SeenTask, Ticket};
use super::pace;
use super::seldom::{Seldom, rare};
use crate::api::{DatafeedId, JobState};

/// A job that at least one object means.
#[derive(Debug, Clone, Default)]
pub struct Job {
    /// The objects that mean it.
    pub users: SmallVec<[ObjectKey; 2]>,
    /// The newest observation.
    pub seen: Option<Seen>,
    /// What is under way with it, or was of late.
    pub doings: Seldom<Doings>,
    touched: Ticket,
    newest: Ticket,
    /// The newest read that told of its datafeed.
    fed: Ticket,
}

/// What is under way with a job, or was of late.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Doings {
    /// The call that concerns it, at most one.
    pub in_flight: Option<(Ticket, Ask)>,
    /// It belongs to a refused list in which the refused ones are being sought.
    pub suspect: bool,
    /// Something contradicts what was seen of its datafeed, so that its state is to be asked for.
    pub odd_feed: bool,
    /// When its datafeed was seen running last, where that was of late.
    pub feed_ran: Option<Duration>,
    /// When a force of this process was sent.
    pub forced: Option<Duration>,
}

rare!(Doings);

/// An observation with its age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// From `_stats`; `None` where it did not know the id.
    pub state: Option<SeenState>,
    /// Its datafeed, as far as it was seen.
    pub datafeed: Option<SeenDatafeed>,
    /// When it was read, or confirmed by the tasks of the cluster.
    pub at: Duration,
    /// No call has ended since.
    pub current: bool,
}

impl Job {
    /// This object means it too.
    pub fn used_by(&mut self, key: &ObjectKey) {
        self.users.push(key.clone());
    }

    /// Takes what a read found out. Returns whether anything differs from before, or `None` where the read was sent
    /// before the last call ended, or before a read that was answered already, and says nothing of now.
    pub fn see(&mut self, asked: Ticket, found: SeenJob, now: Moment) -> Option<bool> {
        if self.is_over(asked) {
            // Its state is over, but a datafeed that ran is worth asking about.
            if found.datafeed.is_some_and(|feed| feed.runs()) {
                self.feed_is_odd(true);
            }
            return None;
        }
        self.newest = asked;
        if found.datafeed.is_some() {
            self.fed = asked;
            self.feed_is_odd(false);
        }
        let before = self.seen.take();
        let datafeed = found
            .datafeed
            .map(|feed| keep_kind(feed, before.as_ref()))
            .or_else(|| before.as_ref().and_then(|seen| seen.datafeed.clone()));
        let seen = Seen {
            state: found.state,
            datafeed,
            at: now.monotonic,
            current: true,
        };
        let news = before.as_ref().is_none_or(|before| {
            before.state != seen.state || before.datafeed != seen.datafeed || !before.current
        });
        self.note_feed(seen.datafeed.as_ref().is_some_and(SeenDatafeed::runs), now);
        self.seen = Some(seen);
        Some(news)
    }

    /// Its datafeed runs; or how long ago it did says nothing any more.
    fn note_feed(&mut self, runs: bool, now: Moment) {
        if runs {
            self.doings.feed_ran = Some(now.monotonic);
        } else {
            let over = |at: &mut Duration| now.monotonic.saturating_sub(*at) > pace::ENDED_WITHIN;
            self.doings.lessen(|doings| doings.feed_ran.take_if(over));
        }
    }

    fn feed_is_odd(&mut self, odd: bool) {
        if odd {
            self.doings.odd_feed = true;
        } else {
            self.doings.lessen(|doings| doings.odd_feed = false);
        }
    }

    /// A call for it is on its way, or it is one of a list in which refused ones are sought.
    pub fn is_busy(&self) -> bool {
        self.doings.in_flight.is_some() || self.doings.suspect
    }

    /// A read that was sent under this ticket says nothing of now: a call has ended since, or a newer read was answered.
    fn is_over(&self, asked: Ticket) -> bool {
        asked < self.touched.max(self.newest)
    }

    /// A read was answered without it. Returns whether that says anything of now; then what was seen before is not acted on
    /// any more.
    pub fn is_not_told(&mut self, asked: Ticket) -> bool {
        if self.is_over(asked) {
            return false;
        }
        self.newest = asked;
        if let Some(seen) = &mut self.seen {
            seen.current = false;
        }
        true
    }

    /// The configs say that this is its datafeed now: what was seen of another one is over.
    pub fn keep_datafeed(&mut self, id: Option<&DatafeedId>, asked: Ticket) {
        let newer = asked >= self.fed;
        if let Some(seen) = self.seen.as_mut().filter(|_| newer) {
            seen.datafeed = seen.datafeed.take().filter(|feed| Some(&feed.id) == id);
        }
    }

    /// What a status that was stored said: something to go on saying until it is looked at, never to act on.
    pub fn remember(&mut self, state: SeenState, datafeed: Option<SeenDatafeed>) {
        self.seen.get_or_insert(Seen {
            state: Some(state),
            datafeed,
            at: Duration::ZERO,
            current: false,
        });
    }

    /// The tasks of the cluster said this of it. Returns whether it is worth a look: they are a hint and no more.
    pub fn compare(
        &mut self,
        asked: Ticket,
        task: Option<SeenTask>,
        datafeed: Option<&(SeenDatafeed, bool)>,
        now: Moment,
    ) -> bool {
        if self.is_over(asked) {
            return false;
        }
        let Some(seen) = &mut self.seen else {
            return true;
        };
        let told = seen.datafeed.as_mut().zip(datafeed);
        let runs_now = told.is_some();
        if let Some((feed, (_, has_end))) = told {
            feed.real_time.get_or_insert(!has_end);
        }
        let state = seen.state.as_ref();
        let state = state.filter(|state| state.state != JobState::Closed);
        let runs = seen.datafeed.as_ref().is_some_and(SeenDatafeed::runs);
        let odd = runs != datafeed.is_some();
        let same = match (state, task) {
            (None, None) => true,
            (Some(state), Some(task)) => fits(state, task),
            _ => false,
        } && !odd;
        if same && seen.current {
            seen.at = now.monotonic;
        }
        self.feed_is_odd(odd);
        self.note_feed(runs_now, now);
        !same
    }

    /// The observation that may be acted on now, if there is one.
    pub fn fresh(&self, now: Moment) -> Option<&Seen> {
        self.seen
            .as_ref()
            .filter(|seen| seen.current && now.monotonic.saturating_sub(seen.at) <= pace::FRESH_FOR)
    }

    /// A datafeed was listed that no read before ticket `next` has asked about: the job is looked at before it is called.
    pub fn new_feed(&mut self, feed: &DatafeedId, next: Ticket) {
        let Some(seen) = &mut self.seen else {
            return;
        };
        if seen.datafeed.as_ref().is_none_or(|known| known.id != *feed) {
            seen.current = false;
            self.touched = next;
        }
    }

    /// A read that was sent under this ticket will be believed.
    pub fn believes(&self, asked: Ticket) -> bool {
        asked >= self.touched
    }

    /// It was seen by a read that was sent after this one.
    pub fn is_newer_than(&self, asked: Ticket) -> bool {
        self.newest > asked
    }

    /// The state that was seen last.
    pub fn state(&self) -> Option<JobState> {
        Some(self.seen.as_ref()?.state.as_ref()?.state)
    }

    /// A call ended: what was seen before, or by a read sent before ticket `next`, is not acted on any more.
    pub fn touch(&mut self, next: Ticket) {
        self.doings.lessen(|doings| doings.in_flight = None);
        self.touched = next;
        if let Some(seen) = &mut self.seen {
            seen.current = false;
        }
    }
}

/// An open job whose node is lost stays `opened`, also where it comes to no other.
fn fits(state: &SeenState, task: SeenTask) -> bool {
    let lies_about = state.state == JobState::Opened && state.assigned != task.assigned;
    state.state == task.state && !lies_about
}

/// Whether a datafeed runs without an end is told while it runs; a stopped one is still the same.
fn keep_kind(mut feed: SeenDatafeed, before: Option<&Seen>) -> SeenDatafeed {
    let known = before.and_then(|seen| seen.datafeed.as_ref());
    if feed.real_time.is_none()
        && let Some(known) = known.filter(|known| known.id == feed.id)
    {
        feed.real_time = known.real_time;
    }
    feed
}
