//! A simulated Elasticsearch of one test, in this process: what is set up in it, what is turned, and its log, which is
//! the truth about what the operator did. It asserts nothing about the operator.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use elasticsearch_simulator::{Options, Profile, Simulator, User};
use serde_json::{Value, json};

use super::{LIMIT, RUNTIME, http, until, until_true};

/// One simulated cluster; stops when it is dropped.
pub(crate) struct Elastic {
    simulator: Simulator,
    headers: String,
}

impl Elastic {
    /// A cluster without security.
    pub(crate) fn new(profile: Profile) -> Self {
        Self::with(Options {
            profile,
            ..Options::default()
        })
    }

    /// A cluster as asked for. Where it has security, a user for the test itself is added.
    pub(crate) fn with(mut options: Options) -> Self {
        let mut headers = String::new();
        if !(options.users.is_empty() && options.api_keys.is_empty()) {
            options.users.push(User::new("test", "test", &["all"]));
            let basic = base64::engine::general_purpose::STANDARD.encode("test:test");
            headers = format!("authorization: Basic {basic}\r\n");
        }
        let simulator = RUNTIME
            .block_on(Simulator::start(options))
            .expect("simulator");
        Self { simulator, headers }
    }

    pub(crate) fn url(&self) -> String {
        self.simulator.url()
    }

    pub(crate) fn port(&self) -> u16 {
        self.simulator.port()
    }

    /// Refuses connections and cuts the open ones.
    pub(crate) fn cut_off(&self) {
        let _inside = RUNTIME.enter();
        self.simulator.pause_network();
    }

    /// Takes what comes and never answers.
    pub(crate) fn swallow(&self) {
        let _inside = RUNTIME.enter();
        self.simulator.blackhole_network();
    }

    /// Answers again, once this has returned.
    pub(crate) fn come_back(&self) {
        let inside = RUNTIME.enter();
        self.simulator.resume_network();
        drop(inside);
        let port = self.port();
        until_true("it listens", LIMIT, || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
    }

    /// Calls the machine learning API as the test's own user, or turns a knob; must succeed.
    pub(crate) fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port()));
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let (status, answer) =
            http::exchange(address, method, path, &self.headers, &text).expect("an answer");
        assert!(
            status < 300,
            "{method} {path} {body} was answered with {status}: {answer}"
        );
        serde_json::from_str(&answer).unwrap_or(Value::Null)
    }

    /// Turns a knob under `/_simulator/`.
    pub(crate) fn turn(&self, method: &str, knob: &str, body: &Value) -> Value {
        self.call(method, &format!("/_simulator/{knob}"), body)
    }

    /// Knobs of one job, such as `{"close_ms": 500}`.
    pub(crate) fn tune(&self, job: &str, knobs: &Value) {
        self.turn("PUT", &format!("jobs/{job}"), knobs);
    }

    /// Puts a fault between the operator and the cluster.
    pub(crate) fn inject(&self, rule: &Value) {
        self.turn("POST", "inject", rule);
    }

    pub(crate) fn stop_injecting(&self) {
        self.turn("DELETE", "inject", &Value::Null);
    }

    /// Creates a job, closed.
    pub(crate) fn create(&self, job: &str) {
        self.create_in(job, &[]);
    }

    fn create_in(&self, job: &str, groups: &[&str]) {
        let config = json!({
            "analysis_config": {"bucket_span": "15m", "detectors": [{"function": "count"}]},
            "data_description": {"time_field": "time"},
            "groups": groups,
        });
        self.call("PUT", &format!("/_ml/anomaly_detectors/{job}"), &config);
    }

    /// Creates a job of these groups and opens it.
    pub(crate) fn opened_in(&self, job: &str, groups: &[&str]) {
        self.create_in(job, groups);
        self.open(job);
    }

    /// Creates so many opened jobs `PREFIX00000`, ... of one group.
    pub(crate) fn opened_bulk(&self, prefix: &str, group: &str, count: usize) {
        let body = json!({"prefix": prefix, "count": count, "groups": [group], "opened": true});
        self.turn("POST", "jobs_bulk", &body);
    }

    pub(crate) fn open(&self, job: &str) {
        self.call(
            "POST",
            &format!("/_ml/anomaly_detectors/{job}/_open"),
            &Value::Null,
        );
    }

    /// Creates a job and opens it.
    pub(crate) fn opened(&self, job: &str) {
        self.create(job);
        self.open(job);
    }

    /// Creates a job, opens it, and starts a datafeed named `feed-JOB` for it.
    pub(crate) fn fed(&self, job: &str) {
        self.opened(job);
        self.call("PUT", &format!("/logs-{job}"), &json!({}));
        let feed = json!({"job_id": job, "indices": [format!("logs-{job}")]});
        self.call("PUT", &format!("/_ml/datafeeds/feed-{job}"), &feed);
        self.call(
            "POST",
            &format!("/_ml/datafeeds/feed-{job}/_start"),
            &json!({}),
        );
    }

    pub(crate) fn log(&self) -> Log {
        let log = self.turn("GET", "log", &Value::Null);
        let list = |name: &str| log[name].as_array().cloned().unwrap_or_default();
        Log {
            requests: list("requests"),
            changes: list("changes"),
        }
    }

    /// How many requests have come.
    pub(crate) fn asked(&self) -> u64 {
        let counts = self.turn("GET", "counts", &Value::Null);
        let counts = counts.as_object().into_iter().flat_map(|all| all.values());
        counts.filter_map(Value::as_u64).sum()
    }

    /// Waits until the log is as it should be.
    pub(crate) fn until(&self, what: &str, holds: impl Fn(&Log) -> bool) -> Log {
        self.until_within(LIMIT, what, holds)
    }

    pub(crate) fn until_within(
        &self,
        limit: Duration,
        what: &str,
        holds: impl Fn(&Log) -> bool,
    ) -> Log {
        until(what, limit, || {
            let log = self.log();
            if holds(&log) {
                Ok(log)
            } else {
                Err("see the log".to_owned())
            }
        })
    }

    /// The log as lines, for a test that failed. Empty where the simulator cannot be asked.
    pub(crate) fn story(&self) -> String {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port()));
        let Ok((_, answer)) = http::exchange(address, "GET", "/_simulator/log", "", "") else {
            return String::new();
        };
        let log: Value = serde_json::from_str(&answer).unwrap_or_default();
        let mut story = String::new();
        for part in ["requests", "changes"] {
            for line in log[part].as_array().into_iter().flatten() {
                let _ = writeln!(story, "{line}");
            }
        }
        story
    }
}

/// What was asked of the cluster and what changed in it.
pub(crate) struct Log {
    pub(crate) requests: Vec<Value>,
    pub(crate) changes: Vec<Value>,
}

impl Log {
    /// Requests of one API, by the simulator's names: `Close`, `JobStats`, `StopFeed`, ...
    pub(crate) fn of(&self, api: &str) -> usize {
        self.requests
            .iter()
            .filter(|line| line["api"] == api)
            .count()
    }

    /// What came after this many requests and changes.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            requests: self.requests[before.requests.len()..].to_vec(),
            changes: self.changes[before.changes.len()..].to_vec(),
        }
    }

    /// The requests, by the simulator's names.
    pub(crate) fn apis(&self) -> Vec<&str> {
        let apis = self.requests.iter();
        apis.filter_map(|line| line["api"].as_str()).collect()
    }

    /// The ids that were named in close calls, whatever became of them.
    pub(crate) fn named_in_closes(&self) -> BTreeSet<&str> {
        let paths = self.requests.iter().filter(|line| line["api"] == "Close");
        let ids = paths.filter_map(|line| line["path"].as_str()?.split('/').rev().nth(1));
        ids.flat_map(|ids| ids.split(',')).collect()
    }

    /// How often the job closed.
    pub(crate) fn closed(&self, job: &str) -> usize {
        let states = self.states("job", job);
        states.iter().filter(|state| **state == "closed").count()
    }

    /// Requests to the cluster that are not the test's own.
    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    fn close_calls<'a>(&'a self, job: &'a str) -> impl Iterator<Item = &'a Value> {
        self.requests.iter().filter(move |line| {
            let path = line["path"].as_str().unwrap_or_default();
            let ids = path.split('/').rev().nth(1).unwrap_or_default();
            line["api"] == "Close" && ids.split(',').any(|id| id == job)
        })
    }

    /// Graceful close calls that name the job, without those that only confirm that it is closing.
    pub(crate) fn closes(&self, job: &str) -> usize {
        let calls = self.close_calls(job);
        calls.filter(|line| is_request(line)).count()
    }

    /// Graceful close calls of a closing job, which start nothing and show that there is a master.
    pub(crate) fn confirmations(&self, job: &str) -> usize {
        let calls = self.close_calls(job).filter(|line| !is_force(line));
        calls.filter(|line| !is_request(line)).count()
    }

    /// Forced close calls that name the job.
    pub(crate) fn forces(&self, job: &str) -> usize {
        self.close_calls(job).filter(|line| is_force(line)).count()
    }

    /// How often a force took effect on the job.
    pub(crate) fn forced(&self, job: &str) -> usize {
        let closed = |line: &&Value| line["job"] == job && line["to"] == "closed";
        let closed = self.changes.iter().filter(closed);
        closed.filter(|line| line["why"] == "force close").count()
    }

    /// The states that a job or datafeed went through, in order.
    pub(crate) fn states(&self, subject: &str, id: &str) -> Vec<&str> {
        let lines = self.changes.iter().filter(|line| line[subject] == id);
        lines.filter_map(|line| line["to"].as_str()).collect()
    }

    /// The job's state now.
    pub(crate) fn state(&self, job: &str) -> Option<&str> {
        self.states("job", job).last().copied()
    }

    /// When the graceful closes that name the job came, in ms.
    pub(crate) fn times_of_closes(&self, job: &str) -> Vec<u64> {
        let calls = self.close_calls(job).filter(|line| is_request(line));
        calls.filter_map(|line| line["at_ms"].as_u64()).collect()
    }
}

fn is_request(line: &Value) -> bool {
    let confirms = |query: &str| query.split('&').any(|part| part == "timeout=1s");
    !is_force(line) && !line["query"].as_str().is_some_and(confirms)
}

fn is_force(line: &Value) -> bool {
    line["query"]
        .as_str()
        .is_some_and(|query| query.contains("force=true"))
}
