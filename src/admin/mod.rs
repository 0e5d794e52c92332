//! The endpoints for the kubelet and for Prometheus: `/livez`, `/readyz`, `/metrics`. They exist to say how the process
//! is, never to change it: all are GET, none reads a body, none asks Elasticsearch or the API server.

mod health;
mod listener;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::shutdown::Shutdown;
use crate::telemetry::{self, Metrics};

pub use health::{Liveness, Readiness};
use listener::Bounded;

/// How long a stop waits for answers that are under way.
const DRAIN: Duration = Duration::from_secs(2);

/// What the endpoints show.
#[derive(Clone, Debug)]
pub struct Shown {
    /// `/livez`.
    pub liveness: Liveness,
    /// `/readyz`.
    pub readiness: Readiness,
    /// `/metrics`.
    pub metrics: Metrics,
}

/// Why the endpoints could not be offered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {address} (--listen): {source}")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The endpoints, bound to their address but not yet served.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    address: SocketAddr,
    /// How long one connection may last.
    lifetime: Duration,
}

impl Admin {
    /// Binds, so that an address in use is found before anything else is started. Port 0 takes a free one.
    pub async fn bind(address: SocketAddr) -> Result<Self, Error> {
        let failed = |source| Error::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self {
            listener,
            address,
            lifetime: listener::LIFETIME,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until asked to stop; answers under way get two seconds more.
    pub async fn serve(self, shown: Shown, shutdown: Shutdown) {
        let asked = shutdown.clone();
        let serving = axum::serve(Bounded::new(self.listener, self.lifetime), router(shown))
            .with_graceful_shutdown(async move { asked.requested().await });
        let drained = async {
            shutdown.requested().await;
            tokio::time::sleep(DRAIN).await;
        };
        tokio::select! {
            _ = serving => {}
            () = drained => {}
        }
    }
}

fn router(shown: Shown) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(shown)
}

async fn livez(State(shown): State<Shown>) -> Response {
    verdict(shown.liveness.problem())
}

async fn readyz(State(shown): State<Shown>) -> Response {
    verdict(shown.readiness.problem())
}

fn verdict(problem: Option<&'static str>) -> Response {
    match problem {
        None => once(
            StatusCode::OK,
            "text/plain; charset=utf-8",
            "ok\n".to_owned(),
        ),
        Some(problem) => once(
            StatusCode::SERVICE_UNAVAILABLE,
            "text/plain; charset=utf-8",
            format!("{problem}\n"),
        ),
    }
}

async fn metrics(State(shown): State<Shown>) -> Response {
    match shown.metrics.render() {
        Ok(text) => once(StatusCode::OK, telemetry::CONTENT_TYPE, text),
        Err(_) => once(
            StatusCode::INTERNAL_SERVER_ERROR,
            "text/plain; charset=utf-8",
            "the metrics could not be written\n".to_owned(),
        ),
    }
}

/// One answer per connection: an idle kept-alive connection would hold one of the few places.
fn once(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (CONNECTION, HeaderValue::from_static("close")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, body).into_response()
}

#[cfg(test)]
mod tests;
