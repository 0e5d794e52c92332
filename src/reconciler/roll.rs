//! The roll call: where the tasks of the cluster may not be read, some of the quiet jobs are looked at each time, in turn.
//!
//! It asks for looks and reads nothing itself.

use std::ops::Bound;
use std::time::Duration;

use super::batch::cost;
use super::input::Ticket;
use super::reads::LINE;
use super::{Reconciler, pace};

impl Reconciler {
    /// Asks for as many jobs as fit into one request line.
    pub(super) fn call_the_roll(&mut self, now: Duration) {
        let reads = &mut self.reads;
        if !reads.roll.as_mut().is_some_and(|roll| roll.take(now)) {
            return;
        }
        if let Some(roll) = &mut reads.roll {
            roll.by(now + pace::ROLL);
        }
        let start = match reads.rolled.take() {
            Some(last) => Bound::Excluded(last),
            None => Bound::Unbounded,
        };
        let (mut bytes, mut last) = (0, None);
        for (job, _) in self.jobs.range((start, Bound::Unbounded)) {
            bytes += cost(job);
            if bytes > LINE {
                break;
            }
            // Those that are not told of have a time of their own.
            let is_untold = reads.untold.spell(job, Ticket::default()).is_some();
            if !is_untold || reads.looks.planned(job).is_none() {
                reads.looks.by(job, now);
            }
            reads.rolling.insert(job.clone());
            last = Some(job.clone());
        }
        // At the end the next turn begins at the first.
        let more = last
            .as_ref()
            .is_some_and(|last| self.jobs.keys().next_back() != Some(last));
        reads.rolled = last.filter(|_| more);
    }
}
