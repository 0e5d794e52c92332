//! Which object belongs to which cluster, and the clusters' tasks.
//!
//! A cluster is known by the name of its connection in its namespace. It has a task while an object names it or a
//! connection of that name exists. A task that ends by a defect is begun anew; the others never notice.

use std::any::TypeId;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};

use super::Settings;
use super::cluster::{Cluster, Message};
use super::guard::Guarded;
use super::invalid;
use super::link::{Known, Link, Way};
use super::pulse::Pulse;
use super::registry::Registry;
use super::translate::{connection_of, delivered, key};
use super::watch::{Change, Undecodable};
use super::writer::{API_SERVER_LIMIT, Writer};
use crate::api::{AnomalyJob, ElasticsearchConnection};
use crate::reconciler::input::{Event, ObjectKey};

/// Namespace and name of a connection.
type Name = (String, String);

/// A cluster's task that ended by a defect is begun anew after this time.
const BEGIN_ANEW_AFTER: Duration = Duration::from_secs(5);

struct Handle {
    name: Arc<Name>,
    inbox: mpsc::UnboundedSender<Message>,
    known: watch::Sender<Known>,
    objects: usize,
    task: Id,
}

/// Routes what the watches deliver.
pub(super) struct Dispatch {
    settings: Settings,
    writer: Writer,
    registry: Registry,
    clusters: HashMap<Name, Handle>,
    /// The connection of each object, shared by all that name it.
    objects: HashMap<ObjectKey, Arc<Name>>,
    connections: BTreeMap<Name, Known>,
    connections_listed: bool,
    invalid: HashMap<(TypeId, ObjectKey), (String, i64)>,
    tasks: JoinSet<()>,
    names: HashMap<Id, Name>,
    again: JoinSet<(Name, Vec<AnomalyJob>)>,
    /// What went while a list is being read anew.
    went: HashSet<ObjectKey>,
}

impl Dispatch {
    pub(super) fn new(settings: Settings, writer: Writer) -> Self {
        Self {
            settings,
            writer,
            registry: Registry::default(),
            clusters: HashMap::new(),
            objects: HashMap::new(),
            connections: BTreeMap::new(),
            connections_listed: false,
            invalid: HashMap::new(),
            tasks: JoinSet::new(),
            names: HashMap::new(),
            again: JoinSet::new(),
            went: HashSet::new(),
        }
    }

    /// An AnomalyJob changed.
    pub(super) fn job(&mut self, change: Change<AnomalyJob>) {
        match change {
            Change::Present(object) => self.present(*object),
            Change::Gone { namespace, name } => {
                let key = key(&namespace, &name);
                self.forget_invalid::<AnomalyJob>(&key);
                self.gone(&key);
            }
            Change::Undecodable(object) => self.undecodable(&object),
            Change::Listed => self.settings.readiness.listed(),
        }
    }

    /// An ElasticsearchConnection changed.
    pub(super) fn connection(&mut self, change: Change<ElasticsearchConnection>) {
        match change {
            Change::Present(object) => {
                let name = (object.namespace().unwrap_or_default(), object.name_any());
                self.connections
                    .insert(name.clone(), Known::Object(Arc::from(object)));
                self.begin(&name);
                self.reconnect(&name);
            }
            Change::Undecodable(object) => {
                let name = (object.namespace.clone(), object.name.clone());
                let why = format!(
                    "the ElasticsearchConnection cannot be read: {}",
                    invalid::shown(&object.why)
                );
                self.connections
                    .insert(name.clone(), Known::Invalid(Arc::from(why)));
                self.reconnect(&name);
                self.report_invalid::<ElasticsearchConnection>(&object);
            }
            Change::Gone { namespace, name } => {
                let name = (namespace, name);
                self.forget_invalid::<ElasticsearchConnection>(&key(&name.0, &name.1));
                self.connections.remove(&name);
                self.reconnect(&name);
                self.let_go(&name);
            }
            Change::Listed => {
                self.connections_listed = true;
                for name in self.clusters.keys().cloned().collect::<Vec<_>>() {
                    self.reconnect(&name);
                }
            }
        }
    }

    fn present(&mut self, object: AnomalyJob) {
        let name = connection_of(&object);
        let delivered = delivered(object);
        self.forget_invalid::<AnomalyJob>(&delivered.key);
        if self
            .objects
            .get(&delivered.key)
            .is_none_or(|of| **of != name)
        {
            self.gone(&delivered.key);
            self.begin(&name);
            if let Some(handle) = self.clusters.get_mut(&name) {
                handle.objects += 1;
                let of = Arc::clone(&handle.name);
                self.objects.insert(delivered.key.clone(), of);
            }
        }
        self.send(&name, Message::Deliver(Box::new(delivered)));
    }

    fn gone(&mut self, key: &ObjectKey) {
        if !self.again.is_empty() {
            self.went.insert(key.clone());
        }
        let Some(name) = self.objects.remove(key) else {
            return;
        };
        self.send(&name, Message::Gone(key.clone()));
        if let Some(handle) = self.clusters.get_mut(&name) {
            handle.objects = handle.objects.saturating_sub(1);
        }
        self.let_go(&name);
    }

    fn undecodable(&mut self, object: &Undecodable) {
        let key = key(&object.namespace, &object.name);
        self.gone(&key);
        if self.report_invalid::<AnomalyJob>(object) {
            // Its status may be refused by the same schema that the object breaks; an event is always taken.
            let event = Event {
                reason: "InvalidObject",
                note: invalid::message(&object.why),
                warning: true,
            };
            self.writer.tell(key, Arc::from(object.uid.as_str()), event);
        }
    }

    fn forget_invalid<K: 'static>(&mut self, key: &ObjectKey) {
        self.invalid.remove(&(TypeId::of::<K>(), key.clone()));
    }

    /// Says once for each generation what cannot be decoded, however often it is delivered: our own status comes back
    /// too. Returns whether it is news.
    fn report_invalid<K>(&mut self, object: &Undecodable) -> bool
    where
        K: kube::Resource<DynamicType = ()> + 'static,
    {
        let key = (TypeId::of::<K>(), key(&object.namespace, &object.name));
        let version = (object.uid.clone(), object.generation);
        if self.invalid.insert(key, version.clone()) == Some(version) {
            return false;
        }
        tracing::warn!(kind = %K::kind(&()), namespace = object.namespace, name = object.name, "cannot be decoded: {}", invalid::shown(&object.why));
        let (writer, now) = (self.writer.clone(), self.settings.clock.now());
        let seen = invalid::Seen::of(object);
        self.tasks.spawn(invalid::report::<K>(writer, seen, now));
        true
    }

    fn send(&mut self, name: &Name, message: Message) {
        if let Some(handle) = self.clusters.get(name) {
            // A task that is gone is begun anew, and reads all of its objects again.
            let _ = handle.inbox.send(message);
        }
    }

    fn known(&self, name: &Name) -> Known {
        match self.connections.get(name) {
            Some(known) => known.clone(),
            None if self.connections_listed => Known::Missing,
            None => Known::NotYet,
        }
    }

    fn reconnect(&self, name: &Name) {
        if let Some(handle) = self.clusters.get(name) {
            handle.known.send_replace(self.known(name));
        }
    }

    /// Ends the task of a cluster that nothing names any more.
    fn let_go(&mut self, name: &Name) {
        let unused = |handle: &Handle| handle.objects == 0;
        if !self.connections.contains_key(name) && self.clusters.get(name).is_some_and(unused) {
            self.clusters.remove(name);
        }
    }

    /// Makes sure that the cluster has a task.
    fn begin(&mut self, name: &Name) {
        if self.clusters.contains_key(name) {
            return;
        }
        let (inbox, messages) = mpsc::unbounded_channel();
        let (known, connection) = watch::channel(self.known(name));
        let (recheck, rechecks) = mpsc::channel(1);
        let settings = &self.settings;
        let pulse = Pulse::new();
        let cluster = Cluster {
            namespace: name.0.clone(),
            kube: settings.client.clone(),
            claim: settings.claim.clone(),
            metrics: settings.metrics.clone(),
            writer: self.writer.clone(),
            inbox: messages,
            recheck,
            seat: self.registry.join(inbox.clone()),
            pulse: pulse.clone(),
            clock: settings.clock.clone(),
        };
        let link = self.link(name, connection, rechecks, (inbox.clone(), pulse));
        let connection = name.1.clone();
        let task = self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = cluster.run(connection) => {}
                () = link.run() => {}
            }
        });
        self.names.insert(task.id(), name.clone());
        self.clusters.insert(
            name.clone(),
            Handle {
                name: Arc::new(name.clone()),
                inbox,
                known,
                objects: 0,
                task: task.id(),
            },
        );
    }

    fn link(
        &self,
        name: &Name,
        known: watch::Receiver<Known>,
        recheck: mpsc::Receiver<()>,
        (cluster, pulse): (mpsc::UnboundedSender<Message>, Pulse),
    ) -> Link {
        Link {
            namespace: name.0.clone(),
            name: name.1.clone(),
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

    /// Waits until a task has ended, and begins a cluster's anew where that was a defect.
    pub(super) async fn tend(&mut self) {
        tokio::select! {
            biased;
            Some(ended) = self.tasks.join_next_with_id() => {
                let (id, defect) = match ended {
                    Ok((id, ())) => (id, None),
                    Err(error) => (error.id(), Some(error)),
                };
                if let Some(name) = self.names.remove(&id) {
                    self.ended(name, id, defect.as_ref());
                }
            }
            Some(Ok((name, objects))) = self.again.join_next() => {
                self.begin(&name);
                for object in objects {
                    // The watch may have been faster than the list, and is right.
                    let key = key(&object.namespace().unwrap_or_default(), &object.name_any());
                    if !self.objects.contains_key(&key) && !self.went.contains(&key) {
                        self.present(object);
                    }
                }
                if self.again.is_empty() {
                    self.went.clear();
                }
                self.let_go(&name);
            }
            else => std::future::pending().await,
        }
    }

    fn ended(&mut self, name: Name, id: Id, defect: Option<&JoinError>) {
        if self
            .clusters
            .get(&name)
            .is_none_or(|handle| handle.task != id)
        {
            return;
        }
        let defect = defect.map_or_else(|| "it returned".to_owned(), ToString::to_string);
        tracing::error!(
            namespace = name.0,
            connection = name.1,
            defect,
            "the task of a cluster ended; it is begun anew"
        );
        self.clusters.remove(&name);
        self.objects.retain(|_, of| **of != name);
        let client = self.settings.client.clone();
        self.again.spawn(async move {
            tokio::time::sleep(BEGIN_ANEW_AFTER).await;
            let objects = objects_of(client, &name).await;
            (name, objects)
        });
    }
}

/// The objects of one cluster, read anew until the API server answers.
async fn objects_of(client: Client, name: &Name) -> Vec<AnomalyJob> {
    let api: Api<Guarded<AnomalyJob>> = Api::namespaced(client, &name.0);
    let params = ListParams::default();
    loop {
        if let Ok(Ok(list)) = tokio::time::timeout(API_SERVER_LIMIT, api.list(&params)).await {
            let objects = list.items.into_iter().filter_map(|object| object.0.ok());
            return objects
                .filter(|object| connection_of(object) == *name)
                .collect();
        }
        tokio::time::sleep(BEGIN_ANEW_AFTER).await;
    }
}
