//! The plan of looks: which jobs are to be asked for their states, and when.
//!
//! A job that somebody waits for is looked at at its own time. The others go together: with the next look that is planned
//! anyway, or as soon as there are very many of them and no more are coming. It must not know what a look finds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::pace;
use super::turns::Lane;
use crate::api::JobId;

/// Looks within this time of one that is due go with it.
const TOGETHER: Duration = Duration::from_millis(100);
/// More jobs than this are worth a read of their own.
pub(super) const VERY_MANY: usize = 400;

/// The looks that are planned.
#[derive(Debug, Clone, Default)]
pub(super) struct Looks {
    by_job: BTreeMap<JobId, Duration>,
    by_time: BTreeMap<Duration, BTreeSet<JobId>>,
    /// When those are looked at that wait for others, and when the last of them came.
    gathering: Option<(Duration, Duration)>,
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

    /// When a job is looked at that was just called, or found: at once where somebody waits for it, else with others.
    pub(super) fn soon(&mut self, now: Duration, lane: Lane) -> Duration {
        match lane {
            Lane::Fresh => now,
            Lane::Slow => {
                let at = self.shared(now, now + pace::LOOK_TOGETHER);
                self.gathering = Some((at, now));
                at
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

    /// When the next jobs are looked at, and until when others are planned that go with them.
    pub(super) fn next(&self, more_may_come: bool) -> Option<(Duration, Duration)> {
        let (first, _) = self.by_time.first_key_value()?;
        let due = (*first, *first + TOGETHER);
        let gathered = self.gathered(more_may_come);
        Some(gathered.map_or(due, |gathered| gathered.min(due)))
    }

    /// When those that wait for others are enough, and until when they would have waited: very many do not wait for more
    /// where no more are coming.
    fn gathered(&self, more_may_come: bool) -> Option<(Duration, Duration)> {
        let (at, last) = self.gathering?;
        let many = self.by_time.get(&at)?.len() > VERY_MANY;
        let enough = if more_may_come { last + TOGETHER } else { last };
        many.then_some((enough, at))
    }

    /// Takes what is planned until then, and what is planned so soon after now that it goes with it; sorted.
    pub(super) fn take(&mut self, until: Duration, now: Duration) -> Vec<JobId> {
        let due = self.by_time.range(..=until.max(now + TOGETHER));
        let jobs: BTreeSet<JobId> = due.flat_map(|(_, jobs)| jobs).cloned().collect();
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

    /// So many jobs that nobody waits for, each found a millisecond after the one before.
    fn found(count: usize) -> Looks {
        let mut looks = Looks::default();
        for (n, now) in (0..count).zip(std::iter::successors(Some(MS), |at| Some(*at + MS))) {
            let at = looks.soon(now, Lane::Slow);
            looks.by(&job(n), at);
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
        let few = found(VERY_MANY);
        for more_may_come in [true, false] {
            assert_eq!(few.next(more_may_come), Some((MS * 501, MS * 601)));
        }
        let many = found(VERY_MANY + 1);
        assert_eq!(many.next(true), Some((MS * 501, MS * 501)));
        assert_eq!(many.next(false), Some((MS * 401, MS * 501)));
        assert!(Looks::default().next(false).is_none());
    }

    #[test]
    fn what_is_taken_is_planned_no_more_and_what_is_planned_soon_after_goes_with_it() {
        let mut looks = Looks::default();
        for (n, at) in [(1, 10), (2, 109), (3, 111)] {
            looks.by(&job(n), MS * at);
        }
        looks.by(&job(3), MS * 500);
        assert_eq!(looks.planned(&job(3)), Some(MS * 111), "the earlier stays");
        assert_eq!(looks.take(MS * 10, MS * 10), [job(1), job(2)]);
        assert_eq!(looks.take(MS * 300, MS * 10), [job(3)]);
        assert!(looks.next(true).is_none() && looks.planned(&job(1)).is_none());
        looks.hurry(&job(4));
        looks.forget(&job(4));
        assert!(looks.take_hurried().is_empty());
    }
}
