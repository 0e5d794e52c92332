//! Which ids are left to be read when a list was cut at 10 000 entries, as prefixes.
//!
//! Elasticsearch sorts what it found by id and drops what is behind the 10 000th (reference 3.3 and 17, point 1), so
//! all up to the last id of a cut answer is known, and only what is behind it is asked for: `jb*` .. `jz*`, `k*` ..
//! `z*` behind `ja`. A prefix of a job also finds the members of groups that begin so. They are jobs too, but may fill
//! an answer with what is known already; then the prefixes are asked for apart, and in the end deeper.
//! This is reading only: no prefix can be built from a text of outside, and none ever reaches a change.

use std::collections::VecDeque;

use crate::api::id::MAX_ID_LENGTH;

/// What ids are made of, in the order in which they sort.
const ALPHABET: &str = "-.0123456789_abcdefghijklmnopqrstuvwxyz";
/// How many wildcards one expression may have (511, reference 17, point 11), with some room.
const MOST: usize = 500;

/// Prefixes for one request, at least one, sorted, none of which begins with another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prefixes(Vec<String>);

impl Prefixes {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether this id has one of them.
    pub(super) fn cover(&self, id: &str) -> bool {
        // They are sorted, and none begins with another.
        let behind = self.0.partition_point(|prefix| prefix.as_str() <= id);
        let nearest = behind.checked_sub(1).and_then(|at| self.0.get(at));
        nearest.is_some_and(|prefix| id.starts_with(prefix.as_str()))
    }

    /// As one path segment: `a*,b*`.
    pub(super) fn joined(&self) -> String {
        let tokens: Vec<String> = self.0.iter().map(|prefix| format!("{prefix}*")).collect();
        tokens.join(",")
    }
}

/// One thing to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All ids with one of these prefixes.
    Below(Prefixes),
    /// The id that is this text, where it is one.
    Exact(String),
}

/// What is left to ask for.
#[derive(Debug)]
pub(super) struct Parts {
    left: VecDeque<Part>,
    /// How many entries an answer has that is cut.
    most: usize,
}

impl Parts {
    /// What is behind `last`, the last id of an answer that was sorted; everything where it was not.
    pub(super) fn behind(last: Option<&str>, most: usize) -> Self {
        let mut parts = Self {
            left: VecDeque::new(),
            most,
        };
        parts.below(last.map_or_else(|| children("").collect(), |last| behind("", last)));
        parts
    }

    /// The next one. Joined it has `room` bytes at most, or is one prefix alone.
    pub(super) fn next(&mut self, room: usize) -> Option<Part> {
        let part = self.left.pop_front()?;
        let Part::Below(mut prefixes) = part else {
            return Some(part);
        };
        // Each with its `*`.
        let lengths = prefixes.0.iter().map(|prefix| prefix.len() + 1);
        let rest = prefixes.0.split_off(fit(lengths, room));
        self.below(rest);
        Some(Part::Below(prefixes))
    }

    /// It was not answered, because it is too long.
    pub(super) fn put_back(&mut self, part: Part) {
        self.left.push_front(part);
    }

    /// The answer was cut behind `last`; nothing where it was not sorted. It held `own` ids that were asked for.
    pub(super) fn was_cut(&mut self, part: Part, last: Option<&str>, own: usize) {
        let Part::Below(Prefixes(asked)) = part else {
            // The name of a group with so many members, so no job's: jobs and groups share one name space.
            return;
        };
        let rest =
            |prefix: &String| last.map_or_else(|| vec![prefix.clone()], |last| rest(prefix, last));
        let mut left: Vec<String> = asked.iter().flat_map(rest).collect();
        let stuck = left == asked;
        if let ([prefix], true) = (asked.as_slice(), stuck) {
            self.below(children(prefix).collect());
            self.left.push_front(Part::Exact(prefix.clone()));
        } else {
            // Strangers fill the answers: apart, the prefixes without any are soon done.
            let apart = if stuck || own < self.most / 2 {
                left.len() / 2
            } else {
                0
            };
            let second = left.split_off(left.len() - apart);
            self.below(second);
            self.below(left);
        }
    }

    fn below(&mut self, prefixes: Vec<String>) {
        if !prefixes.is_empty() {
            self.left.push_front(Part::Below(Prefixes(prefixes)));
        }
    }
}

/// How many wildcards of these lengths go into one request with `room` bytes for them, joined: at least one.
pub(super) fn fit(lengths: impl ExactSizeIterator<Item = usize>, room: usize) -> usize {
    let all = lengths.len();
    let mut used = 0;
    let fit = lengths.take(MOST).take_while(|length| {
        used += length + 1;
        used <= room + 1
    });
    fit.count().max(1).min(all)
}

/// Prefixes of one more character.
fn children(prefix: &str) -> impl Iterator<Item = String> {
    let room = prefix.len() < MAX_ID_LENGTH;
    // An id begins with a letter or a digit.
    let good = |c: &char| !prefix.is_empty() || c.is_ascii_alphanumeric();
    ALPHABET
        .chars()
        .filter(move |_| room)
        .filter(good)
        .map(move |c| format!("{prefix}{c}"))
}

/// What of the ids with this prefix is behind `last`.
fn rest(prefix: &str, last: &str) -> Vec<String> {
    if last.starts_with(prefix) {
        behind(prefix, last)
    } else if last < prefix {
        vec![prefix.to_owned()]
    } else {
        Vec::new()
    }
}

/// The prefixes of all ids that begin with `prefix` and sort behind `last`, which begins so too, nearest first.
fn behind(prefix: &str, last: &str) -> Vec<String> {
    let longer = children(last);
    let depths = (prefix.len()..last.len()).rev();
    let siblings = depths
        .filter_map(|depth| last.split_at_checked(depth))
        .flat_map(|(same, from)| {
            let next = from.chars().next();
            children(same).filter(move |other| other.chars().next_back() > next)
        });
    longer.chain(siblings).collect()
}

#[cfg(test)]
#[path = "parts_tests.rs"]
mod tests;
