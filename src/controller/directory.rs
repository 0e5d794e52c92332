//! Which connection an object means, whether its namespace may use it, and what it may do there; and which lists came. Pure.
//!
//! A reference never crosses a namespace: it means a connection of the object's own, or one that belongs to none and says
//! itself whom it serves. What is not known yet is waited for and never guessed; what the operator has no right to see is said.
//! A sentence for an object tells nothing of a ClusterElasticsearchConnection but that it does not serve this namespace.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use tokio::time::Instant;

use super::source::{Home, Known, Reference, Serves, Source};
use super::watch::{Change, Failure};
use crate::api::{
    Allow, AllowedNamespaces, ConnectionKind, DEFAULT_CONNECTION, Granted, Labels, Reason,
};
use crate::reconciler::input::{Allowances, ObjectKey, Trouble};

/// Namespace and name of a connection; the namespace is empty for those that have none.
pub(super) type Name = (String, String);

/// The name of a connection of this key.
pub(super) fn name_of(key: &ObjectKey) -> Name {
    (key.namespace().to_string(), key.name().to_owned())
}

/// A connection as it was delivered.
#[derive(Debug)]
pub(super) enum Entry {
    /// It cannot be decoded; the message says why.
    Invalid(Arc<str>),
    /// Here it is.
    Object(Arc<Source>),
}

/// So long is a connection missed: `kubectl replace --force` takes it away for a moment. Of an own `default` before the one for
/// all is used, because jobs of the same name in another cluster are other jobs; of one for all before those whom it served
/// leave, because others would act on their jobs at once.
const MISSED_FOR: Duration = Duration::from_secs(120);

/// What the watches have told of connections and namespaces.
#[derive(Debug, Default)]
pub(super) struct Directory {
    connections: BTreeMap<Name, Entry>,
    labels: BTreeMap<String, Labels>,
    /// Until when those are missed that were there a moment ago: own `default`s, and all of no namespace.
    missed: BTreeMap<Name, Instant>,
    /// Until when objects are asked what they remember.
    recalls_until: Option<Instant>,
    /// What each one of no namespace said when it could be read last, for as long as it is there or missed.
    said: BTreeMap<String, Arc<Source>>,
    answers: BTreeMap<(Asked, String), Answer>,
    /// The namespaces whose objects and own connections are listed, each by itself; or the empty name, for all at once.
    lists: Vec<String>,
    /// ClusterElasticsearchConnections are served at all.
    serves_wide: bool,
}

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    Jobs,
    Connections(ConnectionKind),
    Namespaces,
}

const OWN: Asked = Asked::Connections(ConnectionKind::ElasticsearchConnection);
const WIDE: Asked = Asked::Connections(ConnectionKind::ClusterElasticsearchConnection);

/// How a list was answered; neither, where it was not. What was listed once stays listed.
#[derive(Clone, Copy, Debug, Default)]
struct Answer {
    listed: bool,
    /// Why it, or what comes after it, cannot be had.
    failed: Option<Failure>,
}

/// Whether a ClusterElasticsearchConnection serves a namespace.
enum Admission<'a> {
    Granted(&'a Allow),
    Denied(Trouble),
    NotYet,
}

impl Directory {
    /// Of connections in these namespaces; none means all.
    pub(super) fn new(namespaces: &[String], serves_wide: bool, begun: Instant) -> Self {
        let all = || vec![String::new()];
        Self {
            lists: Some(namespaces.to_vec())
                .filter(|some| !some.is_empty())
                .unwrap_or_else(all),
            serves_wide,
            recalls_until: Some(begun + MISSED_FOR),
            ..Self::default()
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.connections.is_empty()
            && self.labels.is_empty()
            && self.missed.is_empty()
            && self.said.is_empty()
    }

    pub(super) fn put(&mut self, name: Name, entry: Entry) {
        self.missed.remove(&name);
        if let (true, Entry::Object(source)) = (name.0.is_empty(), &entry) {
            self.said.insert(name.1.clone(), Arc::clone(source));
        }
        self.connections.insert(name, entry);
    }

    pub(super) fn remove(&mut self, name: &Name, now: Instant) {
        let was_there = self.connections.remove(name).is_some();
        let matters = name.0.is_empty() || name.1 == DEFAULT_CONNECTION;
        if was_there && self.serves_wide && matters {
            self.missed.insert(name.clone(), now + MISSED_FOR);
        }
    }

    /// An object remembers that its namespace has an own `default`. What was missed when another run ended is missed in this
    /// one; returns whose home that is, where it is news.
    pub(super) fn recall(&mut self, namespace: &str, now: Instant) -> Option<Home> {
        let (namespace, name) = (namespace.to_owned(), DEFAULT_CONNECTION.to_owned());
        let key = (namespace.clone(), name.clone());
        let known = self.connections.contains_key(&key) || self.missed.contains_key(&key);
        let until = self.recalls_until.filter(|until| now < *until)?;
        (self.serves_wide && !known).then(|| {
            self.missed.insert(key, until);
            Home::Own { namespace, name }
        })
    }

    /// When a connection ceases to be missed.
    pub(super) fn next_lapse(&self) -> Option<Instant> {
        self.missed.values().min().copied()
    }

    /// The homes of the connections that are not missed any more.
    pub(super) fn lapse(&mut self, now: Instant) -> Vec<Home> {
        let lapsed = self.missed.iter().filter(|(_, until)| **until <= now);
        let lapsed: Vec<Name> = lapsed.map(|(name, _)| name.clone()).collect();
        self.missed.retain(|_, until| *until > now);
        let homes = lapsed.into_iter().map(|(namespace, name)| {
            if namespace.is_empty() {
                self.said.remove(&name);
                Home::Wide { name }
            } else {
                Home::Own { namespace, name }
            }
        });
        homes.collect()
    }

    /// A list was told of to its end: of this namespace, or where that is empty of all.
    pub(super) fn listed(&mut self, of: Asked, namespace: String) {
        let answer = Answer {
            listed: true,
            failed: None,
        };
        self.answers.insert((of, namespace), answer);
    }

    /// A list could not be had when it was asked for. That nobody answers does not say that a right is there by now.
    pub(super) fn failed(&mut self, of: Asked, namespace: String, why: Failure) {
        let answer = self.answers.entry((of, namespace)).or_default();
        if why != Failure::Unanswered || answer.failed.is_none() {
            answer.failed = Some(why);
        }
    }

    fn answer(&self, of: Asked, namespace: &str) -> Answer {
        let answer = self.answers.get(&(of, namespace.to_owned()));
        answer.copied().unwrap_or_default()
    }

    fn has(&self, of: Asked, namespace: &str) -> bool {
        self.answer(of, namespace).listed
    }

    /// How the list was answered that the own connections of a namespace are in.
    fn answer_of_own(&self, namespace: &str) -> Answer {
        let one = |list: &&String| *list == namespace || list.is_empty();
        let list = self.lists.iter().find(one);
        list.map(|list| self.answer(OWN, list)).unwrap_or_default()
    }

    /// A namespace changed.
    pub(super) fn namespace(&mut self, change: Change<Namespace>) {
        let of = Asked::Namespaces;
        match change {
            Change::Present(key, object) => {
                if let Some(answer) = self.answers.get_mut(&(of, String::new())) {
                    answer.failed = None;
                }
                let labels = object.metadata.labels.clone().unwrap_or_default();
                self.label(key.name().to_owned(), Some(labels));
            }
            Change::Undecodable(object) => self.label(object.key.name().to_owned(), None),
            Change::Gone(key) => self.label(key.name().to_owned(), None),
            Change::Came { namespace } => self.listed(of, namespace),
            Change::Failed { namespace, why } => self.failed(of, namespace, why),
        }
    }

    /// A namespace is there with these labels, or is gone.
    fn label(&mut self, namespace: String, labels: Option<Labels>) {
        match labels {
            Some(labels) => self.labels.insert(namespace, labels),
            None => self.labels.remove(&namespace),
        };
    }

    /// All objects were delivered that there were at the start.
    pub(super) fn has_all_jobs(&self) -> bool {
        self.lists.iter().all(|list| self.has(Asked::Jobs, list))
    }

    /// The same, but for those that may not be listed: a namespace that was not granted keeps no other waiting.
    pub(super) fn has_jobs_to_be_had(&self) -> bool {
        let ended = |list: &String| {
            let answer = self.answer(Asked::Jobs, list);
            answer.listed || answer.failed == Some(Failure::Forbidden)
        };
        self.lists.iter().all(ended)
    }

    /// Whether each list was answered once, well or not.
    pub(super) fn has_asked(&self) -> bool {
        let answered = |of, list: &str| self.answers.contains_key(&(of, list.to_owned()));
        self.lists.iter().all(|list| answered(OWN, list))
            && (!self.serves_wide || answered(WIDE, ""))
            && (!self.needs_labels() || answered(Asked::Namespaces, ""))
    }

    /// Somebody goes by the labels of namespaces.
    pub(super) fn needs_labels(&self) -> bool {
        self.connections.values().any(|entry| match entry {
            Entry::Object(source) => match &source.serves {
                Serves::Others(all) => all.iter().any(AllowedNamespaces::needs_labels),
                Serves::Own(_) => false,
            },
            Entry::Invalid(_) => false,
        })
    }

    /// Where an object belongs that says this.
    pub(super) fn home(&self, reference: &Reference) -> Home {
        let namespace = &reference.namespace;
        let own = |name: &str| Home::Own {
            namespace: namespace.clone(),
            name: name.to_owned(),
        };
        match &reference.named {
            Some((ConnectionKind::ElasticsearchConnection, name)) => own(name),
            Some((ConnectionKind::ClusterElasticsearchConnection, name)) => {
                self.wide(namespace, name).unwrap_or(Home::Outside {
                    namespace: namespace.clone(),
                    name: name.clone(),
                })
            }
            None if !self.may_fall_back(namespace) => own(DEFAULT_CONNECTION),
            None => self
                .wide(namespace, DEFAULT_CONNECTION)
                .unwrap_or_else(|| own(DEFAULT_CONNECTION)),
        }
    }

    /// It is known that the namespace has no `default` of its own, and did not lose it a moment ago.
    fn may_fall_back(&self, namespace: &str) -> bool {
        let name = (namespace.to_owned(), DEFAULT_CONNECTION.to_owned());
        self.answer_of_own(namespace).listed
            && !self.connections.contains_key(&name)
            && !self.missed.contains_key(&name)
    }

    fn wide(&self, namespace: &str, name: &str) -> Option<Home> {
        self.granted(namespace, name)?;
        let name = name.to_owned();
        Some(Home::Wide { name })
    }

    fn admission(&self, namespace: &str, name: &str) -> Admission<'_> {
        if !self.serves_wide {
            return Admission::Denied(Trouble::new(
                Reason::ConnectionNotFound,
                "this operator serves no ClusterElasticsearchConnection (--cluster-connections=false); name an ElasticsearchConnection of this namespace",
            ));
        }
        let absent = self.absent(name);
        if let Some(said) = self.said.get(name) {
            let served = self.served(said, namespace, name);
            // Whom it served stays with it while it is missed or cannot be read.
            if absent.is_none() || matches!(served, Admission::Granted(_)) {
                return served;
            }
        }
        absent.map_or(Admission::NotYet, Admission::Denied)
    }

    /// Why a ClusterElasticsearchConnection cannot be used; `None` where it can be, or may still come.
    fn absent(&self, name: &str) -> Option<Trouble> {
        match self.connections.get(&(String::new(), name.to_owned())) {
            Some(Entry::Object(_)) => None,
            Some(Entry::Invalid(_)) => Some(Trouble::new(
                Reason::InvalidObject,
                format!(
                    "ClusterElasticsearchConnection {name} cannot be read; whoever owns it sees why in its conditions"
                ),
            )),
            None if self.has(WIDE, "") => Some(Trouble::new(
                Reason::ConnectionNotFound,
                format!("there is no ClusterElasticsearchConnection {name}"),
            )),
            None => {
                let kind = ConnectionKind::ClusterElasticsearchConnection;
                let why = unseen(self.answer(WIDE, ""), kind)?;
                Some(Trouble::new(Reason::Pending, why))
            }
        }
    }

    /// The first entry that means the namespace counts, so one that cannot be told yet keeps all behind it waiting.
    fn served<'a>(&self, source: &'a Source, namespace: &str, name: &str) -> Admission<'a> {
        let entries = match &source.serves {
            Serves::Others(entries) => entries.as_slice(),
            Serves::Own(_) => &[],
        };
        let answer = self.answer(Asked::Namespaces, "");
        let labels = self.labels.get(namespace).filter(|_| answer.listed);
        match Granted::by(entries, namespace, labels) {
            Granted::This(allow) => return Admission::Granted(allow),
            Granted::NotKnown if answer.failed != Some(Failure::Forbidden) => {
                return Admission::NotYet;
            }
            Granted::NotKnown => {
                let message = format!(
                    "it is not known whether ClusterElasticsearchConnection {name} serves namespace {namespace}: the namespaces cannot be listed; the operator's role must allow list and watch on namespaces"
                );
                return Admission::Denied(Trouble::new(Reason::Pending, message));
            }
            Granted::Nothing => {}
        }
        let message = format!(
            "ClusterElasticsearchConnection {name} does not serve namespace {namespace}; ask who owns it to add the namespace to its allowedNamespaces, or name another connection in spec.connectionRef"
        );
        Admission::Denied(Trouble::new(Reason::NamespaceNotAllowed, message))
    }

    /// What is known of the connection of a cluster's task.
    pub(super) fn known(&self, home: &Home) -> Known {
        match home {
            Home::Own { namespace, name } => self.known_own(namespace, name),
            Home::Wide { name } => match self.connections.get(&(String::new(), name.clone())) {
                Some(Entry::Object(source)) => Known::Object(Arc::clone(source)),
                Some(Entry::Invalid(_)) | None => {
                    self.absent(name).map_or(Known::NotYet, Known::Unusable)
                }
            },
            Home::Outside { namespace, name } => match self.admission(namespace, name) {
                Admission::Denied(trouble) => Known::Unusable(trouble),
                Admission::Granted(_) | Admission::NotYet => Known::NotYet,
            },
        }
    }

    fn known_own(&self, namespace: &str, name: &str) -> Known {
        let key = (namespace.to_owned(), name.to_owned());
        match self.connections.get(&key) {
            Some(Entry::Object(source)) => return Known::Object(Arc::clone(source)),
            Some(Entry::Invalid(why)) => {
                return Known::Unusable(Trouble::new(Reason::InvalidObject, Arc::clone(why)));
            }
            None => {}
        }
        let answer = self.answer_of_own(namespace);
        if !answer.listed {
            let kind = ConnectionKind::ElasticsearchConnection;
            let pending = |why| Known::Unusable(Trouble::new(Reason::Pending, why));
            return unseen(answer, kind).map_or(Known::NotYet, pending);
        }
        let missing =
            format!("there is no ElasticsearchConnection {name} in namespace {namespace}");
        let (reason, more) = if name != DEFAULT_CONNECTION || !self.serves_wide {
            (Reason::ConnectionNotFound, String::new())
        } else if self.missed.contains_key(&key) {
            // It was told of, so its end must be too, whatever is known of the other.
            let more = format!(
                "; there was one: unless it comes back within {} s, objects that name none use ClusterElasticsearchConnection default, where it serves the namespace",
                MISSED_FOR.as_secs()
            );
            (Reason::ConnectionNotFound, more)
        } else {
            match self.admission(namespace, name) {
                Admission::NotYet => return Known::NotYet,
                Admission::Denied(trouble) if trouble.reason == Reason::Pending => {
                    (Reason::Pending, format!(", and {}", trouble.message))
                }
                // An object that names this one by its kind is not given the other.
                Admission::Granted(_) => (Reason::ConnectionNotFound, String::new()),
                Admission::Denied(_) => (
                    Reason::ConnectionNotFound,
                    ", and no ClusterElasticsearchConnection default that serves it".to_owned(),
                ),
            }
        };
        Known::Unusable(Trouble::new(reason, missing + &more))
    }

    /// What objects of these namespaces may do at a home; `None` where that is not known.
    pub(super) fn allowances<'a>(
        &self,
        home: &Home,
        namespaces: impl Iterator<Item = &'a str>,
    ) -> Option<Allowances> {
        match home {
            Home::Own { .. } => match self.known(home) {
                Known::Object(source) => match &source.serves {
                    Serves::Own(allow) => Some(Allowances::All(allow.clone())),
                    Serves::Others(_) => None,
                },
                Known::NotYet | Known::Unusable(_) => None,
            },
            Home::Wide { name } => {
                let allow = |namespace: &'a str| {
                    let allow = self.granted(namespace, name)?.clone();
                    Some((Arc::from(namespace), allow))
                };
                Some(Allowances::Namespaces(
                    namespaces.filter_map(allow).collect(),
                ))
            }
            Home::Outside { .. } => None,
        }
    }

    /// What objects of this namespace may do through the ClusterElasticsearchConnection of this name.
    pub(super) fn granted(&self, namespace: &str, name: &str) -> Option<&Allow> {
        match self.admission(namespace, name) {
            Admission::Granted(allow) => Some(allow),
            Admission::Denied(_) | Admission::NotYet => None,
        }
    }
}

/// What keeps connections of this kind from being seen, and what mends it; `None` where they may still come.
fn unseen(answer: Answer, kind: ConnectionKind) -> Option<String> {
    let plural = match kind {
        ConnectionKind::ElasticsearchConnection => "elasticsearchconnections",
        ConnectionKind::ClusterElasticsearchConnection => "clusterelasticsearchconnections",
    };
    match answer.failed? {
        Failure::Forbidden => Some(format!(
            "the {kind}s cannot be listed; the operator's role must allow list and watch on {plural}"
        )),
        Failure::NoSuchKind => Some(format!(
            "the {kind}s cannot be listed; the CustomResourceDefinition {plural}.anomalyjob.dev is missing, install it"
        )),
        Failure::Unanswered => None,
    }
}

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
