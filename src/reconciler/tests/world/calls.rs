//! What Elasticsearch does with a call, and when it answers.

use std::time::Duration;

use super::{FakeJob, World, secs, trouble};
use crate::api::{DatafeedState, JobId, JobState, Reason};
use crate::reconciler::input::*;

impl World {
    /// What Elasticsearch does with a call, and when it answers.
    pub(in super::super) fn call(&mut self, call: &Call) -> (Duration, Result<(), Refusal>) {
        let soon = Duration::from_millis(5);
        if let Some(trouble) = self.trouble.as_ref().or(self.refuses_calls.as_ref()) {
            return (soon, Err(Refusal::Cluster(trouble.clone())));
        }
        if self.upgrade_mode {
            return (soon, Err(Refusal::UpgradeMode));
        }
        if self.overloads > 0 {
            self.overloads -= 1;
            return (soon, Err(Refusal::Overloaded(trouble(Reason::Overloaded))));
        }
        match call {
            Call::Confirm(id) if self.jobs.get(id).is_some_and(|job| job.refuses_confirms) => (
                soon,
                Err(Refusal::Refused(trouble(Reason::RetryingAfterError))),
            ),
            Call::Confirm(id) if self.before_7_14 && self.runs_a_feed(id) => {
                (soon, Err(Refusal::DatafeedRuns))
            }
            Call::Confirm(id) => match self.jobs.get(id).map(|job| job.state) {
                Some(JobState::Closing) => (secs(1), Err(Refusal::LookAgain { answered: true })),
                _ => self.close(id),
            },
            Call::StopDatafeed { job, force, .. } => {
                let found = self
                    .jobs
                    .get_mut(job)
                    .filter(|job| job.refuses_stops > 0 && !force);
                if let Some(found) = found {
                    found.refuses_stops -= 1;
                    return (
                        soon,
                        Err(Refusal::Refused(trouble(Reason::RetryingAfterError))),
                    );
                }
                if let Some((_, state)) =
                    self.jobs.get_mut(job).and_then(|job| job.datafeed.as_mut())
                {
                    *state = DatafeedState::Stopped;
                }
                (soon, Ok(()))
            }
            Call::ForceClose(id) => {
                let refused = self.before_7_14 && self.runs_a_feed(id);
                let Some(job) = self.jobs.get_mut(id) else {
                    return (soon, Err(Refusal::LookAgain { answered: true }));
                };
                if refused {
                    return (soon, Err(Refusal::DatafeedRuns));
                }
                if !job.ignores_force {
                    // Of a job that is closing, or closed, the datafeed goes on (reference section 3.2).
                    let open = !matches!(job.state, JobState::Closing | JobState::Closed);
                    if let Some((_, state)) = job.datafeed.as_mut().filter(|_| open) {
                        *state = DatafeedState::Stopped;
                    }
                    job.closed();
                }
                (soon, Ok(()))
            }
            Call::Close(ids) => self.close_all(ids),
            Call::Open(id) => self.open(id),
            Call::StartDatafeed { job, .. } => {
                let found = self.jobs.get(job);
                if !found
                    .is_some_and(|job| matches!(job.state, JobState::Opened | JobState::Opening))
                {
                    return (soon, Err(Refusal::LookAgain { answered: true }));
                }
                if let Some(trouble) = found.and_then(|job| job.refuses_start.clone()) {
                    return (soon, Err(Refusal::Refused(trouble)));
                }
                if let Some(found) = self.jobs.get_mut(job).filter(|job| job.lost_starts > 0) {
                    found.lost_starts -= 1;
                } else if let Some(found) = self.jobs.get_mut(job)
                    && let Some((_, state)) = &mut found.datafeed
                {
                    *state = DatafeedState::Started;
                    found.has_end = false;
                }
                (soon, Ok(()))
            }
        }
    }

    fn runs_a_feed(&self, id: &JobId) -> bool {
        let feed = self.jobs.get(id).and_then(FakeJob::feed);
        feed.is_some_and(|state| state != DatafeedState::Stopped)
    }

    /// A list is refused before any of it is touched.
    pub(super) fn close_all(&mut self, ids: &[JobId]) -> (Duration, Result<(), Refusal>) {
        let soon = Duration::from_millis(5);
        if let Some(trouble) = &self.overloaded {
            return (soon, Err(Refusal::Overloaded(trouble.clone())));
        }
        if let [id] = ids {
            return self.close(id);
        }
        let bytes: usize = ids.iter().map(|id| id.as_str().len() + 1).sum();
        if self.real_room.is_some_and(|room| bytes > room + 1) {
            self.list_room = (self.list_room / 2).max(512);
            return (soon, Err(Refusal::ListTooLong(self.list_room)));
        }
        if self.halves_lists {
            for id in ids.iter().take(ids.len() / 2) {
                let _ = self.close(id);
            }
            return (soon, Err(Refusal::LookAgain { answered: false }));
        }
        let unknown = |id: &&JobId| !self.jobs.get(*id).is_some_and(|job| job.config);
        let missing: Vec<JobId> = ids.iter().filter(unknown).cloned().collect();
        if !missing.is_empty() {
            return (soon, Err(Refusal::Unknown(missing)));
        }
        if ids.iter().any(|id| self.jobs[id].refuses_lists) {
            return (soon, Err(Refusal::Refused(trouble(Reason::RequestRefused))));
        }
        if ids.iter().any(|id| self.jobs[id].state == JobState::Failed) {
            return (soon, Err(Refusal::LookAgain { answered: true }));
        }
        let answers: Vec<_> = ids.iter().map(|id| self.close(id)).collect();
        let last = answers
            .iter()
            .map(|(after, _)| *after)
            .max()
            .unwrap_or(soon);
        if last > secs(30) {
            // What Elasticsearch is asked to wait for at most.
            return (secs(30), Err(Refusal::LookAgain { answered: true }));
        }
        let error = answers.into_iter().find_map(|(_, answer)| answer.err());
        (last, error.map_or(Ok(()), Err))
    }

    pub(super) fn open(&mut self, id: &JobId) -> (Duration, Result<(), Refusal>) {
        let soon = Duration::from_millis(5);
        let clock = self.clock;
        let Some(job) = self.jobs.get_mut(id).filter(|job| job.config) else {
            return (soon, Err(Refusal::LookAgain { answered: true }));
        };
        if job.state != JobState::Closed {
            return (soon, Err(Refusal::LookAgain { answered: true }));
        }
        if let Some(trouble) = &job.refuses_open {
            return (soon, Err(Refusal::Refused(trouble.clone())));
        }
        job.opened_at = clock;
        job.dirty = true;
        job.state = JobState::Opening;
        if job.assigned {
            job.opens_at = job.open_takes.map(|takes| clock + takes);
            self.changes.extend(job.opens_at.map(|at| (at, id.clone())));
        } else {
            return (soon, Ok(()));
        }
        let takes = job.open_takes.unwrap_or(secs(1_000_000));
        if takes.is_zero() {
            job.opens_at = None;
            job.state = JobState::Opened;
        }
        (takes + soon, Ok(()))
    }

    pub(super) fn close(&mut self, id: &JobId) -> (Duration, Result<(), Refusal>) {
        let soon = Duration::from_millis(5);
        let clock = self.clock;
        let before_7_14 = self.before_7_14;
        let Some(job) = self.jobs.get_mut(id) else {
            return (soon, Err(Refusal::LookAgain { answered: true }));
        };
        let datafeed_runs = job
            .datafeed
            .as_ref()
            .is_some_and(|(_, state)| *state != DatafeedState::Stopped);
        if before_7_14 && datafeed_runs {
            return (soon, Err(Refusal::DatafeedRuns));
        }
        if job.state == JobState::Failed {
            return (soon, Err(Refusal::LookAgain { answered: true }));
        }
        if job.breaks_closes {
            return (soon, Err(Refusal::LookAgain { answered: false }));
        }
        if job.lost_closes > 0 {
            job.lost_closes -= 1;
            return (secs(30), Err(Refusal::LookAgain { answered: true }));
        }
        if job.left_its_node {
            return (soon, Ok(()));
        }
        match job.state {
            JobState::Closed => return (soon, Ok(())),
            JobState::Closing => {
                let left = job
                    .closes_at
                    .map_or(secs(1_000_000), |at| at.saturating_sub(clock));
                return (left + soon, Ok(()));
            }
            JobState::Opened | JobState::Opening | JobState::Failed => {}
        }
        if datafeed_runs && job.feed_hinders {
            return (
                soon,
                Err(Refusal::Refused(trouble(Reason::RetryingAfterError))),
            );
        }
        if let Some((_, state)) = &mut job.datafeed {
            *state = DatafeedState::Stopped;
        }
        if !job.assigned || job.state == JobState::Opening {
            job.closed();
            return (soon, Ok(()));
        }
        if job.refuses_lists && job.close_takes.is_none() {
            return (soon, Err(Refusal::Refused(trouble(Reason::RequestRefused))));
        }
        match job.close_takes {
            Some(Duration::ZERO) => {
                job.dirty = false;
                job.closed();
                (soon, Ok(()))
            }
            takes => {
                job.state = JobState::Closing;
                job.opens_at = None;
                job.closes_at = takes.map(|takes| clock + takes);
                self.changes
                    .extend(job.closes_at.map(|at| (at, id.clone())));
                (takes.unwrap_or(secs(1_000_000)) + soon, Ok(()))
            }
        }
    }
}
