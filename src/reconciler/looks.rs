//! The plan of looks: which jobs are to be asked for their states, and when.
//!
//! A job that somebody waits for is looked at at its own time. The others go together: with the next look that is planned
//! anyway, or as soon as there are very many of them and no more are coming. It must not know what a look finds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::pace;
use super::turns::Lane;
use crate::api::JobId;

/// Looks within this time of one that is due go with it; and where so long none came to those that gather, none are coming.
const TOGETHER: Duration = Duration::from_millis(100);
/// More jobs than this are worth a read of their own, and are asked for all at once where they are most of the cluster's.
pub(super) const VERY_MANY: usize = 400;
/// The same while more may come: ten reads of ten thousand jobs at most are made before the half second is over.
const ENOUGH: usize = 1000;

/// The looks that are planned.
#[derive(Debug, Clone, Default)]
pub(super) struct Looks {
    by_job: BTreeMap<JobId, Duration>,
    by_time: BTreeMap<Duration, BTreeSet<JobId>>,
    /// Of those that are planned the ones that only wait for others, and when the last of them came.
    gathering: BTreeSet<JobId>,
    came: Duration,
    /// Jobs that somebody waits for and that are to be looked at now.
    hurried: BTreeSet<JobId>,
}

impl Looks {
    /// Asks for a read of the job's state at `at` or earlier.
    pub(super) fn by(&mut self, job: &JobId, at: Duration) {
        let at = self.planned(job).map_or(at, |set| at.min(set));
        self.put_off(job);
        self.by_job.insert(job.clone(), at);
        self.by_time.entry(at).or_default().insert(job.clone());
    }

    /// When the job is going to be looked at.
    pub(super) fn planned(&self, job: &JobId) -> Option<Duration> {
        self.by_job.get(job).copied()
    }

    /// Asks for a read of a job that was just called, or found: at once where somebody waits for it, else with others.
    pub(super) fn gather(&mut self, job: &JobId, now: Duration, lane: Lane) {
        match lane {
            Lane::Fresh => self.by(job, now),
            Lane::Slow => {
                self.by(job, self.shared(now, now + pace::LOOK_TOGETHER));
                self.gathering.insert(job.clone());
                self.came = now;
            }
        }
    }

    /// When a job is looked at again that is to be looked at within `gap`.
    pub(super) fn within(&self, now: Duration, gap: Duration, lane: Lane) -> Duration {
        match lane {
            Lane::Fresh => now + gap,
            Lane::Slow => self.shared(now + gap * 3 / 4, now + gap),
        }
    }

    /// The first moment from `earliest` on at which others are looked at anyway, or else the latest.
    fn shared(&self, earliest: Duration, latest: Duration) -> Duration {
        let planned = self.by_time.range(earliest..=latest).next();
        planned.map_or(latest, |(at, _)| *at)
    }

    /// When the next jobs are looked at.
    pub(super) fn next(&self, more_may_come: bool) -> Option<Duration> {
        let (first, _) = self.by_time.first_key_value()?;
        let gathered = self.gathered_at(more_may_come);
        Some(gathered.map_or(*first, |at| at.min(*first)))
    }

    /// When those that wait for others are enough: very many do not wait for more where no more are coming.
    fn gathered_at(&self, more_may_come: bool) -> Option<Duration> {
        let (least, wait) = if more_may_come {
            (ENOUGH, TOGETHER)
        } else {
            (VERY_MANY, Duration::ZERO)
        };
        (self.gathering.len() > least).then(|| self.came + wait)
    }

    /// Takes what is due, and what goes with it; sorted.
    pub(super) fn take(&mut self, now: Duration, more_may_come: bool) -> Vec<JobId> {
        let due = self.by_time.range(..=now + TOGETHER);
        let mut jobs: BTreeSet<JobId> = due.flat_map(|(_, jobs)| jobs).cloned().collect();
        if self.gathered_at(more_may_come).is_some_and(|at| at <= now) {
            jobs.extend(self.gathering.iter().cloned());
        }
        self.forget_all(jobs)
    }

    /// Takes those that somebody waits for; sorted.
    pub(super) fn take_hurried(&mut self) -> Vec<JobId> {
        let jobs = std::mem::take(&mut self.hurried);
        self.forget_all(jobs)
    }

    /// The job is to be looked at now, also beside a read of very many.
    pub(super) fn hurry(&mut self, job: &JobId) {
        self.hurried.insert(job.clone());
    }

    /// Nobody wants to know.
    pub(super) fn forget(&mut self, job: &JobId) {
        self.hurried.remove(job);
        self.gathering.remove(job);
        self.put_off(job);
    }

    fn forget_all(&mut self, jobs: BTreeSet<JobId>) -> Vec<JobId> {
        for job in &jobs {
            self.forget(job);
        }
        jobs.into_iter().collect()
    }

    fn put_off(&mut self, job: &JobId) {
        let Some(at) = self.by_job.remove(job) else {
            return;
        };
        if let Some(jobs) = self.by_time.get_mut(&at) {
            jobs.remove(job);
            if jobs.is_empty() {
                self.by_time.remove(&at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn job(n: usize) -> JobId {
        JobId::parse(&format!("j-{n}")).unwrap()
    }

    /// So many jobs that nobody waits for, found at the same moment.
    fn found(count: usize) -> Looks {
        let mut looks = Looks::default();
        for n in 0..count {
            looks.gather(&job(n), MS, Lane::Slow);
        }
        looks
    }

    #[test]
    fn a_look_that_nobody_waits_for_goes_with_one_that_is_planned_within_its_last_quarter() {
        let mut looks = Looks::default();
        looks.by(&job(1), MS * 200);
        assert_eq!(looks.within(MS, MS * 999, Lane::Slow), MS * 1000);
        looks.by(&job(2), MS * 800);
        assert_eq!(looks.within(MS, MS * 999, Lane::Slow), MS * 800);
        assert_eq!(looks.within(MS, MS * 999, Lane::Fresh), MS * 1000);
    }

    #[test]
    fn what_waits_for_others_waits_half_a_second_and_very_many_only_while_more_are_coming() {
        assert!(Looks::default().next(false).is_none());
        let mut few = found(VERY_MANY);
        for more_may_come in [true, false] {
            assert_eq!(few.next(more_may_come), Some(MS * 501));
        }
        assert!(few.take(MS * 101, false).is_empty());
        let many = found(VERY_MANY + 1);
        assert_eq!(many.next(false), Some(MS));
        assert_eq!(many.next(true), Some(MS * 501));
        let mut more = found(ENOUGH + 1);
        assert_eq!(more.next(true), Some(MS * 101));
        more.gather(&job(0), MS * 50, Lane::Slow);
        assert_eq!(more.next(true), Some(MS * 150), "one came again");
        assert!(more.take(MS * 149, true).is_empty());
        assert_eq!(more.take(MS * 150, true).len(), ENOUGH + 1);
        assert!(more.next(true).is_none());
    }

    #[test]
    fn what_has_a_time_of_its_own_does_not_make_those_many_that_wait_for_others() {
        let mut looks = found(VERY_MANY);
        looks.by(&job(VERY_MANY), MS * 501);
        assert_eq!(looks.next(false), Some(MS * 501));
        looks.gather(&job(VERY_MANY), MS * 2, Lane::Slow);
        looks.by(&job(VERY_MANY + 1), MS * 700);
        assert_eq!(looks.next(false), Some(MS * 2));
        assert_eq!(looks.take(MS * 2, false).len(), VERY_MANY + 1);
        assert_eq!(looks.next(false), Some(MS * 700));
    }

    #[test]
    fn one_that_is_overdue_does_not_keep_very_many_waiting() {
        let mut looks = found(VERY_MANY + 1);
        looks.by(&job(9999), Duration::ZERO);
        assert_eq!(looks.next(false), Some(Duration::ZERO));
        assert_eq!(looks.take(MS * 5, false).len(), VERY_MANY + 2);
    }

    #[test]
    fn what_is_taken_is_planned_no_more_and_what_is_planned_soon_after_goes_with_it() {
        let mut looks = Looks::default();
        for (n, at) in [(1, 10), (2, 110), (3, 111)] {
            looks.by(&job(n), MS * at);
        }
        looks.by(&job(3), MS * 500);
        assert_eq!(looks.planned(&job(3)), Some(MS * 111), "the earlier stays");
        assert_eq!(looks.take(MS * 10, true), [job(1), job(2)]);
        assert_eq!(looks.take(MS * 300, true), [job(3)]);
        assert!(looks.next(true).is_none() && looks.planned(&job(1)).is_none());
        looks.hurry(&job(4));
        looks.forget(&job(4));
        assert!(looks.take_hurried().is_empty());
    }
}
