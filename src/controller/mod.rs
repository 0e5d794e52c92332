//! The shell around the brain: watches in, calls and status writes out.
//!
//! - `watch`: objects in; `dispatch`: which object belongs to which cluster, `places`: where each is; `anew`: objects on their way to another
//! - `source`: a connection of either kind; `directory`: which one an object means, and whether it may use it
//! - `cluster`: one task a cluster, driving one [`Reconciler`](crate::reconciler::Reconciler)
//! - `resolve`: from a connection and its Secrets to an endpoint; `link`: from there to a proven client; `rejection`: what is not shown again; `connection_status`: what is said of it
//! - `observe`, `call`: questions and calls of the brain as requests; `live`: what is read right before it matters; `registry`: who acts, above all brains; `translate`: between the words of both sides; `troubles`: what a trouble is about, and what objects are told of it
//! - `writer`: the only place that writes to the API server; `turn`: in which order; `invalid`: what is said of what cannot be decoded
//!
//! It decides nothing about jobs, keeps nothing that must survive, and awaits nothing that may take long in the way of
//! anything else. Everything it starts ends with it.

mod anew;
mod call;
mod cluster;
mod connection_status;
mod directory;
mod dispatch;
mod guard;
mod invalid;
mod link;
mod live;
mod observe;
mod places;
mod pulse;
mod registry;
mod rejection;
mod resolve;
mod source;
mod translate;
mod troubles;
mod turn;
mod watch;
mod writer;

use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Namespace;
use kube::Client;

use crate::admin::Readiness;
use crate::api::{
    AnomalyJob, ClusterElasticsearchConnection, ConnectionKind, ElasticsearchConnection,
};
use crate::clock::Clock;
use crate::elasticsearch::{self, Endpoint, Error as ElasticsearchError, SetupError};
use crate::lease::Claim;
use crate::shutdown::Shutdown;
use crate::telemetry::{ElasticsearchOutcome, Metrics};
use watch::Change;

/// What one run of the controller is given. A new claim is a new run: nothing is carried over.
pub struct Settings {
    /// The Kubernetes API. It neither retries nor bounds a call: the caller of a call does.
    pub client: Client,
    /// The namespaces to watch; none means all.
    pub namespaces: Vec<String>,
    /// The namespace of the Secrets of ClusterElasticsearchConnections; without one that kind is not served.
    pub cluster_connections: Option<String>,
    /// Asked right before each mutating call.
    pub claim: Claim,
    /// Where counts go.
    pub metrics: Metrics,
    /// Told when the first list was delivered.
    pub readiness: Readiness,
    /// What time people say it is.
    pub clock: Clock,
    /// How a client of an Elasticsearch is made.
    pub dial: Dial,
}

/// How a client of an Elasticsearch is made: by [`new`](elasticsearch::Client::new), or in tests with requests that are
/// carried in memory.
pub type Dial = Arc<dyn Fn(&Endpoint) -> Result<elasticsearch::Client, SetupError> + Send + Sync>;

/// Why a run of the controller ended without being asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A watch came to an end, which it never does.
    #[error("the watch of {0} ended")]
    WatchEnded(&'static str),
}

/// Runs until `shutdown` asks it to stop. Dropping it stops it as well: nothing of it lives on.
pub async fn run(settings: Settings, shutdown: Shutdown) -> Result<(), Error> {
    let mut watches = Watches::begin(&settings);
    let (client, claim, metrics) = (
        settings.client.clone(),
        settings.claim.clone(),
        settings.metrics.clone(),
    );
    let (writer, telling) = writer::Writer::new(client, claim, metrics);
    let mut dispatch = dispatch::Dispatch::new(settings, writer);
    let watching = async {
        let ended: Error = loop {
            if let Err(ended) = watches.turn(&mut dispatch).await {
                break ended;
            }
        };
        Err(ended)
    };
    tokio::select! {
        biased;
        () = shutdown.requested() => Ok(()),
        () = telling => Ok(()),
        ended = watching => ended,
    }
}

/// Everything that is watched.
struct Watches {
    jobs: BoxStream<'static, Change<AnomalyJob>>,
    own: BoxStream<'static, Change<ElasticsearchConnection>>,
    wide: BoxStream<'static, Change<ClusterElasticsearchConnection>>,
    namespaces: BoxStream<'static, Change<Namespace>>,
    /// Namespaces are watched from the moment on that somebody goes by their labels.
    by_labels: bool,
    /// Jobs are taken as soon as it was asked once which connections there are: otherwise they came only to be moved.
    take_jobs: bool,
    client: Client,
}

impl Watches {
    fn begin(settings: &Settings) -> Self {
        let (client, namespaces) = (&settings.client, &settings.namespaces);
        let wide = match settings.cluster_connections {
            Some(_) => watch::changes_of_all(client).boxed(),
            None => stream::pending().boxed(),
        };
        Self {
            jobs: watch::changes(client, namespaces).boxed(),
            own: watch::changes(client, namespaces).boxed(),
            wide,
            namespaces: stream::pending().boxed(),
            by_labels: false,
            take_jobs: false,
            client: client.clone(),
        }
    }

    /// Takes one change, or one of what is going on beside.
    async fn turn(&mut self, dispatch: &mut dispatch::Dispatch) -> Result<(), Error> {
        self.take_jobs |= dispatch.has_asked();
        if !self.by_labels && dispatch.needs_labels() {
            self.by_labels = true;
            self.namespaces = watch::changes_of_all(&self.client).boxed();
        }
        let ended = Error::WatchEnded;
        tokio::select! {
            biased;
            () = dispatch.tend() => {}
            change = self.own.next() => {
                let change = change.ok_or(ended("ElasticsearchConnection"))?;
                dispatch.connection(ConnectionKind::ElasticsearchConnection, change);
            }
            change = self.wide.next() => {
                let change = change.ok_or(ended("ClusterElasticsearchConnection"))?;
                dispatch.connection(ConnectionKind::ClusterElasticsearchConnection, change);
            }
            change = self.namespaces.next() => {
                dispatch.namespace(change.ok_or(ended("Namespace"))?);
            }
            change = self.jobs.next(), if self.take_jobs => {
                dispatch.job(change.ok_or(ended("AnomalyJob"))?);
            }
        }
        Ok(())
    }
}

/// The class of an answer, for the metric.
fn outcome(error: Option<&ElasticsearchError>) -> ElasticsearchOutcome {
    error.map_or(ElasticsearchOutcome::Success, class)
}

fn class(error: &ElasticsearchError) -> ElasticsearchOutcome {
    use ElasticsearchError as E;
    match error {
        E::Tls(_) => ElasticsearchOutcome::Untrusted,
        E::CredentialsInvalid | E::MissingPrivilege(_) | E::LicenseMissing => {
            ElasticsearchOutcome::Denied
        }
        E::NoSuchJob(_) | E::NoSuchDatafeed(_) | E::TaskGone => ElasticsearchOutcome::NotFound,
        E::JobFailed(_)
        | E::DatafeedRunning
        | E::DatafeedNotStopped
        | E::InterruptedByKill
        | E::AlreadyOpen
        | E::JobBlocked
        | E::ClosedWhileOpening
        | E::DatafeedAlreadyStarted
        | E::DatafeedJobNotOpen => ElasticsearchOutcome::Conflict,
        E::UpgradeMode
        | E::NoMaster
        | E::StateNotRecovered
        | E::Overloaded { .. }
        | E::GatewayFailed { .. }
        | E::NoCapacity
        | E::AssignmentDisabled
        | E::DatafeedNoNode
        | E::NotFormed => ElasticsearchOutcome::Overloaded,
        E::LineTooLong
        | E::IndexClosed
        | E::RequestRefused { .. }
        | E::SnapshotTooOld
        | E::DatafeedRefused
        | E::Unsendable => ElasticsearchOutcome::Invalid,
        E::NotElasticsearch(_)
        | E::UnexpectedAnswer { .. }
        | E::Redirected(_)
        | E::VersionTooOld(_)
        | E::MlUnavailable => ElasticsearchOutcome::Unreadable,
        E::StillClosing
        | E::ForceCloseFailed
        | E::OpenTimedOut
        | E::OpenFailed
        | E::DatafeedStartTimedOut
        | E::JobProcessDied
        | E::NodeLost
        | E::ServerError { .. } => ElasticsearchOutcome::ServerError,
        E::NameNotResolved
        | E::NotAllowed
        | E::ConnectionRefused
        | E::TimedOut(_)
        | E::ConnectionLost => ElasticsearchOutcome::Unreachable,
    }
}
