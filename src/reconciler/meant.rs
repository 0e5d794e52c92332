//! Which jobs an object may have as members: of those that its expression matches, the ones that its connection covers.
//!
//! What is not covered is no member, so it is neither looked at nor called, whatever is wanted of it. It must not be told
//! of it either, but that it is not allowed; and not even by its name, where the object does not name it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::catalogue::Catalogue;
use super::expression::Resolution;
use super::input::{Scope, Trouble};
use super::seldom::rare;
use crate::api::{Allow, JobExpression, JobId, Reason};

/// Jobs that are meant, and that the connection does not cover.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Barred {
    /// Those that the object names by their ids, whether there are such jobs or not.
    pub named: BTreeSet<JobId>,
    /// How many others match.
    pub others: usize,
}

impl Barred {
    /// All that is meant is covered.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty() && self.others == 0
    }
}

/// What of an object's expression no member stands for, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unmet {
    /// Jobs that matched, where they are too many to be members.
    pub too_many: Option<usize>,
    /// Why what is meant cannot be found out, or part of it cannot be.
    pub obstacle: Option<Trouble>,
    /// What is meant, and not allowed.
    pub barred: Barred,
    /// Tokens that match nothing and must.
    pub unmatched: Vec<Arc<str>>,
    /// For how long answered lists have not known them.
    pub unmatched_for: Duration,
    /// When they were missed last.
    pub unmatched_at: Option<Duration>,
}

rare!(Unmet);

/// Takes out what the connection does not cover.
fn bar(jobs: &mut BTreeSet<JobId>, expression: &JobExpression, allow: &Allow) -> Barred {
    let named: BTreeSet<JobId> = ids(expression).flatten().collect();
    let mut barred = Barred::default();
    jobs.retain(|job| {
        let covered = allow.covers(job);
        if !covered && named.contains(job) {
            barred.named.insert(job.clone());
        } else if !covered {
            barred.others += 1;
        }
        covered
    });
    barred
}

/// The jobs that are members, and what no member stands for; since when, is known of before.
pub(super) fn meant(
    scope: &Scope,
    before: &Unmet,
    found: Resolution,
    catalogue: &Catalogue,
    allow: &Allow,
) -> (BTreeSet<JobId>, Unmet) {
    let mut unmet = Unmet {
        unmatched_for: before.unmatched_for,
        unmatched_at: before.unmatched_at,
        ..Unmet::default()
    };
    if found.refused {
        unmet.obstacle = Some(Trouble::new(
            Reason::ExpressionRefused,
            "Elasticsearch refuses an expression of 512 wildcards or more; write fewer, or name a group",
        ));
        return (BTreeSet::new(), unmet);
    }
    let mut jobs = found.jobs;
    unmet.barred = bar(&mut jobs, &scope.expression, allow);
    unmet.obstacle = drop_namesakes(&mut jobs, catalogue);
    if !catalogue.is_complete() && !names_only_listed(&scope.expression, catalogue, allow) {
        let named: BTreeSet<JobId> = ids(&scope.expression).flatten().collect();
        jobs.retain(|job| named.contains(job));
        unmet.obstacle = Some(Trouble::new(
            Reason::ViewIncomplete,
            "the cluster has more jobs than Elasticsearch tells, so it is not known which of them are meant; name the jobs by their ids",
        ));
        return (jobs, unmet);
    }
    if jobs.len() > usize::try_from(scope.max_jobs).unwrap_or(usize::MAX) {
        unmet.too_many = Some(jobs.len());
        unmet.obstacle = Some(too_many(jobs.len(), scope.max_jobs));
        return (BTreeSet::new(), unmet);
    }
    for token in found.unmatched {
        let id = JobId::parse(&token).ok();
        // An id that is not listed yet may come, or have lost its config: it is looked at by its name.
        match id.filter(|id| !scope.exclude.iter().any(|pattern| pattern.matches(id))) {
            Some(id) if !allow.covers(&id) => drop(unmet.barred.named.insert(id)),
            Some(id) => drop(jobs.insert(id)),
            None => unmet.unmatched.push(token),
        }
    }
    (jobs, unmet)
}

/// The ids an expression names, and nothing for each of its wildcards.
fn ids(expression: &JobExpression) -> impl Iterator<Item = Option<JobId>> {
    expression.tokens().map(|token| JobId::parse(token).ok())
}

fn names_only_listed(expression: &JobExpression, catalogue: &Catalogue, allow: &Allow) -> bool {
    let is_group = |id: &JobId| catalogue.names().is_group(id);
    // Of an id that is not covered it must not show whether it is listed.
    let is_listed =
        |id: JobId| catalogue.config(&id).is_some() || !allow.covers(&id) && !is_group(&id);
    ids(expression).all(|id| id.is_some_and(is_listed))
}

fn too_many(matched: usize, allowed: u32) -> Trouble {
    let message = format!(
        "spec.jobId matches {matched} jobs and spec.maxJobs allows {allowed}; raise maxJobs, or narrow jobId or exclude"
    );
    Trouble::new(Reason::TooManyJobs, message)
}

/// Takes out jobs whose id is also the name of a group with others in it: a call for them would reach those.
fn drop_namesakes(jobs: &mut BTreeSet<JobId>, catalogue: &Catalogue) -> Option<Trouble> {
    let reaches = |id: &&JobId| catalogue.names().reaches_others(id, jobs);
    let namesakes: Vec<JobId> = jobs.iter().filter(reaches).cloned().collect();
    let id = namesakes.first()?;
    let message = format!(
        "{id} is a job and also a group of other jobs, so a call for it would reach those; give the group another name"
    );
    jobs.retain(|id| !namesakes.contains(id));
    Some(Trouble::new(Reason::ExpressionRefused, message))
}
