//! Many jobs in few words: wildcards that mean exactly the jobs whose states are wanted, by what the catalogue knows.
//!
//! Only for reads, where a job too many costs a search and nothing else; no wildcard ever gets into a call. Pure. A
//! wildcard matches groups as well as ids, so it is good only where no job that is not wanted has such an id or group.

use std::collections::BTreeSet;

use super::catalogue::Catalogue;
use crate::api::{JobId, JobPattern};

/// Wildcards for `wanted`, which is sorted; none for those that only their own id can name. Nothing where the ids
/// themselves are shorter.
pub fn cover(wanted: &[JobId], known: &Catalogue) -> Vec<JobPattern> {
    let others = others(wanted, known);
    let mut wildcards = Vec::new();
    let (mut bytes, mut saved) = (0, 0);
    let mut left = wanted;
    while let Some((first, behind)) = left.split_first() {
        let id = first.as_str();
        let Some(short) = id.get(..=shared_with_any(id, &others)) else {
            // Another one begins with all of it.
            left = behind;
            continue;
        };
        let count = left.partition_point(|job| job.as_str().starts_with(short));
        let (same, behind) = left.split_at(count.max(1));
        left = behind;
        // As long as all of them allow, so that what is created meanwhile is hardly met.
        let last = same.last().map_or(id, JobId::as_str);
        let prefix = id.get(..shared(id, last)).unwrap_or(id);
        if let Ok(wildcard) = JobPattern::parse(&format!("{prefix}*")) {
            bytes += wildcard.as_str().len() + 1;
            saved += same.iter().map(super::batch::cost).sum::<usize>();
            wildcards.push(wildcard);
        }
    }
    if bytes < saved { wildcards } else { Vec::new() }
}

/// All names that jobs have which are not wanted.
fn others<'a>(wanted: &[JobId], known: &'a Catalogue) -> BTreeSet<&'a str> {
    let mut others = BTreeSet::new();
    for (id, config) in known
        .iter()
        .filter(|(id, _)| wanted.binary_search(id).is_err())
    {
        others.insert(id.as_str());
        others.extend(config.groups.iter().map(|group| &**group));
    }
    others
}

/// How many bytes this id has in common with the one of the others that shares most with it.
fn shared_with_any(id: &str, others: &BTreeSet<&str>) -> usize {
    let before = others.range(..=id).next_back();
    let behind = others.range(id..).next();
    let near = before.into_iter().chain(behind);
    near.map(|other| shared(id, other)).max().unwrap_or(0)
}

/// How many bytes two names begin with in common.
fn shared(one: &str, other: &str) -> usize {
    let pairs = one.bytes().zip(other.bytes());
    pairs.take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconciler::catalogue::tests::listing;

    fn job(id: &str) -> JobId {
        JobId::parse(id).unwrap()
    }

    fn catalogue(jobs: &[(&str, &[&str])]) -> Catalogue {
        let mut catalogue = Catalogue::default();
        catalogue.take(listing(jobs));
        catalogue
    }

    fn words(wanted: &[&str], known: &Catalogue) -> Vec<String> {
        let wanted: Vec<JobId> = wanted.iter().map(|id| job(id)).collect();
        let found = cover(&wanted, known);
        found.iter().map(|word| word.as_str().to_owned()).collect()
    }

    #[test]
    fn what_has_a_beginning_of_its_own_is_one_word() {
        let known = catalogue(&[
            ("web-1", &[]),
            ("web-2", &[]),
            ("web-3", &[]),
            ("db-1", &[]),
        ]);
        assert_eq!(words(&["web-1", "web-2", "web-3"], &known), ["web-*"]);
        assert_eq!(
            words(&["db-1", "web-1", "web-2", "web-3"], &known),
            ["db-1*", "web-*"]
        );
    }

    #[test]
    fn a_group_of_another_job_spoils_a_beginning() {
        let known = catalogue(&[("web-1", &[]), ("web-2", &[]), ("db-1", &["web-all"])]);
        assert!(
            words(&["web-1", "web-2"], &known).is_empty(),
            "each alone is no shorter than its id"
        );
        let harmless = catalogue(&[("web-1", &["web-all"]), ("web-2", &[]), ("db-1", &["sql"])]);
        assert_eq!(words(&["web-1", "web-2"], &harmless), ["web-*"]);
    }

    #[test]
    fn words_that_are_no_shorter_than_the_ids_are_not_used() {
        let known = catalogue(&[("a", &[]), ("b", &[]), ("c", &[]), ("x1", &[]), ("x2", &[])]);
        assert_eq!(words(&["a", "b", "x1", "x2"], &known), ["a*", "b*", "x*"]);
        // "a*,b*,c*,x*" is as long as "a,b,c,x1,x2".
        assert!(words(&["a", "b", "c", "x1", "x2"], &known).is_empty());
    }

    #[test]
    fn a_job_with_whose_id_another_begins_keeps_its_name() {
        let known = catalogue(&[("web", &[]), ("web-1", &[]), ("x-1", &[]), ("x-2", &[])]);
        assert_eq!(words(&["web", "x-1", "x-2"], &known), ["x-*"]);
    }

    /// Every set of wanted jobs among names that look much alike.
    #[test]
    fn the_words_mean_wanted_jobs_and_no_others_whatever_is_wanted() {
        let names: [(&str, &[&str]); 9] = [
            ("a", &["b1"]),
            ("a-1", &[]),
            ("a-12", &["a-2"]),
            ("a-13", &["g"]),
            ("a.1", &["g"]),
            ("b", &["g", "c"]),
            ("b12", &["a-9"]),
            ("b13", &[]),
            ("c2", &["a"]),
        ];
        let known = catalogue(&names);
        let of = |id: &str| known.config(&job(id)).unwrap().groups.clone();
        for set in 0_u32..512 {
            let wanted = (0..9).filter(|n| set & (1 << n) != 0);
            let wanted: Vec<JobId> = wanted.map(|n| job(names[n].0)).collect();
            for word in cover(&wanted, &known) {
                for (id, _) in &names {
                    let hits =
                        |name: &str| JobId::parse(name).is_ok_and(|name| word.matches(&name));
                    let met = hits(id) || of(id).iter().any(|group| hits(group));
                    assert!(
                        !met || wanted.contains(&job(id)),
                        "{word} means {id} beside {wanted:?}"
                    );
                }
            }
        }
    }
}
