//! Every answer of profile 9 against the API description in `tests/contract/elasticsearch-ml.openapi.json`.
//!
//! The tests' client asks it about each answer it gets, so no case can forget to. It must not know the simulator, and it
//! must not be lenient: a field that the description lacks is a fault unless `BEYOND` names it with its source.

mod adapt;
mod fields;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::{Value, json};

use super::wire::{Answer, Request};

/// Fields that a real Elasticsearch answers though the description (its serverless flavour) does not list them.
const BEYOND: [(&str, &str); 2] = [
    (
        "ml._types.JobStats.node",
        "reference 5.2: while a live process answers; never on serverless",
    ),
    ("ml._types.DatafeedStats.node", "reference 7: as for jobs"),
];

/// What the contract has to say about an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Checked against the response schema of this operation.
    Fits(String),
    /// An error body of the form that reference section 2.1 gives; the description has no schema for errors.
    FitsAsError,
    /// The description does not know this path, method or status, or the answer has no body.
    NotDescribed,
    /// What is wrong, one line each.
    Breaks(Vec<String>),
}

struct Operation {
    id: String,
    whole: Validator,
    /// The same without `required`, for answers cut down by `filter_path`.
    part: Validator,
    schema: Value,
}

/// The description, made ready for checking; operations are compiled when first needed.
pub(crate) struct Contract {
    document: Value,
    operations: Mutex<HashMap<String, &'static Operation>>,
    error: Validator,
}

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    let text = include_str!("../../../../contract/elasticsearch-ml.openapi.json");
    Contract::new(serde_json::from_str(text).expect("the description is JSON"))
});

/// The one contract of this test process.
pub(crate) fn contract() -> &'static Contract {
    &CONTRACT
}

impl Contract {
    fn new(document: Value) -> Self {
        let error = jsonschema::draft7::new(&error_schema()).expect("the error schema compiles");
        Self {
            document,
            operations: Mutex::default(),
            error,
        }
    }

    /// Checks one answer.
    pub(crate) fn check(&self, request: &Request, answer: &Answer) -> Verdict {
        if request.method == "HEAD" {
            return Verdict::NotDescribed;
        }
        if answer.status >= 400 {
            return self.check_error(answer);
        }
        let Some(operation) = self.operation(request) else {
            return Verdict::NotDescribed;
        };
        if answer.status != 200 {
            return Verdict::Breaks(vec![format!(
                "{}: status {} is not described",
                operation.id, answer.status
            )]);
        }
        let filtered = request.target.contains("filter_path=");
        let problems = check_body(operation, &answer.json(), filtered);
        if problems.is_empty() {
            return Verdict::Fits(operation.id.clone());
        }
        Verdict::Breaks(problems)
    }

    fn check_error(&self, answer: &Answer) -> Verdict {
        let body = answer.json();
        let mut problems: Vec<String> = self
            .error
            .iter_errors(&body)
            .map(|e| format!("error body {}: {e}", e.instance_path()))
            .collect();
        let status = body.get("status");
        if status.is_some() && status != Some(&json!(answer.status)) {
            problems.push(format!(
                "error body: status {status:?} beside HTTP {}",
                answer.status
            ));
        }
        if problems.is_empty() {
            Verdict::FitsAsError
        } else {
            Verdict::Breaks(problems)
        }
    }

    fn operation(&self, request: &Request) -> Option<&'static Operation> {
        let path: Vec<&str> = request
            .target
            .split('?')
            .next()?
            .trim_end_matches('/')
            .split('/')
            .collect();
        let method = request.method.to_ascii_lowercase();
        let templates = self.document["paths"].as_object()?;
        let fitting = templates
            .iter()
            .filter(|(t, item)| item.get(&method).is_some() && template_fits(t, &path));
        // A literal segment is nearer than a parameter: `/_ml/anomaly_detectors/_stats` is not the job `_stats`.
        let (_, item) = fitting.min_by_key(|(t, _)| t.matches('{').count())?;
        let id = item[&method]["operationId"].as_str()?;
        let mut known = self
            .operations
            .lock()
            .expect("no test panics while it holds this");
        if let Some(operation) = known.get(id) {
            return Some(operation);
        }
        let operation: &'static Operation = Box::leak(Box::new(self.compile(id, &item[&method])?));
        known.insert(id.to_owned(), operation);
        Some(operation)
    }

    fn compile(&self, id: &str, operation: &Value) -> Option<Operation> {
        let mut response = operation.pointer("/responses/200")?;
        if let Some(reference) = response.get("$ref").and_then(Value::as_str) {
            response = self.document.pointer(reference.strip_prefix('#')?)?;
        }
        let schema = response.pointer("/content/application~1json/schema")?;
        let closed = adapt::with_definitions(&self.document, schema, true);
        let loose = adapt::with_definitions(&self.document, schema, false);
        let compiled = |schema: &Value| {
            jsonschema::draft7::new(schema).unwrap_or_else(|e| panic!("{id}: {e}"))
        };
        Some(Operation {
            id: id.to_owned(),
            whole: compiled(&closed),
            part: compiled(&loose),
            schema: closed,
        })
    }
}

fn check_body(operation: &Operation, body: &Value, filtered: bool) -> Vec<String> {
    let validator = if filtered {
        &operation.part
    } else {
        &operation.whole
    };
    let mut problems: Vec<String> = validator
        .iter_errors(body)
        .map(|e| format!("{} {}: {e}", operation.id, e.instance_path()))
        .collect();
    for unknown in fields::unknown(&operation.schema, body) {
        if !BEYOND.iter().any(|(field, _)| *field == unknown.field) {
            problems.push(format!(
                "{} {}: the description has no field {}",
                operation.id, unknown.place, unknown.field
            ));
        }
    }
    problems
}

fn template_fits(template: &str, path: &[&str]) -> bool {
    let template = template.trim_end_matches('/');
    let segments: Vec<&str> = template.split('/').collect();
    segments.len() == path.len()
        && segments
            .iter()
            .zip(path)
            .all(|(t, p)| t == p || (t.starts_with('{') && !p.is_empty()))
}

/// The form of an error body, from reference section 2.1: the description leaves it out.
fn error_schema() -> Value {
    let cause = json!({
        "type": "object",
        "required": ["type", "reason"],
        "properties": {
            "type": {"type": "string", "pattern": "^[a-z][a-z_]*$"},
            "reason": {"type": ["string", "null"]},
            "caused_by": {"$ref": "#/definitions/cause"},
            "root_cause": {"type": "array", "minItems": 1, "items": {"$ref": "#/definitions/cause"}}
        }
    });
    json!({
        "definitions": {"cause": cause},
        "type": "object",
        "required": ["error"],
        "additionalProperties": false,
        "properties": {
            "status": {"type": "integer"},
            "error": {"anyOf": [
                {"type": "string"},
                {"allOf": [{"$ref": "#/definitions/cause"}, {"type": "object", "required": ["root_cause"]}]}
            ]}
        },
        "if": {"properties": {"error": {"type": "object"}}},
        "then": {"required": ["status"]}
    })
}
