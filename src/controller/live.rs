//! What is read from the API server itself right before it matters: a watch may lag behind. Nothing is kept of it.

use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

use super::source::{Home, Reference};
use super::translate::{delivered, trouble_of_connection};
use super::writer::{API_SERVER_LIMIT, is_gone};
use crate::api::{
    Allow, AllowedNamespaces, AnomalyJob, ClusterElasticsearchConnection, ElasticsearchConnection,
    Granted, Reason,
};
use crate::reconciler::input::{Delivered, NOTHING, ObjectKey, Refusal, Trouble};

/// The objects of one cluster, and the connection that they are there for.
#[derive(Clone)]
pub(super) struct Fresh {
    pub(super) kube: Client,
    pub(super) home: Arc<Home>,
}

impl Fresh {
    /// An object; `None` when it is gone or names another connection by now, and so is another cluster's.
    pub(super) async fn object(&self, key: &ObjectKey) -> Result<Option<Delivered>, Refusal> {
        let api: Api<AnomalyJob> = Api::namespaced(self.kube.clone(), &key.namespace);
        match tokio::time::timeout(API_SERVER_LIMIT, api.get(&key.name)).await {
            Ok(Ok(found)) => Ok(Some(found)
                .filter(|object| self.home.may_be_meant_by(&Reference::of(object)))
                .map(delivered)),
            Ok(Err(error)) if is_gone(&error, &key.name) => Ok(None),
            Ok(Err(_)) | Err(_) => Err(unread("object")),
        }
    }

    /// What objects of this namespace may do through the connection. One that is suspended or gone is not called through.
    pub(super) async fn allow(&self, namespace: &str) -> Result<Allow, Refusal> {
        let allow = match &*self.home {
            Home::Own { name, .. } => self.own(name).await,
            Home::Wide { name } => self.wide(name, namespace).await,
            Home::Outside { .. } => Ok(None),
        };
        allow?.ok_or_else(|| Refusal::Refused(trouble_of_connection()))
    }

    async fn own(&self, name: &str) -> Result<Option<Allow>, Refusal> {
        let api = Api::namespaced(self.kube.clone(), self.home.namespace());
        let found: Option<ElasticsearchConnection> = one(api, name).await?;
        let spec = found.map(|found| found.spec);
        Ok(spec
            .filter(|spec| !spec.access.suspend)
            .map(|spec| spec.allow))
    }

    async fn wide(&self, name: &str, namespace: &str) -> Result<Option<Allow>, Refusal> {
        let api = Api::all(self.kube.clone());
        let found: Option<ClusterElasticsearchConnection> = one(api, name).await?;
        let spec = found.map(|found| found.spec);
        let Some(spec) = spec.filter(|spec| !spec.access.suspend) else {
            return Ok(None);
        };
        let entries = &spec.allowed_namespaces;
        let by_labels = entries.iter().any(AllowedNamespaces::needs_labels);
        let found = if by_labels {
            one::<Namespace>(Api::all(self.kube.clone()), namespace).await?
        } else {
            None
        };
        let labels = found.map(|found| found.metadata.labels.unwrap_or_default());
        Ok(Some(
            match Granted::by(entries, namespace, labels.as_ref()) {
                Granted::This(allow) => allow.clone(),
                Granted::Nothing | Granted::NotKnown => NOTHING.clone(),
            },
        ))
    }
}

/// A list of one, for which the rights that a watch needs are enough.
async fn one<K>(api: Api<K>, name: &str) -> Result<Option<K>, Refusal>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let alone = ListParams::default().fields(&format!("metadata.name={name}"));
    let listed = tokio::time::timeout(API_SERVER_LIMIT, api.list(&alone)).await;
    let Ok(Ok(listed)) = listed else {
        return Err(unread("connection"));
    };
    let mut found = listed.items.into_iter();
    Ok(found.find(|object| object.name_any() == name))
}

fn unread(what: &str) -> Refusal {
    let message = format!("the {what} could not be read from the API server");
    Refusal::Refused(Trouble::new(Reason::RetryingAfterError, message))
}
