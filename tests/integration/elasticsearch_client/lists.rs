//! Lists that are too long: for the line, for something on the way, for one answer.

use std::collections::BTreeMap;
use std::time::Duration;

use anomalyjob_operator::api::id::JobId;
use anomalyjob_operator::elasticsearch::error::Malformed;
use anomalyjob_operator::elasticsearch::{Client, Error, Ids, Limits};
use serde_json::{Value, json};

use super::cluster::job;
use super::server::{PRODUCT, Reply, Server, answer};

const SECOND: Duration = Duration::from_secs(1);

fn ids(count: usize) -> Ids<JobId> {
    Ids::new((0..count).map(|n| job(&format!("{n:064}")))).unwrap()
}

fn line(head: &str) -> &str {
    head.lines().next().unwrap_or_default()
}

/// What stands in the path instead of ids.
fn expression(head: &str) -> Vec<String> {
    let path = line(head).split(' ').nth(1).unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    let ids = path.split('/').nth(3).unwrap_or_default();
    let tokens = ids.split(',').filter(|token| !token.is_empty());
    tokens.map(str::to_owned).collect()
}

/// The states of the jobs that were asked for, or a good answer to a close.
fn as_elasticsearch(head: &str) -> Reply {
    if head.starts_with("POST") {
        return answer("200 OK", PRODUCT, "{\"closed\":true}");
    }
    let asked = expression(head);
    let jobs: Vec<Value> = asked
        .iter()
        .map(|id| json!({"job_id": id, "state": "closed"}))
        .collect();
    let body = json!({"count": jobs.len(), "jobs": jobs});
    answer("200 OK", PRODUCT, &body.to_string())
}

/// Refuses lines of more than `longest` bytes with `refusal`.
async fn narrow(
    longest: usize,
    status: &'static str,
    headers: &'static str,
    body: String,
) -> Server {
    Server::start(move |head| {
        if line(head).len() > longest {
            answer(status, headers, &body)
        } else {
            as_elasticsearch(head)
        }
    })
    .await
}

fn too_long(kind: &str) -> String {
    let reason = "An HTTP line is larger than 1000 bytes.";
    json!({"error": {"type": kind, "reason": reason}, "status": 400}).to_string()
}

#[tokio::test]
async fn a_line_limit_is_learned_by_reads_whoever_says_it() {
    let page = "<html>no</html>".to_owned();
    for (status, headers, body) in [
        (
            "400 Bad Request",
            PRODUCT,
            too_long("too_long_frame_exception"),
        ),
        (
            "400 Bad Request",
            PRODUCT,
            too_long("too_long_http_line_exception"),
        ),
        ("400 Bad Request", "", page.clone()),
        ("413 Payload Too Large", "", page.clone()),
        ("414 URI Too Long", "", page.clone()),
        ("431 Request Header Fields Too Large", "", page),
    ] {
        let server = narrow(1000, status, headers, body).await;
        let client = server.client();
        let room = client.list_room();
        let view = client.clone().job_stats(&ids(100)).await.unwrap();
        assert_eq!((view.found.len(), view.missing.len()), (100, 0), "{status}");
        let learned = client.list_room();
        assert!(
            learned < room / 3 && learned > 64,
            "{status}: {learned}, shared by clones"
        );
        let asked = server.lines().len();
        assert_eq!(view.requests, u32::try_from(asked).unwrap());
        let refused = server
            .lines()
            .iter()
            .filter(|line| line.len() > 1000)
            .count();
        assert!(refused <= 4, "{status}: {refused} refused of {asked}");
        client.job_stats(&ids(100)).await.unwrap();
        let later = server.lines();
        assert!(
            later[asked..].iter().all(|line| line.len() <= 1000),
            "learned once"
        );
    }
}

#[tokio::test]
async fn a_close_of_a_list_that_is_too_long_does_nothing_and_is_split_anew() {
    let server = narrow(1000, "414 URI Too Long", "", String::new()).await;
    let client = server.client();
    let mut left = ids(50).split(client.list_room());
    while let Some(list) = left.pop() {
        match client.close(&list, SECOND).await {
            Ok(()) => {}
            Err(Error::LineTooLong) => left.extend(list.split(client.list_room())),
            Err(other) => panic!("{other:?}"),
        }
    }
    let refused = server
        .lines()
        .iter()
        .filter(|line| line.len() > 1000)
        .count();
    assert_eq!(refused, 2, "one of 3300 bytes and one of half of it");
    let closed: Vec<String> = server
        .heads()
        .iter()
        .filter(|head| line(head).len() <= 1000)
        .flat_map(|head| expression(head))
        .collect();
    assert_eq!(closed.len(), 50, "each once");
}

#[tokio::test]
async fn one_id_teaches_nothing_about_lists() {
    for (status, expected) in [
        (
            "400 Bad Request",
            Error::UnexpectedAnswer {
                status: 400,
                what: Malformed::ForeignRefusal,
            },
        ),
        ("414 URI Too Long", Error::LineTooLong),
    ] {
        let server = narrow(0, status, "", String::new()).await;
        let client = server.client();
        let room = client.list_room();
        assert_eq!(client.job_stats(&ids(1)).await, Err(expected.clone()));
        assert_eq!(client.close(&ids(1), SECOND).await, Err(expected));
        assert_eq!((client.list_room(), server.lines().len()), (room, 2));
    }
}

#[tokio::test]
async fn a_server_that_refuses_every_list_ends_the_read() {
    for status in ["400 Bad Request", "414 URI Too Long"] {
        let server = narrow(0, status, "", String::new()).await;
        let error = server.client().job_stats(&ids(200)).await.unwrap_err();
        let category = error.category();
        assert!(
            matches!(category, "RequestRefused" | "UnexpectedAnswer"),
            "{category}"
        );
        assert!(server.lines().len() <= 6, "{}", server.lines().len());
    }
}

#[tokio::test]
async fn a_refusal_of_elasticsearch_is_no_matter_of_length() {
    let body =
        json!({"error": {"type": "illegal_argument_exception", "reason": "no"}, "status": 400});
    let server =
        Server::start(move |_| answer("400 Bad Request", PRODUCT, &body.to_string())).await;
    let client = server.client();
    let room = client.list_room();
    let error = client.close(&ids(20), SECOND).await.unwrap_err();
    assert!(matches!(error, Error::RequestRefused { .. }), "{error:?}");
    assert_eq!((client.list_room(), server.lines().len()), (room, 1));
}

#[tokio::test]
async fn the_room_of_a_list_fills_a_close_with_any_timeout() {
    let server = Server::start(as_elasticsearch).await;
    let client = server.client();
    let parts = ids(200).split(client.list_room());
    for timeout in [SECOND, Duration::from_millis(86_399_999)] {
        for part in &parts {
            client.close(part, timeout).await.unwrap();
        }
    }
    let longest = server.lines().iter().map(String::len).max().unwrap();
    assert!((4095 - 65..=4095).contains(&longest), "{longest}");
}

/// Configs of jobs or datafeeds as Elasticsearch lists them: the first 10 000 by id.
fn listed(head: &str, jobs: &BTreeMap<String, &'static str>) -> Reply {
    let asked = expression(head);
    let matches = |text: &str| {
        let token = |token: &String| match token.strip_suffix('*') {
            Some(prefix) => text.starts_with(prefix),
            None => text == token,
        };
        asked.is_empty() || asked.iter().any(token)
    };
    let of_jobs = head.contains("anomaly_detectors");
    let meant = jobs
        .iter()
        .filter(|(id, group)| matches(id) || (of_jobs && matches(group)));
    let entries: Vec<Value> = meant
        .take(10_000)
        .map(|(id, group)| {
            if of_jobs {
                json!({"job_id": id, "groups": [group]})
            } else {
                json!({"datafeed_id": id, "job_id": id})
            }
        })
        .collect();
    if entries.is_empty() && asked.iter().any(|token| !token.contains('*')) {
        let reason = format!("No known job with id '{}'", asked.join(","));
        let error = json!({"type": "resource_not_found_exception", "reason": reason});
        let body = json!({"error": error, "status": 404});
        return answer("404 Not Found", PRODUCT, &body.to_string());
    }
    let name = if of_jobs { "jobs" } else { "datafeeds" };
    let body = json!({"count": entries.len(), name: entries});
    answer("200 OK", PRODUCT, &body.to_string())
}

#[tokio::test]
async fn more_jobs_than_one_answer_holds_are_read_in_parts() {
    let mut all: BTreeMap<String, &'static str> = BTreeMap::new();
    all.extend((0..12_000).map(|n| (format!("job-{n:05}"), "a")));
    all.extend((0..1_000).map(|n| (format!("zz-{n:05}"), "other")));
    let expected: Vec<JobId> = all.keys().map(|id| job(id)).collect();
    let server = Server::start(move |head| listed(head, &all)).await;
    let client = server.client();
    let view = client.jobs().await.unwrap();
    assert!(view.found.keys().eq(expected.iter()) && !view.cut);
    assert_eq!(view.requests, u32::try_from(server.lines().len()).unwrap());
    assert_eq!(view.requests, 2);
    let before = server.lines().len();
    let feeds = client.datafeeds().await.unwrap();
    assert_eq!((feeds.found.len(), feeds.cut), (13_000, false));
    assert_eq!(server.lines().len() - before, 2);
    assert!(server.lines().iter().all(|line| line.starts_with("GET ")));
}

#[tokio::test]
async fn a_list_that_is_never_whole_is_cut_after_so_many_requests() {
    let entries: Vec<Value> = (0..10_000)
        .map(|n| json!({"job_id": format!("a{n}")}))
        .collect();
    let body = json!({"count": 10_000, "jobs": entries}).to_string();
    let server = Server::start(move |_| answer("200 OK", PRODUCT, &body)).await;
    let limits = Limits {
        list_requests: 9,
        ..Limits::default()
    };
    assert!(Limits::default().list_requests >= 100);
    let client = Client::new(&server.endpoint(), limits).unwrap();
    let view = client.jobs().await.unwrap();
    assert!(view.cut);
    assert_eq!((view.requests, server.lines().len()), (9, 9));
}

#[tokio::test]
async fn a_group_that_fills_the_answer_hides_no_job_that_was_asked_for() {
    let mut all: BTreeMap<String, &'static str> = BTreeMap::new();
    all.extend((0..10_100).map(|n| (format!("a-{n:05}"), "bulk")));
    all.insert("z".to_owned(), "g");
    let server = Server::start(move |head| listed(head, &all)).await;
    let asked = Ids::new(["a-00001", "bulk", "z"].map(job)).unwrap();
    let view = server.client().job_configs(&asked).await.unwrap();
    assert!(view.found.keys().eq([job("a-00001"), job("z")].iter()));
    assert_eq!((view.missing, view.cut), (vec![job("bulk")], false));
}
