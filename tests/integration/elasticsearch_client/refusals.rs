//! Every refusal that the simulator can give, on both versions, with its class.

use std::time::Duration;

use anomalyjob_operator::api::id::JobId;
use anomalyjob_operator::elasticsearch::error::Malformed;
use anomalyjob_operator::elasticsearch::{Error, Ids};
use elasticsearch_simulator::Profile;
use serde_json::{Value, json};

use super::cluster::{Cluster, PROFILES, datafeed, job, jobs};

const TIMEOUT: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(50);

/// A cluster of each version with the jobs `a` and `b` open.
async fn clusters() -> Vec<(Profile, Cluster)> {
    let mut all = Vec::new();
    for profile in PROFILES {
        let cluster = Cluster::start(profile).await;
        cluster.put_open_job("a").await;
        cluster.put_open_job("b").await;
        all.push((profile, cluster));
    }
    all
}

async fn close(cluster: &Cluster, ids: &[&str]) -> Result<(), Error> {
    cluster.client().await.close(&jobs(ids), TIMEOUT).await
}

#[tokio::test]
async fn unknown_jobs_and_datafeeds_are_named_and_nothing_is_closed() {
    for (_, cluster) in clusters().await {
        let expected = Error::NoSuchJob(vec![job("x"), job("y")]);
        assert_eq!(close(&cluster, &["a", "x", "y"]).await, Err(expected));
        assert_eq!(cluster.state_of("a").await, "opened");
        let client = cluster.client().await;
        assert_eq!(
            client.force_close(&job("x")).await,
            Err(Error::NoSuchJob(vec![job("x")]))
        );
        let error = client.stop_datafeed(&datafeed("x"), false, TIMEOUT).await;
        assert_eq!(error, Err(Error::NoSuchDatafeed(vec![datafeed("x")])));
    }
}

#[tokio::test]
async fn a_failed_job_answers_409_to_a_plain_close_alone_and_among_others() {
    for (_, cluster) in clusters().await {
        cluster
            .knob("POST", "jobs/a/fail", json!({"reason": "x"}))
            .await;
        assert_eq!(
            close(&cluster, &["a"]).await,
            Err(Error::JobFailed(Some(job("a"))))
        );
        assert_eq!(
            close(&cluster, &["a", "b"]).await,
            Err(Error::JobFailed(None))
        );
        assert_eq!(cluster.state_of("b").await, "opened");
    }
}

#[tokio::test]
async fn a_running_datafeed_refuses_a_close_before_7_14_only() {
    for (profile, cluster) in clusters().await {
        cluster.start_datafeed("d", "a").await;
        let client = cluster.client().await;
        if profile == Profile::V7_10 {
            assert_eq!(close(&cluster, &["a"]).await, Err(Error::DatafeedRunning));
            assert_eq!(
                client.force_close(&job("a")).await,
                Err(Error::DatafeedRunning)
            );
        } else {
            cluster
                .knob("PUT", "jobs/a", json!({"feed_stop_fails": true}))
                .await;
            assert_eq!(
                close(&cluster, &["a"]).await,
                Err(Error::DatafeedNotStopped)
            );
            assert_eq!(cluster.state_of("a").await, "opened");
            cluster
                .knob("PUT", "jobs/a", json!({"feed_stop_fails": false}))
                .await;
            close(&cluster, &["a"]).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_datafeed_that_does_not_stop_says_so() {
    for (_, cluster) in clusters().await {
        cluster.start_datafeed("d", "a").await;
        cluster
            .knob("PUT", "jobs/a", json!({"feed_stop_fails": true}))
            .await;
        let error = cluster
            .client()
            .await
            .stop_datafeed(&datafeed("d"), false, SHORT)
            .await;
        assert_eq!(error, Err(Error::DatafeedNotStopped));
    }
}

#[tokio::test]
async fn a_job_that_is_still_closing_and_a_lost_close_answer_alike() {
    for (_, cluster) in clusters().await {
        let client = cluster.client().await;
        cluster
            .knob("PUT", "jobs/a", json!({"lost_closes": 1}))
            .await;
        assert_eq!(
            client.close(&jobs(&["a"]), SHORT).await,
            Err(Error::StillClosing)
        );
        assert_eq!(cluster.state_of("a").await, "opened");
        // The first close of a slow job waits for its process without limit, a second one only for the task.
        cluster
            .knob("PUT", "jobs/b", json!({"close_ms": "hang"}))
            .await;
        let first = client.within(SHORT).close(&jobs(&["b"]), SHORT).await;
        assert_eq!(first, Err(Error::TimedOut(SHORT)));
        cluster.until("b", "closing").await;
        assert_eq!(
            client.close(&jobs(&["b"]), SHORT).await,
            Err(Error::StillClosing)
        );
        assert_eq!(cluster.state_of("b").await, "closing");
    }
}

#[tokio::test]
async fn a_close_that_is_overtaken_by_force_says_so_and_the_job_is_not_unknown() {
    for (_, cluster) in clusters().await {
        for (id, on_kill, expected) in [
            ("a", 409, Error::InterruptedByKill),
            ("b", 404, Error::TaskGone),
        ] {
            cluster
                .knob(
                    "PUT",
                    &format!("jobs/{id}"),
                    json!({"close_ms": "hang", "on_kill": on_kill}),
                )
                .await;
            let client = cluster.client().await;
            let plain = tokio::spawn(async move { client.close(&jobs(&[id]), TIMEOUT).await });
            cluster.until(id, "closing").await;
            cluster.client().await.force_close(&job(id)).await.unwrap();
            assert_eq!(plain.await.unwrap(), Err(expected));
        }
    }
}

#[tokio::test]
async fn of_two_forced_closes_at_once_one_fails_on_7_10() {
    let cluster = Cluster::start(Profile::V7_10).await;
    cluster.put_open_job("a").await;
    cluster.knob("PUT", "clock", json!({"hold": true})).await;
    cluster
        .knob("PUT", "jobs/a", json!({"force_ms": 1000}))
        .await;
    let calls: Vec<_> = (0..2)
        .map(|_| {
            let endpoint = cluster.client_as(anomalyjob_operator::elasticsearch::Credentials::None);
            tokio::spawn(async move {
                endpoint.identify().await.unwrap();
                endpoint.force_close(&job("a")).await
            })
        })
        .collect();
    let both = async {
        while cluster
            .requests()
            .await
            .iter()
            .filter(|line| line.contains("force=true"))
            .count()
            < 2
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), both)
        .await
        .unwrap();
    cluster
        .knob("POST", "clock/advance", json!({"ms": 2000}))
        .await;
    let mut results = Vec::new();
    for call in calls {
        results.push(call.await.unwrap());
    }
    assert!(
        results.contains(&Ok(())) && results.contains(&Err(Error::ForceCloseFailed)),
        "{results:?}"
    );
}

#[tokio::test]
async fn a_process_that_dies_while_closing_leaves_a_failed_job() {
    for (_, cluster) in clusters().await {
        cluster
            .knob("PUT", "jobs/a", json!({"persist_fails": true}))
            .await;
        assert_eq!(close(&cluster, &["a"]).await, Err(Error::JobProcessDied));
        assert_eq!(cluster.state_of("a").await, "failed");
    }
}

#[tokio::test]
async fn a_node_that_leaves_during_a_close_is_told() {
    for (_, cluster) in clusters().await {
        cluster
            .knob("PUT", "jobs/a", json!({"close_ms": "hang"}))
            .await;
        let client = cluster.client().await;
        let call = tokio::spawn(async move { client.close(&jobs(&["a"]), TIMEOUT).await });
        cluster.until("a", "closing").await;
        cluster.knob("POST", "node_loss", json!({})).await;
        assert_eq!(call.await.unwrap(), Err(Error::NodeLost));
    }
}

#[tokio::test]
async fn upgrade_mode_and_a_missing_master_stop_changes() {
    for (_, cluster) in clusters().await {
        let client = cluster.client().await;
        cluster
            .knob("PUT", "upgrade_mode", json!({"enabled": true}))
            .await;
        assert_eq!(
            client.close(&jobs(&["a"]), TIMEOUT).await,
            Err(Error::UpgradeMode)
        );
        assert_eq!(client.force_close(&job("a")).await, Err(Error::UpgradeMode));
        assert!(client.job_stats(&jobs(&["a"])).await.is_ok());
        cluster
            .knob("PUT", "upgrade_mode", json!({"enabled": false}))
            .await;
        cluster
            .knob("PUT", "master", json!({"present": false}))
            .await;
        assert_eq!(
            client.close(&jobs(&["a"]), TIMEOUT).await,
            Err(Error::NoMaster)
        );
    }
}

#[tokio::test]
async fn a_line_over_the_limit_of_the_server_is_known_as_such() {
    for (_, cluster) in clusters().await {
        let limits = anomalyjob_operator::elasticsearch::Limits {
            request_line: 100_000,
            ..Default::default()
        };
        let endpoint = cluster.endpoint(anomalyjob_operator::elasticsearch::Credentials::None);
        let client = anomalyjob_operator::elasticsearch::Client::new(&endpoint, limits).unwrap();
        let ids: Ids<JobId> = Ids::new((0..100).map(|n| job(&format!("{n:064}")))).unwrap();
        assert_eq!(client.close(&ids, TIMEOUT).await, Err(Error::LineTooLong));
    }
}

/// One injected answer to a close, with its class.
async fn injected(cluster: &Cluster, rule: Value) -> Error {
    let client = cluster.client().await;
    let mut rule = rule;
    rule["path_contains"] = json!("/_close");
    cluster.knob("POST", "inject", rule).await;
    let error = client
        .within(Duration::from_secs(60))
        .close(&jobs(&["a"]), TIMEOUT)
        .await
        .unwrap_err();
    cluster.knob("DELETE", "inject", Value::Null).await;
    error
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "a table")]
async fn injected_faults_have_their_classes() {
    for (profile, cluster) in clusters().await {
        let pause = Some(Duration::from_secs(7));
        let overloaded = Error::Overloaded {
            status: 429,
            retry_after: pause,
        };
        assert_eq!(
            injected(&cluster, json!({"status": 429, "retry_after": 7})).await,
            overloaded
        );
        let queue = json!({"status": 503, "type": "es_rejected_execution_exception"});
        assert_eq!(
            injected(&cluster, queue).await,
            Error::Overloaded {
                status: 503,
                retry_after: None
            }
        );
        assert_eq!(
            injected(&cluster, json!({"status": 503})).await,
            Error::NoMaster
        );
        let shards = json!({"status": 503, "type": "search_phase_execution_exception", "reason": "all shards failed"});
        assert_eq!(injected(&cluster, shards).await, Error::StateNotRecovered);
        assert_eq!(
            injected(&cluster, json!({"cut": "before"})).await,
            Error::ConnectionLost
        );
        assert_eq!(
            injected(&cluster, json!({"body": "truncated"})).await,
            Error::ConnectionLost
        );
        let gateway = json!({"status": 502, "body": "html"});
        assert_eq!(
            injected(&cluster, gateway).await,
            Error::GatewayFailed {
                status: 502,
                retry_after: None
            }
        );
        assert_eq!(
            injected(&cluster, json!({"location": "http://elsewhere/"})).await,
            Error::Redirected(302)
        );
        for rule in [json!({"body": "html"}), json!({"body": "other_product"})] {
            let category = injected(&cluster, rule).await.category();
            // Before 7.14 no header tells a stranger, but what it says is no answer to a close.
            let expected = if profile == Profile::V7_10 {
                "UnexpectedAnswer"
            } else {
                "NotElasticsearch"
            };
            assert_eq!(category, expected);
        }
        for (rule, what) in [
            (json!({"body": "not_json"}), Malformed::NotJson),
            (json!({"body": "endless"}), Malformed::TooLarge(64 * 1024)),
            (json!({"json": {"closed": false}}), Malformed::WrongShape),
            (
                json!({"json": {"closed": true}, "gzip": true}),
                Malformed::Encoded,
            ),
        ] {
            assert_eq!(
                injected(&cluster, rule).await,
                Error::UnexpectedAnswer { status: 200, what }
            );
        }
        assert_eq!(
            cluster.state_of("a").await,
            "opened",
            "no fault has closed it"
        );
    }
}

#[tokio::test]
async fn a_close_goes_on_when_its_connection_is_cut_or_its_caller_leaves() {
    for (_, cluster) in clusters().await {
        assert_eq!(
            injected(&cluster, json!({"cut": "after"})).await,
            Error::ConnectionLost
        );
        cluster.until("a", "closed").await;
        cluster
            .knob("PUT", "jobs/b", json!({"close_ms": 200}))
            .await;
        let client = cluster.client().await;
        let call = tokio::spawn(async move { client.close(&jobs(&["b"]), TIMEOUT).await });
        cluster.until("b", "closing").await;
        call.abort();
        cluster.until("b", "closed").await;
    }
}

#[tokio::test]
async fn a_network_that_refuses_or_swallows_is_told_apart() {
    for (_, cluster) in clusters().await {
        let client = cluster.client().await;
        cluster.simulator.blackhole_network();
        assert_eq!(
            client.within(SHORT).ml_info().await,
            Err(Error::TimedOut(SHORT))
        );
        cluster.simulator.resume_network();
        let port = cluster.simulator.port();
        drop(cluster);
        // The listener has gone when a connection to it is refused.
        let gone = async {
            while tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_ok()
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), gone)
            .await
            .unwrap();
        assert_eq!(client.ml_info().await, Err(Error::ConnectionRefused));
    }
}
