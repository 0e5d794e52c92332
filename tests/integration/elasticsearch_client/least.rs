//! The least that the operator's credentials need: the actions of examples/elasticsearch-role-least.json are enough, and
//! none can be left out. The simulator's table of privileges is that of a real cluster, and so are the names here.

use std::collections::BTreeSet;
use std::time::Duration;

use anomalyjob_operator::elasticsearch::privileges;
use anomalyjob_operator::elasticsearch::{Client, Credentials, Error};
use elasticsearch_simulator::{ApiKey, Profile};
use serde_json::Value;

use super::cluster::{Cluster, datafeed, everything, job, jobs};

const SECOND: Duration = Duration::from_secs(1);

fn file(name: &str) -> Value {
    let path = format!("{}/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn role() -> Vec<String> {
    let role = file("examples/elasticsearch-role-least.json");
    let cluster = role["cluster"].as_array().unwrap().iter();
    cluster
        .map(|action| action.as_str().unwrap().to_owned())
        .collect()
}

/// Every call that there is; gives the privileges that were named as missing.
async fn refusals(client: &Client) -> Vec<String> {
    let (a, d) = (jobs(&["a"]), datafeed("feed"));
    let feeds = anomalyjob_operator::elasticsearch::Ids::one(d.clone());
    let answers = [
        client.identify().await.err(),
        client.ml_info().await.err(),
        client.jobs().await.err(),
        client.job_stats(&a).await.err(),
        client.job_stats_like(&everything()).await.err(),
        client.newest_snapshot(&job("a")).await.err(),
        client.persistent_tasks().await.err(),
        client.has_ml_license().await.err(),
        client.datafeeds().await.err(),
        client.datafeed_stats(&feeds).await.err(),
        client.start_datafeed(&d, SECOND).await.err(),
        client.stop_datafeed(&d, false, SECOND).await.err(),
        client.close(&a, SECOND).await.err(),
        client.open(&job("a"), SECOND).await.err(),
        client.force_close(&job("a")).await.err(),
    ];
    let missing = answers
        .into_iter()
        .flatten()
        .filter_map(|error| match error {
            Error::MissingPrivilege(named) => Some(named.join(" ")),
            _ => None,
        });
    missing.collect()
}

async fn client_with(actions: &[&str]) -> (Cluster, Client) {
    let keys = vec![ApiKey::new("key", "secret", actions)];
    let cluster = Cluster::secured(Profile::V9, Vec::new(), keys).await;
    cluster.put_open_job("a").await;
    let client = cluster.client_as(Credentials::ApiKey("key:secret".into()));
    (cluster, client)
}

#[test]
fn the_role_has_the_actions_that_the_operator_names() {
    let said: BTreeSet<String> = role().into_iter().collect();
    let used: BTreeSet<String> = privileges::all().map(str::to_owned).collect();
    assert_eq!(said, used);
}

#[test]
fn each_action_was_measured_to_suffice_for_a_call() {
    let measured = file("tests/contract/recorded/privileges.json");
    let calls = measured["calls"].as_array().unwrap();
    for action in role() {
        let suffices =
            |call: &&Value| call["raw_actions_that_suffice"] == serde_json::json!([action]);
        assert!(calls.iter().any(|call| suffices(&call)), "{action}");
    }
}

#[tokio::test]
async fn the_role_is_enough_and_each_of_its_actions_is_needed() {
    let role = role();
    let all: Vec<&str> = role.iter().map(String::as_str).collect();
    let (_cluster, client) = client_with(&all).await;
    assert_eq!(refusals(&client).await, [""; 0]);
    assert_eq!(client.lacks().await, Ok(Vec::new()));
    for (at, without) in all.iter().enumerate() {
        let mut rest = all.clone();
        rest.remove(at);
        let (_cluster, client) = client_with(&rest).await;
        let refused = refusals(&client).await;
        assert!(!refused.is_empty(), "{without} is not needed");
        assert_eq!(client.lacks().await, Ok(vec![*without]), "{without}");
    }
}

#[tokio::test]
async fn what_built_in_privileges_lack_is_told_by_name() {
    let (_cluster, client) = client_with(&["manage_ml"]).await;
    client.identify().await.unwrap_err();
    client.ml_info().await.unwrap();
    let expected = vec![privileges::MAIN, privileges::STATE, privileges::LICENSE];
    assert_eq!(client.lacks().await, Ok(expected));
    let (_cluster, client) = client_with(&["manage_ml", "monitor"]).await;
    client.identify().await.unwrap();
    assert_eq!(client.lacks().await, Ok(Vec::new()));
    let (_cluster, client) = client_with(&["monitor"]).await;
    client.identify().await.unwrap();
    let changes: Vec<&str> = privileges::CHANGES
        .iter()
        .map(|(action, _)| *action)
        .collect();
    assert_eq!(client.lacks().await, Ok(changes));
    // Who has no security has nobody to ask.
    let cluster = Cluster::start(Profile::V9).await;
    let client = cluster.client().await;
    client.lacks().await.unwrap_err();
}
