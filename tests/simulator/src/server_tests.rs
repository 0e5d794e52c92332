//! The server as a client meets it on the wire: outages, cuts, TLS, a stop and a start on the same port. What answers mean is
//! tested beside the cluster.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{Options, Profile, Simulator, User};

const JOB: &str =
    r#"{"analysis_config":{"detectors":[{"function":"count"}]},"data_description":{}}"#;

fn request(method: &str, path: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Sends one request and gives all that comes back until the server closes.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, text: &str) -> String {
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A cut connection may end in an error instead of an end.
    drop(stream.read_to_end(&mut answer).await);
    String::from_utf8(answer).unwrap()
}

async fn send(port: u16, method: &str, path: &str, body: &str) -> String {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    talk(stream, &request(method, path, body)).await
}

async fn simulator_with_open_job() -> Simulator {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    assert!(
        send(simulator.port(), "PUT", "/_ml/anomaly_detectors/a", JOB)
            .await
            .starts_with("HTTP/1.1 200")
    );
    assert!(
        send(
            simulator.port(),
            "POST",
            "/_ml/anomaly_detectors/a/_open",
            ""
        )
        .await
        .starts_with("HTTP/1.1 200")
    );
    simulator
}

async fn state(port: u16) -> String {
    let answer = send(
        port,
        "GET",
        "/_ml/anomaly_detectors/a/_stats?filter_path=jobs.state",
        "",
    )
    .await;
    answer.rsplit("\r\n").next().unwrap().to_owned()
}

/// Tries to connect until it works or not, as wanted.
async fn until_connects(port: u16, wanted: bool) {
    let reached = async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_ok() != wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), reached).await.unwrap();
}

#[tokio::test]
async fn an_outage_refuses_connections_and_keeps_the_state() {
    let simulator = simulator_with_open_job().await;
    simulator.pause_network();
    until_connects(simulator.port(), false).await;
    simulator.resume_network();
    until_connects(simulator.port(), true).await;
    assert_eq!(
        state(simulator.port()).await,
        r#"{"jobs":[{"state":"opened"}]}"#
    );
}

#[tokio::test]
async fn a_blackhole_takes_a_request_and_never_answers_but_its_knobs_do() {
    let simulator = simulator_with_open_job().await;
    simulator.blackhole_network();
    assert!(
        timeout(Duration::from_millis(200), state(simulator.port()))
            .await
            .is_err()
    );
    assert!(
        send(
            simulator.port(),
            "PUT",
            "/_simulator/network",
            r#"{"mode":"up"}"#
        )
        .await
        .starts_with("HTTP/1.1 200")
    );
    assert_eq!(
        state(simulator.port()).await,
        r#"{"jobs":[{"state":"opened"}]}"#
    );
}

#[tokio::test]
async fn a_cut_before_does_nothing_and_a_cut_after_has_closed_the_job() {
    let simulator = simulator_with_open_job().await;
    let port = simulator.port();
    for (cut, want) in [("before", "opened"), ("after", "closed")] {
        send(
            port,
            "POST",
            "/_simulator/inject",
            &format!(r#"{{"api":"Close","cut":"{cut}"}}"#),
        )
        .await;
        assert_eq!(
            send(port, "POST", "/_ml/anomaly_detectors/a/_close", "").await,
            ""
        );
        assert_eq!(
            state(port).await,
            format!(r#"{{"jobs":[{{"state":"{want}"}}]}}"#)
        );
    }
}

#[tokio::test]
async fn a_client_that_leaves_does_not_stop_its_close_and_a_held_clock_holds_it() {
    let simulator = simulator_with_open_job().await;
    let port = simulator.port();
    send(port, "PUT", "/_simulator/clock", r#"{"hold":true}"#).await;
    send(port, "PUT", "/_simulator/jobs/a", r#"{"close_ms":60000}"#).await;
    assert!(
        timeout(
            Duration::from_millis(100),
            send(port, "POST", "/_ml/anomaly_detectors/a/_close", "")
        )
        .await
        .is_err()
    );
    assert_eq!(state(port).await, r#"{"jobs":[{"state":"closing"}]}"#);
    send(port, "POST", "/_simulator/clock/advance", r#"{"ms":60000}"#).await;
    assert_eq!(state(port).await, r#"{"jobs":[{"state":"closed"}]}"#);
}

#[tokio::test]
async fn after_a_stop_the_port_is_free_for_a_fresh_one() {
    let first = simulator_with_open_job().await;
    let listen = SocketAddr::from(([127, 0, 0, 1], first.port()));
    first.stop().await;
    let second = Simulator::start(Options {
        listen,
        profile: Profile::V7_10,
        ..Options::default()
    })
    .await
    .unwrap();
    assert!(
        send(second.port(), "GET", "/_ml/anomaly_detectors", "")
            .await
            .ends_with(r#"{"count":0,"jobs":[]}"#)
    );
}

#[tokio::test]
async fn with_a_certificate_the_same_answers_come_over_tls() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let tls = Some((made.cert.pem(), made.signing_key.serialize_pem()));
    let users = vec![User::new("u", "p", &["manage_ml"])];
    let simulator = Simulator::start(Options {
        tls,
        users,
        ..Options::default()
    })
    .await
    .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(("127.0.0.1", simulator.port()))
        .await
        .unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect(ServerName::try_from("localhost").unwrap(), stream)
        .await
        .unwrap();
    let answer = talk(stream, &request("GET", "/_ml/info", "")).await;
    assert!(
        answer.starts_with("HTTP/1.1 401") && answer.contains("X-elastic-product: Elasticsearch"),
        "{answer}"
    );
    assert!(simulator.url().starts_with("https://127.0.0.1:"));
}

#[tokio::test]
async fn the_masters_queue_of_the_options_is_there_again_after_a_reset() {
    let options = Options {
        master_ms: Some(25),
        ..Options::default()
    };
    let simulator = Simulator::start(options).await.unwrap();
    let port = simulator.port();
    for (method, path, body) in [
        ("GET", "/_simulator/master", ""),
        ("PUT", "/_simulator/master", r#"{"update_ms":0}"#),
        ("POST", "/_simulator/reset", ""),
        ("GET", "/_simulator/master", ""),
    ] {
        let answer = send(port, method, path, body).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        if method == "GET" {
            assert!(
                answer.ends_with(r#"{"present":true,"update_ms":25}"#),
                "{answer}"
            );
        }
    }
}
