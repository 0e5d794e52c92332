//! The endpoints over real sockets.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::shutdown;

struct Running {
    address: SocketAddr,
    shown: Shown,
    trigger: shutdown::Trigger,
    serving: tokio::task::JoinHandle<()>,
}

/// Short beside the limit that a test waits for it.
const LIFETIME: Duration = Duration::from_millis(500);
const LIMIT: Duration = Duration::from_secs(20);

async fn running() -> Running {
    let mut admin = Admin::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
        .await
        .unwrap();
    admin.lifetime = LIFETIME;
    let address = admin.address();
    let shown = Shown {
        liveness: Liveness::new(),
        readiness: Readiness::default(),
        metrics: Metrics::new("x"),
    };
    let (trigger, shutdown) = shutdown::channel();
    let serving = tokio::spawn(admin.serve(shown.clone(), shutdown));
    Running {
        address,
        shown,
        trigger,
        serving,
    }
}

async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn get_path(address: SocketAddr, path: &str) -> String {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await
}

#[tokio::test]
async fn the_probes_answer_what_they_were_told() {
    let running = running().await;
    assert!(
        get_path(running.address, "/livez")
            .await
            .starts_with("HTTP/1.1 200")
    );
    let not_ready = get_path(running.address, "/readyz").await;
    assert!(
        not_ready.starts_with("HTTP/1.1 503") && not_ready.contains("lease was not read"),
        "{not_ready}"
    );
    running.shown.readiness.standby();
    assert!(
        get_path(running.address, "/readyz")
            .await
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test]
async fn metrics_are_open_metrics_text_and_every_answer_ends_its_connection() {
    let running = running().await;
    let answer = get_path(running.address, "/metrics").await;
    assert!(answer.contains("application/openmetrics-text"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(
        answer.contains("anomalyjob_operator_build_info{version="),
        "{answer}"
    );
    assert!(answer.trim_end().ends_with("# EOF"), "{answer}");
}

#[tokio::test]
async fn what_is_not_offered_is_refused() {
    let running = running().await;
    assert!(
        get_path(running.address, "/")
            .await
            .starts_with("HTTP/1.1 404")
    );
    let posted = ask(
        running.address,
        "POST /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    )
    .await;
    assert!(posted.starts_with("HTTP/1.1 405"), "{posted}");
}

#[tokio::test]
async fn silent_connections_can_neither_take_all_places_for_long_nor_stop_a_stop() {
    let running = running().await;
    let mut silent = Vec::new();
    for _ in 0..listener::PLACES {
        silent.push(TcpStream::connect(running.address).await.unwrap());
    }
    // All places are taken: this one is answered when the first of them has used up its time.
    let answer = tokio::time::timeout(LIMIT, get_path(running.address, "/livez"))
        .await
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mut byte = [0];
    assert_eq!(
        silent[0].read(&mut byte).await.unwrap(),
        0,
        "the silent connection was closed"
    );
    let _silent = TcpStream::connect(running.address).await.unwrap();
    running.trigger.request();
    tokio::time::timeout(LIMIT, running.serving)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn an_address_in_use_is_named_with_the_flag() {
    let running = running().await;
    let error = Admin::bind(running.address).await.unwrap_err().to_string();
    assert!(
        error.contains(&running.address.to_string()) && error.contains("--listen"),
        "{error}"
    );
}
