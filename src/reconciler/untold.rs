//! Jobs whose state is not told, though Elasticsearch answers: the index of their results is closed (reference section 11, case
//! 52), or what it says of them cannot be understood.
//!
//! One of them in a question costs many requests, for the others are then found by halves. So they are asked for apart, a
//! few at a time, and the less often the more there are; and so are those of whom it was given up to find out whether they are
//! such ones, as soon as may be. It must not know what is made of that.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::input::{Moment, SeenJob, Ticket, Trouble};
use super::{Reconciler, pace};
use crate::api::{JobId, Reason};

/// So many are asked for together: of so many the client finds each.
const TOGETHER: usize = 32;
/// At first each of them is asked for once in so long for each that there is, and not more often than [`pace::SWEEP`]. Of
/// those that are not told of for long one is asked for in that time, in turn: one that comes back has all asked for.
const FOR_EACH: Duration = Duration::from_secs(1);

/// A time in which a job is not told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spell {
    since: Duration,
    /// The newest read that was answered without it, and when it was.
    asked: Ticket,
    answered: Duration,
    /// It was still not told of after two minutes, which are no longer than the cluster answered.
    pub is_long: bool,
}

/// The jobs that are not told of.
#[derive(Debug, Clone, Default)]
pub(super) struct Untold {
    jobs: BTreeMap<JobId, Spell>,
    /// Those of whom it was given up to find out.
    undecided: BTreeSet<JobId>,
    /// When the last is asked for of those that have not been told of for long.
    last: Duration,
    /// The last read was of some of them: it is the turn of the others.
    asked: bool,
}

impl Untold {
    fn is_empty(&self) -> bool {
        self.jobs.is_empty() && self.undecided.is_empty()
    }

    fn has(&self, job: &JobId) -> bool {
        self.jobs.contains_key(job) || self.undecided.contains(job)
    }

    /// The spell in which it is, where a read that was sent under ticket `from` or later was answered without it.
    pub(super) fn spell(&self, job: &JobId, from: Ticket) -> Option<Spell> {
        self.jobs
            .get(job)
            .filter(|spell| spell.asked >= from)
            .copied()
    }

    /// An answer told of it, or nobody wants to know. Returns whether there was one without it.
    pub(super) fn forget(&mut self, job: &JobId) -> bool {
        self.undecided.remove(job);
        self.jobs.remove(job).is_some()
    }

    /// The cluster does not answer at all: for how long it will not have done so counts for nothing.
    pub(super) fn lose_count(&mut self, now: Moment) {
        for spell in self.jobs.values_mut() {
            spell.since = now.monotonic;
        }
    }

    /// Leaves those that may be asked for in one question, and returns the others.
    pub(super) fn split(&mut self, jobs: &mut Vec<JobId>) -> Vec<JobId> {
        if jobs.is_empty() || self.is_empty() {
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

    /// An answer was without it. Returns when it is asked for again.
    fn note(&mut self, job: &JobId, asked: Ticket, now: Moment) -> Duration {
        self.undecided.remove(job);
        let at = now.monotonic;
        let spell = self.jobs.entry(job.clone()).or_insert(Spell {
            since: at,
            asked,
            answered: at,
            is_long: false,
        });
        (spell.asked, spell.answered) = (asked, at);
        spell.is_long |= at.saturating_sub(spell.since) >= pace::GRACE;
        let is_long = spell.is_long;
        let jobs = u32::try_from(self.jobs.len()).unwrap_or(u32::MAX);
        if !is_long {
            return at + pace::SWEEP.max(FOR_EACH.saturating_mul(jobs));
        }
        let turn = self.last.max(at) + pace::SWEEP;
        self.last = turn.min(at + pace::SWEEP.saturating_mul(jobs));
        self.last
    }

    /// One is told of again: whoever closed its index and has opened it may have done so with others. Each of them, and when
    /// it may be asked for.
    fn others(&mut self, now: Moment) -> impl Iterator<Item = (&JobId, Duration)> {
        self.last = Duration::ZERO;
        let at = move |spell: &Spell| now.monotonic.max(spell.answered + pace::SWEEP);
        self.jobs.iter().map(move |(job, spell)| (job, at(spell)))
    }
}

/// What is said of such a job, or of several.
pub fn trouble(jobs: &str) -> Trouble {
    Trouble::new(
        Reason::StateNotTold,
        format!(
            "Elasticsearch answers, and does not tell the state of job {jobs}: the index of its results (.ml-anomalies-*) is closed, or the answer cannot be understood; nothing is called for it; open the index"
        ),
    )
}

impl Reconciler {
    /// A question about the states of jobs was answered: of these, and not of all that it asked about; of whom that says
    /// nothing is `undecided`.
    pub(super) fn note_untold(
        &mut self,
        ticket: Ticket,
        asked: &[JobId],
        (found, undecided): (&BTreeMap<JobId, SeenJob>, &[JobId]),
        now: Moment,
    ) {
        if found.len() == asked.len() && self.reads.untold.is_empty() {
            return;
        }
        for (groups_before, group) in (0..).zip(undecided.chunks(TOGETHER)) {
            let at = now.monotonic + FOR_EACH * groups_before;
            for id in group.iter().filter(|id| self.jobs.contains_key(*id)) {
                self.reads.untold.undecided.insert(id.clone());
                self.reads.looks.by(id, at);
            }
        }
        let undecided: BTreeSet<&JobId> = undecided.iter().collect();
        let mut comes_back = false;
        for id in asked.iter().filter(|id| !undecided.contains(id)) {
            if found.contains_key(id) {
                comes_back |= self.reads.untold.forget(id);
            } else {
                self.is_untold(ticket, id, now);
            }
        }
        if comes_back {
            let reads = &mut self.reads;
            for (job, at) in reads.untold.others(now) {
                reads.looks.by(job, at);
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
        if job.doings.in_flight.is_none() {
            // It may be closing for ever; nobody else waits for that.
            self.calls.free(id);
        }
        let users = job.users.clone();
        let again = self.reads.untold.note(id, ticket, now);
        self.reads.looks.by(id, again);
        for key in users {
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
        let secs = Duration::from_secs;
        let mut note = |n: usize, ticket: u64, at: u64| {
            let id = job(&format!("j-{n:03}"));
            let again = untold.note(&id, Ticket(ticket), moment(secs(at)));
            let spell = untold.spell(&id, Ticket(ticket)).unwrap();
            assert_eq!(untold.spell(&id, Ticket(ticket + 1)), None);
            (again, spell.is_long)
        };
        let gaps: Vec<Duration> = (0..100).map(|n| note(n, 1, 1).0).collect();
        assert_eq!(
            [gaps[0], gaps[29], gaps[99]],
            [secs(31), secs(31), secs(101)]
        );
        assert_eq!(note(0, 2, 120), (secs(220), false));
        assert_eq!(note(0, 3, 121), (secs(151), true));
        assert_eq!(note(1, 3, 122), (secs(181), true));
        let one_comes_back = moment(secs(130));
        assert_eq!(note(2, 3, 40), (secs(140), false));
        let others: Vec<Duration> = untold.others(one_comes_back).map(|(_, at)| at).collect();
        assert_eq!(others[2], secs(130));
        assert_eq!([others[0], others[1]], [secs(151), secs(152)]);
        assert!(untold.forget(&job("j-000")) && !untold.forget(&job("j-000")));
    }

    #[test]
    fn while_the_cluster_is_silent_nothing_counts() {
        let mut untold = Untold::default();
        let at = |seconds| moment(Duration::from_secs(seconds));
        untold.note(&job("a"), Ticket(1), at(0));
        untold.lose_count(at(100));
        untold.note(&job("a"), Ticket(2), at(219));
        assert!(!untold.spell(&job("a"), Ticket(2)).unwrap().is_long);
        untold.note(&job("a"), Ticket(3), at(220));
        assert!(untold.spell(&job("a"), Ticket(3)).unwrap().is_long);
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
        // While a read is on its way there is nothing to be asked for, and it is still the turn of the others.
        assert_eq!(split(Vec::new(), &mut untold), (Vec::new(), Vec::new()));
        assert_eq!(split(left, &mut untold), (ids(40..100), ids(32..40)));
        assert_eq!(split(ids(32..40), &mut untold), (ids(32..40), Vec::new()));
        assert_eq!(split(ids(50..60), &mut untold), (ids(50..60), Vec::new()));
    }
}
