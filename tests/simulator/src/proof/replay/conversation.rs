//! One recorded conversation, step by step, against a simulator of its own.
//!
//! A difference ends the conversation and names the step, what was expected and what came. It must not soften an
//! expectation: what may differ is in `compare`. No step is left out.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::compare::{Volatile, differences};
use super::names::{Names, base64};
use super::races;
use crate::proof::rig::{ADMIN, Rig, Setup};
use crate::proof::wire::{Answer, Connection, Request};

/// How long an `until` step is repeated; the recording allowed 100 tries of 100 ms.
const LIMIT: Duration = Duration::from_secs(10);
/// How long a request that is never answered is watched. The recording waited 2 to 3 s; the wait can only hide a fault
/// of the simulator, never make one up.
const SILENCE: Duration = Duration::from_millis(300);

/// Replays a conversation from its file's text and prints one line of counts.
pub(crate) fn replay(text: &str) {
    let conversation: Value = serde_json::from_str(text).expect("a recorded conversation");
    let requires = |what: &str| {
        let list = conversation["requires"].as_array();
        list.is_some_and(|list| list.contains(&Value::from(what)))
    };
    let security = requires("security");
    let rig = Rig::start(&Setup {
        profile: "7.10",
        security,
        close_ms: None,
    });
    let rules: Vec<&str> = conversation["volatile"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut player = Player {
        name: conversation["name"].as_str().unwrap_or_default().to_owned(),
        connection: Connection::new(rig.address()),
        rig,
        names: Names::default(),
        volatile: Volatile::new(&rules),
        security,
        replayed: 0,
    };
    if !requires("fresh") && !requires("fresh-process") {
        player.use_server();
    }
    for (number, step) in conversation["steps"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        player.step(number, step);
    }
    let races = conversation["races"]
        .as_array()
        .map_or(0, |list| races::run_all(list, &player.rig));
    let (name, steps) = (&player.name, player.replayed);
    println!("proof: conversation {name} steps_replayed={steps} races={races}");
}

struct Player {
    name: String,
    rig: Rig,
    connection: Connection,
    names: Names,
    volatile: Volatile,
    security: bool,
    replayed: usize,
}

impl Player {
    /// The recorded server had had jobs before most conversations; a cluster that never had one has no list of tasks yet.
    fn use_server(&mut self) {
        let job = "/_ml/anomaly_detectors/earlier";
        let body = json!({"analysis_config": {"bucket_span": "5m", "detectors": [{"function": "count"}]}, "data_description": {}});
        let close = format!("{job}/_close");
        for (method, path, body) in [
            ("PUT", job, Some(body)),
            ("POST", &format!("{job}/_open"), None),
            ("POST", &close, None),
            ("DELETE", job, None),
        ] {
            let mut step = json!({"method": method, "path": path});
            if let Some(body) = body {
                step["body"] = body;
            }
            let request = self.request(&step);
            let answer = self.connection.send(&request);
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }

    fn step(&mut self, number: usize, step: &Value) {
        if let Some(pause) = step["pause_ms"].as_u64() {
            self.rig.advance(Duration::from_millis(pause));
        }
        self.replayed += 1;
        let request = self.request(step);
        if step["expect"]["no_answer"] == true {
            let answer = Connection::new(self.rig.address()).send_in_vain(&request, SILENCE);
            assert!(
                answer.is_none(),
                "{} step {number} {}: expected no answer, got {answer:?}",
                self.name,
                shown(&request)
            );
            return;
        }
        let answer = self.ask(step, &request);
        for (name, pointer) in step["capture"].as_object().into_iter().flatten() {
            let value = answer.at(pointer.as_str().unwrap_or_default());
            self.names.set(name, value.as_str().unwrap_or_default());
        }
        self.judge(number, step, &request, &answer);
    }

    fn request(&self, step: &Value) -> Request {
        let text = |key: &str| step[key].as_str().map(|t| self.names.fill(t));
        let mut request = Request::new(
            step["method"].as_str().unwrap_or_default(),
            &text("path").unwrap_or_default(),
        );
        if let Some(body) = step.get("body") {
            request = request.json(&self.names.fill_json(body));
        }
        request.body = request.body.or(text("body_text").map(String::into_bytes));
        if self.security {
            let admin = base64(format!("{}:{}", ADMIN.0, ADMIN.1).as_bytes());
            request = request.header("Authorization", &format!("Basic {admin}"));
        }
        for (name, value) in step["headers"].as_object().into_iter().flatten() {
            match value.as_str() {
                Some(value) => request = request.header(name, &self.names.fill(value)),
                None => request
                    .headers
                    .retain(|(n, _)| !n.eq_ignore_ascii_case(name)),
            }
        }
        if let Some(length) = step["line_length"].as_u64() {
            let bare = request.line_length() - "{PAD}".len();
            let pad = usize::try_from(length)
                .unwrap_or_default()
                .saturating_sub(bare);
            request.target = request.target.replace("{PAD}", &"a".repeat(pad));
        }
        request
    }

    /// Sends the step's request; an `until` step is repeated until its condition holds.
    fn ask(&mut self, step: &Value, request: &Request) -> Answer {
        let started = Instant::now();
        loop {
            let answer = if step["new_connection"] == true {
                Connection::new(self.rig.address()).send(request)
            } else {
                self.connection.send(request)
            };
            let reached = step
                .get("until")
                .is_none_or(|until| answer.at(until[0].as_str().unwrap_or_default()) == until[1]);
            if reached || started.elapsed() > LIMIT {
                return answer;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn judge(&self, number: usize, step: &Value, request: &Request, answer: &Answer) {
        let wanted = step["expect_any"]
            .as_array()
            .cloned()
            .unwrap_or_else(|| vec![step["expect"].clone()]);
        let mut all = Vec::new();
        for want in &wanted {
            let found = differences(&self.names.fill_json(want), answer, &self.volatile);
            if found.is_empty() {
                return;
            }
            all.push(found.join("\n    "));
        }
        panic!(
            "{} step {number}: {}\n  differences:\n    {}\n  expected: {}\n  got: {} {:?} {}",
            self.name,
            shown(request),
            all.join("\n  or:\n    "),
            wanted[0],
            answer.status,
            answer.headers,
            answer.text(),
        );
    }
}

fn shown(request: &Request) -> String {
    let body = request
        .body
        .as_deref()
        .map(String::from_utf8_lossy)
        .unwrap_or_default();
    let target: String = request.target.chars().take(300).collect();
    format!("{} {target} {body}", request.method)
}
