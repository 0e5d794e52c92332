//! Every call as it should go, on both versions.

use std::time::Duration;

use anomalyjob_operator::api::state::{DatafeedState, JobState};
use anomalyjob_operator::elasticsearch::{Blocked, Flavor, Ids, Product, Version};
use elasticsearch_simulator::Profile;
use serde_json::{Value, json};

use super::cluster::{Cluster, PROFILES, datafeed, job, jobs};

const TIMEOUT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_cluster_says_which_it_is() {
    for profile in PROFILES {
        let cluster = Cluster::start(profile).await;
        let client = cluster.client().await;
        let identity = client.identify().await.unwrap();
        assert_eq!(identity.flavor, Flavor::Default);
        assert!(!identity.cluster_name.is_empty() && !identity.cluster_uuid.is_empty());
        let old = profile == Profile::V7_10;
        assert_eq!(identity.version < Version::WITH_PRODUCT_HEADER, old);
        let expected = if old {
            Product::ElasticsearchBefore714
        } else {
            Product::Elasticsearch
        };
        assert_eq!(client.product(), expected);
        cluster
            .knob("PUT", "uuid", json!({"uuid": "another-one"}))
            .await;
        assert_eq!(client.identify().await.unwrap().cluster_uuid, "another-one");
    }
}

#[tokio::test]
async fn upgrade_mode_is_seen() {
    for profile in PROFILES {
        let cluster = Cluster::start(profile).await;
        let client = cluster.client().await;
        assert!(!client.ml_info().await.unwrap().upgrade_mode);
        cluster
            .knob("PUT", "upgrade_mode", json!({"enabled": true}))
            .await;
        assert!(client.ml_info().await.unwrap().upgrade_mode);
    }
}

#[tokio::test]
async fn configs_are_read_all_at_once_and_by_id() {
    for profile in PROFILES {
        let cluster = Cluster::start(profile).await;
        let client = cluster.client().await;
        assert_eq!(client.jobs().await.unwrap().found.len(), 0);
        cluster.put_job("a", &["g"]).await;
        cluster.put_open_job("b").await;
        cluster
            .ask("POST", "/_ml/anomaly_detectors/b/_close", &Value::Null)
            .await;
        let all = client.jobs().await.unwrap();
        assert_eq!(
            all.found.keys().cloned().collect::<Vec<_>>(),
            jobs(&["a", "b"]).as_slice()
        );
        assert!(
            all.found[&job("a")].create_time.is_some()
                && all.found[&job("a")].finished_time.is_none()
        );
        assert!(all.found[&job("b")].finished_time.is_some());
        let some = client.job_configs(&jobs(&["b", "x", "y"])).await.unwrap();
        assert_eq!(some.found.keys().cloned().collect::<Vec<_>>(), [job("b")]);
        assert_eq!(some.missing, [job("x"), job("y")]);
        cluster
            .knob("PUT", "jobs/a/deleting", json!({"deleting": true}))
            .await;
        assert!(client.jobs().await.unwrap().found[&job("a")].deleting);
    }
}

#[tokio::test]
async fn what_blocks_a_job_is_seen() {
    let cluster = Cluster::start(Profile::V9).await;
    let client = cluster.client().await;
    cluster.put_job("a", &[]).await;
    for (word, blocked) in [
        ("reset", Blocked::Reset),
        ("revert", Blocked::Revert),
        ("delete", Blocked::Delete),
    ] {
        cluster
            .knob("PUT", "jobs/a/block", json!({"reason": word}))
            .await;
        assert_eq!(
            client.job_configs(&jobs(&["a"])).await.unwrap().found[&job("a")].blocked,
            Some(blocked)
        );
    }
}

#[tokio::test]
async fn states_are_read_with_node_and_missing_ones_are_told() {
    for profile in PROFILES {
        let cluster = Cluster::start(profile).await;
        let client = cluster.client().await;
        cluster.put_open_job("a").await;
        cluster.put_job("b", &[]).await;
        cluster.put_open_job("c").await;
        cluster
            .knob("POST", "jobs/c/fail", json!({"reason": "x"}))
            .await;
        cluster.forget().await;
        let view = client
            .job_stats(&jobs(&["a", "b", "c", "x", "z"]))
            .await
            .unwrap();
        let state = |id: &str| view.found[&job(id)].state;
        assert_eq!(
            [state("a"), state("b"), state("c")],
            [JobState::Opened, JobState::Closed, JobState::Failed]
        );
        let a = &view.found[&job("a")];
        assert!(
            a.has_node && a.open_for.is_some() && a.assignment_explanation.as_deref() == Some("")
        );
        assert!(!view.found[&job("b")].has_node);
        assert_eq!(view.missing, [job("x"), job("z")]);
        assert!(!view.cut && view.unreadable.is_empty());
        assert_eq!(
            cluster.requests().await.len(),
            2,
            "once with and once without the unknown ones"
        );
        let view = client.job_stats(&jobs(&["x", "z"])).await.unwrap();
        assert_eq!(
            (view.found.len(), view.missing),
            (0, vec![job("x"), job("z")])
        );
    }
}

#[tokio::test]
async fn one_whose_index_of_results_is_closed_does_not_keep_the_others_from_being_told() {
    let cluster = Cluster::start(Profile::V9).await;
    let client = cluster.client().await;
    for id in ["b", "c", "d"] {
        cluster.put_job(id, &[]).await;
    }
    let old = json!({
        "analysis_config": {"bucket_span": "15m", "detectors": [{"function": "count"}]},
        "data_description": {},
        "results_index_name": "old",
    });
    cluster.ask("PUT", "/_ml/anomaly_detectors/a", &old).await;
    let index = ".ml-anomalies-custom-old";
    cluster
        .ask("POST", &format!("/{index}/_close"), &Value::Null)
        .await;
    cluster.forget().await;
    let view = client
        .job_stats(&jobs(&["a", "b", "c", "d"]))
        .await
        .unwrap();
    let found: Vec<_> = view.found.into_keys().collect();
    assert_eq!(found, [job("b"), job("c"), job("d")]);
    assert_eq!((view.unreadable, view.missing), (vec![job("a")], vec![]));
    assert_eq!((view.requests, cluster.requests().await.len()), (5, 5));
}

/// Most jobs share one index: each of them by itself would be two requests a job.
#[tokio::test]
async fn where_the_index_is_closed_that_most_jobs_share_they_are_not_sought_one_by_one() {
    let cluster = Cluster::start(Profile::V9).await;
    let client = cluster.client().await;
    let ids: Vec<String> = (0..150).map(|n| format!("j-{n:03}")).collect();
    for id in &ids {
        cluster.put_job(id, &[]).await;
    }
    let index = ".ml-anomalies-shared";
    cluster
        .ask("POST", &format!("/{index}/_close"), &Value::Null)
        .await;
    cluster.forget().await;
    let ids = Ids::new(ids.iter().map(|id| job(id))).unwrap();
    let view = client.job_stats(&ids).await.unwrap();
    assert_eq!((view.found.len(), view.missing.len()), (0, 0));
    assert_eq!(view.unreadable, []);
    let mut undecided = view.undecided;
    undecided.sort();
    assert_eq!(undecided, ids.as_slice());
    // Forty that are halved, and what is left of them.
    assert_eq!((view.requests, cluster.requests().await.len()), (81, 81));

    // Of so few each is found.
    let few = Ids::new(ids.as_slice()[..32].iter().cloned()).unwrap();
    let view = client.job_stats(&few).await.unwrap();
    assert_eq!(
        (view.unreadable, view.undecided),
        (few.as_slice().to_vec(), vec![])
    );
    assert_eq!(view.requests, 63);
}

#[tokio::test]
async fn the_name_of_a_group_is_no_job() {
    for profile in PROFILES {
        let cluster = Cluster::start(profile).await;
        let client = cluster.client().await;
        cluster.put_job("a", &["g"]).await;
        cluster.put_job("b", &["g"]).await;
        let view = client.job_stats(&jobs(&["a", "g"])).await.unwrap();
        assert_eq!(view.found.keys().cloned().collect::<Vec<_>>(), [job("a")]);
        assert_eq!(view.missing, [job("g")]);
        assert_eq!(
            client.job_configs(&jobs(&["g"])).await.unwrap().missing,
            [job("g")]
        );
    }
}

#[tokio::test]
async fn many_long_ids_are_read_in_several_requests() {
    for profile in PROFILES {
        let cluster = Cluster::start(profile).await;
        let client = cluster.client().await;
        let ids: Vec<String> = (0..150).map(|n| format!("{n:064}")).collect();
        for id in ids.iter().step_by(2) {
            cluster.put_job(id, &[]).await;
        }
        let ids = Ids::new(ids.iter().map(|id| job(id))).unwrap();
        cluster.forget().await;
        let view = client.job_stats(&ids).await.unwrap();
        assert_eq!((view.found.len(), view.missing.len()), (75, 75));
        let requests = cluster.requests().await;
        assert_eq!(
            requests.len(),
            6,
            "three parts, each without its unknown ids again: {requests:?}"
        );
        assert!(
            requests
                .iter()
                .all(|line| line.len() + " HTTP/1.1".len() <= 4095)
        );
    }
}

#[tokio::test]
async fn one_job_and_several_are_closed_in_one_request_with_literal_ids() {
    for profile in PROFILES {
        let cluster = Cluster::start(profile).await;
        let client = cluster.client().await;
        for id in ["a", "b", "c"] {
            cluster.put_open_job(id).await;
        }
        cluster.forget().await;
        client.close(&jobs(&["b", "a"]), TIMEOUT).await.unwrap();
        client.close(&jobs(&["a"]), TIMEOUT).await.unwrap();
        assert_eq!(
            cluster.requests().await,
            [
                "POST /_ml/anomaly_detectors/a,b/_close?timeout=30s",
                "POST /_ml/anomaly_detectors/a/_close?timeout=30s",
            ]
        );
        assert_eq!(cluster.state_of("a").await, "closed");
        assert_eq!(cluster.state_of("c").await, "opened");
    }
}

#[tokio::test]
async fn a_job_that_has_failed_is_closed_by_force() {
    for profile in PROFILES {
        let cluster = Cluster::start(profile).await;
        let client = cluster.client().await;
        cluster.put_open_job("a").await;
        cluster
            .knob("POST", "jobs/a/fail", json!({"reason": "x"}))
            .await;
        cluster.forget().await;
        client.force_close(&job("a")).await.unwrap();
        assert_eq!(
            cluster.requests().await,
            ["POST /_ml/anomaly_detectors/a/_close?force=true"]
        );
        assert_eq!(cluster.state_of("a").await, "closed");
    }
}

#[tokio::test]
async fn datafeeds_are_read_and_stopped_plainly_and_by_force() {
    for profile in PROFILES {
        for force in [false, true] {
            let cluster = Cluster::start(profile).await;
            let client = cluster.client().await;
            assert_eq!(client.datafeeds().await.unwrap().found.len(), 0);
            cluster.put_open_job("a").await;
            cluster.start_datafeed("d", "a").await;
            assert_eq!(
                client.datafeeds().await.unwrap().found[&datafeed("d")].job_id,
                job("a")
            );
            let asked = Ids::new([datafeed("d"), datafeed("x")]).unwrap();
            let view = client.datafeed_stats(&asked).await.unwrap();
            assert_eq!(view.found[&datafeed("d")].state, DatafeedState::Started);
            assert!(view.found[&datafeed("d")].has_node);
            assert_eq!(view.missing, [datafeed("x")]);
            client
                .stop_datafeed(&datafeed("d"), force, TIMEOUT)
                .await
                .unwrap();
            let view = client
                .datafeed_stats(&Ids::one(datafeed("d")))
                .await
                .unwrap();
            assert_eq!(view.found[&datafeed("d")].state, DatafeedState::Stopped);
        }
    }
}
