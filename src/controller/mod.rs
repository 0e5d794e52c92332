//! The shell around the brain: watches in, calls and status writes out. This file is only the seam that `main` is built
//! against; it watches nothing and must be replaced by the real shell.

use kube::Client;

use crate::admin::Readiness;
use crate::lease::Claim;
use crate::shutdown::Shutdown;
use crate::telemetry::Metrics;

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
}

/// Why a run of the controller ended without being asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {}

/// Runs until `shutdown` asks it to stop.
pub async fn run(settings: Settings, shutdown: Shutdown) -> Result<(), Error> {
    settings.readiness.listed();
    shutdown.requested().await;
    Ok(())
}
