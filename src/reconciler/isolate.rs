//! Finds the refused ids of a list that Elasticsearch refused as a whole without naming them.
//!
//! A refused list is halved; what its first half was refused for says nothing of the second, so that goes back to the
//! rest, while after an accepted first half the second is known to hold a refused id and is not asked as a whole. The
//! rest is asked in parts that are the larger, the fewer were found. So at most `2k*log2(n/k)+k` calls find k refused ids
//! of n (one more for lists of a few ids), and an id that was taken is never sent again. Pure: it sends nothing and knows nothing of jobs.

use crate::api::JobId;

/// The search in one list.
#[derive(Debug, Clone)]
pub struct Isolation {
    /// At least one of these is refused.
    suspects: Vec<JobId>,
    /// Of these nothing is known.
    rest: Vec<JobId>,
    /// What is being asked, and whether it is part of the suspects.
    asked: Option<(Vec<JobId>, bool)>,
    of: usize,
    found: usize,
}

/// What is known now of ids that are out of the search.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Elasticsearch took these.
    pub taken: Vec<JobId>,
    /// Elasticsearch refuses this one.
    pub refused: Option<JobId>,
}

impl Isolation {
    /// The whole list was refused.
    pub fn new(list: Vec<JobId>) -> Self {
        Self {
            of: list.len(),
            suspects: list,
            rest: Vec::new(),
            asked: None,
            found: 0,
        }
    }

    /// The ids to send next; `None` while an answer is awaited, or when nothing is left.
    pub fn ask(&mut self) -> Option<Vec<JobId>> {
        if self.asked.is_some() {
            return None;
        }
        let from_suspects = !self.suspects.is_empty();
        let (from, count) = if from_suspects {
            let half = self.suspects.len() / 2;
            (&mut self.suspects, half.max(1))
        } else {
            let part = part(self.rest.len(), self.found, self.of);
            (&mut self.rest, part)
        };
        if from.is_empty() {
            return None;
        }
        let asked: Vec<JobId> = from.drain(..count.min(from.len())).collect();
        self.asked = Some((asked.clone(), from_suspects));
        Some(asked)
    }

    /// What was sent last was taken or refused.
    pub fn answered(&mut self, refused: bool) -> Verdict {
        let Some((asked, from_suspects)) = self.asked.take() else {
            return Verdict::default();
        };
        let mut verdict = Verdict::default();
        if refused {
            let rest = std::mem::replace(&mut self.suspects, asked);
            self.rest.splice(..0, rest);
        } else {
            verdict.taken = asked;
            if !from_suspects {
                return verdict;
            }
        }
        if self.suspects.len() == 1 {
            verdict.refused = self.suspects.pop();
            self.found += 1;
        }
        verdict
    }

    /// This id is not to be sent any more. It may have been the refused one, so nothing is known of the others now.
    pub fn withdraw(&mut self, id: &JobId) {
        let suspects = std::mem::take(&mut self.suspects);
        self.rest.splice(..0, suspects);
        self.rest.retain(|known| known != id);
    }

    /// Those that are not being asked just now: their answer says what becomes of the others.
    pub fn waiting(&self) -> impl Iterator<Item = &JobId> {
        self.suspects.iter().chain(&self.rest)
    }

    /// All ids that are still in it.
    pub fn left(&self) -> impl Iterator<Item = &JobId> {
        let asked = self.asked.iter().flat_map(|(ids, _)| ids);
        self.suspects.iter().chain(&self.rest).chain(asked)
    }

    /// Every id has its verdict.
    pub fn is_over(&self) -> bool {
        self.left().next().is_none()
    }
}

/// As many of the rest as will hold somewhat less than one refused id, by what was found so far.
fn part(rest: usize, found: usize, of: usize) -> usize {
    let done = of.saturating_sub(rest);
    let part = if found <= 1 {
        done * 2
    } else {
        // In tenths, so that no fractions are needed.
        done * 7 / (found * 10)
    };
    part.clamp(1, rest.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn ids(of: usize) -> Vec<JobId> {
        let id = |n| JobId::parse(&format!("job-{n:04}")).unwrap();
        (0..of).map(id).collect()
    }

    /// Searches, and returns how many calls it took.
    fn search(list: &[JobId], bad: &BTreeSet<JobId>) -> usize {
        let mut isolation = Isolation::new(list.to_vec());
        let (mut calls, mut taken, mut refused) = (0, BTreeSet::new(), BTreeSet::new());
        while let Some(asked) = isolation.ask() {
            assert!(!asked.is_empty() && isolation.ask().is_none());
            calls += 1;
            assert!(asked.iter().all(|id| !taken.contains(id)), "a second touch");
            let verdict = isolation.answered(asked.iter().any(|id| bad.contains(id)));
            taken.extend(verdict.taken);
            refused.extend(verdict.refused);
        }
        assert!(isolation.is_over());
        assert_eq!(&refused, bad);
        assert_eq!(taken.len() + refused.len(), list.len());
        calls
    }

    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    fn bound(of: usize, bad: usize) -> usize {
        let (n, k) = (of as f64, bad as f64);
        let few = usize::from(of < 20);
        (2.0 * k * (n / k).log2() + k).floor() as usize + few
    }

    #[test]
    fn one_refused_id_is_found_wherever_it_stands() {
        for of in [2, 3, 5, 8, 64, 190, 445] {
            let list = ids(of);
            for at in 0..of {
                let calls = search(&list, &[list[at].clone()].into());
                assert!(calls <= bound(of, 1), "{at} of {of}: {calls}");
            }
        }
    }

    #[test]
    fn many_refused_ids_are_found_within_the_bound() {
        let mut seed = 7_u64;
        let mut below = |n: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(seed >> 33).unwrap() % n
        };
        for of in [8, 20, 64, 190, 256, 445] {
            let list = ids(of);
            for k in [2, 3, 4, 8, 13, 19, of / 8, of / 4, of / 2] {
                if k == 0 || k > of / 2 {
                    continue;
                }
                for round in 0..60 {
                    let mut bad = BTreeSet::new();
                    while bad.len() < k {
                        let at = match round {
                            0 => bad.len(),
                            1 => of - 1 - bad.len(),
                            _ => below(of),
                        };
                        bad.insert(list[at].clone());
                    }
                    let calls = search(&list, &bad);
                    assert!(
                        calls <= bound(of, k),
                        "{k} of {of}: {calls} > {}",
                        bound(of, k)
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_withdrawn_is_not_sought_any_more_and_the_others_are() {
        let list = ids(4);
        let mut isolation = Isolation::new(list.clone());
        assert_eq!(isolation.ask().unwrap(), list[..2]);
        isolation.withdraw(&list[2]);
        assert!(isolation.waiting().eq([&list[3]]));
        assert_eq!(isolation.left().count(), 3);
    }

    #[test]
    fn behind_the_first_that_was_found_the_parts_are_twice_what_is_done() {
        let list = ids(100);
        let mut isolation = Isolation::new(list.clone());
        let mut sizes = Vec::new();
        while let Some(asked) = isolation.ask() {
            let refused = asked.contains(&list[0]);
            if !refused {
                sizes.push(asked.len());
            }
            isolation.answered(refused);
        }
        assert_eq!(sizes, [2, 6, 18, 54, 19]);
    }

    #[test]
    fn where_most_are_refused_it_is_hardly_worse_than_one_by_one() {
        for of in [5_usize, 16, 190] {
            let list = ids(of);
            let calls = search(&list, &list.iter().cloned().collect());
            let log = usize::try_from(of.ilog2()).unwrap();
            assert!(calls <= of + log + 1, "{calls} of {of}");
        }
    }
}
