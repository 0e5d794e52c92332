//! What a probe takes for true of a licence that it could not read.

use std::sync::Mutex;

use serde_json::{Value, json};

use super::*;
use crate::elasticsearch::{Carrier, CarrierError, Limits};

/// How `/_license` is answered next.
type Licence = Arc<Mutex<(u16, Value)>>;

fn answer(path: &str, licence: &Licence) -> (u16, Value) {
    match path {
        "/" => {
            let version = json!({"number": "9.1.0", "build_flavor": "default"});
            let root = json!({"cluster_name": "c", "cluster_uuid": "u", "version": version, "tagline": "You Know, for Search"});
            (200, root)
        }
        "/_ml/info" => (
            200,
            json!({"upgrade_mode": false, "defaults": {"datafeeds": {"scroll_size": 1000}}}),
        ),
        "/_license" => licence.lock().unwrap().clone(),
        other => panic!("nobody asks for {other}"),
    }
}

fn cluster(licence: &Licence) -> Client {
    let licence = Arc::clone(licence);
    let carrier: Carrier = Arc::new(move |request| {
        let (status, body) = answer(request.url().path(), &licence);
        let answer = http::Response::builder()
            .status(status)
            .header("x-elastic-product", "Elasticsearch")
            .header("content-type", "application/json")
            .body(body.to_string());
        Box::pin(async move {
            let answer = answer.map_err(CarrierError::from)?;
            Ok(reqwest::Response::from(answer))
        })
    });
    let endpoint = Endpoint {
        url: "http://elasticsearch.test:9200".to_owned(),
        allow_plaintext: true,
        ..Endpoint::default()
    };
    Client::carried(&endpoint, Limits::default(), carrier).unwrap()
}

fn licence(kind: &str) -> (u16, Value) {
    let license = json!({"status": "active", "type": kind});
    (200, json!({ "license": license }))
}

fn refused(status: u16, kind: &str) -> (u16, Value) {
    let error = json!({"type": kind, "reason": "action [cluster:monitor/xpack/license/get] is unauthorized for user [u], this action is granted by the cluster privileges [monitor,manage,all]"});
    (status, json!({"error": error, "status": status}))
}

#[tokio::test(start_paused = true)]
async fn a_licence_that_could_not_be_read_just_now_is_what_it_was_before() {
    let answers = Arc::new(Mutex::new(licence("basic")));
    let (client, pulse) = (cluster(&answers), Pulse::new());
    let has = async |before| {
        let probe = probe(&client, &pulse, before).await;
        probe.map(|probe| probe.has_license)
    };
    assert_eq!(has(None).await, Ok(false));
    assert_eq!(has(Some(true)).await, Ok(false), "what is said now counts");
    *answers.lock().unwrap() = refused(429, "es_rejected_execution_exception");
    assert_eq!(has(Some(false)).await, Ok(false));
    assert_eq!(has(Some(true)).await, Ok(true));
    let unknown = has(None).await;
    assert!(
        matches!(unknown, Err(Error::Overloaded { .. })),
        "{unknown:?}"
    );
    *answers.lock().unwrap() = refused(403, "security_exception");
    assert_eq!(has(None).await, Ok(true), "it may not be read");
    *answers.lock().unwrap() = licence("trial");
    assert_eq!(has(Some(false)).await, Ok(true));
}
