//! Objects that left a cluster and are on their way to another: read anew from the API server, because no copy of them is kept.
//!
//! It knows what it waits for. What a watch tells of meanwhile is newer and not waited for any more; what a read does not
//! bring back is gone.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::guard::Guarded;
use super::source::Home;
use super::translate::key;
use super::writer::API_SERVER_LIMIT;
use crate::api::AnomalyJob;
use crate::reconciler::input::ObjectKey;

/// So many namespaces are read at once.
const AT_ONCE: usize = 4;
/// A read that failed is repeated after this time.
const PAUSE: Duration = Duration::from_secs(5);

/// What came back, and the cluster that is to be begun.
pub(super) struct Back {
    number: u64,
    objects: Vec<AnomalyJob>,
    pub(super) begin: Option<Arc<Home>>,
}

/// The reads that are on their way.
pub(super) struct Anew {
    client: Client,
    /// The objects that are waited for, by the number of the read that brings them.
    expected: HashMap<ObjectKey, u64>,
    reads: JoinSet<Back>,
    last: u64,
    places: Arc<Semaphore>,
}

impl Anew {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            expected: HashMap::new(),
            reads: JoinSet::new(),
            last: 0,
            places: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.expected.is_empty() && self.reads.is_empty()
    }

    /// Reads these objects after a while; a read for each namespace.
    pub(super) fn read(&mut self, objects: &[ObjectKey], after: Duration) {
        let namespaces: BTreeSet<&Arc<str>> = objects.iter().map(|key| &key.namespace).collect();
        for namespace in namespaces {
            self.last += 1;
            let number = self.last;
            let here = objects.iter().filter(|key| key.namespace == *namespace);
            self.expected.extend(here.map(|key| (key.clone(), number)));
            let (client, namespace) = (self.client.clone(), Arc::clone(namespace));
            let places = Arc::clone(&self.places);
            self.reads.spawn(async move {
                tokio::time::sleep(after).await;
                let _place = places.acquire().await;
                Back {
                    number,
                    objects: objects_of(client, &namespace).await,
                    begin: None,
                }
            });
        }
    }

    /// Gives a cluster back after a while, to be begun.
    pub(super) fn begin(&mut self, home: Arc<Home>, after: Duration) {
        self.reads.spawn(async move {
            tokio::time::sleep(after).await;
            Back {
                number: 0,
                objects: Vec::new(),
                begin: Some(home),
            }
        });
    }

    /// A watch has told of this object: it is not waited for.
    pub(super) fn forget(&mut self, key: &ObjectKey) {
        self.expected.remove(key);
    }

    /// Waits until something comes back; `None` where nothing is on its way.
    pub(super) async fn next(&mut self) -> Option<Back> {
        self.reads.join_next().await?.ok()
    }

    /// The objects that were waited for of what came back.
    pub(super) fn take(&mut self, back: Back) -> Vec<AnomalyJob> {
        let mut objects = back.objects;
        objects.retain(|object| {
            let key = key(&object.namespace().unwrap_or_default(), &object.name_any());
            self.expected.get(&key) == Some(&back.number)
        });
        self.expected.retain(|_, of| *of != back.number);
        objects
    }
}

/// The objects of a namespace, read until the API server answers.
async fn objects_of(client: Client, namespace: &str) -> Vec<AnomalyJob> {
    let api: Api<Guarded<AnomalyJob>> = Api::namespaced(client, namespace);
    let params = ListParams::default();
    loop {
        if let Ok(Ok(list)) = tokio::time::timeout(API_SERVER_LIMIT, api.list(&params)).await {
            let objects = list.items.into_iter();
            return objects.filter_map(|object| object.0.ok()).collect();
        }
        tokio::time::sleep(PAUSE).await;
    }
}
