//! Reads of objects on their way: what they ask for, and what ends them.

use std::sync::Mutex;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::*;

/// What was asked for, in turn.
type Asked = Arc<Mutex<Vec<String>>>;

/// An API server on which these namespaces may not be listed and this one has so many objects.
fn server(asked: &Asked, forbidden: &'static [&'static str], objects: usize) -> Client {
    let asked = Arc::clone(asked);
    let answer = move |request: Request| {
        let (path, query) = (
            request.uri().path().to_owned(),
            request.uri().query().unwrap_or_default().to_owned(),
        );
        asked.lock().unwrap().push(format!("{path}?{query}"));
        let is_forbidden = forbidden.iter().any(|name| path.contains(name));
        async move {
            if is_forbidden {
                let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403, "message": "no"});
                return (StatusCode::FORBIDDEN, status.to_string());
            }
            (StatusCode::OK, page(&query, objects).to_string())
        }
    };
    Client::new(Router::new().fallback(answer), "default")
}

/// One page of so many objects; the token is the number of the next one.
fn page(query: &str, objects: usize) -> Value {
    let of = |name: &str| {
        let mut parts = query.split('&').filter_map(|part| part.split_once('='));
        parts
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.parse::<usize>().unwrap())
    };
    let (from, limit) = (of("continue").unwrap_or(0), of("limit").unwrap_or(objects));
    let until = objects.min(from + limit);
    let item = |number: usize| {
        json!({
            "apiVersion": "anomalyjob.dev/v1alpha1", "kind": "AnomalyJob",
            "metadata": {"namespace": "team", "name": format!("object-{number}")},
            "spec": {"jobId": "job"},
        })
    };
    let next = if until < objects {
        until.to_string()
    } else {
        String::new()
    };
    json!({
        "kind": "AnomalyJobList", "apiVersion": "anomalyjob.dev/v1alpha1",
        "metadata": {"continue": next}, "items": (from..until).map(item).collect::<Vec<_>>(),
    })
}

async fn back(anew: &mut Anew) -> Option<Vec<String>> {
    let hour = Duration::from_secs(3600);
    let back = tokio::time::timeout(hour, anew.next()).await.ok()??;
    let objects = anew.take(back);
    let names = objects.iter().map(|(key, _)| key.name().to_owned());
    Some(names.collect())
}

#[tokio::test(start_paused = true)]
async fn namespaces_that_may_not_be_listed_keep_no_other_waiting_and_end_when_nobody_waits() {
    let asked = Asked::default();
    let lost = ["lost-1", "lost-2", "lost-3", "lost-4", "lost-5"];
    let mut anew = Anew::new(server(&asked, &["lost-"], 1));
    let keys: Vec<ObjectKey> = lost
        .iter()
        .map(|namespace| ObjectKey::new(*namespace, "gone"))
        .collect();
    anew.read(&keys, Duration::ZERO);
    assert_eq!(back(&mut anew).await, None, "nothing is told of them");
    anew.read(&[ObjectKey::new("team", "object-0")], Duration::ZERO);
    assert_eq!(back(&mut anew).await, Some(vec!["object-0".to_owned()]));
    for key in &keys {
        anew.forget(key);
    }
    assert_eq!(back(&mut anew).await, None);
    assert!(anew.is_empty());
    let asks = asked.lock().unwrap().len();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(asked.lock().unwrap().len(), asks, "it is asked no more");
}

#[tokio::test(start_paused = true)]
async fn a_namespace_is_read_in_pages_of_which_the_objects_that_are_waited_for_are_kept() {
    let asked = Asked::default();
    let mut anew = Anew::new(server(&asked, &[], 250));
    anew.read(
        &[
            ObjectKey::new("team", "object-3"),
            ObjectKey::new("team", "object-249"),
        ],
        Duration::ZERO,
    );
    let names = ["object-3", "object-249"].map(str::to_owned).to_vec();
    assert_eq!(back(&mut anew).await, Some(names));
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert!(
        asked.iter().all(|ask| ask.contains("limit=100")),
        "{asked:?}"
    );
    assert!(anew.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_read_again_is_brought_by_the_newer_read_alone() {
    let mut anew = Anew::new(server(&Asked::default(), &[], 1));
    let keys = [ObjectKey::new("team", "object-0")];
    anew.read(&keys, Duration::from_secs(5));
    anew.read(&keys, Duration::from_secs(10));
    assert_eq!(back(&mut anew).await, Some(vec!["object-0".to_owned()]));
    assert!(anew.is_empty() || back(&mut anew).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_know_the_kind_for_a_moment_makes_no_object_forgotten() {
    let asked = Asked::default();
    let (known, first) = (Arc::clone(&asked), Arc::clone(&asked));
    let answer = move |request: Request| {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let number = {
            let mut asked = first.lock().unwrap();
            asked.push(query.clone());
            asked.len()
        };
        async move {
            if number <= 3 {
                return (StatusCode::NOT_FOUND, "404 page not found".to_owned());
            }
            (StatusCode::OK, page(&query, 1).to_string())
        }
    };
    let client = Client::new(Router::new().fallback(answer), "default");
    let mut anew = Anew::new(client);
    anew.read(&[ObjectKey::new("team", "object-0")], Duration::ZERO);
    assert_eq!(back(&mut anew).await, Some(vec!["object-0".to_owned()]));
    assert_eq!(known.lock().unwrap().len(), 4);
}
