//! What is read from the API server itself right before it matters: a watch may lag behind. Nothing is kept of it.

use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};

use super::translate::{delivered, trouble_of_connection};
use super::writer::{API_SERVER_LIMIT, is_gone};
use crate::api::{Allow, AnomalyJob, ElasticsearchConnection, Reason};
use crate::reconciler::input::{Delivered, ObjectKey, Refusal, Trouble};

/// Where the objects of one cluster are, and the connection that they name.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) kube: Client,
    pub(super) namespace: String,
    pub(super) connection: String,
}

impl Source {
    /// An object; `None` when it is gone or names another connection by now, and so is another cluster's.
    pub(super) async fn object(&self, key: &ObjectKey) -> Result<Option<Delivered>, Refusal> {
        let api: Api<AnomalyJob> = Api::namespaced(self.kube.clone(), &self.namespace);
        match tokio::time::timeout(API_SERVER_LIMIT, api.get(&key.name)).await {
            Ok(Ok(found)) => Ok(Some(found)
                .filter(|object| object.spec.connection_ref.name == self.connection)
                .map(delivered)),
            Ok(Err(error)) if is_gone(&error, &key.name) => Ok(None),
            Ok(Err(_)) | Err(_) => Err(unread("object")),
        }
    }

    /// What may be done through the connection. One that is suspended or gone is not called through.
    pub(super) async fn allow(&self) -> Result<Allow, Refusal> {
        let api: Api<ElasticsearchConnection> = Api::namespaced(self.kube.clone(), &self.namespace);
        // A list of one, for which the rights that a watch needs are enough.
        let alone = ListParams::default().fields(&format!("metadata.name={}", self.connection));
        let listed = tokio::time::timeout(API_SERVER_LIMIT, api.list(&alone)).await;
        let Ok(Ok(listed)) = listed else {
            return Err(unread("connection"));
        };
        let ours = |object: &ElasticsearchConnection| object.name_any() == self.connection;
        let found = listed.items.into_iter().find(ours);
        let found = found.filter(|object| !object.spec.suspend);
        let allow = found.map(|object| object.spec.allow);
        allow.ok_or_else(|| Refusal::Refused(trouble_of_connection()))
    }
}

fn unread(what: &str) -> Refusal {
    let message = format!("the {what} could not be read from the API server");
    Refusal::Refused(Trouble::new(Reason::RetryingAfterError, message))
}
