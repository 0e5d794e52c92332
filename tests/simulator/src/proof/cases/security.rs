//! Sections 9.2 and 9.3 on the newest profile: who may do what, and how a refusal looks.

use serde_json::{Value, json};

use super::world::{JOBS, World, closed, job};
use crate::proof::replay::base64;
use crate::proof::rig::ADMIN;
use crate::proof::wire::{Answer, Request};

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64(format!("{user}:{password}").as_bytes()))
}

fn by(world: &World, who: &str, request: Request) -> Answer {
    world.send(&request.header("Authorization", who))
}

fn admin() -> String {
    basic(ADMIN.0, ADMIN.1)
}

/// An API key with these cluster privileges.
fn key(world: &World, privileges: &[&str]) -> String {
    let body = json!({"name": "k", "role_descriptors": {"r": {"cluster": privileges}}});
    let answer = by(
        world,
        &admin(),
        Request::new("POST", "/_security/api_key").json(&body),
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = |pointer: &str| answer.at(pointer).as_str().unwrap_or_default().to_owned();
    format!(
        "ApiKey {}",
        base64(format!("{}:{}", text("/id"), text("/api_key")).as_bytes())
    )
}

#[test]
fn without_credentials_or_with_wrong_ones_every_call_is_401() {
    let world = World::secured();
    let target = format!("{JOBS}/_all/_stats");
    let plain = world.get(&target);
    assert_eq!(
        (plain.status, plain.at("/error/type")),
        (401, json!("security_exception"))
    );
    assert!(
        !plain.header_values("www-authenticate").is_empty(),
        "{:?}",
        plain.headers
    );
    for who in [
        basic("elastic", "wrong"),
        format!("ApiKey {}", base64(b"nobody:nothing")),
    ] {
        let answer = by(&world, &who, Request::new("GET", &target));
        assert_eq!(
            (answer.status, answer.at("/error/type")),
            (401, json!("security_exception")),
            "{who}"
        );
    }
}

#[test]
fn manage_ml_alone_closes_and_reads_jobs_but_not_the_root() {
    let world = World::secured();
    let put = Request::new("PUT", &format!("{JOBS}/a")).json(&job(&json!({})));
    assert_eq!(by(&world, &admin(), put).status, 200);
    let who = key(&world, &["manage_ml"]);
    closed(&by(
        &world,
        &who,
        Request::new("POST", &format!("{JOBS}/a/_close")),
    ));
    assert_eq!(
        by(
            &world,
            &who,
            Request::new("GET", &format!("{JOBS}/a/_stats"))
        )
        .status,
        200
    );
    let root = by(&world, &who, Request::new("GET", "/"));
    let reason = root.at("/error/reason");
    assert_eq!(
        (root.status, root.at("/error/type")),
        (403, json!("security_exception"))
    );
    assert!(
        reason.as_str().is_some_and(
            |r| r.starts_with("action [cluster:monitor/main] is unauthorized for API key id [")
        ),
        "{reason}"
    );
}

#[test]
fn monitor_ml_reads_but_does_not_close() {
    let world = World::secured();
    let who = key(&world, &["monitor_ml"]);
    assert_eq!(by(&world, &who, Request::new("GET", JOBS)).status, 200);
    let answer = by(
        &world,
        &who,
        Request::new("POST", &format!("{JOBS}/_all/_close")),
    );
    let reason = answer.at("/error/reason");
    assert_eq!(answer.status, 403, "{}", answer.text());
    let text = reason.as_str().unwrap_or_default();
    assert!(
        text.starts_with(
            "action [cluster:admin/xpack/ml/job/close] is unauthorized for API key id ["
        ),
        "{text}"
    );
    assert!(
        text.ends_with("this action is granted by the cluster privileges [manage_ml,manage,all]"),
        "{text}"
    );
}

#[test]
fn anyone_who_is_known_may_ask_for_privileges() {
    let world = World::secured();
    let who = key(&world, &["manage_ml"]);
    let body = json!({"cluster": ["manage_ml", "monitor"]});
    let answer = by(
        &world,
        &who,
        Request::new("POST", "/_security/user/_has_privileges").json(&body),
    );
    let got = answer.json();
    assert_eq!(got["has_all_requested"], false, "{got}");
    assert_eq!(got["cluster"], json!({"manage_ml": true, "monitor": false}));
    assert_eq!(
        (&got["index"], &got["application"]),
        (&Value::Object([].into_iter().collect()), &json!({}))
    );
}
