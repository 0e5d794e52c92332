//! The elected master's queue: every cluster-state update takes its time there, one after the other (reference 17.17).
//! Without a time (the default) an update happens at once. It must not know what an update does.

use super::{
    core::Cluster,
    model::{Delay, Event},
};

impl Cluster {
    /// How long one update takes, in ms; 0 is no queue.
    pub fn master_update(&self) -> u64 {
        self.master_update
    }

    /// Sets how long one update takes. What is queued already keeps its time.
    pub fn set_master_update(&mut self, ms: u64) {
        self.master_update = ms;
    }

    /// An update that is asked for after a while.
    pub(super) fn commit(&mut self, delay: Delay, update: Event) {
        if self.master_update == 0 {
            self.after(delay, update);
        } else if delay == Delay::Ms(0) {
            self.enqueue(update);
        } else {
            self.after(delay, Event::Asked(Box::new(update)));
        }
    }

    /// An update that is asked for now; without a queue it has happened when this returns.
    pub(super) fn commit_now(&mut self, update: Event) {
        if self.master_update == 0 {
            self.happen(update);
        } else {
            self.enqueue(update);
        }
    }

    /// Puts an update behind those that wait.
    pub(super) fn enqueue(&mut self, update: Event) {
        self.take_turn();
        self.after(Delay::Ms(self.master_idle_at - self.now), update);
    }

    /// An update whose effect is seen at once and that keeps the others waiting all the same.
    pub(super) fn take_turn(&mut self) {
        if self.master_update > 0 {
            self.master_idle_at = self.master_idle_at.max(self.now) + self.master_update;
        }
    }

    /// A real server would have searched so many times.
    pub(super) fn searched(&self, times: usize) {
        let times = u64::try_from(times).unwrap_or(u64::MAX);
        self.searches.set(self.searches.get() + times);
    }

    /// How many searches a real server would have made so far.
    pub fn searches(&self) -> u64 {
        self.searches.get()
    }
}
