//! What a write asks of the API server, what its answers mean, and that no answer keeps a place.

use std::sync::Mutex;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::api::FINALIZER;
use crate::clock::Clock;
use crate::finalizer::with;
use crate::lease::Grant;

/// What was asked: method, path with query, body.
type Asked = Arc<Mutex<Vec<(String, Value)>>>;

const AT: Precondition<'static> = Precondition {
    namespace: "a",
    name: "one",
    uid: "u",
    resource_version: "7",
};

/// A writer before an API server that always gives this answer, or none at all. Nobody tells its events.
fn writer(answer: Option<(u16, Value)>) -> (Writer, Asked, Grant) {
    let (writer, asked, grant, _telling) = writer_that_tells(answer);
    (writer, asked, grant)
}

/// The same, with the task that tells events.
fn writer_that_tells(
    answer: Option<(u16, Value)>,
) -> (Writer, Asked, Grant, impl Future<Output = ()> + Send) {
    let asked = Asked::default();
    let seen = Arc::clone(&asked);
    let server = move |request: Request| {
        let (answer, seen) = (answer.clone(), Arc::clone(&seen));
        async move {
            let line = format!("{} {}", request.method(), request.uri());
            let body = axum::body::to_bytes(request.into_body(), 1 << 20).await;
            let body = serde_json::from_slice(&body.unwrap()).unwrap();
            seen.lock().unwrap().push((line, body));
            let Some((code, answer)) = answer else {
                return std::future::pending().await;
            };
            (StatusCode::from_u16(code).unwrap(), answer.to_string())
        }
    };
    let client = Client::new(Router::new().fallback(server), "default");
    let (grant, claim) = Grant::new(Instant::now(), Duration::from_secs(600), Clock::system());
    let (writer, telling) = Writer::new(client, claim, Metrics::new("x"));
    (writer, asked, grant, telling)
}

fn stored() -> (u16, Value) {
    (
        200,
        json!({"metadata": {"name": "one", "resourceVersion": "8"}}),
    )
}

fn refused(code: u16, reason: &str) -> (u16, Value) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "no", "reason": reason, "code": code});
    (code, status)
}

fn missing(name: &str) -> (u16, Value) {
    let (code, mut status) = refused(404, "NotFound");
    status["details"] = json!({"name": name});
    (code, status)
}

#[tokio::test(start_paused = true)]
async fn the_finalizer_is_a_merge_patch_of_the_object_with_both_preconditions() {
    let (writer, asked, _grant) = writer(Some(stored()));
    let turn = writer.turn(&Arc::from("a"), Urgency::ForEdit).await;
    let finalizers = with(&["x/other".to_owned()], true);
    let answer = writer.finalize(turn, &AT, &finalizers);
    assert_eq!(answer.await.unwrap().as_ref(), "8");
    let asked = asked.lock().unwrap().clone();
    let [(line, body)] = asked.as_slice() else {
        panic!("{asked:?}");
    };
    let path = "PATCH /apis/anomalyjob.dev/v1alpha1/namespaces/a/anomalyjobs/one?";
    assert!(line.starts_with(path), "{line}");
    let expected = json!({"metadata": {"uid": "u", "resourceVersion": "7", "finalizers": ["x/other", FINALIZER]}});
    assert_eq!(*body, expected);
}

#[tokio::test(start_paused = true)]
async fn each_answer_has_its_meaning_and_gives_the_place_back() {
    for (answer, expected) in [
        (Some(refused(409, "Conflict")), WriteRefused::Conflict),
        (Some(missing("one")), WriteRefused::Gone),
        // What is missing is the namespace, or the kind for a moment after the start of the server.
        (Some(missing("a")), WriteRefused::Failed),
        (Some(refused(404, "NotFound")), WriteRefused::Failed),
        (Some(refused(422, "Invalid")), WriteRefused::Failed),
        (Some(refused(500, "InternalError")), WriteRefused::Failed),
        (None, WriteRefused::Failed),
    ] {
        let (writer, _, _grant) = writer(answer.clone());
        for _ in 0..=WRITERS {
            let turn = writer.try_turn(Urgency::ForEdit).expect("a free place");
            let written = writer.write::<AnomalyJob>(turn, &AT, &json!({})).await;
            assert_eq!(written.unwrap_err(), expected, "{answer:?}");
            let turn = writer.try_turn(Urgency::ForEdit).expect("a free place");
            let patched = writer.finalize(turn, &AT, &with(&[], false)).await;
            assert_eq!(patched.unwrap_err(), expected, "{answer:?}");
        }
        writer.assert_idle();
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_without_a_claim_sends_nothing() {
    let (writer, asked, grant) = writer(Some(stored()));
    drop(grant);
    for present in [true, false] {
        let turn = writer.turn(&Arc::from("a"), Urgency::None).await;
        let patched = writer.finalize(turn, &AT, &with(&[], present)).await;
        assert_eq!(patched.unwrap_err(), WriteRefused::Failed);
    }
    let turn = writer.turn(&Arc::from("a"), Urgency::None).await;
    let written = writer.write::<AnomalyJob>(turn, &AT, &json!({})).await;
    assert_eq!(written.unwrap_err(), WriteRefused::Failed);
    assert!(asked.lock().unwrap().is_empty());
    writer.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_dropped_on_its_way_gives_its_place_back() {
    let (writer, asked, _grant) = writer(None);
    let turn = writer.try_turn(Urgency::ForEdit).expect("a free place");
    let status = json!({});
    let write = writer.write::<AnomalyJob>(turn, &AT, &status);
    let brief = Duration::from_millis(10);
    assert!(tokio::time::timeout(brief, write).await.is_err());
    assert_eq!(asked.lock().unwrap().len(), 1);
    writer.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn nine_writes_of_one_tenant_are_eight_at_once_and_the_ninth_after() {
    let (writer, asked, _grant) = writer(None);
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..=WRITERS {
        let writer = writer.clone();
        running.spawn(async move {
            let turn = writer.turn(&Arc::from("a"), Urgency::ForEdit).await;
            let _ = writer.write::<AnomalyJob>(turn, &AT, &json!({})).await;
        });
    }
    tokio::time::sleep(API_SERVER_LIMIT / 2).await;
    assert_eq!(asked.lock().unwrap().len(), WRITERS);
    while running.join_next().await.is_some() {}
    assert_eq!(asked.lock().unwrap().len(), WRITERS + 1);
    writer.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn an_event_stands_behind_the_writes_that_its_namespace_waits_for() {
    let (writer, asked, _grant, telling) = writer_that_tells(Some(stored()));
    let telling = tokio::spawn(telling);
    let mut held: Vec<Turn> = std::iter::from_fn(|| writer.try_turn(Urgency::None)).collect();
    let tenant = Arc::from("a");
    let status = json!({});
    let status_written = async {
        let turn = writer.turn(&tenant, Urgency::None).await;
        writer.write::<AnomalyJob>(turn, &AT, &status).await
    };
    let event = Event {
        reason: "JobClosed",
        note: "Closed job one".to_owned(),
        warning: false,
    };
    let begins = async {
        tokio::task::yield_now().await;
        writer.tell(ObjectKey::new("a", "one"), Uid::from("u"), event);
        tokio::time::sleep(API_SERVER_LIMIT).await;
        assert!(asked.lock().unwrap().is_empty(), "no place is free");
        drop(held.pop());
    };
    let (written, ()) = tokio::join!(status_written, begins);
    written.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let lines = asked.lock().unwrap().clone();
    let methods: Vec<&str> = lines
        .iter()
        .map(|(line, _)| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(methods, ["PUT", "POST"]);
    drop(held);
    writer.assert_idle();
    drop(writer);
    telling.await.unwrap();
}
