//! A connection of either kind, in the words that the rest of the shell needs; and what objects say of theirs. Plain data.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt as _;

use crate::api::{
    Access, Allow, AllowedNamespaces, AnomalyJob, ClusterElasticsearchConnection, ConnectionKind,
    DEFAULT_CONNECTION, ElasticsearchConnection, ElasticsearchConnectionStatus,
};
use crate::reconciler::input::Trouble;

/// A connection that can be decoded.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) metadata: ObjectMeta,
    pub(super) access: Access,
    pub(super) serves: Serves,
    pub(super) status: Option<ElasticsearchConnectionStatus>,
}

/// Whom a connection serves.
#[derive(Debug)]
pub(super) enum Serves {
    /// The objects of its own namespace.
    Own(Allow),
    /// Those of these namespaces.
    Others(Vec<AllowedNamespaces>),
}

impl Source {
    pub(super) fn kind(&self) -> ConnectionKind {
        match self.serves {
            Serves::Own(_) => ConnectionKind::ElasticsearchConnection,
            Serves::Others(_) => ConnectionKind::ClusterElasticsearchConnection,
        }
    }
}

impl From<ElasticsearchConnection> for Source {
    fn from(object: ElasticsearchConnection) -> Self {
        Self {
            metadata: object.metadata,
            access: object.spec.access,
            serves: Serves::Own(object.spec.allow),
            status: object.status,
        }
    }
}

impl From<ClusterElasticsearchConnection> for Source {
    fn from(object: ClusterElasticsearchConnection) -> Self {
        Self {
            metadata: object.metadata,
            access: object.spec.access,
            serves: Serves::Others(object.spec.allowed_namespaces),
            status: object.status,
        }
    }
}

/// What is known of the connection of a cluster's task.
#[derive(Clone, Debug, Default)]
pub(super) enum Known {
    /// What it depends on was not listed yet.
    #[default]
    NotYet,
    /// There is none that could be used.
    Unusable(Trouble),
    /// Here it is.
    Object(Arc<Source>),
}

impl Known {
    /// Nothing is new in it.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::NotYet, Self::NotYet) => true,
            (Self::Unusable(one), Self::Unusable(two)) => one == two,
            (Self::Object(one), Self::Object(two)) => Arc::ptr_eq(one, two),
            _ => false,
        }
    }
}

/// What an object says of its connection. All that say the same have the same one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Reference {
    pub(super) namespace: String,
    /// Kind and name; `None` where nothing is said.
    pub(super) named: Option<(ConnectionKind, String)>,
}

impl Reference {
    pub(super) fn of(object: &AnomalyJob) -> Self {
        let named = object.spec.connection_ref.as_ref();
        Self {
            namespace: object.namespace().unwrap_or_default(),
            named: named.map(|named| (named.kind, named.name.clone())),
        }
    }

    /// The object names no connection, and its status speaks of a cluster that was reached by the `default` of its own namespace.
    pub(super) fn remembers_an_own(object: &AnomalyJob) -> bool {
        let status = object.status.as_ref();
        let seen = status.and_then(|status| status.connection.as_ref());
        object.spec.connection_ref.is_none()
            && seen.is_some_and(|seen| {
                // Where there is none it is named too.
                let reached = seen.cluster_uuid.is_some() || seen.version.is_some();
                let own = seen.kind == ConnectionKind::ElasticsearchConnection;
                reached && own && seen.name == DEFAULT_CONNECTION
            })
    }
}

/// A cluster's task, by the connection that it is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Home {
    /// An ElasticsearchConnection.
    Own { namespace: String, name: String },
    /// A ClusterElasticsearchConnection, for objects of all the namespaces that it serves.
    Wide { name: String },
    /// Objects of one namespace that a ClusterElasticsearchConnection does not serve: nothing is called there.
    Outside { namespace: String, name: String },
}

impl Home {
    pub(super) fn kind(&self) -> ConnectionKind {
        match self {
            Self::Own { .. } => ConnectionKind::ElasticsearchConnection,
            Self::Wide { .. } | Self::Outside { .. } => {
                ConnectionKind::ClusterElasticsearchConnection
            }
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Own { name, .. } | Self::Wide { name } | Self::Outside { name, .. } => name,
        }
    }

    /// The one namespace whose objects are in it; empty where there may be many.
    pub(super) fn namespace(&self) -> &str {
        match self {
            Self::Own { namespace, .. } | Self::Outside { namespace, .. } => namespace,
            Self::Wide { .. } => "",
        }
    }

    /// Whether an object that says this may still be at home here, for one who knows nothing but the object.
    pub(super) fn may_be_meant_by(&self, reference: &Reference) -> bool {
        let here = self.namespace().is_empty() || self.namespace() == reference.namespace;
        let meant = match &reference.named {
            Some((kind, name)) => *kind == self.kind() && name == self.name(),
            None => self.name() == DEFAULT_CONNECTION,
        };
        here && meant
    }
}
