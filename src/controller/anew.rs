//! Objects that left a cluster and are on their way to another: read anew from the API server, because no copy of them is kept.
//!
//! It knows what it waits for. What a watch tells of meanwhile is newer and not waited for any more; what a read does not
//! bring back is gone.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use kube::api::ListParams;
use kube::core::ObjectList;
use kube::{Api, Client, ResourceExt as _};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};

use super::guard::Guarded;
use super::source::Home;
use super::watch::PAGE;
use super::writer::API_SERVER_LIMIT;
use crate::api::AnomalyJob;
use crate::reconciler::input::ObjectKey;

/// So many pages are read at once.
const AT_ONCE: usize = 4;
/// A page that could not be had is asked for again after this time.
const PAUSE: Duration = Duration::from_secs(5);
/// One that may not be had, after this: the right comes back, if at all, when somebody gives it.
const FORBIDDEN_PAUSE: Duration = Duration::from_secs(60);

/// What came back, and the cluster that is to be begun.
pub(super) struct Back {
    number: u64,
    objects: Vec<AnomalyJob>,
    pub(super) begin: Option<Arc<Home>>,
}

/// A read that is on its way.
struct Read {
    task: AbortHandle,
    /// How many objects are still expected of it.
    expected: usize,
}

/// The reads that are on their way.
pub(super) struct Anew {
    client: Client,
    /// The objects that are waited for, by the number of the read that brings them.
    expected: HashMap<ObjectKey, u64>,
    waited_for: HashMap<u64, Read>,
    reads: JoinSet<Back>,
    last: u64,
    places: Arc<Semaphore>,
}

impl Anew {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            expected: HashMap::new(),
            waited_for: HashMap::new(),
            reads: JoinSet::new(),
            last: 0,
            places: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.expected.is_empty() && self.waited_for.is_empty() && self.reads.is_empty()
    }

    /// Reads these objects after a while; a read for each namespace.
    pub(super) fn read(&mut self, objects: &[ObjectKey], after: Duration) {
        let namespaces: BTreeSet<&Arc<str>> = objects.iter().map(ObjectKey::namespace).collect();
        for namespace in namespaces {
            self.last += 1;
            let number = self.last;
            let here = objects.iter().filter(|key| key.namespace() == namespace);
            let mut names = BTreeSet::new();
            for key in here {
                self.forget(key);
                self.expected.insert(key.clone(), number);
                names.insert(Box::from(key.name()));
            }
            let expected = names.len();
            let pages = Pages {
                api: Api::namespaced(self.client.clone(), namespace),
                names,
                places: Arc::clone(&self.places),
            };
            let task = self.reads.spawn(async move {
                tokio::time::sleep(after).await;
                Back {
                    number,
                    objects: pages.read().await,
                    begin: None,
                }
            });
            self.waited_for.insert(number, Read { task, expected });
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

    /// A watch has told of this object: it is not waited for. A read of which nothing is expected any more ends.
    pub(super) fn forget(&mut self, key: &ObjectKey) {
        let Some(number) = self.expected.remove(key) else {
            return;
        };
        let Some(read) = self.waited_for.get_mut(&number) else {
            return;
        };
        read.expected = read.expected.saturating_sub(1);
        if read.expected == 0 {
            read.task.abort();
            self.waited_for.remove(&number);
        }
    }

    /// Waits until something comes back; `None` where nothing is on its way.
    pub(super) async fn next(&mut self) -> Option<Back> {
        loop {
            // One that was ended brings nothing, and is not the last.
            if let Ok(back) = self.reads.join_next().await? {
                return Some(back);
            }
        }
    }

    /// The objects that were waited for of what came back, with the keys by which they were.
    pub(super) fn take(&mut self, back: Back) -> Vec<(ObjectKey, AnomalyJob)> {
        let awaited = |object: &AnomalyJob| {
            let (key, of) = self.expected.get_key_value(&key_of(object))?;
            (*of == back.number).then(|| key.clone())
        };
        let objects = back.objects.into_iter();
        let objects = objects
            .filter_map(|object| Some((awaited(&object)?, object)))
            .collect();
        self.expected.retain(|_, of| *of != back.number);
        self.waited_for.remove(&back.number);
        objects
    }
}

fn key_of(object: &AnomalyJob) -> ObjectKey {
    ObjectKey::new(object.namespace().unwrap_or_default(), object.name_any())
}

/// The objects of a namespace, page by page, of which these are kept.
struct Pages {
    api: Api<Guarded<AnomalyJob>>,
    names: BTreeSet<Box<str>>,
    places: Arc<Semaphore>,
}

/// How a page was answered.
enum Page {
    Here(ObjectList<Guarded<AnomalyJob>>),
    /// What was read so far is too old to be gone on with.
    Expired,
    Forbidden,
    Failed,
}

impl Pages {
    /// Until the API server has told of all of them.
    async fn read(self) -> Vec<AnomalyJob> {
        let mut objects = Vec::new();
        let mut params = ListParams::default().limit(PAGE);
        loop {
            let pause = match self.page(&params).await {
                Page::Here(list) => {
                    let here = list.items.into_iter().filter_map(|object| object.0.ok());
                    let meant =
                        |object: &AnomalyJob| self.names.contains(object.name_any().as_str());
                    objects.extend(here.filter(meant));
                    params.continue_token = list.metadata.continue_.filter(|next| !next.is_empty());
                    if params.continue_token.is_none() {
                        return objects;
                    }
                    continue;
                }
                Page::Expired => {
                    objects.clear();
                    params.continue_token = None;
                    continue;
                }
                Page::Forbidden => FORBIDDEN_PAUSE,
                Page::Failed => PAUSE,
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// A place is had for one page: who has to wait or is refused keeps it from nobody.
    async fn page(&self, params: &ListParams) -> Page {
        let _place = self.places.acquire().await;
        let listed = tokio::time::timeout(API_SERVER_LIMIT, self.api.list(params)).await;
        match listed {
            Ok(Ok(list)) => Page::Here(list),
            Ok(Err(kube::Error::Api(status))) => match status.code {
                403 => Page::Forbidden,
                410 if params.continue_token.is_some() => Page::Expired,
                // Also 404: a server that does not know the kind just now says nothing of its objects.
                _ => Page::Failed,
            },
            Ok(Err(_)) | Err(_) => Page::Failed,
        }
    }
}

#[cfg(test)]
#[path = "anew_tests.rs"]
mod tests;
