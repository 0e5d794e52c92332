//! What the objects of each namespace may do through the connection. Data with one question; nothing is decided here.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::{Allow, AllowForce};

/// A namespace that is not named may do nothing.
pub static NOTHING: Allow = Allow {
    jobs: Vec::new(),
    force: AllowForce::Never,
};

/// What is allowed, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowances {
    /// The same to all objects: the connection belongs to their namespace.
    All(Allow),
    /// To those of each of these namespaces, and to no other.
    Namespaces(BTreeMap<Arc<str>, Allow>),
}

impl Default for Allowances {
    fn default() -> Self {
        Self::All(Allow::default())
    }
}

impl Allowances {
    /// The objects of this namespace may do this from now on. Returns whether that is new.
    pub fn allow(&mut self, namespace: &Arc<str>, allow: Allow) -> bool {
        if *self.of(namespace) == allow {
            return false;
        }
        match self {
            Self::All(all) => *all = allow,
            Self::Namespaces(all) if allow == NOTHING => drop(all.remove(namespace)),
            Self::Namespaces(all) => drop(all.insert(Arc::clone(namespace), allow)),
        }
        true
    }

    /// What the objects of this namespace may do.
    pub fn of(&self, namespace: &str) -> &Allow {
        match self {
            Self::All(allow) => allow,
            Self::Namespaces(all) => all.get(namespace).unwrap_or(&NOTHING),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::JobId;

    #[test]
    fn a_namespace_that_is_not_named_may_do_nothing() {
        let job = JobId::parse("a").unwrap();
        let everything = Allow::default();
        let one = BTreeMap::from([(Arc::from("team-a"), everything.clone())]);
        let one = Allowances::Namespaces(one);
        assert!(one.of("team-a").covers(&job));
        let nothing = one.of("team-b");
        assert!(!nothing.covers(&job) && nothing.force == AllowForce::Never);
        assert_eq!(Allowances::default().of("team-b"), &everything);
    }

    #[test]
    fn what_one_namespace_may_do_changes_for_it_alone_and_is_news_once() {
        let [a, b] = ["team-a", "team-b"].map(Arc::from);
        let everything = Allow::default();
        let mut some = Allowances::Namespaces(BTreeMap::new());
        assert!(!some.allow(&a, NOTHING.clone()));
        assert!(some.allow(&a, everything.clone()) && !some.allow(&a, everything.clone()));
        assert_eq!((some.of(&a), some.of(&b)), (&everything, &NOTHING));
        assert!(some.allow(&a, NOTHING.clone()));
        assert_eq!(some, Allowances::Namespaces(BTreeMap::new()));
    }
}
