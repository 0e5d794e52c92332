//! What is read from the API server itself right before it matters: a watch may lag behind. Nothing is kept of it.

use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

use super::source::{Home, Reference};
use super::translate::{delivered, trouble_of_connection};
use super::writer::API_SERVER_LIMIT;
use crate::api::{
    Allow, AnomalyJob, ClusterElasticsearchConnection, DEFAULT_CONNECTION, ElasticsearchConnection,
    Granted, Reason,
};
use crate::kubernetes::is_gone;
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
        let api: Api<AnomalyJob> = Api::namespaced(self.kube.clone(), key.namespace());
        match tokio::time::timeout(API_SERVER_LIMIT, api.get(key.name())).await {
            Ok(Ok(found)) => {
                let reference = Reference::of(&found);
                let here = self.home.may_be_meant_by(&reference)
                    && !self.has_a_nearer_one(&reference).await?;
                Ok(here.then(|| delivered(key.clone(), found)))
            }
            Ok(Err(error)) if is_gone(&error, key.name()) => Ok(None),
            Ok(Err(error)) => Err(unread("the object", "anomalyjobs", Some(&error))),
            Err(_) => Err(unread("the object", "anomalyjobs", None)),
        }
    }

    /// Whether an object that names none has a `default` of its namespace by now, which comes before the one for all.
    async fn has_a_nearer_one(&self, reference: &Reference) -> Result<bool, Refusal> {
        if reference.named.is_some() || !matches!(*self.home, Home::Wide { .. }) {
            return Ok(false);
        }
        let api: Api<ElasticsearchConnection> =
            Api::namespaced(self.kube.clone(), &reference.namespace);
        Ok(one(api, DEFAULT_CONNECTION).await?.is_some())
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
        let mut granted = Granted::by(entries, namespace, None);
        // Labels are asked for where no entry before has told by names: the right to see them may not be there.
        let labels;
        if matches!(granted, Granted::NotKnown) {
            let found: Option<Namespace> = one(Api::all(self.kube.clone()), namespace).await?;
            labels = found.map(|found| found.metadata.labels.unwrap_or_default());
            granted = Granted::by(entries, namespace, labels.as_ref());
        }
        Ok(Some(match granted {
            Granted::This(allow) => allow.clone(),
            Granted::Nothing | Granted::NotKnown => NOTHING.clone(),
        }))
    }
}

/// A list of one, for which the rights that a watch needs are enough.
async fn one<K>(api: Api<K>, name: &str) -> Result<Option<K>, Refusal>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let alone = ListParams::default().fields(&format!("metadata.name={name}"));
    let what = || format!("{} {name}", K::kind(&()));
    let plural = K::plural(&());
    let listed = match tokio::time::timeout(API_SERVER_LIMIT, api.list(&alone)).await {
        Ok(Ok(listed)) => listed,
        Ok(Err(error)) => return Err(unread(&what(), &plural, Some(&error))),
        Err(_) => return Err(unread(&what(), &plural, None)),
    };
    let mut found = listed.items.into_iter();
    Ok(found.find(|object| object.name_any() == name))
}

fn unread(what: &str, plural: &str, error: Option<&kube::Error>) -> Refusal {
    let mut message = format!("{what} could not be read from the API server");
    if let Some(kube::Error::Api(status)) = error
        && status.is_forbidden()
    {
        message.push_str("; the operator's role must allow get, list and watch on ");
        message.push_str(plural);
    }
    Refusal::Refused(Trouble::new(Reason::RetryingAfterError, message))
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
