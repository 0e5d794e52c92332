//! Every recorded id expression, against get, `_stats` and `_close` of profile 7.10.
//!
//! Two parts, as recorded: what each expression selects or is refused with (all jobs closed, so nothing changes), and for
//! some of them which of twelve opened jobs a close touched.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::text::text_normalised;
use crate::proof::rig::{Rig, Setup};
use crate::proof::wire::{Answer, Connection, Request};

const FILE: &str = include_str!("../../../../contract/recorded/expressions.json");
const JOBS: &str = "/_ml/anomaly_detectors";

/// A simulator with the fixture's jobs, and the recorded cases.
fn fixture() -> (Rig, Connection, Value) {
    let file: Value = serde_json::from_str(FILE).expect("the recorded expressions");
    let rig = Rig::start(&Setup {
        profile: "7.10",
        security: false,
        close_ms: Some(0),
    });
    let mut connection = Connection::new(rig.address());
    for job in list(&file["fixture"]["jobs"]) {
        let mut body = file["fixture"]["body"].clone();
        body["groups"] = job["groups"].clone();
        let id = job["job_id"].as_str().expect("an id");
        let answer = connection.send(&Request::new("PUT", &format!("{JOBS}/{id}")).json(&body));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    (rig, connection, file)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[test]
fn every_expression_selects_what_it_selected() {
    let (_rig, mut connection, file) = fixture();
    let (mut requests, mut faults) = (0, Vec::new());
    for case in list(&file["cases"]) {
        let raw = case["raw"].as_str().expect("a path segment");
        for result in list(&case["results"]) {
            for setting in list(&result["allow_no_match"]) {
                for what in ["get", "stats", "close"] {
                    let want = if result[what] == "=get" {
                        &result["get"]
                    } else {
                        &result[what]
                    };
                    let request = expression(what, raw, setting);
                    let got = outcome(what, &connection.send(&request));
                    requests += 1;
                    if normal(want) != got {
                        faults.push(format!(
                            "{} {} {}: expected {want}, got {got}",
                            case["id"], request.method, request.target
                        ));
                    }
                }
            }
        }
    }
    let cases = list(&file["cases"]).count();
    println!(
        "proof: expressions cases={cases} requests={requests} faults={}",
        faults.len()
    );
    assert!(
        faults.is_empty(),
        "{} of {requests}; the first:\n{}",
        faults.len(),
        faults[..faults.len().min(25)].join("\n")
    );
}

#[test]
fn every_expression_closes_the_jobs_it_closed() {
    let (_rig, mut connection, file) = fixture();
    let (mut calls, mut faults) = (0, Vec::new());
    let opened: BTreeSet<&str> = list(&file["fixture"]["opened_for_touch"])
        .filter_map(Value::as_str)
        .collect();
    for id in &opened {
        open(&mut connection, id);
    }
    for case in list(&file["cases"]) {
        for touch in list(&case["touch"]) {
            let request = touch_request(case["raw"].as_str().expect("a path segment"), touch);
            let answer = connection.send(&request);
            let left = still_open(&mut connection);
            let closed: BTreeSet<&str> = opened
                .iter()
                .copied()
                .filter(|id| !left.contains(*id))
                .collect();
            let want: BTreeSet<&str> = list(&touch["closed"]).filter_map(Value::as_str).collect();
            calls += 1;
            let mut short = touch.clone();
            for key in ["allow_no_match", "force", "closed"] {
                short.as_object_mut().expect("a touch").remove(key);
            }
            let got = outcome("close", &answer);
            if closed != want || normal(&short) != got {
                faults.push(format!(
                    "{} {}: {got} and {closed:?}, expected {touch}",
                    case["id"], request.target
                ));
            }
            for id in &closed {
                open(&mut connection, id);
            }
        }
    }
    println!("proof: touches closes={calls} faults={}", faults.len());
    assert!(
        faults.is_empty(),
        "{} of {calls}; the first:\n{}",
        faults.len(),
        faults[..faults.len().min(25)].join("\n")
    );
}

fn expression(what: &str, raw: &str, allow: &Value) -> Request {
    let filter = "filter_path=jobs.job_id,count,error,status";
    let flag = if allow.is_null() {
        String::new()
    } else {
        format!("allow_no_match={allow}")
    };
    let joined = if flag.is_empty() {
        filter.to_owned()
    } else {
        format!("{flag}&{filter}")
    };
    match what {
        "get" => Request::new("GET", &format!("{JOBS}/{raw}?{joined}")),
        "stats" => Request::new("GET", &format!("{JOBS}/{raw}/_stats?{joined}")),
        _ if flag.is_empty() => Request::new("POST", &format!("{JOBS}/{raw}/_close")),
        _ => Request::new("POST", &format!("{JOBS}/{raw}/_close?{flag}")),
    }
}

/// An answer in the short form of the file.
fn outcome(what: &str, answer: &Answer) -> Value {
    let body = answer.json();
    if answer.status != 200 {
        let error = &body["error"];
        if let Value::String(text) = error {
            return json!({"status": answer.status, "error": text_normalised(text)});
        }
        let reason = error["reason"].as_str().map(text_normalised);
        return json!({"status": answer.status, "type": error["type"], "reason": reason});
    }
    if what == "close" {
        return if body == json!({"closed": true}) {
            json!({"status": 200})
        } else {
            json!({"status": 200, "body": body})
        };
    }
    let ids: Vec<&Value> = list(&body["jobs"]).map(|job| &job["job_id"]).collect();
    if body["count"] == json!(ids.len()) {
        json!({"status": 200, "ids": ids})
    } else {
        json!({"status": 200, "body": body})
    }
}

fn normal(want: &Value) -> Value {
    let text = |value: &Value| {
        value
            .as_str()
            .map_or(value.clone(), |t| Value::String(text_normalised(t)))
    };
    want.as_object()
        .into_iter()
        .flatten()
        .map(|(k, v)| (k.clone(), text(v)))
        .collect()
}

fn touch_request(raw: &str, touch: &Value) -> Request {
    let flags: Vec<String> = ["allow_no_match", "force"]
        .into_iter()
        .filter_map(|key| {
            touch
                .get(key)
                .filter(|v| !v.is_null())
                .map(|v| format!("{key}={v}"))
        })
        .collect();
    let mark = if flags.is_empty() { "" } else { "?" };
    Request::new(
        "POST",
        &format!("{JOBS}/{raw}/_close{mark}{}", flags.join("&")),
    )
}

fn open(connection: &mut Connection, id: &str) {
    let answer = connection.send(&Request::new("POST", &format!("{JOBS}/{id}/_open")));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn still_open(connection: &mut Connection) -> BTreeSet<String> {
    let answer = connection.send(&Request::new(
        "GET",
        &format!("{JOBS}/_all/_stats?filter_path=jobs.job_id,jobs.state"),
    ));
    let jobs = answer.at("/jobs");
    list(&jobs)
        .filter(|j| j["state"] != "closed")
        .filter_map(|j| j["job_id"].as_str())
        .map(str::to_owned)
        .collect()
}
