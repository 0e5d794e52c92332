//! The shell around the brain: watches in, calls and status writes out.
//!
//! - `watch`: objects in; `dispatch`: which object belongs to which cluster
//! - `cluster`: one task a cluster, driving one [`Reconciler`](crate::reconciler::Reconciler)
//! - `resolve`: from an ElasticsearchConnection and its Secrets to an endpoint; `link`: from there to a proven client; `rejection`: what is not shown again; `connection_status`: what is said of it
//! - `observe`, `call`: questions and calls of the brain as requests; `live`: what is read right before it matters; `registry`: who acts, above all brains; `translate`: between the words of both sides
//! - `writer`: the only place that writes to the API server; `turn`: in which order; `invalid`: what is said of what cannot be decoded
//!
//! It decides nothing about jobs, keeps nothing that must survive, and awaits nothing that may take long in the way of
//! anything else. Everything it starts ends with it.

mod call;
mod cluster;
mod connection_status;
mod dispatch;
mod guard;
mod invalid;
mod link;
mod live;
mod observe;
mod pulse;
mod registry;
mod rejection;
mod resolve;
mod translate;
mod turn;
mod watch;
mod writer;

use std::sync::Arc;

use futures::StreamExt as _;
use kube::Client;

use crate::admin::Readiness;
use crate::api::{AnomalyJob, ElasticsearchConnection};
use crate::clock::Clock;
use crate::elasticsearch::{self, Endpoint, Error as ElasticsearchError, SetupError};
use crate::lease::Claim;
use crate::shutdown::Shutdown;
use crate::telemetry::{ElasticsearchOutcome, Metrics};

/// What one run of the controller is given. A new claim is a new run: nothing is carried over.
pub struct Settings {
    /// The Kubernetes API. It neither retries nor bounds a call: the caller of a call does.
    pub client: Client,
    /// The namespaces to watch; none means all.
    pub namespaces: Vec<String>,
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
    let mut jobs = watch::changes::<AnomalyJob>(&settings.client, &settings.namespaces).boxed();
    let mut connections =
        watch::changes::<ElasticsearchConnection>(&settings.client, &settings.namespaces).boxed();
    let (client, claim, metrics) = (
        settings.client.clone(),
        settings.claim.clone(),
        settings.metrics.clone(),
    );
    let (writer, telling) = writer::Writer::new(client, claim, metrics);
    let mut dispatch = dispatch::Dispatch::new(settings, writer);
    let watching = async {
        loop {
            tokio::select! {
                biased;
                () = dispatch.tend() => {}
                change = connections.next() => match change {
                    Some(change) => dispatch.connection(change),
                    None => return Err(Error::WatchEnded("ElasticsearchConnection")),
                },
                change = jobs.next() => match change {
                    Some(change) => dispatch.job(change),
                    None => return Err(Error::WatchEnded("AnomalyJob")),
                },
            }
        }
    };
    tokio::select! {
        biased;
        () = shutdown.requested() => Ok(()),
        () = telling => Ok(()),
        ended = watching => ended,
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
        E::CredentialsRejected | E::MissingPrivilege(_) | E::LicenseMissing => {
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
