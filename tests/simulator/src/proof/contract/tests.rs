//! The contract must refuse: each test feeds it an answer that is wrong in one way.

use serde_json::{Value, json};

use super::{Verdict, contract};
use crate::proof::wire::{Answer, Request};

fn judged(method: &str, target: &str, status: u16, body: &Value) -> Verdict {
    let answer = Answer {
        status,
        headers: vec![],
        body: body.to_string().into_bytes(),
    };
    contract().check(&Request::new(method, target), &answer)
}

fn refused(method: &str, target: &str, status: u16, body: &Value, word: &str) {
    let verdict = judged(method, target, status, body);
    let Verdict::Breaks(problems) = &verdict else {
        panic!("{target} {status} {body}: {verdict:?}")
    };
    assert!(
        problems.iter().any(|p| p.contains(word)),
        "{word}: {problems:?}"
    );
}

#[test]
fn a_right_close_fits_and_a_wrong_one_is_refused() {
    let close = "/_ml/anomaly_detectors/x/_close?force=true";
    assert_eq!(
        judged("POST", close, 200, &json!({"closed": true})),
        Verdict::Fits("ml-close-job".into())
    );
    refused("POST", close, 200, &json!({"closed": "yes"}), "boolean");
    refused("POST", close, 200, &json!({}), "required");
    refused(
        "POST",
        close,
        200,
        &json!({"closed": true, "jobs": 3}),
        "answer.jobs",
    );
    refused("POST", close, 202, &json!({"closed": true}), "202");
    refused("POST", close, 200, &Value::Null, "null");
}

#[test]
fn a_field_unknown_deep_inside_is_refused_by_its_schemas_name() {
    let stats = "/_ml/anomaly_detectors/_all/_stats?filter_path=jobs";
    refused(
        "GET",
        stats,
        200,
        &json!({"jobs": [{"job_id": "a", "data_counts": {"proccessed": 1}}]}),
        "ml._types.DataCounts.proccessed",
    );
    refused(
        "GET",
        stats,
        200,
        &json!({"jobs": [{"state": "closded"}]}),
        "closded",
    );
    let sound = json!({"jobs": [{"job_id": "a", "state": "closed"}]});
    assert_eq!(
        judged("GET", stats, 200, &sound),
        Verdict::Fits("ml-get-job-stats-1".into())
    );
    refused(
        "GET",
        "/_ml/anomaly_detectors/_stats",
        200,
        &sound,
        "required",
    );
}

#[test]
fn an_error_body_needs_type_reason_cause_and_the_same_status() {
    let cause = json!({"type": "status_exception", "reason": "no"});
    let whole = json!({"error": {"root_cause": [cause], "type": "status_exception", "reason": "no"}, "status": 409});
    let close = "/_ml/anomaly_detectors/x/_close";
    assert_eq!(judged("POST", close, 409, &whole), Verdict::FitsAsError);
    assert_eq!(
        judged("POST", "/x", 400, &json!({"error": "no handler found"})),
        Verdict::FitsAsError
    );
    refused("POST", close, 500, &whole, "409");
    refused(
        "POST",
        close,
        409,
        &json!({"error": cause, "status": 409}),
        "error",
    );
    refused(
        "POST",
        close,
        409,
        &json!({"error": {"root_cause": [cause], "type": "status_exception", "reason": "no"}}),
        "status",
    );
}

#[test]
fn the_examples_of_the_description_fit_its_own_schemas() {
    let paths = contract().document["paths"].as_object().expect("paths");
    let (mut fitting, mut odd) = (0, Vec::new());
    for (path, item) in paths {
        for (method, operation) in item.as_object().expect("operations") {
            let Some(examples) =
                operation.pointer("/responses/200/content/application~1json/examples")
            else {
                continue;
            };
            for (name, example) in examples.as_object().expect("examples") {
                let text = example["value"].as_str().unwrap_or_default();
                let Ok(body) = serde_json::from_str::<Value>(text) else {
                    continue;
                };
                let verdict = judged(&method.to_uppercase(), path, 200, &body);
                if matches!(verdict, Verdict::Fits(_)) {
                    fitting += 1;
                } else {
                    odd.push(name.clone());
                }
            }
        }
    }
    // The description contradicts itself here: a hash that is the number 0, and a task id where it asks for `acknowledged`.
    assert_eq!(
        odd,
        [
            "RootNodeInfoResponseExample1",
            "MlDeleteJobResponseExample2"
        ]
    );
    assert_eq!(fitting, 7);
}
