//! Which object belongs to which cluster, and the clusters' tasks.
//!
//! A cluster's task is known by its connection. It is there while an object is at home in it or a connection of that name
//! exists. A task that ends by a defect is begun anew; the others never notice. Objects that belong elsewhere by now, because
//! of a connection or of their namespace's labels, leave at once, and are read anew for where they go.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::Resource;
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::Settings;
use super::anew::Anew;
use super::cluster::{Cluster, Message};
use super::directory::{Asked, Directory, Entry, name_of};
use super::invalid::{self, Invalid};
use super::link::{Link, Way};
use super::places::{Left, Places, Settled};
use super::pulse::Pulse;
use super::registry::Registry;
use super::source::{Home, Known, Reference, Source};
use super::translate::delivered;
use super::watch::{Change, Undecodable};
use super::writer::Writer;
use crate::api::{AnomalyJob, ConnectionKind};
use crate::reconciler::input::{Allowances, Event, NOTHING, ObjectKey, Uid};

/// A cluster's task that ended by a defect is begun anew after this time.
const BEGIN_ANEW_AFTER: Duration = Duration::from_secs(5);

struct Handle {
    inbox: mpsc::UnboundedSender<Message>,
    known: watch::Sender<Known>,
    allowances: Option<Allowances>,
    task: Id,
}

/// Routes what the watches deliver.
pub(super) struct Dispatch {
    settings: Settings,
    writer: Writer,
    registry: Registry,
    directory: Directory,
    /// All objects that were there at the start were delivered.
    complete: bool,
    clusters: HashMap<Arc<Home>, Handle>,
    places: Places,
    invalid: Invalid,
    tasks: JoinSet<()>,
    homes: HashMap<Id, Arc<Home>>,
    anew: Anew,
}

impl Dispatch {
    pub(super) fn new(settings: Settings, writer: Writer) -> Self {
        let serves_wide = settings.cluster_connections.is_some();
        Self {
            directory: Directory::new(&settings.namespaces, serves_wide, Instant::now()),
            anew: Anew::new(settings.client.clone()),
            settings,
            writer,
            registry: Registry::default(),
            complete: false,
            clusters: HashMap::new(),
            places: Places::default(),
            invalid: Invalid::default(),
            tasks: JoinSet::new(),
            homes: HashMap::new(),
        }
    }

    /// Whether the labels of namespaces have to be watched.
    pub(super) fn needs_labels(&self) -> bool {
        self.directory.needs_labels()
    }

    /// Whether each question about connections was answered once, so that objects are not moved as soon as they came.
    pub(super) fn has_asked(&self) -> bool {
        self.directory.has_asked()
    }

    /// An AnomalyJob changed.
    pub(super) fn job(&mut self, change: Change<AnomalyJob>) {
        match change {
            Change::Present(key, object) => self.present(key, *object),
            Change::Gone(key) => {
                self.invalid.forget::<AnomalyJob>(&key);
                self.gone(&key);
            }
            Change::Undecodable(object) => self.undecodable(*object),
            Change::Came { namespace } => {
                self.directory.listed(Asked::Jobs, namespace);
                self.jobs_were_asked();
            }
            Change::Failed { namespace, why } => {
                self.directory.failed(Asked::Jobs, namespace, why);
                self.jobs_were_asked();
            }
        }
    }

    fn jobs_were_asked(&mut self) {
        if self.directory.has_all_jobs() {
            self.settings.readiness.listed();
        }
        if !self.complete && self.directory.has_jobs_to_be_had() {
            self.complete = true;
            for handle in self.clusters.values() {
                let _ = handle.inbox.send(Message::Complete);
            }
        }
    }

    /// A connection of this kind changed.
    pub(super) fn connection<K>(&mut self, kind: ConnectionKind, change: Change<K>)
    where
        K: Resource<DynamicType = ()> + Into<Source> + 'static,
    {
        let changed = match change {
            Change::Present(key, object) => {
                let name = name_of(&key);
                let source = Arc::new((*object).into());
                self.directory.put(name.clone(), Entry::Object(source));
                Some(name)
            }
            Change::Undecodable(object) => {
                let name = name_of(&object.key);
                let shown = invalid::shown(&object.why);
                let why = Arc::from(format!("the {kind} cannot be read: {shown}"));
                self.directory.put(name.clone(), Entry::Invalid(why));
                self.report_invalid::<K>(*object);
                Some(name)
            }
            Change::Gone(key) => {
                self.invalid.forget::<K>(&key);
                let name = name_of(&key);
                self.directory.remove(&name, Instant::now());
                Some(name)
            }
            Change::Came { namespace } => {
                self.directory.listed(Asked::Connections(kind), namespace);
                None
            }
            Change::Failed { namespace, why } => {
                let of = Asked::Connections(kind);
                self.directory.failed(of, namespace, why);
                None
            }
        };
        match changed {
            None => self.arrange(None),
            Some((namespace, name)) => self.changed(match kind {
                ConnectionKind::ElasticsearchConnection => Home::Own { namespace, name },
                ConnectionKind::ClusterElasticsearchConnection => Home::Wide { name },
            }),
        }
    }

    /// A namespace changed.
    pub(super) fn namespace(&mut self, change: Change<Namespace>) {
        let only = match &change {
            Change::Present(key, _) | Change::Gone(key) => Some(key.clone()),
            Change::Undecodable(object) => Some(object.key.clone()),
            Change::Came { .. } | Change::Failed { .. } => None,
        };
        self.directory.namespace(change);
        self.arrange(only.as_ref().map(ObjectKey::name));
    }

    /// A connection came, changed or went.
    fn changed(&mut self, home: Home) {
        // One of a namespace concerns that namespace alone.
        let only = match &home {
            Home::Own { namespace, .. } => Some(namespace.as_str()),
            Home::Wide { .. } | Home::Outside { .. } => None,
        };
        self.arrange(only);
        match self.directory.known(&home) {
            Known::Object(_) => self.begin(&Arc::new(home)),
            Known::NotYet | Known::Unusable(_) => self.let_go(&home),
        }
    }

    /// What is known of connections and namespaces changed: of one namespace only, or of any. First those leave who belong
    /// elsewhere; then it is told to those who stay what they may do, and then what their connection is.
    fn arrange(&mut self, only: Option<&str>) {
        let concerns = |namespace: &str| only.is_none_or(|only| only == namespace);
        self.rehome(concerns);
        for home in self.clusters.keys().cloned().collect::<Vec<_>>() {
            match (only, &*home) {
                (Some(namespace), Home::Wide { .. }) => self.tell_allowance(&home, namespace),
                _ if concerns(home.namespace()) => {
                    self.tell_allowances(&home);
                    self.tell_known(&home);
                }
                _ => {}
            }
        }
    }

    fn tell_known(&self, home: &Home) {
        let known = self.directory.known(home);
        if let Some(handle) = self.clusters.get(home) {
            handle.known.send_if_modified(|before| {
                let news = !before.is(&known);
                *before = known;
                news
            });
        }
    }

    fn rehome(&mut self, concerns: impl Fn(&str) -> bool) {
        let home = |reference: &Reference| self.directory.home(reference);
        let leaving = self.places.moving(concerns, home);
        for key in &leaving {
            self.leave(key);
        }
        if !leaving.is_empty() {
            self.anew.read(&leaving, Duration::ZERO);
        }
    }

    fn present(&mut self, key: ObjectKey, object: AnomalyJob) {
        let reference = Reference::of(&object);
        if Reference::remembers_an_own(&object)
            && let Some(home) = self.directory.recall(&reference.namespace, Instant::now())
        {
            self.changed(home);
        }
        let delivered = delivered(key, object);
        self.invalid.forget::<AnomalyJob>(&delivered.key);
        self.anew.forget(&delivered.key);
        if self.places.said(&delivered.key) != Some(&reference) {
            self.leave(&delivered.key);
            self.settle(delivered.key.clone(), reference);
        }
        if let Some(home) = self.places.home_of(&delivered.key) {
            self.send(home, Message::Deliver(Box::new(delivered)));
        }
    }

    fn settle(&mut self, key: ObjectKey, reference: Reference) {
        let home = |reference: &Reference| self.directory.home(reference);
        let Settled { home, first } = self.places.settle(key, reference, home);
        if let Some(reference) = first {
            self.begin(&home);
            self.tell_allowance(&home, &reference.namespace);
        }
    }

    fn gone(&mut self, key: &ObjectKey) {
        self.anew.forget(key);
        self.leave(key);
    }

    fn leave(&mut self, key: &ObjectKey) {
        let Some(Left { home, last }) = self.places.leave(key) else {
            return;
        };
        self.send(&home, Message::Gone(key.clone()));
        if let Some(reference) = last {
            self.tell_allowance(&home, &reference.namespace);
            self.let_go(&home);
        }
    }

    fn undecodable(&mut self, object: Undecodable) {
        self.gone(&object.key);
        let (key, uid, why) = (object.key.clone(), object.uid.clone(), object.why.clone());
        if self.report_invalid::<AnomalyJob>(object) {
            // Its status may be refused by the same schema that the object breaks; an event is always taken.
            let event = Event {
                reason: "InvalidObject",
                note: invalid::message(&why),
                warning: true,
            };
            self.writer.tell(key, Uid::from(&*uid), event);
        }
    }

    fn report_invalid<K>(&mut self, object: Undecodable) -> bool
    where
        K: Resource<DynamicType = ()> + 'static,
    {
        let now = self.settings.clock.now();
        let beside = (&self.writer, &mut self.tasks);
        self.invalid.tell::<K>(object, beside, now)
    }

    fn send(&self, home: &Home, message: Message) {
        if let Some(handle) = self.clusters.get(home) {
            // A task that is gone is begun anew, and reads all of its objects again.
            let _ = handle.inbox.send(message);
        }
    }

    /// Tells a cluster what the objects of one namespace may do, where that is news: all would be too much for each that
    /// comes. Of those of a namespace's own connection there is nothing to tell but with the connection.
    fn tell_allowance(&mut self, home: &Home, namespace: &str) {
        let Home::Wide { name } = home else {
            return;
        };
        let is_there = self.places.namespaces(home).any(|here| here == namespace);
        let granted = self.directory.granted(namespace, name);
        let allow = granted.filter(|_| is_there).unwrap_or(&NOTHING);
        if let Some(handle) = self.clusters.get_mut(home)
            && let Some(told) = &mut handle.allowances
        {
            let namespace = Arc::from(namespace);
            if told.allow(&namespace, allow.clone()) {
                let message = Message::AllowedTo(namespace, allow.clone());
                let _ = handle.inbox.send(message);
            }
        }
    }

    /// Tells a cluster what its objects may do, where that is news.
    fn tell_allowances(&mut self, home: &Home) {
        // Those of one namespace depend on nothing else.
        let many = matches!(home, Home::Wide { .. });
        let namespaces = self.places.namespaces(home).filter(|_| many);
        let Some(now) = self.directory.allowances(home, namespaces) else {
            return;
        };
        if let Some(handle) = self.clusters.get_mut(home)
            && handle.allowances.as_ref() != Some(&now)
        {
            handle.allowances = Some(now.clone());
            let _ = handle.inbox.send(Message::Allowed(now));
        }
    }

    /// Ends the task of a cluster that nothing names any more.
    fn let_go(&mut self, home: &Home) {
        let used = self.places.namespaces(home).next().is_some();
        if !used && !matches!(self.directory.known(home), Known::Object(_)) {
            self.clusters.remove(home);
        }
    }

    /// Makes sure that the cluster has a task.
    fn begin(&mut self, home: &Arc<Home>) {
        if self.clusters.contains_key(home) {
            return;
        }
        let (inbox, messages) = mpsc::unbounded_channel();
        let (known, connection) = watch::channel(self.directory.known(home));
        let (recheck, rechecks) = mpsc::channel(1);
        let settings = &self.settings;
        let pulse = Pulse::new();
        let cluster = Cluster {
            home: Arc::clone(home),
            kube: settings.client.clone(),
            claim: settings.claim.clone(),
            metrics: settings.metrics.clone(),
            writer: self.writer.clone(),
            inbox: messages,
            recheck,
            seat: self.registry.join(inbox.clone(), !self.complete),
            pulse: pulse.clone(),
            clock: settings.clock.clone(),
        };
        let link = self.link(home, connection, rechecks, (inbox.clone(), pulse));
        let task = self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = cluster.run() => {}
                () = link.run() => {}
            }
        });
        self.homes.insert(task.id(), Arc::clone(home));
        let handle = Handle {
            inbox,
            known,
            allowances: None,
            task: task.id(),
        };
        self.clusters.insert(Arc::clone(home), handle);
        self.tell_allowances(home);
    }

    fn link(
        &self,
        home: &Arc<Home>,
        known: watch::Receiver<Known>,
        recheck: mpsc::Receiver<()>,
        (cluster, pulse): (mpsc::UnboundedSender<Message>, Pulse),
    ) -> Link {
        let secrets = match &**home {
            Home::Own { namespace, .. } => namespace.clone(),
            Home::Wide { .. } | Home::Outside { .. } => self
                .settings
                .cluster_connections
                .clone()
                .unwrap_or_default(),
        };
        Link {
            home: Arc::clone(home),
            secrets,
            kube: self.settings.client.clone(),
            writer: self.writer.clone(),
            known,
            recheck,
            cluster,
            pulse,
            clock: self.settings.clock.clone(),
            dial: Arc::clone(&self.settings.dial),
            way: Way::default(),
        }
    }

    /// Waits until a task has ended, and begins a cluster's anew where that was a defect; or until objects were read anew, or a
    /// connection has been missed for long enough.
    pub(super) async fn tend(&mut self) {
        let lapse = self.directory.next_lapse();
        tokio::select! {
            biased;
            Some(ended) = self.tasks.join_next_with_id() => {
                let (id, defect) = match ended {
                    Ok((id, ())) => (id, None),
                    Err(error) => (error.id(), Some(error)),
                };
                if let Some(home) = self.homes.remove(&id) {
                    self.ended(&home, id, defect.as_ref());
                }
            }
            Some(mut back) = self.anew.next() => {
                let begin = back.begin.take();
                for (key, object) in self.anew.take(back) {
                    self.present(key, object);
                }
                if let Some(home) = begin {
                    self.begin(&home);
                    self.let_go(&home);
                }
            }
            () = sleep_until(lapse.unwrap_or_else(Instant::now)), if lapse.is_some() => {
                for home in self.directory.lapse(Instant::now()) {
                    self.changed(home);
                }
            }
            else => std::future::pending().await,
        }
    }

    fn ended(&mut self, home: &Arc<Home>, id: Id, defect: Option<&JoinError>) {
        if self
            .clusters
            .get(home)
            .is_none_or(|handle| handle.task != id)
        {
            return;
        }
        let defect = defect.map_or_else(|| "it returned".to_owned(), ToString::to_string);
        tracing::error!(
            namespace = home.namespace(),
            connection = home.name(),
            defect,
            "the task of a cluster ended; it is begun anew"
        );
        self.clusters.remove(home);
        let lost = self.places.at(home);
        for key in &lost {
            self.leave(key);
        }
        self.anew.read(&lost, BEGIN_ANEW_AFTER);
        self.anew.begin(Arc::clone(home), BEGIN_ANEW_AFTER);
    }
}

#[cfg(test)]
#[path = "dispatch_tests.rs"]
mod tests;
