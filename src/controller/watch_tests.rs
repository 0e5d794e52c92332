//! What a watch tells where the API server fails in the middle.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use serde_json::{Value, json};

use super::*;
use crate::api::ElasticsearchConnection;

/// Lists do not stream here. The first list breaks off after one page, the second is whole and empty.
fn api_server() -> Client {
    let lists = Arc::new(AtomicUsize::new(0));
    let answer = move |request: axum::extract::Request| {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let lists = Arc::clone(&lists);
        async move {
            let spec = json!({"url": "https://es"});
            let one = json!({"metadata": {"namespace": "ns", "name": "default"}, "spec": spec});
            let list = |more: &str, items: &[Value]| {
                let metadata = json!({"resourceVersion": "1", "continue": more});
                let list = json!({"metadata": metadata, "items": items});
                (StatusCode::OK, list.to_string()).into_response()
            };
            if query.contains("sendInitialEvents") {
                let status = json!({"kind": "Status", "status": "Failure", "code": 422});
                return (StatusCode::UNPROCESSABLE_ENTITY, status.to_string()).into_response();
            }
            if query.contains("watch=true") {
                return std::future::pending().await;
            }
            if query.contains("continue=more") {
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
            match lists.fetch_add(1, Ordering::Relaxed) {
                0 => list("more", &[one]),
                _ => list("", &[]),
            }
        }
    };
    Client::new(Router::new().fallback(answer), "default")
}

#[tokio::test(start_paused = true)]
async fn what_a_list_that_broke_off_has_told_of_is_gone_where_the_next_has_it_not() {
    let client = api_server();
    let changes = changes::<ElasticsearchConnection>(&client, &[]);
    let mut told = Vec::new();
    futures::pin_mut!(changes);
    while let Some(change) = changes.next().await {
        let (word, last) = match change {
            Change::Present(key, _) => (key.name().to_owned(), false),
            Change::Gone(key) => (format!("{key} is gone"), false),
            Change::Failed { .. } => ("failed".to_owned(), false),
            Change::Came { .. } => ("came".to_owned(), true),
            Change::Undecodable(object) => panic!("{}", object.why),
        };
        told.push(word);
        if last {
            break;
        }
    }
    assert_eq!(told, ["default", "failed", "ns/default is gone", "came"]);
}
