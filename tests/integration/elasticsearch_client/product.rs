//! What proves that an Elasticsearch answers, where `/` may be read and where not.

use std::time::Duration;

use anomalyjob_operator::api::id::JobId;
use anomalyjob_operator::elasticsearch::error::Impostor;
use anomalyjob_operator::elasticsearch::{Error, Ids, Product};

use super::server::{PRODUCT, Reply, Server, answer};

const JSON: &str = "content-type: application/json\r\n";
const INFO: &str = r#"{"upgrade_mode":false,"defaults":{"datafeeds":{"scroll_size":1000}}}"#;
const REFUSED: &str = r#"{"error":{"type":"security_exception","reason":"action [cluster:monitor/main] is unauthorized for user [u]"},"status":403}"#;

fn root(number: &str) -> String {
    format!(
        r#"{{"name":"n","cluster_name":"c","cluster_uuid":"u","version":{{"number":"{number}","build_flavor":"default"}},"tagline":"You Know, for Search"}}"#
    )
}

/// A server whose `/` and other answers are given, the latter with these headers.
async fn server(root: (&'static str, String), headers: &'static str) -> Server {
    Server::start(move |head| -> Reply {
        let path = head.split(' ').nth(1).unwrap_or_default();
        match path.split('?').next().unwrap_or_default() {
            "/" => answer(root.0, headers, &root.1),
            "/_ml/info" => answer("200 OK", headers, INFO),
            path if path.ends_with("/_close") => answer("200 OK", headers, r#"{"closed":true}"#),
            _ => answer("200 OK", headers, r#"{"count":0}"#),
        }
    })
    .await
}

async fn close(
    server: &Server,
    client: &anomalyjob_operator::elasticsearch::Client,
) -> Result<(), Error> {
    let before = server.heads().len();
    let result = client
        .close(
            &Ids::one(JobId::parse("a").unwrap()),
            Duration::from_secs(1),
        )
        .await;
    assert_eq!(server.heads().len(), before + 1);
    result
}

#[tokio::test]
async fn since_7_14_the_header_is_the_proof() {
    let server = server(("200 OK", root("7.14.0")), PRODUCT).await;
    let client = server.client();
    assert_eq!(client.product(), Product::Unproven);
    assert_eq!(
        client.identify().await.unwrap().version.to_string(),
        "7.14.0"
    );
    assert_eq!(client.product(), Product::Elasticsearch);
    close(&server, &client).await.unwrap();
}

#[tokio::test]
async fn before_7_14_the_root_is_the_proof() {
    let server = server(("200 OK", root("7.13.4")), JSON).await;
    let client = server.client();
    assert_eq!(
        close(&server, &client).await,
        Err(Error::NotElasticsearch(Impostor::NoProductHeader))
    );
    client.identify().await.unwrap();
    assert_eq!(client.product(), Product::ElasticsearchBefore714);
    close(&server, &client).await.unwrap();
}

#[tokio::test]
async fn where_the_root_is_refused_ml_info_is_the_proof() {
    for (headers, expected) in [
        (JSON, Product::ElasticsearchBefore714),
        (PRODUCT, Product::Elasticsearch),
    ] {
        let server = server(("403 Forbidden", REFUSED.to_owned()), headers).await;
        let client = server.client();
        assert_eq!(
            client.identify().await,
            Err(Error::MissingPrivilege(vec!["monitor".to_owned()]))
        );
        assert_eq!(client.product(), Product::Unproven);
        assert!(!client.ml_info().await.unwrap().upgrade_mode);
        assert_eq!(client.product(), expected);
        close(&server, &client).await.unwrap();
    }
}

#[tokio::test]
async fn a_root_refused_by_something_else_proves_nothing() {
    let server = server(("403 Forbidden", "<html>blocked</html>".to_owned()), JSON).await;
    let client = server.client();
    assert_eq!(
        client.identify().await.unwrap_err().category(),
        "UnexpectedAnswer"
    );
    assert_eq!(
        client.ml_info().await,
        Err(Error::NotElasticsearch(Impostor::NoProductHeader))
    );
}

#[tokio::test]
async fn another_product_an_old_version_and_a_missing_header_are_told_apart() {
    let opensearch = r#"{"name":"n","cluster_name":"c","cluster_uuid":"u","version":{"distribution":"opensearch","number":"2.11.0"},"tagline":"The OpenSearch Project: https://opensearch.org/"}"#;
    for (root, headers, category, text) in [
        (
            opensearch.to_owned(),
            JSON,
            "NotElasticsearch",
            "another product",
        ),
        (root("8.1.0"), JSON, "NotElasticsearch", "X-Elastic-Product"),
        (root("7.9.3"), JSON, "VersionTooOld", "7.9.3"),
        (root("6.8.23"), JSON, "VersionTooOld", "7.10 or later"),
        (
            root("8.1.0").replace("\"u\"", "\"_na_\""),
            PRODUCT,
            "NoMaster",
            "not formed",
        ),
        ("{}".to_owned(), JSON, "NotElasticsearch", "Elasticsearch's"),
        (
            "{}".to_owned(),
            PRODUCT,
            "UnexpectedAnswer",
            "another shape",
        ),
    ] {
        let server = server(("200 OK", root), headers).await;
        let error = server.client().identify().await.unwrap_err();
        assert_eq!(error.category(), category, "{error:?}");
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[tokio::test]
async fn a_request_says_what_it_takes_and_who_it_is_from_and_nothing_else() {
    let server = server(("200 OK", root("9.2.1")), PRODUCT).await;
    server.client_with_key("id:key").identify().await.unwrap();
    let head = server.heads().remove(0).to_lowercase();
    for line in [
        "get / http/1.1",
        "accept: application/json",
        "accept-encoding: identity",
        "authorization: apikey awq6a2v5",
    ] {
        assert!(head.lines().any(|found| found == line), "{line} in {head}");
    }
    let names: Vec<&str> = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name)
        .collect();
    let known = [
        "accept",
        "accept-encoding",
        "authorization",
        "user-agent",
        "host",
    ];
    assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
}
