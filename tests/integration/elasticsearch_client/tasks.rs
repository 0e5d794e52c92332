//! The whole views: tasks, states of all, configs with groups, and the newest snapshot.

use std::time::{Duration, SystemTime};

use anomalyjob_operator::api::state::{DatafeedState, JobState};
use anomalyjob_operator::elasticsearch::{
    Credentials, DatafeedTask, Error, JobTask, Snapshot, Tasks,
};
use elasticsearch_simulator::{ApiKey, User};
use serde_json::json;

use super::cluster::{Cluster, PROFILES, datafeed, everything, job};
use super::server::{PRODUCT, Server, answer};

const TASKS: &str = "GET /_cluster/state/metadata?filter_path=cluster_uuid,metadata.persistent_tasks.tasks.id,\
    metadata.persistent_tasks.tasks.task.*.state.state,metadata.persistent_tasks.tasks.task.*.params.job_id,\
    metadata.persistent_tasks.tasks.task.*.params.end,metadata.persistent_tasks.tasks.assignment.executor_node";

fn at(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

#[tokio::test]
async fn the_tasks_of_the_cluster_tell_who_is_not_closed_in_one_request() {
    for profile in PROFILES {
        let cluster = Cluster::start(profile).await;
        let client = cluster.client().await;
        let uuid = Some(client.identify().await.unwrap().cluster_uuid);
        let nothing = Tasks {
            cluster_uuid: uuid.clone(),
            ..Tasks::default()
        };
        assert_eq!(client.persistent_tasks().await.unwrap(), nothing);
        for id in ["a", "b", "c"] {
            cluster.put_open_job(id).await;
        }
        cluster.put_job("e", &[]).await;
        cluster.start_datafeed("d", "a").await;
        let why = json!({"reason": "x"});
        cluster.knob("POST", "jobs/c/fail", why).await;
        cluster.forget().await;
        let tasks = client.persistent_tasks().await.unwrap();
        assert_eq!(cluster.requests().await, [TASKS]);
        let of_job = |state, assigned| JobTask { state, assigned };
        assert_eq!(tasks.cluster_uuid, uuid);
        assert_eq!(tasks.jobs.len(), 3);
        assert_eq!(tasks.jobs[&job("a")], of_job(JobState::Opened, true));
        assert_eq!(tasks.jobs[&job("c")].state, JobState::Failed);
        let endless = DatafeedTask {
            job_id: Some(job("a")),
            state: DatafeedState::Started,
            has_end: false,
        };
        assert_eq!(tasks.datafeeds[&datafeed("d")], endless);
        cluster
            .knob("PUT", "upgrade_mode", json!({"enabled": true}))
            .await;
        let tasks = client.persistent_tasks().await.unwrap();
        assert_eq!(tasks.jobs[&job("a")], of_job(JobState::Opened, false));
    }
}

#[tokio::test]
async fn who_may_not_read_the_cluster_state_is_told_what_it_takes() {
    for profile in PROFILES {
        let keys = vec![
            ApiKey::new("ml", "s", &["manage_ml"]),
            ApiKey::new("full", "s", &["manage_ml", "monitor"]),
        ];
        let cluster = Cluster::secured(profile, vec![User::new("u", "p", &[])], keys).await;
        let client = cluster.client_as(Credentials::ApiKey("full:s".into()));
        client.identify().await.unwrap();
        client.persistent_tasks().await.unwrap();
        let client = cluster.client_as(Credentials::ApiKey("ml:s".into()));
        let refused = client.persistent_tasks().await.unwrap_err();
        let Error::MissingPrivilege(named) = &refused else {
            panic!("{refused:?}")
        };
        assert!(named.contains(&"monitor".to_owned()), "{named:?}");
    }
}

#[tokio::test]
async fn all_states_are_read_in_one_request_by_a_wildcard() {
    for profile in PROFILES {
        let cluster = Cluster::start(profile).await;
        let client = cluster.client().await;
        cluster.put_open_job("a").await;
        cluster.put_job("b", &[]).await;
        let data = json!({"records": 100, "latest_ms": 1_700_000_000_000_u64});
        cluster.knob("PUT", "jobs/a/data", data).await;
        cluster.forget().await;
        let view = client.job_stats_like(&everything()).await.unwrap();
        let [request] = &cluster.requests().await[..] else {
            panic!("one request")
        };
        assert!(
            request.starts_with("GET /_ml/anomaly_detectors/*/_stats?filter_path="),
            "{request}"
        );
        assert_eq!((view.found.len(), view.requests, view.cut), (2, 1, false));
        let seen = &view.found[&job("a")];
        assert_eq!(seen.latest_record, Some(at(1_700_000_000_000)));
        let closed = &view.found[&job("b")];
        assert_eq!(closed.latest_record, None);
    }
}

#[tokio::test]
async fn the_groups_of_a_job_are_in_its_config() {
    for profile in PROFILES {
        let cluster = Cluster::start(profile).await;
        let client = cluster.client().await;
        cluster.put_job("a", &["g", "h.x"]).await;
        cluster.put_job("b", &[]).await;
        let view = client.jobs().await.unwrap();
        let groups = |id: &str| {
            let groups = view.found[&job(id)].groups.iter();
            groups.map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(groups("a"), ["g", "h.x"]);
        assert!(groups("b").is_empty());
        assert_eq!(view.requests, 1);
    }
}

#[tokio::test]
async fn the_newest_snapshot_is_asked_for_alone() {
    let body = json!({"count": 3, "model_snapshots": [
        {"timestamp": 1_700_000_000_000_u64, "latest_record_time_stamp": 1_600_000_000_000_u64}
    ]});
    let server = Server::start(move |_| answer("200 OK", PRODUCT, &body.to_string())).await;
    let snapshot = server.client().newest_snapshot(&job("a")).await.unwrap();
    let expected = Snapshot {
        taken_at: Some(at(1_700_000_000_000)),
        latest_record: Some(at(1_600_000_000_000)),
    };
    assert_eq!(snapshot, Some(expected));
    assert_eq!(
        server.lines(),
        [
            "GET /_ml/anomaly_detectors/a/model_snapshots?size=1&sort=timestamp&desc=true&\
             filter_path=count,model_snapshots.timestamp,model_snapshots.latest_record_time_stamp HTTP/1.1"
        ]
    );
    let none = Server::start(|_| answer("200 OK", PRODUCT, "{\"count\":0}")).await;
    assert_eq!(none.client().newest_snapshot(&job("a")).await, Ok(None));
    let unknown = json!({"error": {"type": "resource_not_found_exception", "reason": "No known job with id 'a'"}, "status": 404});
    let none = Server::start(move |_| answer("404 Not Found", PRODUCT, &unknown.to_string())).await;
    let refused = none.client().newest_snapshot(&job("a")).await;
    assert_eq!(refused, Err(Error::NoSuchJob(vec![job("a")])));
}
