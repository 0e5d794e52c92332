//! One replica's life: candidate, leader, candidate again, until it is asked to stop. It exists apart from `main` so that
//! tests run it as it ships, in virtual time. It knows no signal and no endpoint, and decides nothing about jobs.
//!
//! Dropping it is the end of a process: everything that it started ends with it, and the lease is not given up.

use std::time::Duration;

use kube::Client;
use tokio::task::{JoinError, JoinSet};
use tracing::{info, warn};

use crate::admin::Readiness;
use crate::clock::Clock;
use crate::controller::{self, Dial};
use crate::lease::{Claim, Lease};
use crate::shutdown::{self, Shutdown};
use crate::telemetry::Metrics;

/// How long a controller that was asked to stop may go on. With the one below it stays under 10 s.
const CONTROLLER_STOP: Duration = Duration::from_secs(4);
/// How long giving up the lease may take; it runs out by itself where that fails.
const RELEASE: Duration = Duration::from_secs(3);

/// What all runs of the controller of one process have in common.
pub struct Settings {
    /// The Kubernetes API.
    pub client: Client,
    /// The namespaces to watch; none means all.
    pub namespaces: Vec<String>,
    /// The namespace of the Secrets of ClusterElasticsearchConnections; without one that kind is not served.
    pub cluster_connections: Option<String>,
    /// Where counts go.
    pub metrics: Metrics,
    /// What the probes are told.
    pub readiness: Readiness,
    /// What time people say it is.
    pub clock: Clock,
    /// How a client of an Elasticsearch is made.
    pub dial: Dial,
}

/// Why a replica ended without being asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The controller returned.
    #[error("the controller ended without being asked to")]
    Ended,
    /// The controller failed.
    #[error("the controller")]
    Failed(#[source] controller::Error),
    /// A defect.
    #[error("the controller")]
    Panicked(#[source] JoinError),
}

/// One participant, with a fresh controller for each claim that it gets.
pub struct Replica {
    settings: Settings,
    lease: Lease,
    shutdown: Shutdown,
}

impl Replica {
    /// A replica that does nothing yet.
    pub fn new(settings: Settings, lease: Lease, shutdown: Shutdown) -> Self {
        Self {
            settings,
            lease,
            shutdown,
        }
    }

    /// Leads whenever it may, until it is asked to stop.
    pub async fn lead(&mut self) -> Result<(), Error> {
        while let Some(claim) = self.candidate().await {
            self.settings.metrics.leading(true);
            self.settings.readiness.listing();
            let ended = self.control(claim).await;
            self.settings.metrics.leading(false);
            ended?;
        }
        Ok(())
    }

    /// Waits for the lease; `None` where the process is to stop.
    async fn candidate(&mut self) -> Option<Claim> {
        let Self {
            settings: Settings { readiness, .. },
            lease,
            shutdown,
        } = self;
        readiness.electing();
        tokio::select! {
            biased;
            () = shutdown.requested() => None,
            claim = lease.acquire(|| readiness.standby()) => Some(claim),
        }
    }

    /// Runs a fresh controller under this claim, until the claim is lost or the process is to stop.
    async fn control(&self, claim: Claim) -> Result<(), Error> {
        let (stop, stopped) = shutdown::channel();
        // A task of its own, so that a panic in it ends here as an error, and the lease is given up; in a set, because that
        // ends with this.
        let mut controller = JoinSet::new();
        controller.spawn(controller::run(self.of_controller(claim.clone()), stopped));
        tokio::select! {
            biased;
            Some(ended) = controller.join_next() => match ended {
                Ok(Ok(())) => return Err(Error::Ended),
                Ok(Err(error)) => return Err(Error::Failed(error)),
                Err(panic) => return Err(Error::Panicked(panic)),
            },
            // All of it is dropped before a new claim is sought; what must survive is in the objects.
            () = claim.lost() => controller.shutdown().await,
            () = self.shutdown.requested() => {
                stop.request();
                if tokio::time::timeout(CONTROLLER_STOP, controller.join_next()).await.is_err() {
                    // Not waited for: the claim ends with the release that follows, and the process after it.
                    warn!("the controller did not stop in {CONTROLLER_STOP:?}; what it was doing is dropped");
                }
            }
        }
        Ok(())
    }

    fn of_controller(&self, claim: Claim) -> controller::Settings {
        let settings = &self.settings;
        controller::Settings {
            client: settings.client.clone(),
            namespaces: settings.namespaces.clone(),
            cluster_connections: settings.cluster_connections.clone(),
            claim,
            metrics: settings.metrics.clone(),
            readiness: settings.readiness.clone(),
            clock: settings.clock.clone(),
            dial: Dial::clone(&settings.dial),
        }
    }

    /// Gives up the lease, so that another replica need not wait until it runs out.
    pub async fn leave(self) {
        self.settings.readiness.stopping();
        match tokio::time::timeout(RELEASE, self.lease.release()).await {
            Ok(Ok(())) => info!("released the lease"),
            Ok(Err(error)) => warn!("the lease was not released and runs out by itself: {error}"),
            Err(_) => warn!("the lease was not released in {RELEASE:?} and runs out by itself"),
        }
    }
}
