//! Whether a running datafeed was started with an end: its statistics say it from 7.13 on, before that only the tasks do.
//!
//! It matters before a close that stops the datafeed, because one with an end is not started again. Nothing is decided here.

use super::Reconciler;
use super::decision::Decision;
use super::input::{Moment, Ticket};
use super::job::Job;
use super::target::running;

impl Reconciler {
    /// Whether the job's running datafeed has an end is not known, and the tasks will tell (before 7.13 only they do).
    pub(super) fn asks_for_kind(&self, job: &Job) -> bool {
        let feed = job.seen.as_ref().and_then(running);
        feed.is_some_and(|feed| feed.real_time.is_none())
            && self.reads.roll.is_none()
            && job.is_newer_than(self.reads.tasks_told)
    }

    /// Asks the tasks now.
    pub(super) fn ask_tasks(&mut self, now: Moment) {
        self.reads.tasks.by(now.monotonic);
    }

    /// What waited to be told of its datafeed goes on.
    pub(super) fn told_kinds(&mut self, ticket: Ticket) {
        self.reads.tasks_told = ticket;
        for (id, job) in &self.jobs {
            if job.seen.as_ref().and_then(running).is_none() {
                continue;
            }
            for key in &job.users {
                let decision = self
                    .objects
                    .restless(key, id)
                    .map(|member| &member.decision);
                if matches!(decision, Some(Some(Decision::Hold(_)))) {
                    self.due.insert((key.clone(), id.clone()));
                }
            }
        }
    }
}
