//! Certificates: always checked, and each problem told apart.

use anomalyjob_operator::elasticsearch::{
    Client, Credentials, Endpoint, Error, Limits, SetupError, TlsProblem,
};
use elasticsearch_simulator::{ApiKey, Options, Simulator};
use rcgen::{CertificateParams, date_time_ymd};

use super::server::{INFO, PRODUCT, Server, answer, lab};
use crate::support::tls::{Authority, acceptor_of};

/// A server with a certificate of this authority.
async fn serve(
    authority: &Authority,
    name: &str,
    change: impl FnOnce(&mut CertificateParams),
) -> Server {
    let acceptor = authority.acceptor(name, change);
    Server::start_tls(acceptor, |_| answer("200 OK", PRODUCT, INFO)).await
}

fn client(server: &Server, ca_pem: Option<Vec<u8>>) -> Client {
    let url = format!("https://{}", server.address);
    Client::new(
        &Endpoint {
            url,
            ca_pem,
            network: lab(),
            ..Endpoint::default()
        },
        Limits::default(),
    )
    .unwrap()
}

async fn problem(server: &Server, ca_pem: Option<Vec<u8>>) -> TlsProblem {
    match client(server, ca_pem).ml_info().await {
        Err(error @ Error::Tls(problem)) => {
            assert_eq!(error.category(), problem.category());
            let reason = problem.category().replace("TLS", "");
            assert!(format!("{problem:?}").contains(&reason) || problem == TlsProblem::NotYetValid);
            assert!(
                server.heads().is_empty(),
                "no request is sent to whom is not trusted"
            );
            problem
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_right_ca_is_trusted_alone_and_in_a_bundle() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = serve(&authority, "127.0.0.1", |_| {}).await;
    client(&server, Some(authority.pem()))
        .ml_info()
        .await
        .unwrap();
    let bundle = [other.pem(), authority.pem()].concat();
    client(&server, Some(bundle)).ml_info().await.unwrap();
}

#[tokio::test]
async fn another_ca_and_the_roots_of_the_system_do_not_do() {
    let authority = Authority::new();
    let server = serve(&authority, "127.0.0.1", |_| {}).await;
    assert_eq!(
        problem(&server, Some(Authority::new().pem())).await,
        TlsProblem::Untrusted
    );
    // A machine without root certificates has no such client, and says so instead.
    let url = format!("https://{}", server.address);
    match Client::new(
        &Endpoint {
            url,
            network: lab(),
            ..Endpoint::default()
        },
        Limits::default(),
    ) {
        Ok(client) => assert_eq!(
            client.ml_info().await,
            Err(Error::Tls(TlsProblem::Untrusted))
        ),
        Err(error) => assert_eq!(error, SetupError::NoSystemRoots),
    }
}

#[tokio::test]
async fn while_an_authority_is_replaced_both_are_trusted_and_then_the_new_one_alone() {
    let (old, new) = (Authority::new(), Authority::new());
    let before = serve(&old, "127.0.0.1", |_| {}).await;
    let after = serve(&new, "127.0.0.1", |_| {}).await;
    let both = [old.pem(), new.pem()].concat();
    for server in [&before, &after] {
        client(server, Some(both.clone())).ml_info().await.unwrap();
    }
    client(&after, Some(new.pem())).ml_info().await.unwrap();
    let left = Authority::new();
    let gone = serve(&old, "127.0.0.1", |_| {}).await;
    for bundle in [new.pem(), [new.pem(), left.pem()].concat()] {
        assert_eq!(problem(&gone, Some(bundle)).await, TlsProblem::Untrusted);
    }
}

#[tokio::test]
async fn a_certificate_out_of_its_time_or_for_another_name_is_told_apart() {
    let authority = Authority::new();
    let expired = serve(&authority, "127.0.0.1", |params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    assert_eq!(
        problem(&expired.await, Some(authority.pem())).await,
        TlsProblem::Expired
    );
    let early = serve(&authority, "127.0.0.1", |params| {
        params.not_before = date_time_ymd(2990, 1, 1);
        params.not_after = date_time_ymd(2999, 1, 1);
    });
    assert_eq!(
        problem(&early.await, Some(authority.pem())).await,
        TlsProblem::NotYetValid
    );
    let named = serve(&authority, "elsewhere.example", |_| {}).await;
    assert_eq!(
        problem(&named, Some(authority.pem())).await,
        TlsProblem::WrongName
    );
}

#[tokio::test]
async fn a_certificate_that_signed_itself_is_trusted_only_where_it_is_given() {
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let acceptor = acceptor_of(vec![own.cert.der().clone()], &own.signing_key);
    let server = Server::start_tls(acceptor, |_| answer("200 OK", PRODUCT, INFO)).await;
    let other = Authority::new().pem();
    assert_eq!(problem(&server, Some(other)).await, TlsProblem::Untrusted);
    let given = client(&server, Some(own.cert.pem().into_bytes()));
    given.ml_info().await.unwrap();
}

#[tokio::test]
async fn a_chain_is_followed_where_the_server_sends_all_of_it() {
    let root = Authority::new();
    let middle = root.below();
    let (leaf, key) = middle.sign("127.0.0.1", |_| {});
    for (sent, trusted) in [
        (vec![leaf.der().clone(), middle.der()], true),
        (vec![leaf.der().clone()], false),
    ] {
        let acceptor = acceptor_of(sent, &key);
        let server = Server::start_tls(acceptor, |_| answer("200 OK", PRODUCT, INFO)).await;
        if trusted {
            client(&server, Some(root.pem())).ml_info().await.unwrap();
        } else {
            let found = problem(&server, Some(root.pem())).await;
            assert_eq!(found, TlsProblem::Untrusted);
        }
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_whom_wants_one() {
    let authority = Authority::new();
    let acceptor = authority.acceptor_of_known_clients();
    let server = Server::start_tls(acceptor, |_| answer("200 OK", PRODUCT, INFO)).await;
    let client = |by: Option<&Authority>| {
        let credentials = by.map_or(Credentials::None, |authority| {
            let (certificate, key) = authority.sign("operator", |_| {});
            Credentials::ClientCertificate {
                chain_pem: certificate.pem().into_bytes(),
                key_pem: key.serialize_pem().into(),
            }
        });
        let endpoint = Endpoint {
            url: format!("https://{}", server.address),
            ca_pem: Some(authority.pem()),
            credentials,
            network: lab(),
            ..Endpoint::default()
        };
        Client::new(&endpoint, Limits::default()).unwrap()
    };
    client(Some(&authority)).ml_info().await.unwrap();
    assert!(!server.heads()[0].to_lowercase().contains("authorization"));
    let refused = Err(Error::Tls(TlsProblem::RefusedByPeer));
    assert_eq!(client(None).ml_info().await, refused);
    assert_eq!(client(Some(&Authority::new())).ml_info().await, refused);
    assert_eq!(server.heads().len(), 1);
}

#[tokio::test]
async fn the_name_of_the_certificate_may_be_said_and_is_then_the_only_one() {
    let authority = Authority::new();
    let server = serve(&authority, "es.example", |_| {}).await;
    let client = |name: &str| {
        let endpoint = Endpoint {
            url: format!("https://{}", server.address),
            ca_pem: Some(authority.pem()),
            server_name: Some(name.to_owned()),
            network: lab(),
            ..Endpoint::default()
        };
        Client::new(&endpoint, Limits::default())
    };
    client("es.example").unwrap().ml_info().await.unwrap();
    // The host that is asked for stays that of the url.
    let head = &server.heads()[0];
    assert!(
        head.contains(&format!("host: {}\r\n", server.address)),
        "{head}"
    );
    let other = client("other.example").unwrap().ml_info().await;
    assert_eq!(other, Err(Error::Tls(TlsProblem::WrongName)));
    for name in ["127.0.0.1", "127.1", "[::1]", "a b", ""] {
        assert_eq!(client(name).unwrap_err(), SetupError::ServerName, "{name}");
    }
}

#[tokio::test]
async fn a_cluster_behind_tls_with_credentials_is_worked_with() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("127.0.0.1", |_| {});
    let simulator = Simulator::start(Options {
        tls: Some((certificate.pem(), key.serialize_pem())),
        api_keys: vec![ApiKey::new("k", "secret", &["manage_ml", "monitor"])],
        ..Options::default()
    })
    .await
    .unwrap();
    let endpoint = Endpoint {
        url: simulator.url(),
        credentials: Credentials::ApiKey("k:secret".into()),
        ca_pem: Some(authority.pem()),
        network: lab(),
        ..Endpoint::default()
    };
    let client = Client::new(&endpoint, Limits::default()).unwrap();
    client.identify().await.unwrap();
    assert_eq!(client.jobs().await.unwrap().found.len(), 0);
}

#[tokio::test]
async fn https_at_a_port_that_speaks_http_says_so() {
    // It answers a TLS greeting as a server of plain HTTP does.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let plain = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut greeting = [0; 16];
        stream.read_exact(&mut greeting).await.unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        // Until the client has read it and gone.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let endpoint = Endpoint {
        url,
        ca_pem: Some(Authority::new().pem()),
        network: lab(),
        ..Endpoint::default()
    };
    let client = Client::new(&endpoint, Limits::default()).unwrap();
    assert_eq!(client.ml_info().await, Err(Error::Tls(TlsProblem::NotTls)));
    plain.await.unwrap();
}

#[tokio::test]
async fn http_at_a_port_that_speaks_https_is_no_answer() {
    let server = serve(&Authority::new(), "127.0.0.1", |_| {}).await;
    let error = server.client().ml_info().await.unwrap_err();
    assert!(
        ["ClusterUnreachable", "UnexpectedAnswer"].contains(&error.category()),
        "{error:?}"
    );
}
