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
    /// The same, but for this namespace.
    #[must_use]
    pub fn with(mut self, namespace: &str, allow: Allow) -> Self {
        match &mut self {
            Self::All(all) => *all = allow,
            Self::Namespaces(all) => {
                all.insert(Arc::from(namespace), allow);
            }
        }
        self
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
}
