//! Jobs whose state is not told, though Elasticsearch answers: the index of their results is closed (reference section 11, case
//! 52), or what it says of them cannot be understood.
//!
//! One of them in a question costs many requests, for the others are then found by halves. So they are asked for apart, a
//! few at a time, and the less often the more there are. It must not know what is made of that.

use std::collections::BTreeMap;
use std::time::Duration;

use super::input::{Moment, SeenJob, Ticket, Trouble};
use super::{Reconciler, pace};
use crate::api::{JobId, Reason};

/// So many are asked for together.
const TOGETHER: usize = 32;
/// Each of them is asked for once in so long for each that there is, and not more often than [`pace::SWEEP`].
const FOR_EACH: Duration = Duration::from_secs(1);

/// Since when a job is not told of, and the newest read that was answered without it.
#[derive(Debug, Clone, Copy)]
struct Spell {
    since: Duration,
    asked: Ticket,
}

/// The jobs that are not told of.
#[derive(Debug, Clone, Default)]
pub(super) struct Untold {
    jobs: BTreeMap<JobId, Spell>,
    /// The last read was of some of them: it is the turn of the others.
    asked: bool,
}

impl Untold {
    /// Whether an answer was without it.
    pub(super) fn has(&self, job: &JobId) -> bool {
        self.jobs.contains_key(job)
    }

    /// For how long it has not been told of, where a read that was sent under ticket `from` or later was answered without it.
    pub(super) fn lasts(&self, job: &JobId, from: Ticket, now: Moment) -> Option<Duration> {
        let spell = self.jobs.get(job).filter(|spell| spell.asked >= from)?;
        Some(now.monotonic.saturating_sub(spell.since))
    }

    /// An answer told of it, or nobody wants to know. Returns whether there was one without it.
    pub(super) fn forget(&mut self, job: &JobId) -> bool {
        self.jobs.remove(job).is_some()
    }

    /// Leaves those that may be asked for in one question, and returns the others.
    pub(super) fn split(&mut self, jobs: &mut Vec<JobId>) -> Vec<JobId> {
        if self.jobs.is_empty() {
            return Vec::new();
        }
        let asked = std::mem::take(&mut self.asked);
        let (mut untold, told): (Vec<JobId>, Vec<JobId>) = std::mem::take(jobs)
            .into_iter()
            .partition(|job| self.has(job));
        if untold.is_empty() || asked && !told.is_empty() {
            *jobs = told;
            return untold;
        }
        self.asked = true;
        let mut others = untold.split_off(TOGETHER.min(untold.len()));
        *jobs = untold;
        others.extend(told);
        others
    }

    /// An answer was without it. Returns after what time it is asked for again.
    fn note(&mut self, job: &JobId, asked: Ticket, now: Moment) -> Duration {
        let since = now.monotonic;
        let spell = self.jobs.entry(job.clone());
        let spell = spell.or_insert(Spell { since, asked });
        spell.asked = asked;
        let jobs = u32::try_from(self.jobs.len()).unwrap_or(u32::MAX);
        pace::SWEEP.max(FOR_EACH.saturating_mul(jobs))
    }
}

/// What is said of such a job.
pub(super) fn trouble(jobs: &str) -> Trouble {
    Trouble::new(
        Reason::StateNotTold,
        format!(
            "Elasticsearch answers, and does not tell the state of job {jobs}: the index of its results (.ml-anomalies-*) is closed, or the answer cannot be understood; nothing is called for it; open the index"
        ),
    )
}

impl Reconciler {
    /// A question about the states of jobs was answered: of these, and not of all that it asked about.
    pub(super) fn note_untold(
        &mut self,
        ticket: Ticket,
        asked: &[JobId],
        found: &BTreeMap<JobId, SeenJob>,
        now: Moment,
    ) {
        let mut comes_back = false;
        for id in asked {
            if found.contains_key(id) {
                comes_back |= self.reads.untold.forget(id);
            } else {
                self.is_untold(ticket, id, now);
            }
        }
        if comes_back {
            // What closed the index of one of them, and has opened it, may have done so with others.
            for job in self.reads.untold.jobs.keys() {
                self.reads.looks.by(job, now.monotonic);
            }
        }
    }

    fn is_untold(&mut self, ticket: Ticket, id: &JobId, now: Moment) {
        let Some(job) = self.jobs.get_mut(id) else {
            return;
        };
        if !job.is_not_told(ticket) {
            return;
        }
        let again = self.reads.untold.note(id, ticket, now);
        self.reads.looks.by(id, now.monotonic + again);
        for key in job.users.clone() {
            if let Some(member) = self.member(&key, id) {
                member.lose_count();
            }
            self.due.insert((key, id.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconciler::tests::{job, moment};

    fn ids(range: std::ops::Range<usize>) -> Vec<JobId> {
        range.map(|n| job(&format!("j-{n:03}"))).collect()
    }

    #[test]
    fn the_more_there_are_the_less_often_each_is_asked_for() {
        let mut untold = Untold::default();
        let now = moment(Duration::from_secs(1));
        let gaps: Vec<Duration> = ids(0..100)
            .iter()
            .map(|id| untold.note(id, Ticket(1), now))
            .collect();
        let secs = Duration::from_secs;
        assert_eq!(
            (gaps[0], gaps[29], gaps[99]),
            (secs(30), secs(30), secs(100))
        );
        let later = moment(secs(61));
        untold.note(&job("j-000"), Ticket(2), later);
        let lasts = [2, 3].map(|from| untold.lasts(&job("j-000"), Ticket(from), later));
        assert_eq!(lasts, [Some(secs(60)), None]);
        assert!(untold.forget(&job("j-000")) && !untold.forget(&job("j-000")));
    }

    #[test]
    fn they_are_asked_for_apart_a_few_at_a_time_and_in_turn_with_the_others() {
        let mut untold = Untold::default();
        let split = |mut jobs: Vec<JobId>, untold: &mut Untold| {
            let left = untold.split(&mut jobs);
            (jobs, left)
        };
        let all = ids(0..100);
        assert_eq!(split(all.clone(), &mut untold), (all.clone(), Vec::new()));
        for id in ids(0..40) {
            untold.note(&id, Ticket(1), moment(Duration::ZERO));
        }
        let left = [ids(32..40), ids(40..100)].concat();
        assert_eq!(split(all, &mut untold), (ids(0..32), left.clone()));
        assert_eq!(split(left, &mut untold), (ids(40..100), ids(32..40)));
        assert_eq!(split(ids(32..40), &mut untold), (ids(32..40), Vec::new()));
        assert_eq!(split(ids(50..60), &mut untold), (ids(50..60), Vec::new()));
    }
}
