//! What is read right before a force, from an API server that counts what it is asked for.

use std::sync::Mutex;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::*;
use crate::api::JobId;

/// An API server on which namespaces may not be listed.
#[derive(Clone, Default)]
struct Server {
    allowed: Value,
    /// The namespace has a `default` of its own.
    own: bool,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn answer(&self, path: &str) -> (StatusCode, Value) {
        let resource = path.rsplit('/').next().unwrap_or_default();
        self.asked.lock().unwrap().push(resource.to_owned());
        let spec = json!({"url": "https://es", "allowedNamespaces": self.allowed});
        let wide = json!({"metadata": {"name": "default"}, "spec": spec});
        let meta = json!({"name": "default", "namespace": "team"});
        let own = json!({"metadata": meta, "spec": {"url": "https://es"}});
        let list = |items: Vec<Value>| {
            let list = json!({"kind": "List", "apiVersion": "anomalyjob.dev/v1alpha1", "metadata": {}, "items": items});
            (StatusCode::OK, list)
        };
        match resource {
            "clusterelasticsearchconnections" => list(vec![wide]),
            "elasticsearchconnections" => list(self.own.then_some(own).into_iter().collect()),
            "named" | "unnamed" => {
                let named = (resource == "named")
                    .then(|| json!({"kind": "ClusterElasticsearchConnection", "name": "default"}));
                let meta = json!({"name": resource, "namespace": "team", "uid": "uid"});
                let spec = json!({"jobId": "job", "connectionRef": named});
                let object = json!({"apiVersion": "anomalyjob.dev/v1alpha1", "kind": "AnomalyJob", "metadata": meta, "spec": spec});
                (StatusCode::OK, object)
            }
            _ => {
                let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403, "message": "no"});
                (StatusCode::FORBIDDEN, status)
            }
        }
    }

    fn fresh(&self) -> Fresh {
        let server = self.clone();
        let answer = move |request: Request| {
            let (status, body) = server.answer(request.uri().path());
            async move { (status, body.to_string()) }
        };
        let home = Home::Wide {
            name: "default".to_owned(),
        };
        Fresh {
            kube: Client::new(Router::new().fallback(answer), "default"),
            home: Arc::new(home),
        }
    }

    fn has_asked(&self, resource: &str) -> bool {
        self.asked.lock().unwrap().iter().any(|one| one == resource)
    }
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("team", name)
}

#[tokio::test]
async fn labels_are_asked_for_only_where_no_name_has_told_before() {
    let labels = json!({"matchLabels": {"ml": "yes"}});
    let server = Server {
        allowed: json!([{"names": ["team"], "allow": {"jobs": ["a-*"]}}, {"selector": labels}]),
        ..Server::default()
    };
    let allow = server.fresh().allow("team").await.unwrap();
    assert!(allow.covers(&JobId::parse("a-1").unwrap()));
    assert!(!server.has_asked("namespaces"));
    let refused = server.fresh().allow("other").await;
    assert!(server.has_asked("namespaces"));
    let Err(Refusal::Refused(trouble)) = refused else {
        panic!("{refused:?}");
    };
    for part in ["Namespace other", "get, list and watch on namespaces"] {
        assert!(trouble.message.contains(part), "{trouble:?}");
    }
}

#[tokio::test]
async fn an_object_that_names_none_is_gone_from_the_one_for_all_where_its_namespace_has_its_own() {
    for own in [false, true] {
        let server = Server {
            own,
            ..Server::default()
        };
        let fresh = server.fresh();
        let unnamed = fresh.object(&key("unnamed")).await.unwrap();
        assert_eq!(unnamed.is_none(), own);
        let named = fresh.object(&key("named")).await.unwrap();
        assert!(named.is_some(), "it says which one it means");
    }
}
