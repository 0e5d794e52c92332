//! What Elasticsearch tells when it is asked, and what the asking costs in requests and searches.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{FakeJob, World, moment, secs};
use crate::api::{JobId, JobPattern, JobState};
use crate::reconciler::input::*;
use crate::reconciler::seldom::Seldom;

/// Of these sorted ids those that a wildcard means; all wildcards are beginnings.
fn meant<'a>(
    wildcards: &[JobPattern],
    ids: impl IntoIterator<Item = &'a JobId>,
) -> BTreeSet<&'a JobId> {
    let ids: Vec<&JobId> = if wildcards.is_empty() {
        Vec::new()
    } else {
        ids.into_iter().collect()
    };
    let of = |word: &JobPattern| {
        let begins = word.as_str().trim_end_matches('*').to_owned();
        let from = ids.partition_point(|id| id.as_str() < begins.as_str());
        ids.iter()
            .skip(from)
            .copied()
            .take_while(move |id| id.as_str().starts_with(&begins))
            .collect::<Vec<_>>()
    };
    wildcards.iter().flat_map(of).collect()
}

/// How many requests a question is, with so many bytes of ids in each.
pub(super) fn requests(question: &Question, room: usize) -> usize {
    let lines = |bytes: usize| bytes.div_ceil(room).max(1);
    match question {
        Question::Catalogue => 3,
        Question::Tasks | Question::Info => 1,
        Question::States {
            jobs,
            datafeeds,
            wildcards,
        } => {
            let meant = meant(wildcards, jobs);
            let left = jobs.iter().filter(|id| !meant.contains(id));
            let of_left: usize = left.map(|id| id.as_str().len() + 1).sum();
            let of_words: usize = wildcards.iter().map(|word| word.as_str().len() + 1).sum();
            let by_words = if of_words == 0 { 0 } else { lines(of_words) };
            let by_ids = if of_left == 0 { 0 } else { lines(of_left) };
            let of_feeds: usize = datafeeds.iter().map(|(_, id)| id.as_str().len() + 1).sum();
            let feeds = if of_feeds == 0 { 0 } else { lines(of_feeds) };
            by_words + by_ids + if datafeeds.len() > 300 { 1 } else { feeds }
        }
    }
}

impl World {
    /// What Elasticsearch answers to a question.
    pub(in super::super) fn look(&self, question: &Question) -> Answer {
        match question {
            Question::Catalogue => Answer::Catalogue(self.listing()),
            Question::Tasks => Answer::Tasks(self.monitor.then(|| self.tasks())),
            Question::Info => Answer::Info(self.upgrade_mode),
            Question::States {
                jobs, datafeeds, ..
            } => {
                let feeds: BTreeSet<&JobId> = datafeeds.iter().map(|(of, _)| of).collect();
                let is_untold = |id: &&JobId| self.jobs.get(*id).is_some_and(|job| job.is_untold);
                let undecided = self.undecided(jobs);
                let is_told = |id: &&JobId| !is_untold(id) && !undecided.contains(id);
                let seen = jobs
                    .iter()
                    .filter(is_told)
                    .map(|id| (id.clone(), self.see(id, feeds.contains(id))));
                Answer::States(seen.collect(), undecided)
            }
        }
    }

    /// Of many jobs with many of whom nothing is told it is given up to find these out: of each eight with one of them.
    fn undecided(&self, jobs: &[JobId]) -> Vec<JobId> {
        let is_untold = |id: &&JobId| self.jobs.get(*id).is_some_and(|job| job.is_untold);
        if jobs.len() <= 32 || jobs.iter().filter(is_untold).count() <= 4 {
            return Vec::new();
        }
        let groups = jobs
            .chunks(8)
            .filter(|group| group.iter().any(|id| is_untold(&id)));
        groups.flatten().cloned().collect()
    }

    /// Searches behind the requests of a question, as a 7.10 makes them (reference section 17): one a list, one a
    /// `_stats`, and of those jobs one for an open one and four for a closed one.
    pub(super) fn searches_of(&self, question: &Question, requests: usize) -> usize {
        match question {
            Question::Catalogue => requests - 1,
            Question::Tasks | Question::Info => 0,
            Question::States {
                jobs, wildcards, ..
            } => {
                let cost = |job: &FakeJob| if job.state == JobState::Closed { 4 } else { 1 };
                let mut told = meant(wildcards, self.jobs.keys());
                told.extend(jobs);
                let words: Vec<&str> = wildcards.iter().map(JobPattern::as_str).collect();
                let like = |name: &str| {
                    words
                        .iter()
                        .any(|word| name.starts_with(word.trim_end_matches('*')))
                };
                let grouped = self
                    .jobs
                    .iter()
                    .filter(|(_, job)| job.groups.iter().any(|name| like(name)));
                told.extend(grouped.map(|(id, _)| id));
                let told = told.into_iter().filter_map(|id| self.jobs.get(id));
                requests + told.map(cost).sum::<usize>()
            }
        }
    }

    pub(in super::super) fn listing(&self) -> Listing {
        let most = if self.lists_nothing {
            0
        } else {
            self.cut_at.unwrap_or(usize::MAX)
        };
        let configs = self.jobs.iter().filter(|(_, job)| job.config).take(most);
        let feeds = self.jobs.iter().filter_map(|(id, job)| {
            let (feed, _) = job.datafeed.as_ref()?;
            Some((id.clone(), feed.clone()))
        });
        Listing {
            jobs: configs
                .map(|(id, job)| (id.clone(), job.seen_config()))
                .collect(),
            datafeeds: feeds.collect(),
            complete: self.cut_at.is_none_or(|most| self.jobs.len() < most),
            upgrade_mode: self.upgrade_mode,
            requests: 3,
        }
    }

    pub(super) fn tasks(&self) -> Tasks {
        let open = self
            .jobs
            .iter()
            .filter(|(_, job)| job.state != JobState::Closed);
        let feeds = self.jobs.iter().filter_map(|(id, job)| {
            let feed = job.seen_datafeed()?;
            feed.runs().then(|| (id.clone(), (feed, job.has_end)))
        });
        Tasks {
            jobs: open.map(|(id, job)| (id.clone(), task_of(job))).collect(),
            datafeeds: feeds.collect(),
        }
    }

    pub(super) fn see(&self, id: &JobId, with_datafeed: bool) -> SeenJob {
        let known = |job: &&FakeJob| job.config || job.state != JobState::Closed;
        let Some(job) = self.jobs.get(id).filter(known) else {
            return SeenJob::default();
        };
        let live = job.assigned && matches!(job.state, JobState::Opened | JobState::Closing);
        SeenJob {
            state: Some(SeenState {
                state: job.state,
                assigned: job.assigned,
                upgrade_mode: self.upgrade_mode && job.state != JobState::Closed,
                on_node: Seldom::from(OnNode {
                    explanation: (!job.assigned).then(|| Arc::from("no node has room")),
                    open_for: live
                        .then(|| secs(self.clock.saturating_sub(job.opened_at).as_secs())),
                }),
                latest_record: job.latest_record.and_then(|at| Millis::of(moment(at).wall)),
            }),
            datafeed: job
                .seen_datafeed()
                .filter(|_| with_datafeed)
                .map(|feed| SeenDatafeed {
                    real_time: feed.real_time.filter(|_| !self.hides_kind),
                    ..feed
                }),
        }
    }

    /// What the live reads before a force find.
    pub(in super::super) fn live(&self, id: &JobId) -> LiveLook {
        let config = self.jobs.get(id).filter(|job| job.config);
        LiveLook {
            job: self.see(id, true),
            config: config.map(FakeJob::seen_config),
            upgrade_mode: self.upgrade_mode,
            snapshot: config.and_then(FakeJob::snapshot),
        }
    }
}

fn task_of(job: &FakeJob) -> SeenTask {
    SeenTask {
        state: job.state,
        assigned: job.assigned,
    }
}
