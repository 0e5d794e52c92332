//! When a read of one kind is to be made next, and the one that is on its way: never two of a kind.

use std::time::Duration;

use super::input::Ticket;

/// A read of one kind.
#[derive(Debug, Clone, Default)]
pub(super) struct Due {
    pub(super) at: Option<Duration>,
    /// The read in flight.
    pub(super) asked: Option<Ticket>,
}

impl Due {
    pub(super) fn by(&mut self, at: Duration) {
        self.at = Some(self.at.map_or(at, |set| set.min(at)));
    }

    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.asked.is_none() && self.at.is_some_and(|at| at <= now)
    }

    /// Whether it is due; then it is so no more.
    pub(super) fn take(&mut self, now: Duration) -> bool {
        let due = self.is_due(now);
        self.at = self.at.filter(|_| !due);
        due
    }

    pub(super) fn next(&self) -> Option<Duration> {
        self.at.filter(|_| self.asked.is_none())
    }
}
