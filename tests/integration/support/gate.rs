//! A gate before the API server, through which one operator speaks to it: single requests can be refused or delayed
//! there, and all others pass. It forwards as that operator's own account, so its rights stay what they are.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, HOST, RETRY_AFTER, TRANSFER_ENCODING};
use axum::response::Response;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;

use super::RUNTIME;

/// What becomes of a request that the rule means.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mishap {
    /// It is refused with this status, and with a second of Retry-After.
    Refused(u16),
    /// It is passed on after this time.
    Late(Duration),
}

/// Requests whose path has this in it.
#[derive(Clone, Copy, Debug)]
struct Rule {
    path: &'static str,
    mishap: Mishap,
}

#[derive(Clone)]
struct Shared {
    client: Client,
    rule: Arc<RwLock<Option<Rule>>>,
}

/// The gate; it lives as long as the test process.
pub(crate) struct Gate {
    kubeconfig: PathBuf,
    rule: Arc<RwLock<Option<Rule>>>,
}

impl Gate {
    /// A gate for the account of this kubeconfig; the one to use instead is written beside it.
    pub(crate) fn before(kubeconfig: &Path) -> Self {
        let rule = Arc::new(RwLock::new(None));
        let shared = Shared {
            client: RUNTIME.block_on(client(kubeconfig)),
            rule: rule.clone(),
        };
        let listener = RUNTIME
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .expect("listener");
        let port = listener.local_addr().expect("address").port();
        let router = axum::Router::new().fallback(pass).with_state(shared);
        RUNTIME.spawn(async move { axum::serve(listener, router).await });
        let through = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "gate",
            "clusters": [{"name": "gate", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
            "users": [{"name": "gate", "user": {}}],
            "contexts": [{"name": "gate", "context": {"cluster": "gate", "user": "gate"}}],
        });
        let file = kubeconfig.with_extension("gate");
        std::fs::write(&file, through.to_string()).expect("write");
        Self {
            kubeconfig: file,
            rule,
        }
    }

    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// From now on; what is on its way, and watches that are open, are not touched.
    pub(crate) fn befalls(&self, path: &'static str, mishap: Mishap) {
        self.set(Some(Rule { path, mishap }));
    }

    pub(crate) fn opens(&self) {
        self.set(None);
    }

    fn set(&self, rule: Option<Rule>) {
        *self.rule.write().unwrap_or_else(PoisonError::into_inner) = rule;
    }
}

async fn client(kubeconfig: &Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("kubeconfig");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    Client::try_from(config.expect("config")).expect("client")
}

async fn pass(State(shared): State<Shared>, request: Request) -> Response {
    let path = request.uri().to_string();
    let rule = *shared.rule.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(rule) = rule.filter(|rule| path.contains(rule.path)) {
        match rule.mishap {
            Mishap::Refused(status) => return refusal(status),
            Mishap::Late(time) => tokio::time::sleep(time).await,
        }
    }
    forward(shared.client, request)
        .await
        .unwrap_or_else(|_| refusal(502))
}

async fn forward(client: Client, request: Request) -> Result<Response, kube::Error> {
    let (mut head, body) = request.into_parts();
    head.headers.remove(HOST);
    let whole = axum::body::to_bytes(body, usize::MAX).await;
    let whole = whole.unwrap_or_default().to_vec();
    let request = Request::from_parts(head, kube::client::Body::from(whole));
    let mut answer = client.send(request).await?.map(Body::new);
    for of_the_other_hop in [TRANSFER_ENCODING, CONTENT_LENGTH] {
        answer.headers_mut().remove(of_the_other_hop);
    }
    Ok(answer)
}

fn refusal(status: u16) -> Response {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "reason": "", "message": "as the test says",
    });
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .header(RETRY_AFTER, "1")
        .body(Body::from(body.to_string()))
        .expect("an answer")
}
