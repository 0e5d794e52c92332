//! What Helm, Flux and kapp see of an object: each version of it on a real watch, and what the real kstatus says of it.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};

use anomalyjob_operator::api::AnomalyJob;
use futures::StreamExt as _;
use kube::api::{DynamicObject, ListParams, WatchEvent, WatchParams};
use serde_json::Value;
use tokio::task::AbortHandle;

use super::room::Room;
use super::{LIMIT, RUNTIME, http, until_true};

/// What kstatus says of one version, by its own words: `Current`, `InProgress`, `Failed`, `Terminating`, `NotFound`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) status: String,
    pub(crate) message: String,
}

/// The program of `tests/kstatus`, built at the first call on a machine.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kstatus/build");
        let built = Command::new(script).stderr(Stdio::inherit()).output();
        let built = built.expect("build");
        assert!(built.status.success(), "tests/kstatus/build failed");
        let said = String::from_utf8(built.stdout).expect("a path");
        PathBuf::from(said.trim())
    })
}

/// Runs the program on these lines; gives its lines, or what it complained of.
pub(crate) fn run(lines: &str) -> Result<Vec<Verdict>, String> {
    let mut child = Command::new(program())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kstatus starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // Written beside the reading: with both in turn two full pipes would wait for each other.
    let lines = lines.to_owned();
    let writing = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().expect("its output");
    let _ = writing.join();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let verdict = |line: &str| {
        let (status, message) = line.split_once('\t').expect("STATUS and MESSAGE");
        Verdict {
            status: status.to_owned(),
            message: message.to_owned(),
        }
    };
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    Ok(text.lines().map(verdict).collect())
}

/// What kstatus says of each version of an object; null stands for an object that is not there.
pub(crate) fn judge(history: &[Value]) -> Vec<Verdict> {
    let mut lines = String::new();
    for object in history {
        match object {
            Value::Null => lines.push('\n'),
            object => writeln!(lines, "{object}").expect("a string takes all"),
        }
    }
    let verdicts = run(&lines).expect("kstatus");
    assert_eq!(verdicts.len(), history.len());
    verdicts
}

/// One version of an object as the watch told it, and the state of its job right after that.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    /// Null where it was deleted.
    pub(crate) object: Value,
    /// By the simulator; `None` where there is no such job, or the cluster cannot be asked.
    pub(crate) job: Option<String>,
}

/// Every version of one AnomalyJob from now on, by a real watch.
pub(crate) struct History {
    versions: Arc<Mutex<Vec<Version>>>,
    watching: AbortHandle,
}

impl History {
    /// Begins before the object is there. The job that is looked at in the room's Elasticsearch has the same name.
    pub(crate) fn begin(room: &Room, name: &str) -> Self {
        let versions = Arc::new(Mutex::new(Vec::new()));
        let (api, seen) = (room.api::<AnomalyJob>(), Arc::clone(&versions));
        let (port, name) = (room.elastic.port(), name.to_owned());
        let stream = RUNTIME.block_on(async {
            let now = api.list(&ListParams::default().limit(1)).await;
            let version = now.expect("a list").metadata.resource_version;
            let only = WatchParams::default().fields(&format!("metadata.name={name}"));
            let version = version.expect("a version");
            api.watch(&only, &version).await.expect("a watch")
        });
        let watching = RUNTIME.spawn(async move {
            let mut stream = std::pin::pin!(stream);
            while let Some(event) = stream.next().await {
                let object = match event.expect("the watch goes on") {
                    WatchEvent::Added(object) | WatchEvent::Modified(object) => value(&object),
                    WatchEvent::Deleted(_) => Value::Null,
                    other => panic!("the watch ended: {other:?}"),
                };
                let id = name.clone();
                let asked = tokio::task::spawn_blocking(move || job_state(port, &id));
                let job = asked.await.expect("asked");
                let version = Version { object, job };
                seen.lock().expect("no panic").push(version);
            }
        });
        Self {
            versions,
            watching: watching.abort_handle(),
        }
    }

    /// All versions so far, up to the one that is stored now, which null stands for where the object is gone.
    pub(crate) fn up_to(&self, stored: &Value) -> Vec<Version> {
        let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
        let of = version(stored);
        let arrived = || {
            let versions = self.versions.lock().expect("no panic");
            versions.iter().any(|seen| version(&seen.object) == of)
        };
        until_true("the watch has told all", LIMIT, arrived);
        self.versions.lock().expect("no panic").clone()
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

fn value(object: &DynamicObject) -> Value {
    serde_json::to_value(object).expect("JSON")
}

/// The last state that the simulator's own record has of a job.
fn job_state(port: u16, job: &str) -> Option<String> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let (_, answer) = http::exchange(address, "GET", "/_simulator/log", "", "").ok()?;
    let log: Value = serde_json::from_str(&answer).ok()?;
    let changes = log["changes"].as_array()?;
    let last = changes.iter().rev().find(|line| line["job"] == job)?;
    Some(last["to"].as_str()?.to_owned())
}
