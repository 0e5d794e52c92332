//! Opening jobs and starting datafeeds, as it should go and as it is refused, on both versions.

use std::time::Duration;

use anomalyjob_operator::api::state::{DatafeedState, JobState};
use anomalyjob_operator::elasticsearch::{Client, Error, Ids};
use elasticsearch_simulator::Profile;
use serde_json::{Value, json};

use super::cluster::{Cluster, PROFILES, datafeed, everything, job, jobs};

const TIMEOUT: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(50);

/// A cluster with the job `a`, closed, and a client of it.
async fn closed(profile: Profile) -> (Cluster, Client) {
    let cluster = Cluster::start(profile).await;
    cluster.put_job("a", &[]).await;
    let client = cluster.client().await;
    (cluster, client)
}

/// The same with the job open and the datafeed `d`, stopped.
async fn fed(profile: Profile) -> (Cluster, Client) {
    let (cluster, client) = closed(profile).await;
    client.open(&job("a"), TIMEOUT).await.unwrap();
    cluster.ask("PUT", "/logs", &Value::Null).await;
    let feed = json!({"job_id": "a", "indices": ["logs"]});
    cluster.ask("PUT", "/_ml/datafeeds/d", &feed).await;
    (cluster, client)
}

async fn open(client: &Client) -> Result<(), Error> {
    client.open(&job("a"), TIMEOUT).await
}

async fn start(client: &Client) -> Result<(), Error> {
    client.start_datafeed(&datafeed("d"), TIMEOUT).await
}

#[tokio::test]
async fn a_job_is_opened_and_its_datafeed_started_in_one_request_each() {
    for profile in PROFILES {
        let (cluster, client) = fed(profile).await;
        assert_eq!(cluster.state_of("a").await, "opened");
        cluster.forget().await;
        start(&client).await.unwrap();
        assert_eq!(
            cluster.requests().await,
            ["POST /_ml/datafeeds/d/_start?timeout=30s"]
        );
        let view = client.all_datafeed_stats().await.unwrap();
        let seen = &view.found[&datafeed("d")];
        assert_eq!(seen.state, DatafeedState::Started);
        let told = (profile != Profile::V7_10).then_some(true);
        assert_eq!(seen.real_time, told);
        let same = client
            .datafeed_stats(&Ids::one(datafeed("d")))
            .await
            .unwrap();
        assert_eq!(same.found[&datafeed("d")].real_time, told);
        assert_eq!((view.requests, view.cut), (1, false));
    }
}

#[tokio::test]
async fn a_job_without_room_waits_where_it_may_and_is_refused_where_not() {
    for profile in PROFILES {
        let (cluster, client) = closed(profile).await;
        cluster
            .knob("PUT", "capacity", json!({"max_open_jobs": 0}))
            .await;
        assert_eq!(open(&client).await, Err(Error::NoCapacity));
        assert_eq!(cluster.state_of("a").await, "closed");
        cluster
            .knob("PUT", "capacity", json!({"lazy_nodes": true}))
            .await;
        open(&client).await.unwrap();
        let view = client.job_stats_like(&everything()).await.unwrap();
        let seen = &view.found[&job("a")];
        assert_eq!((seen.state, seen.has_node), (JobState::Opening, false));
        let explanation = seen.assignment_explanation.as_deref().unwrap();
        assert!(explanation.contains("awaiting node"), "{explanation}");
    }
}

#[tokio::test]
async fn an_open_that_cannot_be_says_why() {
    for profile in PROFILES {
        let (cluster, client) = closed(profile).await;
        let unknown = client.open(&job("x"), TIMEOUT).await;
        assert_eq!(unknown, Err(Error::NoSuchJob(vec![job("x")])));
        cluster
            .knob("PUT", "jobs/a/block", json!({"reason": "delete"}))
            .await;
        assert_eq!(open(&client).await, Err(Error::JobBlocked));
        cluster
            .knob("PUT", "jobs/a/block", json!({"reason": null}))
            .await;
        let setting =
            |value| json!({"transient": {"cluster.persistent_tasks.allocation.enable": value}});
        cluster
            .ask("PUT", "/_cluster/settings", &setting(Some("none")))
            .await;
        assert_eq!(open(&client).await, Err(Error::AssignmentDisabled));
        cluster
            .ask("PUT", "/_cluster/settings", &setting(None))
            .await;
        cluster
            .knob(
                "PUT",
                "missing_primaries",
                json!({"indices": [".ml-state"]}),
            )
            .await;
        assert_eq!(open(&client).await, Err(Error::NoCapacity));
        cluster
            .knob("PUT", "missing_primaries", json!({"indices": []}))
            .await;
        cluster
            .knob("PUT", "license", json!({"valid": false, "type": "basic"}))
            .await;
        assert_eq!(open(&client).await, Err(Error::LicenseMissing));
        cluster
            .knob("PUT", "license", json!({"valid": true, "type": "trial"}))
            .await;
        cluster
            .knob("PUT", "upgrade_mode", json!({"enabled": true}))
            .await;
        assert_eq!(open(&client).await, Err(Error::UpgradeMode));
        cluster
            .knob("PUT", "upgrade_mode", json!({"enabled": false}))
            .await;
        assert_eq!(cluster.state_of("a").await, "closed");
        open(&client).await.unwrap();
        assert_eq!(open(&client).await, Err(Error::AlreadyOpen));
    }
}

#[tokio::test]
async fn an_open_that_ends_otherwise_says_how() {
    for profile in PROFILES {
        let (cluster, client) = closed(profile).await;
        cluster
            .knob("PUT", "jobs/a", json!({"open_ms": "hang"}))
            .await;
        let late = client.open(&job("a"), SHORT).await;
        assert_eq!(late, Err(Error::OpenTimedOut));
        assert_eq!(cluster.state_of("a").await, "opening");
        client.force_close(&job("a")).await.unwrap();

        let closing = async {
            cluster.until("a", "opening").await;
            client.close(&jobs(&["a"]), TIMEOUT).await.unwrap();
        };
        let (opened, ()) = tokio::join!(open(&client), closing);
        assert_eq!(opened, Err(Error::ClosedWhileOpening));

        let failing = async {
            cluster.until("a", "opening").await;
            let why = json!({"reason": "Unexpected death of autodetect"});
            cluster.knob("POST", "jobs/a/fail", why).await;
        };
        let (opened, ()) = tokio::join!(open(&client), failing);
        assert_eq!(opened, Err(Error::OpenFailed));
        assert_eq!(open(&client).await, Err(Error::AlreadyOpen));
    }
}

#[tokio::test]
async fn a_start_that_cannot_be_says_why() {
    for profile in PROFILES {
        let (cluster, client) = fed(profile).await;
        let unknown = client.start_datafeed(&datafeed("x"), TIMEOUT).await;
        assert_eq!(unknown, Err(Error::NoSuchDatafeed(vec![datafeed("x")])));
        start(&client).await.unwrap();
        assert_eq!(start(&client).await, Err(Error::DatafeedAlreadyStarted));
        client
            .stop_datafeed(&datafeed("d"), false, TIMEOUT)
            .await
            .unwrap();
        client.close(&jobs(&["a"]), TIMEOUT).await.unwrap();
        assert_eq!(start(&client).await, Err(Error::DatafeedJobNotOpen));
        cluster
            .knob("PUT", "upgrade_mode", json!({"enabled": true}))
            .await;
        assert_eq!(start(&client).await, Err(Error::UpgradeMode));
    }
}

#[tokio::test]
async fn a_datafeed_whose_index_is_not_there_is_refused() {
    let (cluster, client) = fed(Profile::V7_10).await;
    cluster.put_open_job("b").await;
    let feed = json!({"job_id": "b", "indices": ["gone"]});
    cluster.ask("PUT", "/_ml/datafeeds/e", &feed).await;
    let refused = client.start_datafeed(&datafeed("e"), TIMEOUT).await;
    assert_eq!(refused, Err(Error::DatafeedRefused));
}

#[tokio::test]
async fn a_start_that_takes_longer_than_asked_goes_on() {
    for profile in PROFILES {
        let (cluster, client) = fed(profile).await;
        cluster
            .knob("PUT", "jobs/a", json!({"feed_start_ms": 60_000}))
            .await;
        let late = client.start_datafeed(&datafeed("d"), SHORT).await;
        assert_eq!(late, Err(Error::DatafeedStartTimedOut));
        let tasks = client.persistent_tasks().await.unwrap();
        assert_eq!(
            tasks.datafeeds[&datafeed("d")].state,
            DatafeedState::Starting
        );
    }
}
