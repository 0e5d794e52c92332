//! Where the objects are: which of them say the same of their connection, and the home that this leads to. Pure.
//!
//! It asks nobody where an object belongs; the directory knows that. All objects that say the same are at one place, so what
//! concerns a namespace or a connection costs as much as there are places, and not as many objects.

use std::collections::HashMap;
use std::sync::Arc;

use super::source::{Home, Reference};
use crate::reconciler::input::ObjectKey;

/// Where the objects are that say the same of their connection.
struct Place {
    home: Arc<Home>,
    objects: usize,
}

/// All objects, and their places.
#[derive(Default)]
pub(super) struct Places {
    /// What each object says of its connection, shared by all that say the same.
    objects: HashMap<ObjectKey, Arc<Reference>>,
    places: HashMap<Arc<Reference>, Place>,
}

/// An object came to its place.
pub(super) struct Settled {
    pub(super) home: Arc<Home>,
    /// It is the first that says this; here is what it says.
    pub(super) first: Option<Arc<Reference>>,
}

/// An object left its place.
pub(super) struct Left {
    pub(super) home: Arc<Home>,
    /// It was the last that said this; here is what it said.
    pub(super) last: Option<Arc<Reference>>,
}

impl Places {
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.places.is_empty()
    }

    /// What the object says, if it is known.
    pub(super) fn said(&self, key: &ObjectKey) -> Option<&Reference> {
        self.objects.get(key).map(|reference| &**reference)
    }

    /// Where the object is.
    pub(super) fn home_of(&self, key: &ObjectKey) -> Option<&Arc<Home>> {
        let place = self.places.get(self.objects.get(key)?)?;
        Some(&place.home)
    }

    /// An object that is nowhere says this; where nobody has said that yet, `home` tells where it leads.
    pub(super) fn settle(
        &mut self,
        key: ObjectKey,
        reference: Reference,
        home: impl FnOnce(&Reference) -> Home,
    ) -> Settled {
        let known = self.places.get_key_value(&reference);
        let known = known.map(|(known, _)| Arc::clone(known));
        let is_first = known.is_none();
        let reference = known.unwrap_or_else(|| Arc::new(reference));
        let place = self
            .places
            .entry(Arc::clone(&reference))
            .or_insert_with(|| Place {
                home: Arc::new(home(&reference)),
                objects: 0,
            });
        place.objects += 1;
        let home = Arc::clone(&place.home);
        let first = is_first.then(|| Arc::clone(&reference));
        self.objects.insert(key, reference);
        Settled { home, first }
    }

    /// The object is here no more.
    pub(super) fn leave(&mut self, key: &ObjectKey) -> Option<Left> {
        let reference = self.objects.remove(key)?;
        let place = self.places.get_mut(&reference)?;
        let home = Arc::clone(&place.home);
        place.objects = place.objects.saturating_sub(1);
        let last = (place.objects == 0).then_some(reference);
        if let Some(last) = &last {
            self.places.remove(last);
        }
        Some(Left { home, last })
    }

    /// The objects of such namespaces that belong elsewhere by now.
    pub(super) fn moving(
        &self,
        concerns: impl Fn(&str) -> bool,
        home: impl Fn(&Reference) -> Home,
    ) -> Vec<ObjectKey> {
        let elsewhere = |(reference, place): (&Arc<Reference>, &Place)| {
            let moves = concerns(&reference.namespace) && home(reference) != *place.home;
            moves.then(|| Arc::clone(reference))
        };
        let moving: Vec<Arc<Reference>> = self.places.iter().filter_map(elsewhere).collect();
        if moving.is_empty() {
            return Vec::new();
        }
        let leaves = |(key, of): (&ObjectKey, &Arc<Reference>)| {
            let moves = moving.iter().any(|reference| Arc::ptr_eq(reference, of));
            moves.then(|| key.clone())
        };
        self.objects.iter().filter_map(leaves).collect()
    }

    /// All objects that are at this home.
    pub(super) fn at(&self, home: &Home) -> Vec<ObjectKey> {
        let here = |key: &&ObjectKey| self.home_of(key).is_some_and(|of| **of == *home);
        self.objects.keys().filter(here).cloned().collect()
    }

    /// The namespaces of the objects that are at this home, some more than once.
    pub(super) fn namespaces<'a>(&'a self, home: &'a Home) -> impl Iterator<Item = &'a str> {
        let here = self.places.iter().filter(|(_, place)| *place.home == *home);
        here.map(|(reference, _)| reference.namespace.as_str())
    }
}
