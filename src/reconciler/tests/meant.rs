//! Who is meant, as the judges of the worlds read an expression: over what was listed, in the simulator's words.
//!
//! It must not ask the brain's resolver.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use elasticsearch_simulator::cluster::expression::plain;

use crate::api::JobId;
use crate::reconciler::input::*;

/// The groups of each job that was listed.
pub(super) type Listed = BTreeMap<JobId, Vec<Arc<str>>>;

/// Takes a list. One that has become empty is not believed before it was read again.
pub(super) fn hear(listed: &mut Listed, doubted: &mut bool, listing: &Listing) {
    *doubted = listing.jobs.is_empty() && !*doubted;
    if !*doubted {
        *listed = all_of(listing);
    }
}

pub(super) fn all_of(listing: &Listing) -> Listed {
    let jobs = listing.jobs.iter();
    jobs.map(|(id, config)| (id.clone(), config.groups.clone()))
        .collect()
}

/// Whether an object means the job. One that no list names is meant by its own id alone.
pub(super) fn means(desired: &Desired, listed: &Listed, id: &JobId) -> bool {
    let (scope, id) = (&desired.scope, id.as_str());
    let groups = listed.get(id);
    let mut tokens = scope.expression.tokens();
    let named = tokens.any(|token| match groups {
        _ if token == id => true,
        Some(_) if scope.expression.is_all() => true,
        Some(groups) => plain(token, id) || groups.iter().any(|group| plain(token, group)),
        None => false,
    });
    named && !scope.exclude.iter().any(|one| plain(one.as_str(), id))
}

/// The jobs that an object means.
pub(super) fn meant(desired: &Desired, listed: &Listed) -> BTreeSet<JobId> {
    let tokens = desired.scope.expression.tokens();
    let is_group = |token: &str| listed.values().flatten().any(|group| **group == *token);
    let ids = tokens.filter(|token| !is_group(token)).map(JobId::parse);
    let all = listed.keys().cloned().chain(ids.flatten());
    all.filter(|id| means(desired, listed, id)).collect()
}
