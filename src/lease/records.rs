//! Reading and writing the lease object. Writes are compare-and-swap and nothing else; a write that lost says so by its
//! own error. No retry and no judgement here.

use std::future::Future;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease as Record;
use kube::api::{Api, PostParams};

/// Why a read or write of the lease failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else has written, created or deleted the object since it was read.
    #[error("the lease was changed by somebody else")]
    Conflict,
    /// The API server did not answer in time.
    #[error("the Kubernetes API did not answer within {0:?}")]
    Timeout(Duration),
    /// The API server refused, or could not be reached.
    #[error("the Kubernetes API: {0}")]
    Kubernetes(#[from] Box<kube::Error>),
}

/// A place for one lease record, with compare-and-swap. A trait so that the loops run in virtual time against one in
/// memory.
pub(super) trait Records: Clone + Send + Sync + 'static {
    fn read(&self) -> impl Future<Output = Result<Option<Record>, Error>> + Send;
    /// Creates a record that has no resourceVersion, replaces one that has.
    fn write(&self, record: Record) -> impl Future<Output = Result<Record, Error>> + Send;
}

/// The lease object `name` in the API server (`coordination.k8s.io/v1`).
#[derive(Clone)]
pub(super) struct Kubernetes {
    pub(super) api: Api<Record>,
    pub(super) name: String,
}

impl Records for Kubernetes {
    async fn read(&self) -> Result<Option<Record>, Error> {
        Ok(self.api.get_opt(&self.name).await.map_err(Box::new)?)
    }

    async fn write(&self, mut record: Record) -> Result<Record, Error> {
        record.metadata.name = Some(self.name.clone());
        let parameters = PostParams::default();
        let written = match record.metadata.resource_version {
            None => self.api.create(&parameters, &record).await,
            Some(_) => self.api.replace(&self.name, &parameters, &record).await,
        };
        written.map_err(|error| {
            if is_conflict(&error) {
                Error::Conflict
            } else {
                Error::Kubernetes(Box::new(error))
            }
        })
    }
}

/// 409: changed since, or created by another. 404: deleted since; but where it names the namespace no new read can heal it.
fn is_conflict(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else {
        return false;
    };
    let details = status.details.as_ref();
    let namespace_is_missing = details.is_some_and(|details| details.kind == "namespaces");
    matches!(status.code, 404 | 409) && !namespace_is_missing
}
