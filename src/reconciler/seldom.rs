//! What most objects do not have, or only while something is under way or amiss, kept so that it costs one word where there is
//! nothing.
//!
//! Ten thousand objects at rest differ in a few fields; the others would be most of what the process keeps. It reads as
//! what it holds, and holds nothing again when it is packed. Copies share what they hold until one of them changes. It must
//! not hold what every rest needs.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A value that has a state of nothing.
pub trait Rare: Clone + Default + PartialEq + 'static {
    /// Nothing of it.
    fn nothing() -> &'static Self;
}

/// Its default is nothing of it.
macro_rules! rare {
    ($of:ty) => {
        impl $crate::reconciler::seldom::Rare for $of {
            fn nothing() -> &'static Self {
                static NOTHING: std::sync::LazyLock<$of> = std::sync::LazyLock::new(<$of>::default);
                &NOTHING
            }
        }
    };
}
pub(super) use rare;

/// Such a value; one word where it is nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seldom<T>(Option<Arc<T>>);

impl<T> Default for Seldom<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Rare> From<T> for Seldom<T> {
    fn from(value: T) -> Self {
        let nothing = value == *T::nothing();
        Self((!nothing).then(|| Arc::new(value)))
    }
}

impl<T: Rare> Seldom<T> {
    /// Gives its room back where it became nothing.
    pub fn pack(&mut self) {
        self.0.take_if(|value| **value == *T::nothing());
    }

    /// Takes something away where there is anything, and the room with the last of it. What is nothing stays so without
    /// ever having had room.
    pub fn lessen<R: Default>(&mut self, take: impl FnOnce(&mut T) -> R) -> R {
        let Some(value) = &mut self.0 else {
            return R::default();
        };
        let taken = take(Arc::make_mut(value));
        self.pack();
        taken
    }

    /// What it holds.
    pub fn unpack(self) -> T {
        self.0.map_or_else(T::default, Arc::unwrap_or_clone)
    }

    /// Both hold the same, and in the same room.
    #[cfg(test)]
    pub(super) fn shares(&self, other: &Self) -> bool {
        matches!((&self.0, &other.0), (Some(this), Some(that)) if Arc::ptr_eq(this, that))
    }

    /// It is packed and holds nothing.
    pub fn is_nothing(&self) -> bool {
        self.0.is_none()
    }
}

rare!(Vec<String>);

impl<T: Rare> Deref for Seldom<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or_else(|| T::nothing())
    }
}

impl<T: Rare> DerefMut for Seldom<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(self.0.get_or_insert_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_taken_from_nothing_makes_no_room_and_the_last_that_is_taken_gives_it_back() {
        let mut texts: Seldom<Vec<String>> = Seldom::default();
        assert_eq!(texts.lessen(Vec::pop), None);
        assert!(texts.is_nothing());
        texts.extend(of(&["a", "b"]));
        assert!(texts.lessen(Vec::pop).is_some() && !texts.is_nothing());
        assert!(texts.lessen(Vec::pop).is_some() && texts.is_nothing());
    }

    #[test]
    fn what_is_nothing_has_no_room_from_the_beginning() {
        assert!(Seldom::from(of(&[])).is_nothing());
        assert_eq!(**Seldom::from(of(&["a"])), of(&["a"]));
        assert_eq!(Seldom::from(of(&["a"])).unpack(), of(&["a"]));
        assert_eq!(Seldom::from(of(&[])).unpack(), of(&[]));
    }

    #[test]
    fn it_reads_as_what_it_holds_and_has_no_room_where_that_is_nothing() {
        let mut texts: Seldom<Vec<String>> = Seldom::default();
        assert!(texts.is_empty() && texts.is_nothing());
        texts.push("a".to_owned());
        texts.pack();
        assert_eq!(**texts, of(&["a"]));
        texts.clear();
        texts.pack();
        assert!(texts.is_nothing() && texts.is_empty());
    }
}
