//! Who is meant: an expression, expanded over the names of one cluster by Elasticsearch's own rules.
//!
//! Reference 3.3, 17.4 and 17.11, held to each recorded answer of a real Elasticsearch. Nothing is known here of states,
//! limits or claims, and no expression leaves this room: what comes out are ids. Where Elasticsearch would answer 404 the
//! ids that do exist are told as well, so that one missing member need not block the others.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use super::seen::SeenConfig;
use crate::api::glob::Glob;
use crate::api::{JobExpression, JobId, JobPattern};

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

/// The first number of wildcard tokens that Elasticsearch refuses: two clauses each, 1024 clauses a query.
const TOO_MANY_WILDCARDS: usize = 512;

/// The jobs of one cluster as its configs said, and their groups.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Names {
    jobs: BTreeMap<JobId, SeenConfig>,
    /// The members of each group, without the jobs that are being deleted.
    groups: BTreeMap<Arc<str>, BTreeSet<JobId>>,
}

impl Names {
    /// The names of these jobs.
    pub fn of(jobs: BTreeMap<JobId, SeenConfig>) -> Self {
        let mut groups: BTreeMap<Arc<str>, BTreeSet<JobId>> = BTreeMap::new();
        for (id, config) in jobs.iter().filter(|(_, config)| !config.deleting) {
            for group in &config.groups {
                let members = groups.entry(Arc::clone(group)).or_default();
                members.insert(id.clone());
            }
        }
        Self { jobs, groups }
    }

    /// What the configs said of each.
    pub fn jobs(&self) -> &BTreeMap<JobId, SeenConfig> {
        &self.jobs
    }

    /// Whether the cluster has this job, also while it is being deleted.
    pub fn contains(&self, id: &JobId) -> bool {
        self.jobs.contains_key(id)
    }

    /// A name that is a job's and also that of a group with jobs that are not meant: Elasticsearch makes no such job, but
    /// where it is so all the same a call for the job would reach the group.
    pub fn reaches_others(&self, id: &JobId, meant: &BTreeSet<JobId>) -> bool {
        let members = self.groups.get(id.as_str());
        members.is_some_and(|members| !members.is_subset(meant))
    }

    /// Whether a job that is not being deleted is in a group of this name.
    pub fn is_group(&self, name: &JobId) -> bool {
        self.groups.contains_key(name.as_str())
    }

    /// Every job that a wildcard may match.
    fn all(&self) -> impl Iterator<Item = &JobId> {
        let live = |(id, job): (_, &SeenConfig)| (!job.deleting).then_some(id);
        self.jobs.iter().filter_map(live)
    }

    /// The jobs of this very id, and those of this group. Both, should one name be an id and a group.
    fn named(&self, token: &str) -> impl Iterator<Item = &JobId> {
        let job = self.jobs.get_key_value(token).map(|(id, _)| id);
        job.into_iter()
            .chain(self.groups.get(token).into_iter().flatten())
    }

    /// The jobs of which the id or a group fits. Only names that begin like the pattern are looked at.
    fn fitting<'a>(&'a self, pattern: &'a str, glob: &'a Glob) -> impl Iterator<Item = &'a JobId> {
        let end = pattern.find(['*', '?', '\\']).unwrap_or(pattern.len());
        let prefix = pattern.get(..end).unwrap_or_default();
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let ids = self
            .jobs
            .range::<str, _>(from)
            .take_while(move |(id, _)| id.as_str().starts_with(prefix))
            .filter(|(id, job)| !job.deleting && glob.matches(id.as_str()))
            .map(|(id, _)| id);
        let members = self
            .groups
            .range::<str, _>(from)
            .take_while(move |(group, _)| group.starts_with(prefix))
            .filter(|(group, _)| glob.matches(group))
            .flat_map(|(_, members)| members);
        ids.chain(members)
    }
}

/// What an expression means on a cluster.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// The jobs that are meant, without those that are left out. Also told where Elasticsearch would answer 404.
    pub jobs: BTreeSet<JobId>,
    /// What Elasticsearch would name in its 404, in its order, duplicates repeated. Empty where it would answer 200.
    pub unmatched: Vec<Arc<str>>,
    /// Whether Elasticsearch would refuse the expression, because it has 512 wildcards or more; then nothing is meant.
    pub refused: bool,
    /// How many jobs matched and are left out by `exclude`.
    pub excluded: usize,
}

/// Expands an expression. A job that is being deleted is meant by its own id only, never by a group or a wildcard.
///
/// One literal costs two look-ups; a wildcard costs the names that begin like it.
pub fn resolve(
    expression: &JobExpression,
    exclude: &[JobPattern],
    allow_no_match: bool,
    names: &Names,
) -> Resolution {
    let tokens: Vec<&str> = expression.tokens().collect();
    let mut resolution = expand(&tokens, allow_no_match, names);
    let matched = resolution.jobs.len();
    if !exclude.is_empty() {
        let left_out = |id: &JobId| exclude.iter().any(|pattern| pattern.matches(id));
        resolution.jobs.retain(|id| !left_out(id));
    }
    resolution.excluded = matched - resolution.jobs.len();
    resolution
}

pub(super) fn expand(tokens: &[&str], allow_no_match: bool, names: &Names) -> Resolution {
    match tokens {
        ["_all" | "*"] => every_job(allow_no_match, names),
        _ => each_token(tokens, allow_no_match, names),
    }
}

fn every_job(allow_no_match: bool, names: &Names) -> Resolution {
    let jobs: BTreeSet<_> = names.all().cloned().collect();
    // Elasticsearch calls what matched nothing `*`, also where `_all` was asked for.
    let missing = jobs.is_empty() && !allow_no_match;
    Resolution {
        unmatched: missing.then(|| Arc::from("*")).into_iter().collect(),
        jobs,
        ..Resolution::default()
    }
}

fn each_token(tokens: &[&str], allow_no_match: bool, names: &Names) -> Resolution {
    let is_wildcard = |token: &&&str| token.contains('*');
    if tokens.iter().filter(is_wildcard).count() >= TOO_MANY_WILDCARDS {
        return Resolution {
            refused: true,
            ..Resolution::default()
        };
    }
    let mut resolution = Resolution::default();
    // A token that is repeated finds nothing new, but it is named again where it is missing.
    let mut satisfied: BTreeMap<&str, bool> = BTreeMap::new();
    for token in tokens {
        let satisfied = *satisfied
            .entry(token)
            .or_insert_with(|| one_token(token, allow_no_match, names, &mut resolution.jobs));
        if !satisfied {
            resolution.unmatched.push(Arc::from(*token));
        }
    }
    resolution
}

/// Adds what a token means; whether it is satisfied.
fn one_token(token: &str, allow_no_match: bool, names: &Names, jobs: &mut BTreeSet<JobId>) -> bool {
    if !token.contains('*') {
        let mut found = names.named(token).peekable();
        let satisfied = found.peek().is_some();
        jobs.extend(found.cloned());
        return satisfied;
    }
    let (search, check) = (Glob::search(token), Glob::plain(token));
    let mut found = names.fitting(token, &search).peekable();
    let some = found.peek().is_some();
    jobs.extend(found.cloned());
    // The check reads the pattern in its own way: what the search found by a `?` does not satisfy it.
    allow_no_match
        || if search == check {
            some
        } else {
            names.fitting(token, &check).next().is_some()
        }
}
