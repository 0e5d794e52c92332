//! The objects of one cluster, each folded while it rests.
//!
//! Whoever looks at one sees it whole, and whoever may change one finds it unfolded; what was looked at to be changed is
//! folded again when the input has been dealt with. It must not know what an object means.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;

use super::folded::{Folded, Patterns, is_foldable};
use super::input::ObjectKey;
use super::member::Member;
use super::object::Object;
use crate::api::JobId;

/// Where an input concerns all of them, no more than these are whole for its sake at a time.
const WHOLE_AT_ONCE: usize = 64;

/// All of them.
#[derive(Clone, Default)]
pub(super) struct Objects {
    kept: BTreeMap<ObjectKey, Kept>,
    patterns: Patterns,
    /// Those that may have come to rest.
    touched: Vec<ObjectKey>,
}

#[derive(Clone)]
enum Kept {
    Whole(Box<Object>),
    Folded(Box<Folded>),
}

/// One that is looked at.
pub(super) enum Look<'a> {
    /// It is kept like this.
    Kept(&'a Object),
    /// It was made for this look.
    Made(Box<Object>),
}

impl Deref for Look<'_> {
    type Target = Object;

    fn deref(&self) -> &Object {
        match self {
            Self::Kept(object) => object,
            Self::Made(object) => object,
        }
    }
}

/// How they are kept is nothing that can be seen of them.
impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.iter();
        f.debug_map()
            .entries(all.map(|(key, object)| (key, Object::clone(&object))))
            .finish()
    }
}

impl Kept {
    fn look(&self) -> Look<'_> {
        match self {
            Self::Whole(object) => Look::Kept(object),
            Self::Folded(folded) => Look::Made(Box::new(folded.unfold())),
        }
    }

    fn restless(&self) -> Option<&Object> {
        match self {
            Self::Whole(object) => Some(object),
            Self::Folded(_) => None,
        }
    }

    /// Unfolds it. There is always one.
    fn whole(&mut self) -> Option<&mut Object> {
        if let Self::Folded(folded) = self {
            *self = Self::Whole(Box::new(folded.unfold()));
        }
        match self {
            Self::Whole(object) => Some(object),
            Self::Folded(_) => None,
        }
    }
}

impl Objects {
    /// How many.
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// None.
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// One, to be looked at.
    pub(super) fn get(&self, key: &ObjectKey) -> Option<Look<'_>> {
        self.kept.get(key).map(Kept::look)
    }

    /// One, to be changed.
    pub(super) fn get_mut(&mut self, key: &ObjectKey) -> Option<&mut Object> {
        self.touch(key);
        self.kept.get_mut(key)?.whole()
    }

    /// One that is going to be looked at several times.
    pub(super) fn unfold(&mut self, key: &ObjectKey) {
        self.get_mut(key);
    }

    /// It may have come to rest when the input has been dealt with.
    fn touch(&mut self, key: &ObjectKey) {
        if self.touched.last() == Some(key) {
            return;
        }
        if self.touched.len() >= WHOLE_AT_ONCE {
            self.fold();
        }
        self.touched.push(key.clone());
    }

    /// Keeps it in the place of one that had this key.
    pub(super) fn insert(&mut self, key: ObjectKey, object: Object) {
        self.touch(&key);
        self.kept.insert(key, Kept::Whole(Box::new(object)));
    }

    /// One that is not kept any more.
    pub(super) fn remove(&mut self, key: &ObjectKey) -> Option<Object> {
        Some(match self.kept.remove(key)? {
            Kept::Whole(object) => *object,
            Kept::Folded(folded) => folded.unfold(),
        })
    }

    /// The keys of all.
    pub(super) fn keys(&self) -> impl Iterator<Item = &ObjectKey> {
        self.kept.keys()
    }

    /// The keys from this one on.
    pub(super) fn keys_from(&self, from: ObjectKey) -> impl Iterator<Item = &ObjectKey> {
        self.kept.range(from..).map(|(key, _)| key)
    }

    /// All, to be looked at.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&ObjectKey, Look<'_>)> {
        self.kept.iter().map(|(key, kept)| (key, kept.look()))
    }

    /// A member of one, to be looked at, if that is not folded: of one that is nothing is under way.
    pub(super) fn restless(&self, key: &ObjectKey, job: &JobId) -> Option<&Member> {
        self.kept.get(key)?.restless()?.members.get(job)
    }

    /// All that are not folded, to be looked at.
    pub(super) fn all_restless(&self) -> impl Iterator<Item = (&ObjectKey, &Object)> {
        let all = self.kept.iter();
        all.filter_map(|(key, kept)| Some((key, kept.restless()?)))
    }

    /// The same, to be changed.
    pub(super) fn all_restless_mut(&mut self) -> impl Iterator<Item = (&ObjectKey, &mut Object)> {
        self.kept.iter_mut().filter_map(|(key, kept)| match kept {
            Kept::Whole(object) => Some((key, &mut **object)),
            Kept::Folded(_) => None,
        })
    }

    /// Gives back the room of what is nothing at rest, and folds what came to rest.
    pub(super) fn fold(&mut self) {
        for key in std::mem::take(&mut self.touched) {
            let Some(kept) = self.kept.get_mut(&key) else {
                continue;
            };
            let Kept::Whole(object) = kept else {
                continue;
            };
            object.pack();
            if is_foldable(object)
                && let Some(folded) = Folded::of(object, &mut self.patterns)
            {
                debug_assert_eq!(**object, folded.unfold());
                *kept = Kept::Folded(Box::new(folded));
            }
        }
    }

    /// It is folded.
    #[cfg(test)]
    pub(super) fn is_folded(&self, key: &ObjectKey) -> bool {
        self.folded(key).is_some()
    }

    /// Both are folded, and share what they have in common.
    #[cfg(test)]
    pub(super) fn rest_alike(&self, one: &ObjectKey, other: &ObjectKey) -> bool {
        let both = self.folded(one).zip(self.folded(other));
        both.is_some_and(|(one, other)| one.shares(other))
    }

    #[cfg(test)]
    fn folded(&self, key: &ObjectKey) -> Option<&Folded> {
        match self.kept.get(key)? {
            Kept::Folded(folded) => Some(folded),
            Kept::Whole(_) => None,
        }
    }
}
