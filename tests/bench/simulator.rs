//! The simulator's side: jobs to close, and what it counted. Its counts are the truth about requests.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use reqwest::Method;
use serde_json::{Value, json};

/// A running simulator, spoken to as an admin.
pub(crate) struct Simulator {
    url: String,
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

/// The id of a job.
pub(crate) fn job(index: usize) -> String {
    format!("bench_{index:04}")
}

impl Simulator {
    pub(crate) fn new(url: &str, admin: &str) -> anyhow::Result<Self> {
        let authorization = format!(
            "Basic {}",
            base64::engine::general_purpose::STANDARD.encode(admin)
        );
        Ok(Self {
            url: url.to_owned(),
            authorization,
            client: reqwest::Client::builder().build()?,
        })
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.url))
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

    /// Makes these jobs and opens them.
    pub(crate) async fn open_jobs(&self, jobs: Range<usize>) -> anyhow::Result<()> {
        let config = json!({"analysis_config": {"bucket_span": "15m", "detectors": [{"function": "count"}]}, "data_description": {}});
        self.call(
            Method::PUT,
            "/_simulator/capacity",
            Some(json!({"max_open_jobs": null, "memory_bytes": 1_u64 << 50})),
        )
        .await?;
        for id in jobs.map(job) {
            self.call(
                Method::PUT,
                &format!("/_ml/anomaly_detectors/{id}"),
                Some(config.clone()),
            )
            .await?;
            self.call(
                Method::POST,
                &format!("/_ml/anomaly_detectors/{id}/_open"),
                None,
            )
            .await?;
        }
        Ok(())
    }

    /// The operator's requests so far.
    pub(crate) async fn counts(&self) -> anyhow::Result<Counts> {
        let counts = self.call(Method::GET, "/_simulator/counts", None).await?;
        Ok(Counts(serde_json::from_value(counts)?))
    }
}
