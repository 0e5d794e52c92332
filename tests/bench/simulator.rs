//! An Elasticsearch of the simulator as a process: jobs to close, knobs, and what it counted. Its counts are the truth
//! about requests.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use reqwest::Method;
use serde_json::{Value, json};

/// A running simulator, spoken to as an admin; killed when this is dropped.
pub(crate) struct Simulator {
    child: Child,
    pub(crate) url: String,
    /// What the operator authenticates with: `manage_ml` and `monitor`.
    pub(crate) api_key: String,
    authorization: String,
    client: reqwest::Client,
}

/// Requests by API, as the simulator names them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts(BTreeMap<String, usize>);

impl Counts {
    /// What came after `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let more = self
            .0
            .iter()
            .map(|(api, count)| (api.clone(), count - before.of(api)));
        Self(more.filter(|(_, count)| *count > 0).collect())
    }

    /// The count of one API.
    pub(crate) fn of(&self, api: &str) -> usize {
        self.0.get(api).copied().unwrap_or_default()
    }

    /// All of them.
    pub(crate) fn sum(&self) -> usize {
        self.0.values().sum()
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all: Vec<_> = self
            .0
            .iter()
            .map(|(api, count)| format!("{count} {api}"))
            .collect();
        f.write_str(&all.join(", "))
    }
}

/// The id of a job: 20 characters, of which Elasticsearch takes some 190 in a line.
pub(crate) fn job(prefix: &str, index: usize) -> String {
    format!("{prefix}{index:05}")
}

impl Simulator {
    /// Starts one whose jobs take `close_ms` to close.
    pub(crate) fn start(program: &Path, close_ms: u64) -> anyhow::Result<Self> {
        let mut random = [0_u8; 12];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
        let base64 = base64::engine::general_purpose::STANDARD;
        let url_safe = base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let secret = url_safe.encode(random);
        let mut child = Command::new(program)
            .args([
                "--listen",
                "127.0.0.1:0",
                "--close-ms",
                &close_ms.to_string(),
            ])
            .args(["--user", &format!("admin:{secret}:all")])
            .args(["--api-key", &format!("operator:{secret}:manage_ml,monitor")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| program.display().to_string())?;
        let stdout = child.stdout.take().context("no stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let url = line
            .trim()
            .strip_prefix("listening on ")
            .context("no url")?;
        Ok(Self {
            child,
            url: url.to_owned(),
            api_key: base64.encode(format!("operator:{secret}")),
            authorization: format!("Basic {}", base64.encode(format!("admin:{secret}"))),
            client: reqwest::Client::builder().build()?,
        })
    }

    async fn knob(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let mut request = self
            .client
            .request(method, format!("{}/_simulator/{path}", self.url))
            .header("authorization", &self.authorization);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).with_context(|| path.to_owned())
    }

    /// Makes so many opened jobs, named by [`job`].
    pub(crate) async fn open_jobs(&self, prefix: &str, count: usize) -> anyhow::Result<()> {
        let body = json!({"prefix": prefix, "count": count, "opened": true});
        self.knob(Method::POST, "jobs_bulk", Some(body)).await?;
        Ok(())
    }

    /// From now on nothing is answered, and no connection is refused either.
    pub(crate) async fn hang(&self) -> anyhow::Result<()> {
        let body = json!({"mode": "blackhole"});
        self.knob(Method::PUT, "network", Some(body)).await?;
        Ok(())
    }

    /// The operator's requests so far.
    pub(crate) async fn counts(&self) -> anyhow::Result<Counts> {
        let counts = self.knob(Method::GET, "counts", None).await?;
        Ok(Counts(serde_json::from_value(counts)?))
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // Both fail where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
