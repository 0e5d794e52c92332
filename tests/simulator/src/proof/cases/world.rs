//! Small words for the cases: a simulator with jobs in it, requests, and what an answer should be.
//!
//! It must not decide anything: a case says in its own text what it expects.

use std::cell::RefCell;
use std::thread::JoinHandle;

use serde_json::{Value, json};

pub(super) use crate::proof::rig::until;
use crate::proof::rig::{Rig, Setup};
use crate::proof::wire::{Answer, Connection, Request};

pub(super) const JOBS: &str = "/_ml/anomaly_detectors";
pub(super) const FEEDS: &str = "/_ml/datafeeds";

/// A running simulator and one connection to it.
pub(super) struct World {
    pub(super) rig: Rig,
    connection: RefCell<Connection>,
}

impl World {
    /// A simulator of the newest profile, without security, its clock held at the start.
    pub(super) fn nine() -> Self {
        Self::start("9", false)
    }

    /// A simulator of profile 7.10, its clock held at the start.
    pub(super) fn seven() -> Self {
        Self::start("7.10", false)
    }

    /// A simulator of the newest profile with security.
    pub(super) fn secured() -> Self {
        Self::start("9", true)
    }

    /// A simulator of another profile, its clock held at the start.
    pub(super) fn of(profile: &'static str) -> Self {
        Self::start(profile, false)
    }

    fn start(profile: &'static str, security: bool) -> Self {
        let rig = Rig::start(&Setup {
            profile,
            security,
            close_ms: Some(0),
        });
        rig.hold(true);
        let connection = RefCell::new(Connection::new(rig.address()));
        Self { rig, connection }
    }

    pub(super) fn send(&self, request: &Request) -> Answer {
        let answer = self.connection.borrow_mut().send(request);
        self.rig.witness(request, &answer);
        answer
    }

    pub(super) fn get(&self, target: &str) -> Answer {
        self.send(&Request::new("GET", target))
    }

    pub(super) fn post(&self, target: &str) -> Answer {
        self.send(&Request::new("POST", target))
    }

    pub(super) fn post_json(&self, target: &str, body: &Value) -> Answer {
        self.send(&Request::new("POST", target).json(body))
    }

    pub(super) fn put(&self, target: &str, body: &Value) -> Answer {
        self.send(&Request::new("PUT", target).json(body))
    }

    pub(super) fn delete(&self, target: &str) -> Answer {
        self.send(&Request::new("DELETE", target))
    }

    /// Creates jobs, all closed.
    pub(super) fn jobs(&self, ids: &[&str]) {
        for id in ids {
            self.job_with(id, &json!({}));
        }
    }

    /// Creates a job with further fields.
    pub(super) fn job_with(&self, id: &str, more: &Value) {
        let answer = self.put(&format!("{JOBS}/{id}"), &job(more));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Creates jobs and opens them.
    pub(super) fn opened(&self, ids: &[&str]) {
        self.jobs(ids);
        for id in ids {
            self.open(id);
        }
    }

    pub(super) fn open(&self, id: &str) {
        let answer = self.post(&format!("{JOBS}/{id}/_open"));
        assert_eq!(
            (answer.status, answer.at("/opened")),
            (200, json!(true)),
            "{}",
            answer.text()
        );
    }

    /// A plain or other close; `rest` is the query with its question mark, or nothing.
    pub(super) fn close(&self, expression: &str, rest: &str) -> Answer {
        self.post(&format!("{JOBS}/{expression}/_close{rest}"))
    }

    /// The job's state as `_stats` tells it.
    pub(super) fn state(&self, id: &str) -> String {
        let answer = self.get(&format!("{JOBS}/{id}/_stats"));
        answer
            .at("/jobs/0/state")
            .as_str()
            .unwrap_or_else(|| panic!("{}", answer.text()))
            .to_owned()
    }

    pub(super) fn states(&self, ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| self.state(id)).collect()
    }

    /// The job's configuration.
    pub(super) fn config(&self, id: &str) -> Value {
        self.get(&format!("{JOBS}/{id}")).at("/jobs/0")
    }

    /// Creates a datafeed for a job, over an index that exists.
    pub(super) fn datafeed(&self, feed: &str, job: &str) {
        self.put(
            "/data",
            &json!({"mappings": {"properties": {"ts": {"type": "date"}}}}),
        );
        let answer = self.put(
            &format!("{FEEDS}/{feed}"),
            &json!({"job_id": job, "indices": ["data"]}),
        );
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    pub(super) fn start_feed(&self, feed: &str, rest: &str) {
        let answer = self.post(&format!("{FEEDS}/{feed}/_start{rest}"));
        assert_eq!(
            (answer.status, answer.at("/started")),
            (200, json!(true)),
            "{}",
            answer.text()
        );
    }

    /// An opened job whose datafeed runs in real time.
    pub(super) fn running(&self, job: &str, feed: &str) {
        self.opened(&[job]);
        self.datafeed(feed, job);
        self.start_feed(feed, "?start=0");
        assert_eq!(self.feed_state(feed), "started");
    }

    pub(super) fn feed_state(&self, feed: &str) -> String {
        let answer = self.get(&format!("{FEEDS}/{feed}/_stats"));
        answer
            .at("/datafeeds/0/state")
            .as_str()
            .unwrap_or_else(|| panic!("{}", answer.text()))
            .to_owned()
    }

    /// Sends a request from a thread with a connection of its own.
    pub(super) fn background(&self, request: Request) -> JoinHandle<Answer> {
        let address = self.rig.address();
        std::thread::spawn(move || Connection::new(address).send(&request))
    }

    /// A plain close that goes on in the background, once the job says `closing`.
    pub(super) fn closing(&self, id: &str, rest: &str) -> JoinHandle<Answer> {
        let call = self.background(Request::new("POST", &format!("{JOBS}/{id}/_close{rest}")));
        until(&format!("{id} is closing"), || self.state(id) == "closing");
        call
    }
}

/// A job's body with further fields.
pub(super) fn job(more: &Value) -> Value {
    let mut body = json!({
        "analysis_config": {"bucket_span": "5m", "detectors": [{"function": "count"}]},
        "analysis_limits": {"model_memory_limit": "10mb"},
        "data_description": {"time_field": "ts"}
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        body[key] = value.clone();
    }
    body
}

/// The answer is 200 with exactly this body.
#[track_caller]
pub(super) fn ok(answer: &Answer, body: &Value) {
    assert_eq!((answer.status, &answer.json()), (200, body));
}

/// The answer is 200 `{"closed":true}`.
#[track_caller]
pub(super) fn closed(answer: &Answer) {
    ok(answer, &json!({"closed": true}));
}

/// The answer is an error of this status, type and reason.
#[track_caller]
pub(super) fn refused(answer: &Answer, status: u16, kind: &str, reason: &str) {
    let error = answer.at("/error");
    let got = (
        answer.status,
        error["type"].as_str().unwrap_or_default(),
        error["reason"].as_str().unwrap_or_default(),
    );
    assert_eq!(got, (status, kind, reason), "{}", answer.text());
}

/// The answer is 404 for an unknown job.
#[track_caller]
pub(super) fn unknown_job(answer: &Answer, token: &str) {
    refused(
        answer,
        404,
        "resource_not_found_exception",
        &format!("No known job with id '{token}'"),
    );
}
