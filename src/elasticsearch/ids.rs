//! Lists of ids for one request: sorted, without repetition, never empty.
//!
//! An empty id list in a path means "all jobs" to Elasticsearch (reference 17, point 3), so a list that
//! may be empty must not be able to reach the code that builds paths. This type makes that a matter of types.

use std::fmt::Display;

/// At least one id, sorted, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ids<T>(Vec<T>);

impl<T: Ord + Clone + Display> Ids<T> {
    /// The ids of `from`, or nothing where there are none.
    pub fn new(from: impl IntoIterator<Item = T>) -> Option<Self> {
        let mut ids: Vec<T> = from.into_iter().collect();
        ids.sort();
        ids.dedup();
        if ids.is_empty() {
            None
        } else {
            Some(Self(ids))
        }
    }

    /// One id.
    pub fn one(id: T) -> Self {
        Self(vec![id])
    }

    /// The ids in order.
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }

    /// The ids in order.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    /// Whether `id` is one of them.
    pub fn contains(&self, id: &T) -> bool {
        self.0.binary_search(id).is_ok()
    }

    /// These ids without those in `gone`; nothing where none is left.
    pub fn without(&self, gone: &[T]) -> Option<Self> {
        Self::new(self.0.iter().filter(|id| !gone.contains(id)).cloned())
    }

    /// These ids in two parts, or in one where they are too few.
    pub(super) fn halves(&self) -> Vec<Self> {
        let (first, second) = self.0.split_at(self.0.len() / 2);
        let halves = [first, second].into_iter();
        halves
            .filter_map(|half| Self::new(half.iter().cloned()))
            .collect()
    }

    /// The ids as one path segment: separated by commas, nothing else.
    pub(super) fn joined(&self) -> String {
        let texts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        texts.join(",")
    }

    /// Parts whose joined length is `room` bytes at most, in order. An id that is longer alone makes a part
    /// of its own: to drop it silently would be worse than to be refused.
    pub fn split(&self, room: usize) -> Vec<Self> {
        let mut parts = Vec::new();
        let mut part: Vec<T> = Vec::new();
        let mut used = 0;
        for id in &self.0 {
            let length = id.to_string().len();
            if !part.is_empty() && used + 1 + length > room {
                parts.push(Self(std::mem::take(&mut part)));
                used = 0;
            }
            used += length + usize::from(!part.is_empty());
            part.push(id.clone());
        }
        parts.push(Self(part));
        parts
    }
}

impl<'a, T> IntoIterator for &'a Ids<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(of: &[&'static str]) -> Ids<&'static str> {
        Ids::new(of.iter().copied()).unwrap()
    }

    #[test]
    fn a_list_without_ids_cannot_be_made() {
        assert!(Ids::<String>::new([]).is_none());
        assert!(ids(&["a"]).without(&["a"]).is_none());
    }

    #[test]
    fn ids_are_sorted_and_named_once() {
        assert_eq!(ids(&["b", "a", "b"]).joined(), "a,b");
        assert!(ids(&["b", "a"]).contains(&"a"));
        assert!(!ids(&["b", "a"]).contains(&"c"));
    }

    #[test]
    fn parts_hold_every_id_once_in_order_and_none_is_over_the_room() {
        let many: Vec<String> = (0..200)
            .map(|n| format!("job-{n:0width$}", width = 3 + n % 7))
            .collect();
        let all = Ids::new(many).unwrap();
        for room in [10, 11, 12, 23, 100, 4000] {
            let parts = all.split(room);
            let again: Vec<String> = parts.iter().flat_map(|part| part.0.clone()).collect();
            assert_eq!(again, all.0, "room {room}");
            for part in &parts {
                assert!(
                    part.joined().len() <= room || part.0.len() == 1,
                    "room {room}: {part:?}"
                );
            }
            for pair in parts.windows(2) {
                let first = pair[1].0.first().unwrap();
                assert!(
                    pair[0].joined().len() + 1 + first.len() > room,
                    "room {room} was not used"
                );
            }
        }
    }

    #[test]
    fn halves_hold_every_id_once() {
        let of = |all: &[&'static str]| {
            let halves = ids(all).halves();
            halves.iter().map(Ids::joined).collect::<Vec<_>>()
        };
        assert_eq!(of(&["a"]), ["a"]);
        assert_eq!(of(&["a", "b", "c"]), ["a", "b,c"]);
    }

    #[test]
    fn an_id_longer_than_the_room_goes_alone_and_is_not_lost() {
        let parts = ids(&["a", "a-very-long-one", "b"]).split(5);
        assert_eq!(
            parts.iter().map(Ids::joined).collect::<Vec<_>>(),
            ["a", "a-very-long-one", "b"]
        );
    }
}
