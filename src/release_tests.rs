//! What is done where the API server refuses, by a server that answers from a script. The real one is asked in
//! `tests/integration/release.rs`.

use crate::api::FINALIZER;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::*;

/// Answers in order, and what was asked: method, path with query, body.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<(u16, Value)>>>,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Script {
    fn of(answers: Vec<(u16, Value)>) -> Self {
        let script = Self::default();
        *script.answers.lock().unwrap() = answers.into();
        script
    }

    fn client(&self) -> Client {
        let script = self.clone();
        let answer = move |request: Request| {
            let script = script.clone();
            async move { script.answer(request).await }
        };
        Client::new(Router::new().fallback(answer), "default")
    }

    async fn answer(&self, request: Request<Body>) -> Response {
        let line = format!("{} {}", request.method(), request.uri());
        let body = axum::body::to_bytes(request.into_body(), 1 << 20).await;
        let body = serde_json::from_slice(&body.unwrap()).unwrap_or(Value::Null);
        self.asked.lock().unwrap().push((line, body));
        let next = self.answers.lock().unwrap().pop_front();
        let (code, answer) = next.unwrap_or_else(|| refusal(418, "more was asked than expected"));
        let code = StatusCode::from_u16(code).unwrap();
        (code, answer.to_string()).into_response()
    }

    /// Releases in all namespaces; gives the outcome, the lines, and the requests.
    async fn release(&self) -> (Result<(), String>, Vec<String>, Vec<(String, Value)>) {
        let mut lines = Vec::new();
        let ended = release(&self.client(), &[], |line| lines.push(line)).await;
        let asked = self.asked.lock().unwrap().clone();
        assert!(
            self.answers.lock().unwrap().is_empty(),
            "not asked for: {asked:?}"
        );
        (ended.map_err(|error| error.to_string()), lines, asked)
    }
}

fn refusal(code: u16, message: &str) -> (u16, Value) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": "X", "code": code});
    (code, status)
}

fn missing(name: &str) -> (u16, Value) {
    let (code, mut status) = refusal(404, "not found");
    status["reason"] = json!("NotFound");
    status["details"] = json!({"name": name});
    (code, status)
}

fn object(version: &str, finalizers: &[&str]) -> Value {
    json!({
        "apiVersion": "meta.k8s.io/v1",
        "kind": "PartialObjectMetadata",
        "metadata": {"namespace": "a", "name": "one", "uid": "u", "resourceVersion": version, "finalizers": finalizers},
    })
}

fn list(items: &[Value], next: &str) -> (u16, Value) {
    let list = json!({
        "apiVersion": "meta.k8s.io/v1",
        "kind": "PartialObjectMetadataList",
        "metadata": {"resourceVersion": "9", "continue": next},
        "items": items,
    });
    (200, list)
}

fn held(version: &str) -> Value {
    object(version, &["x/other", FINALIZER])
}

fn free(version: &str) -> Value {
    object(version, &["x/other"])
}

#[tokio::test(start_paused = true)]
async fn an_object_that_was_changed_meanwhile_is_read_again_and_what_others_added_is_kept() {
    let script = Script::of(vec![
        list(&[held("1")], ""),
        refusal(409, "the object has been modified"),
        (200, object("2", &["x/other", FINALIZER, "y/new"])),
        (200, object("3", &["x/other", "y/new"])),
        list(&[free("3")], ""),
    ]);
    let (ended, lines, asked) = script.release().await;
    assert_eq!(ended, Ok(()));
    let sum = "AnomalyJobs: 1 seen, 1 held back, 1 released, 0 failed";
    assert_eq!(lines, ["a/one: released", sum]);
    let (line, first) = &asked[1];
    assert!(
        line.starts_with("PATCH ") && line.contains("/namespaces/a/anomalyjobs/one"),
        "{line}"
    );
    assert_eq!(first["metadata"]["resourceVersion"], "1");
    let expected = json!({"metadata": {"uid": "u", "resourceVersion": "2", "finalizers": ["x/other", "y/new"]}});
    assert_eq!(asked[3].1, expected);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_another_released_or_that_went_meanwhile_is_no_failure() {
    for (code, answer, said) in [
        (200, free("2"), "a/one: released"),
        (404, missing("one").1, "a/one: gone already"),
    ] {
        let script = Script::of(vec![
            list(&[held("1")], ""),
            refusal(409, "the object has been modified"),
            (code, answer),
            list(&[], ""),
        ]);
        let (ended, lines, _) = script.release().await;
        assert_eq!((ended, lines[0].as_str()), (Ok(()), said));
    }
}

#[tokio::test(start_paused = true)]
async fn what_passes_by_is_asked_again_and_what_lasts_is_not() {
    let script = Script::of(vec![
        refusal(503, "starting"),
        list(&[held("1")], ""),
        refusal(429, "slow down"),
        (200, free("2")),
        list(&[free("2")], ""),
    ]);
    assert_eq!(script.release().await.0, Ok(()));

    let script = Script::of(vec![
        list(&[held("1")], ""),
        refusal(403, "you may not patch"),
    ]);
    let (ended, lines, _) = script.release().await;
    assert_eq!(ended, Err("1 not released; run this again".to_owned()));
    assert_eq!(lines[0], "a/one: NOT released: you may not patch");
    let sum = "AnomalyJobs: 1 seen, 1 held back, 0 released, 1 failed";
    assert_eq!(lines[1], sum);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_well_is_given_up_and_nothing_is_claimed() {
    let answers = (0..TRIES).map(|_| refusal(500, "no leader")).collect();
    let (ended, lines, _) = Script::of(answers).release().await;
    let expected = "the AnomalyJobs of all namespaces cannot be listed: no leader";
    assert_eq!(ended, Err(expected.to_owned()));
    assert!(lines.is_empty(), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn pages_are_followed_and_a_list_that_got_too_old_is_begun_anew() {
    let script = Script::of(vec![
        list(&[held("1")], "token-1"),
        refusal(410, "the provided continue parameter is too old"),
        list(&[held("1")], "token-2"),
        list(&[object("5", &[])], ""),
        (200, free("2")),
        list(&[free("2"), object("5", &[])], ""),
    ]);
    let (ended, lines, asked) = script.release().await;
    assert_eq!(ended, Ok(()));
    assert!(lines[1].contains("2 seen, 1 held back"), "{lines:?}");
    assert!(asked[1].0.contains("continue=token-1"), "{asked:?}");
    assert!(!asked[2].0.contains("continue"), "{asked:?}");
    assert!(asked[3].0.contains("continue=token-2"), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_still_runs_and_puts_it_back_is_noticed() {
    let script = Script::of(vec![
        list(&[held("1")], ""),
        (200, free("2")),
        list(&[held("3")], ""),
    ]);
    let error = script.release().await.0.unwrap_err();
    assert!(error.contains("an operator still runs"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn where_the_kind_is_not_installed_or_nothing_is_held_back_there_is_nothing_to_do() {
    let no_such_kind = || refusal(404, "404 page not found");
    let script = Script::of((0..TRIES).map(|_| no_such_kind()).collect());
    let (ended, lines, _) = script.release().await;
    assert_eq!(ended, Ok(()));
    assert!(lines[0].contains("0 seen"), "{lines:?}");
    // One that has just started does not know it yet.
    let script = Script::of(vec![
        no_such_kind(),
        list(&[held("1")], ""),
        no_such_kind(),
        (200, free("2")),
        list(&[free("2")], ""),
    ]);
    let (ended, lines, _) = script.release().await;
    assert_eq!((ended, lines[0].as_str()), (Ok(()), "a/one: released"));
    let script = Script::of(vec![list(&[free("1")], "")]);
    assert_eq!(script.release().await.0, Ok(()));
}
