//! The user's side: objects, edits, and a watch that sees what came of them.

use std::collections::BTreeSet;
use std::ops::Range;
use std::pin::pin;
use std::time::{Duration, Instant};

use anomalyjob_operator::api::{AnomalyJob, ElasticsearchConnection};
use anyhow::{Context as _, ensure};
use futures::StreamExt as _;
use kube::api::{Api, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(60);

/// What the watch saw: an object had this condition.
struct Seen {
    name: String,
    closed: bool,
    observed: bool,
    at: Instant,
}

/// An admin's client, and a watch on all jobs.
pub(crate) struct World {
    jobs: Api<AnomalyJob>,
    connections: Api<ElasticsearchConnection>,
    seen: mpsc::UnboundedReceiver<Seen>,
}

fn name(index: usize) -> String {
    format!("bench-{index:04}")
}

fn is_true(job: &AnomalyJob, condition: &str) -> bool {
    let conditions = job.status.iter().flat_map(|status| &status.conditions);
    conditions
        .into_iter()
        .any(|found| found.type_ == condition && found.status == "True")
}

/// Says what a watch sees from here on, until the receiver is gone. A watch that ends is begun again where it was.
async fn watch(
    jobs: Api<AnomalyJob>,
    mut version: String,
    seen: mpsc::UnboundedSender<Seen>,
) -> anyhow::Result<()> {
    loop {
        let mut events = pin!(
            jobs.watch(&WatchParams::default().timeout(290), &version)
                .await?
        );
        while let Some(event) = events.next().await {
            let (WatchEvent::Added(job) | WatchEvent::Modified(job)) = event? else {
                continue;
            };
            let at = Instant::now();
            version = job.metadata.resource_version.clone().unwrap_or_default();
            let name = job.metadata.name.clone().unwrap_or_default();
            let (closed, observed) = (is_true(&job, "Closed"), is_true(&job, "Ready"));
            if seen
                .send(Seen {
                    name,
                    closed,
                    observed,
                    at,
                })
                .is_err()
            {
                return Ok(());
            }
        }
    }
}

impl World {
    /// Begins the watch.
    pub(crate) async fn new() -> anyhow::Result<Self> {
        let client = anomalyjob_operator::kubernetes::client().await?;
        let jobs: Api<AnomalyJob> = Api::namespaced(client.clone(), "default");
        let version = jobs
            .list(&kube::api::ListParams::default().limit(1))
            .await?
            .metadata
            .resource_version
            .unwrap_or_default();
        let (sender, seen) = mpsc::unbounded_channel();
        // A connection of its own: what the watch receives must not wait behind the patches.
        let watched = Api::namespaced(anomalyjob_operator::kubernetes::client().await?, "default");
        tokio::spawn(async move {
            if let Err(error) = watch(watched, version, sender).await {
                eprintln!("the watch failed: {error:#}");
            }
        });
        Ok(Self {
            jobs,
            connections: Api::namespaced(client, "default"),
            seen,
        })
    }

    /// Waits until the connection that `tests/bench/run` made is ready.
    pub(crate) async fn connection_ready(&self) -> anyhow::Result<()> {
        let end = Instant::now() + LIMIT;
        loop {
            let found = self.connections.get("default").await?;
            let conditions = found
                .status
                .map(|status| status.conditions)
                .unwrap_or_default();
            if conditions
                .iter()
                .any(|found| found.type_ == "Ready" && found.status == "True")
            {
                return Ok(());
            }
            ensure!(
                Instant::now() < end,
                "the connection is not ready: {conditions:?}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Makes objects for these jobs and waits until each was observed.
    pub(crate) async fn observe(&mut self, objects: Range<usize>) -> anyhow::Result<()> {
        let mut missing = BTreeSet::new();
        for index in objects {
            let manifest: Value = json!({
                "apiVersion": "anomalyjob.dev/v1alpha1", "kind": "AnomalyJob",
                "metadata": {"name": name(index)}, "spec": {"jobId": crate::simulator::job(index)},
            });
            self.jobs
                .create(&PostParams::default(), &serde_json::from_value(manifest)?)
                .await?;
            missing.insert(name(index));
        }
        while !missing.is_empty() {
            let seen = self
                .next()
                .await
                .with_context(|| format!("{} objects were never observed", missing.len()))?;
            if seen.observed {
                missing.remove(&seen.name);
            }
        }
        Ok(())
    }

    async fn next(&mut self) -> anyhow::Result<Seen> {
        let seen = tokio::time::timeout(LIMIT, self.seen.recv())
            .await
            .context("the watch saw nothing for a minute")?;
        seen.context("the watch has ended")
    }

    async fn patch(jobs: &Api<AnomalyJob>, index: usize) -> anyhow::Result<()> {
        let wanted = Patch::Merge(json!({"spec": {"state": "Closed"}}));
        jobs.patch(&name(index), &PatchParams::default(), &wanted)
            .await?;
        Ok(())
    }

    /// Closes one job: the times until the patch was answered, and until the watch saw it closed.
    pub(crate) async fn close_one(&mut self, index: usize) -> anyhow::Result<(Duration, Duration)> {
        let began = Instant::now();
        Self::patch(&self.jobs, index).await?;
        let patched = began.elapsed();
        loop {
            let seen = self.next().await?;
            if seen.closed && seen.name == name(index) {
                return Ok((patched, seen.at - began));
            }
        }
    }

    /// Closes these jobs at once: the time until the watch saw the last one closed.
    pub(crate) async fn close_at_once(
        &mut self,
        objects: Range<usize>,
    ) -> anyhow::Result<Duration> {
        let mut missing: BTreeSet<_> = objects.clone().map(name).collect();
        let began = Instant::now();
        for index in objects {
            let jobs = self.jobs.clone();
            tokio::spawn(async move {
                if let Err(error) = Self::patch(&jobs, index).await {
                    eprintln!("a patch failed: {error:#}");
                }
            });
        }
        let mut last = began;
        while !missing.is_empty() {
            let seen = self
                .next()
                .await
                .with_context(|| format!("{} jobs were never closed", missing.len()))?;
            if seen.closed && missing.remove(&seen.name) {
                last = seen.at;
            }
        }
        Ok(last - began)
    }
}
