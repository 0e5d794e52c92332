//! One simulator in this process, and its knobs by names of this proof.
//!
//! All that the proof needs of the simulator beside Elasticsearch's own API is here: starting it, holding and moving its
//! clock, and the `/_simulator/` paths of its README. It must not reach into the simulator by any other way.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::contract::{Verdict, contract};
use super::wire::{Answer, Connection, Request};
use crate::{Options, Profile, Simulator, User};

/// The superuser of a simulator with security.
pub(crate) const ADMIN: (&str, &str) = ("elastic", "changeme");

/// What a simulator is started with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) profile: &'static str,
    pub(crate) security: bool,
    /// How long a native close takes; the profile's own time if not given.
    pub(crate) close_ms: Option<u64>,
}

/// A running simulator; it ends with this value.
pub(crate) struct Rig {
    address: SocketAddr,
    newest: bool,
    fits: AtomicUsize,
    errors: AtomicUsize,
    undescribed: AtomicUsize,
    // In this order: the simulator ends before the runtime that carries it.
    _simulator: Simulator,
    _runtime: Runtime,
}

impl Rig {
    pub(crate) fn start(setup: &Setup) -> Self {
        let profile: Profile = setup.profile.parse().expect("a profile");
        let admin = User::new(ADMIN.0, ADMIN.1, &["all"]);
        let users = if setup.security { vec![admin] } else { vec![] };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let options = Options {
            profile,
            users,
            close_ms: setup.close_ms,
            ..Options::default()
        };
        let simulator = runtime
            .block_on(Simulator::start(options))
            .expect("a simulator");
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], simulator.port())),
            newest: setup.profile == "9",
            fits: 0.into(),
            errors: 0.into(),
            undescribed: 0.into(),
            _simulator: simulator,
            _runtime: runtime,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Holds an answer of the newest profile against the API description.
    pub(crate) fn witness(&self, request: &Request, answer: &Answer) {
        if !self.newest || request.target.starts_with("/_simulator") {
            return;
        }
        let counter = match contract().check(request, answer) {
            Verdict::Fits(_) => &self.fits,
            Verdict::FitsAsError => &self.errors,
            Verdict::NotDescribed => &self.undescribed,
            Verdict::Breaks(problems) => {
                let told = problems.join("\n  ");
                panic!(
                    "{} {} breaks the API description:\n  {told}\n  got: {} {}",
                    request.method,
                    request.target,
                    answer.status,
                    answer.text()
                )
            }
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Sends the request and cuts the connection without waiting for the answer.
    pub(crate) fn abandon(&self, request: &Request) {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        let line = format!(
            "{} {} HTTP/1.1\r\nHost: simulator\r\n\r\n",
            request.method, request.target
        );
        stream.write_all(line.as_bytes()).expect("sent");
    }

    /// Holds the clock or lets it run.
    pub(crate) fn hold(&self, held: bool) {
        self.knob("PUT", "clock", &json!({"hold": held}));
    }

    /// Moves the clock.
    pub(crate) fn advance(&self, by: Duration) {
        self.advance_ms(u64::try_from(by.as_millis()).expect("a short time"));
    }

    pub(crate) fn advance_ms(&self, ms: u64) {
        self.knob("POST", "clock/advance", &json!({"ms": ms}));
    }

    /// The process of an open job dies.
    pub(crate) fn fail_job(&self, id: &str, reason: &str) {
        self.knob(
            "POST",
            &format!("jobs/{id}/fail"),
            &json!({"reason": reason}),
        );
    }

    /// Durations and faults of one job, by the names of the simulator's README.
    pub(crate) fn job(&self, id: &str, knobs: &Value) {
        self.knob("PUT", &format!("jobs/{id}"), knobs);
    }

    /// The configuration goes, the task stays.
    pub(crate) fn lose_job_config(&self, id: &str) {
        self.knob("POST", &format!("jobs/{id}/lose_config"), &json!({}));
    }

    pub(crate) fn lose_feed_config(&self, id: &str) {
        self.knob("POST", &format!("datafeeds/{id}/lose_config"), &json!({}));
    }

    /// The job's task goes behind everybody's back, its datafeed stays.
    pub(crate) fn lose_task(&self, id: &str) {
        self.knob("POST", &format!("jobs/{id}/lose_task"), &json!({}));
    }

    /// The primary shards of these indices are away; none = all are back.
    pub(crate) fn missing_primaries(&self, indices: &[&str]) {
        self.knob("PUT", "missing_primaries", &json!({"indices": indices}));
    }

    pub(crate) fn block_job(&self, id: &str, why: &str) {
        self.knob("PUT", &format!("jobs/{id}/block"), &json!({"reason": why}));
    }

    /// All nodes that can run jobs leave.
    pub(crate) fn lose_nodes(&self) {
        self.knob("POST", "node_loss", &json!({}));
    }

    pub(crate) fn master(&self, present: bool) {
        self.knob("PUT", "master", &json!({"present": present}));
    }

    pub(crate) fn licence_lapses(&self) {
        self.knob("PUT", "license", &json!({"valid": false}));
    }

    /// A fault between client and cluster, by the names of the simulator's README.
    pub(crate) fn inject(&self, rule: &Value) {
        self.knob("POST", "inject", rule);
    }

    /// How often the job has come into this state, by the log of changes.
    pub(crate) fn changes(&self, id: &str, to: &str) -> usize {
        self.all_changes()
            .iter()
            .filter(|change| change["job"] == id && change["to"] == to)
            .count()
    }

    pub(crate) fn all_changes(&self) -> Vec<Value> {
        self.log("changes")
    }

    /// How many requests have come in whose target ends with this, answered or not.
    pub(crate) fn received(&self, end: &str) -> usize {
        let target = |line: &Value| {
            let (path, query) = (
                line["path"].as_str().unwrap_or_default(),
                line["query"].as_str().unwrap_or_default(),
            );
            if query.is_empty() {
                path.to_owned()
            } else {
                format!("{path}?{query}")
            }
        };
        self.log("requests")
            .iter()
            .filter(|line| target(line).ends_with(end))
            .count()
    }

    /// Waits until that many requests have come in whose target ends with this.
    pub(crate) fn until_received(&self, end: &str, count: usize) {
        until(end, || self.received(end) >= count);
    }

    /// Empties the logs.
    pub(crate) fn clear_log(&self) {
        self.knob("DELETE", "log", &json!({}));
    }

    /// Waits until that many requests have come in since the log was emptied.
    pub(crate) fn until_requests(&self, count: usize) {
        until("all requests are received", || {
            self.log("requests").len() >= count
        });
    }

    fn log(&self, part: &str) -> Vec<Value> {
        let log = Connection::new(self.address)
            .send(&Request::new("GET", "/_simulator/log"))
            .json();
        log[part].as_array().cloned().unwrap_or_default()
    }

    /// Any knob of the simulator's README.
    pub(crate) fn knob(&self, method: &str, path: &str, body: &Value) -> Value {
        let request = Request::new(method, &format!("/_simulator/{path}")).json(body);
        let answer = Connection::new(self.address).send(&request);
        assert!(
            answer.status < 300,
            "knob {path} {body}: {} {}",
            answer.status,
            answer.text()
        );
        answer.json()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if self.newest {
            let of = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
            println!(
                "proof: contract fits={} errors={} undescribed={}",
                of(&self.fits),
                of(&self.errors),
                of(&self.undescribed)
            );
        }
    }
}

/// Waits for a condition, at most ten seconds of real time.
pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "never came true: {what}"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}
