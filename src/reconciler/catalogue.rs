//! The configs of one cluster, as they were listed last: which jobs and groups there are, what blocks a job, its datafeed.
//!
//! Shared by all objects. It says what is there, and never in which state: a config has none. A list that Elasticsearch
//! cut, or one that became empty from one moment to the next, is no ground to say that something is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::expression::Names;
use super::seen::{Listing, SeenConfig};
use crate::api::{DatafeedId, JobId};

/// What was listed.
#[derive(Debug, Clone, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Catalogue {
    names: Names,
    /// What live reads found of single jobs that differs; `None`: gone. Who is meant is decided by whole lists, so it is not among
    /// the names.
    corrections: BTreeMap<JobId, Option<SeenConfig>>,
    datafeeds: BTreeMap<JobId, DatafeedId>,
    complete: bool,
    known: bool,
    doubted: bool,
}

/// What a new list changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Jobs that came, went, or whose config or datafeed differs.
    pub jobs: BTreeSet<JobId>,
    /// Ids and groups that came, went, or mean other jobs now.
    pub names: BTreeSet<Arc<str>>,
    /// Every expression may mean other jobs: at the first list, after one that was not complete, or where a live read had found
    /// a job come or gone, or in other groups.
    pub everything: bool,
}

impl Catalogue {
    /// Takes a list. `None`: it is empty and the one before was not, so it is to be read once more before it is believed.
    pub fn take(&mut self, listing: Listing) -> Option<Changes> {
        let emptied = listing.jobs.is_empty() && (self.iter().next().is_some() || !self.known);
        if emptied && !self.doubted {
            self.doubted = true;
            return None;
        }
        self.doubted = false;
        let first = !std::mem::replace(&mut self.known, true);
        let jobs = self.changed(&listing);
        let changes = Changes {
            names: self.renamed(&jobs, &listing),
            jobs,
            everything: first || self.complete != listing.complete || self.are_names_doubtful(),
        };
        self.complete = listing.complete;
        if !(changes.jobs.is_empty() && self.corrections.is_empty()) {
            // Otherwise it is the same in other memory, and members share the ids of the one that is kept.
            self.names = Names::of(listing.jobs);
            self.datafeeds = listing.datafeeds;
            self.corrections.clear();
        }
        Some(changes)
    }

    fn changed(&self, listing: &Listing) -> BTreeSet<JobId> {
        let new = listing.jobs.iter().filter(|(id, config)| {
            self.config(id) != Some(config) || self.datafeeds.get(*id) != listing.datafeeds.get(*id)
        });
        let gone = self
            .iter()
            .map(|(id, _)| id)
            .filter(|id| !listing.jobs.contains_key(*id));
        new.map(|(id, _)| id).chain(gone).cloned().collect()
    }

    /// The names under which other jobs are meant now.
    fn renamed(&self, jobs: &BTreeSet<JobId>, listing: &Listing) -> BTreeSet<Arc<str>> {
        let mut names = BTreeSet::new();
        for job in jobs {
            let both = [self.config(job), listing.jobs.get(job)];
            let [before, after] =
                both.map(|config| config.map(|config| (&config.groups, config.deleting)));
            if before != after {
                names.insert(Arc::from(job.as_str()));
                let groups = before
                    .into_iter()
                    .chain(after)
                    .flat_map(|(groups, _)| groups);
                names.extend(groups.cloned());
            }
        }
        names
    }

    /// A live read found a job come or gone, or in other groups, since the names were taken.
    fn are_names_doubtful(&self) -> bool {
        let named = |config: &SeenConfig| (config.groups.clone(), config.deleting);
        self.corrections
            .iter()
            .any(|(job, now)| self.names.jobs().get(job).map(named) != now.as_ref().map(named))
    }

    /// The config of a job.
    pub fn config(&self, job: &JobId) -> Option<&SeenConfig> {
        match self.corrections.get(job) {
            Some(corrected) => corrected.as_ref(),
            None => self.names.jobs().get(job),
        }
    }

    /// All configs, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&JobId, &SeenConfig)> {
        let listed = self.names.jobs().iter();
        let corrected = self.corrections.iter();
        listed
            .filter(|(job, _)| !self.corrections.contains_key(*job))
            .chain(corrected.filter_map(|(job, config)| Some((job, config.as_ref()?))))
    }

    /// What the live reads found of one job is newer than the list.
    pub fn correct(&mut self, job: &JobId, config: Option<SeenConfig>) {
        if self.names.jobs().get(job) == config.as_ref() {
            self.corrections.remove(job);
        } else {
            self.corrections.insert(job.clone(), config);
        }
    }

    /// The datafeed of a job.
    pub fn datafeed(&self, job: &JobId) -> Option<&DatafeedId> {
        self.datafeeds.get(job)
    }

    /// Ids and groups.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// How many jobs were listed.
    pub(super) fn len(&self) -> usize {
        self.names.jobs().len()
    }

    /// It was read.
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// Nothing is left out.
    pub fn is_complete(&self) -> bool {
        self.complete
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn job(id: &str) -> JobId {
        JobId::parse(id).unwrap()
    }

    /// All the jobs of a cluster, each with its groups.
    pub(in super::super) fn listing(jobs: &[(&str, &[&str])]) -> Listing {
        let config = |groups: &[&str]| SeenConfig::of(groups, None, false);
        Listing {
            jobs: jobs
                .iter()
                .map(|(id, groups)| (job(id), config(groups)))
                .collect(),
            complete: true,
            ..Listing::default()
        }
    }

    #[test]
    fn an_empty_list_is_believed_when_it_is_read_twice() {
        let mut catalogue = Catalogue::default();
        assert!(catalogue.take(listing(&[])).is_none());
        assert!(!catalogue.is_known() && catalogue.doubted);
        assert!(catalogue.take(listing(&[])).is_some());
        assert!(catalogue.is_known() && !catalogue.doubted);
        catalogue.take(listing(&[("a", &[])]));
        assert!(catalogue.take(listing(&[])).is_none());
        assert_eq!(catalogue.len(), 1);
        let changes = catalogue.take(listing(&[("a", &[])]));
        assert_eq!(changes, Some(Changes::default()));
    }

    #[test]
    fn what_a_live_read_found_is_taken_into_the_names_by_the_next_list() {
        let mut catalogue = Catalogue::default();
        let both = listing(&[("a", &["g"]), ("b", &["g"])]);
        catalogue.take(both.clone());
        catalogue.correct(&job("a"), both.jobs.get(&job("a")).cloned());
        assert_eq!(catalogue.take(both), Some(Changes::default()));
        catalogue.correct(&job("a"), None);
        assert!(catalogue.names().contains(&job("a")));
        let changes = catalogue.take(listing(&[("b", &["g"])])).unwrap();
        assert!(changes.everything && !catalogue.names().contains(&job("a")));
    }

    #[test]
    fn after_a_list_that_was_cut_everything_may_mean_other_jobs_until_one_is_whole() {
        let mut catalogue = Catalogue::default();
        let whole = listing(&[("a", &[]), ("b", &[])]);
        let cut = Listing {
            complete: false,
            ..whole.clone()
        };
        for (list, everything) in [
            (&cut, true),
            (&cut, false),
            (&whole, true),
            (&whole, false),
            (&cut, true),
        ] {
            let changes = catalogue.take(list.clone()).unwrap();
            assert_eq!(changes.everything, everything);
            assert_eq!(
                (catalogue.is_complete(), catalogue.len()),
                (list.complete, 2)
            );
        }
    }

    #[test]
    fn only_what_differs_is_told() {
        let mut catalogue = Catalogue::default();
        catalogue.take(listing(&[("a", &["g"]), ("b", &[]), ("c", &[])]));
        let mut next = listing(&[("a", &["g", "h"]), ("b", &[]), ("d", &[])]);
        let changes = catalogue.take(next.clone()).unwrap();
        assert_eq!(
            changes.jobs,
            [job("a"), job("c"), job("d")].into_iter().collect()
        );
        let names: Vec<&str> = changes.names.iter().map(|name| &**name).collect();
        assert_eq!(names, ["a", "c", "d", "g", "h"]);
        next.jobs.get_mut(&job("b")).unwrap().more.blocked = Some(Arc::from("reset"));
        let changes = catalogue.take(next).unwrap();
        assert_eq!(changes.jobs, [job("b")].into_iter().collect());
        assert!(
            changes.names.is_empty() && !changes.everything,
            "who is meant did not change"
        );
    }
}
