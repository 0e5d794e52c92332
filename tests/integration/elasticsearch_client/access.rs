//! Credentials: what they open, and what is said where they do not.

use std::time::Duration;

use anomalyjob_operator::elasticsearch::{Client, Credentials, Endpoint, Error, Limits, Product};
use elasticsearch_simulator::{ApiKey, Profile, User};
use serde_json::json;

use super::cluster::{Cluster, PROFILES, job, jobs};
use super::server::{INFO, PRODUCT, Server, answer};

const TIMEOUT: Duration = Duration::from_secs(30);

fn basic(user: &str, password: &str) -> Credentials {
    Credentials::Basic {
        user: user.into(),
        password: password.into(),
    }
}

fn key(text: &str) -> Credentials {
    Credentials::ApiKey(text.into())
}

async fn secured(profile: Profile) -> Cluster {
    let users = vec![
        User::new("ml", "pass:word", &["manage_ml"]),
        User::new("reader", "r", &["monitor_ml"]),
    ];
    let keys = vec![
        ApiKey::new("k", "secret", &["manage_ml"]),
        ApiKey::new("full", "secret", &["manage_ml", "monitor"]),
        ApiKey::new("none", "secret", &[]),
    ];
    Cluster::secured(profile, users, keys).await
}

#[tokio::test]
async fn manage_ml_alone_does_all_but_to_say_which_cluster_it_is() {
    for profile in PROFILES {
        let cluster = secured(profile).await;
        cluster.put_open_job("a").await;
        // `k:secret` and its encoded form.
        for credentials in [
            basic("ml", "pass:word\n"),
            key("k:secret"),
            key("azpzZWNyZXQ=\n"),
        ] {
            let client = cluster.client_as(credentials);
            let refused = client.identify().await.unwrap_err();
            let Error::MissingPrivilege(named) = &refused else {
                panic!("{refused:?}")
            };
            assert!(named.contains(&"monitor".to_owned()), "{named:?}");
            client.ml_info().await.unwrap();
            let old = profile == Profile::V7_10;
            let expected = if old {
                Product::ElasticsearchBefore714
            } else {
                Product::Elasticsearch
            };
            assert_eq!(client.product(), expected);
            client.jobs().await.unwrap();
            client.job_stats(&jobs(&["a"])).await.unwrap();
            client.datafeeds().await.unwrap();
            client.close(&jobs(&["a"]), TIMEOUT).await.unwrap();
            client.force_close(&job("a")).await.unwrap();
        }
        let client = cluster.client_as(key("full:secret"));
        client.identify().await.unwrap();
    }
}

#[tokio::test]
async fn wrong_credentials_are_rejected_and_never_shown() {
    for profile in PROFILES {
        let cluster = secured(profile).await;
        for credentials in [
            Credentials::None,
            basic("ml", "S3NTINEL"),
            basic("S3NTINEL", "x"),
            key("k:S3NTINEL"),
            key("UzNOVElORUw6UzNOVElORUw="),
        ] {
            let client = cluster.client_as(credentials);
            let results = [
                client.identify().await.err(),
                client.ml_info().await.err(),
                client.close(&jobs(&["a"]), TIMEOUT).await.err(),
            ];
            for error in results {
                let error = error.unwrap();
                assert_eq!(error, Error::CredentialsInvalid);
                let shown = format!("{error} {error:?} {client:?}");
                assert!(
                    !shown.contains("S3NTINEL") && !shown.contains("UzNOVElORUw"),
                    "{shown}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_missing_privilege_is_named() {
    for profile in PROFILES {
        let cluster = secured(profile).await;
        cluster.put_open_job("a").await;
        let reader = cluster.client_as(basic("reader", "r"));
        let _ = reader.identify().await;
        reader.ml_info().await.unwrap();
        reader.job_stats(&jobs(&["a"])).await.unwrap();
        let error = reader.close(&jobs(&["a"]), TIMEOUT).await.unwrap_err();
        assert!(error.to_string().contains("manage_ml"), "{error}");
        let nobody = cluster.client_as(key("none:secret"));
        let error = nobody.job_stats(&jobs(&["a"])).await.unwrap_err();
        assert_eq!(error.category(), "MissingPrivilege");
        assert!(error.to_string().contains("monitor_ml"), "{error}");
    }
}

#[tokio::test]
async fn a_licence_that_is_over_is_told_from_a_missing_privilege() {
    for profile in PROFILES {
        let cluster = secured(profile).await;
        cluster.put_open_job("a").await;
        let client = cluster.client_as(key("full:secret"));
        client.identify().await.unwrap();
        let reason = "current license is non-compliant for [ml]";
        let rule = json!({"path_contains": "/_close", "status": 403, "type": "security_exception", "reason": reason});
        cluster.knob("POST", "inject", rule).await;
        assert_eq!(
            client.close(&jobs(&["a"]), TIMEOUT).await,
            Err(Error::LicenseMissing)
        );
    }
}

#[tokio::test]
async fn a_bearer_token_is_sent_as_such() {
    let server = Server::start(|_| answer("200 OK", PRODUCT, "{}")).await;
    let endpoint = Endpoint {
        credentials: Credentials::Bearer("AAEAAWVs\n".into()),
        ..server.endpoint()
    };
    let client = Client::new(&endpoint, Limits::default()).unwrap();
    client.jobs().await.unwrap_err();
    let head = &server.heads()[0];
    assert!(
        head.contains("authorization: Bearer AAEAAWVs\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn no_more_requests_a_second_are_sent_than_are_allowed() {
    let server = Server::start(|_| answer("200 OK", PRODUCT, INFO)).await;
    let endpoint = Endpoint {
        requests_per_second: Some(2),
        ..server.endpoint()
    };
    let client = Client::new(&endpoint, Limits::default()).unwrap();
    let begun = std::time::Instant::now();
    for _ in 0..4 {
        client.ml_info().await.unwrap();
    }
    // Two go together, and each further one waits for half a second.
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.heads().len(), 4);
}
