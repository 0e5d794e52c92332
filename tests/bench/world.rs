//! The user's side of one namespace: a connection, objects, edits, and a watch that sees what came of them.

use std::collections::BTreeSet;
use std::ops::Range;
use std::pin::pin;
use std::time::{Duration, Instant};

use anomalyjob_operator::api::{AnomalyJob, ElasticsearchConnection};
use anomalyjob_operator::kubernetes;
use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{Api, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::core::Request;
use kube::{Client, Resource as _};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::simulator::{Simulator, job};

/// How long nothing may happen.
const LIMIT: Duration = Duration::from_secs(60);
/// Creations at once: beyond this the API server only takes longer for each.
const CREATORS: usize = 16;

/// Of an object only what is looked at, so that the bench takes little of the machine that it measures.
#[derive(Clone, Deserialize)]
struct Light {
    metadata: LightMeta,
    status: Option<LightStatus>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LightMeta {
    #[serde(default)]
    name: String,
    resource_version: String,
}

#[derive(Clone, Deserialize)]
struct LightStatus {
    #[serde(default)]
    conditions: Vec<LightCondition>,
}

#[derive(Clone, Deserialize)]
struct LightCondition {
    r#type: String,
    status: String,
}

impl Light {
    fn is_true(&self, condition: &str) -> bool {
        let conditions = self.status.iter().flat_map(|status| &status.conditions);
        conditions
            .into_iter()
            .any(|found| found.r#type == condition && found.status == "True")
    }
}

/// What the watch saw: an object had this condition.
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) closed: bool,
    pub(crate) ready: bool,
    /// It has a condition, whichever.
    told: bool,
    pub(crate) at: Instant,
}

/// An admin's client in one namespace, and a watch on its jobs.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) jobs: Api<AnomalyJob>,
    connections: Api<ElasticsearchConnection>,
    seen: mpsc::UnboundedReceiver<Seen>,
}

fn of<K: DeserializeOwned>(manifest: Value) -> anyhow::Result<K> {
    Ok(serde_json::from_value(manifest)?)
}

/// The name of the object for a job.
pub(crate) fn name(prefix: &str, index: usize) -> String {
    job(prefix, index).replace('_', "-")
}

/// Says what a watch sees from here on, until the receiver is gone. A watch that ends is begun again where it was.
async fn watch(
    client: Client,
    namespace: String,
    mut version: String,
    seen: mpsc::UnboundedSender<Seen>,
) -> anyhow::Result<()> {
    let requests = Request::new(AnomalyJob::url_path(&(), Some(&namespace)));
    loop {
        let request = requests.watch(&WatchParams::default().timeout(290), &version)?;
        let mut events = pin!(client.request_events::<Light>(request).await?);
        while let Some(event) = events.next().await {
            let (WatchEvent::Added(job) | WatchEvent::Modified(job)) = event? else {
                continue;
            };
            let told = job
                .status
                .iter()
                .any(|status| !status.conditions.is_empty());
            let (closed, ready) = (job.is_true("Closed"), job.is_true("Ready"));
            version = job.metadata.resource_version;
            let name = job.metadata.name;
            let at = Instant::now();
            if seen
                .send(Seen {
                    name,
                    closed,
                    ready,
                    told,
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
    /// Makes the namespace and begins the watch.
    pub(crate) async fn new(namespace: &str) -> anyhow::Result<Self> {
        let client = kubernetes::client().await?;
        let made = of(json!({"metadata": {"name": namespace}}))?;
        Api::<Namespace>::all(client.clone())
            .create(&PostParams::default(), &made)
            .await?;
        let jobs: Api<AnomalyJob> = Api::namespaced(client.clone(), namespace);
        let version = jobs
            .list(&kube::api::ListParams::default().limit(1))
            .await?
            .metadata
            .resource_version
            .unwrap_or_default();
        let (sender, seen) = mpsc::unbounded_channel();
        // A connection of its own: what the watch receives must not wait behind the patches.
        let watched = kubernetes::client().await?;
        let of = namespace.to_owned();
        tokio::spawn(async move {
            if let Err(error) = watch(watched, of, version, sender).await {
                eprintln!("the watch failed: {error:#}");
            }
        });
        Ok(Self {
            connections: Api::namespaced(client.clone(), namespace),
            namespace: namespace.to_owned(),
            client,
            jobs,
            seen,
        })
    }

    /// Makes the connection that its objects use.
    pub(crate) async fn connect(
        &self,
        simulator: &Simulator,
        max_closing: Option<u32>,
    ) -> anyhow::Result<()> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let secret = json!({"metadata": {"name": "elasticsearch"}, "stringData": {"api-key": simulator.api_key}});
        secrets.create(&PostParams::default(), &of(secret)?).await?;
        let limits = max_closing.map(|most| json!({"maxClosing": most}));
        let connection = json!({
            "apiVersion": "anomalyjob.dev/v1alpha1", "kind": "ElasticsearchConnection",
            "metadata": {"name": "default"},
            "spec": {
                "url": simulator.url, "allowPlaintext": true, "limits": limits,
                "auth": {"apiKeySecretRef": {"name": "elasticsearch", "key": "api-key"}},
            },
        });
        self.connections
            .create(&PostParams::default(), &of(connection)?)
            .await?;
        Ok(())
    }

    /// Waits until the connection is ready.
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

    /// Makes objects for these jobs; without a state they are only observed.
    pub(crate) async fn create(
        &self,
        prefix: &str,
        objects: Range<usize>,
        state: Option<&str>,
    ) -> anyhow::Result<()> {
        let params = PostParams::default();
        stream::iter(objects.map(anyhow::Ok))
            .try_for_each_concurrent(CREATORS, |index| {
                let params = &params;
                async move {
                    let mut spec = json!({"jobId": job(prefix, index)});
                    if let (Some(state), Some(spec)) = (state, spec.as_object_mut()) {
                        spec.insert("state".to_owned(), json!(state));
                    }
                    let manifest = json!({
                        "apiVersion": "anomalyjob.dev/v1alpha1", "kind": "AnomalyJob",
                        "metadata": {"name": name(prefix, index)}, "spec": spec,
                    });
                    self.jobs.create(params, &of(manifest)?).await?;
                    Ok(())
                }
            })
            .await
    }

    /// Makes objects for these jobs and waits until each was observed.
    pub(crate) async fn observe(
        &mut self,
        prefix: &str,
        objects: Range<usize>,
    ) -> anyhow::Result<()> {
        self.create(prefix, objects.clone(), None).await?;
        self.all(prefix, objects, |seen| seen.ready).await?;
        Ok(())
    }

    /// Waits until something was said of each of these.
    pub(crate) async fn written(
        &mut self,
        prefix: &str,
        objects: Range<usize>,
    ) -> anyhow::Result<()> {
        self.all(prefix, objects, |seen| seen.told).await?;
        Ok(())
    }

    /// Waits until each of these was seen so; gives the time when the last one was.
    pub(crate) async fn all(
        &mut self,
        prefix: &str,
        objects: Range<usize>,
        so: impl Fn(&Seen) -> bool,
    ) -> anyhow::Result<Instant> {
        let mut missing: BTreeSet<String> = objects.map(|index| name(prefix, index)).collect();
        let mut last = Instant::now();
        while !missing.is_empty() {
            let seen = self
                .next()
                .await
                .with_context(|| format!("{} objects are left", missing.len()))?;
            if so(&seen) && missing.remove(&seen.name) {
                last = seen.at;
            }
        }
        Ok(last)
    }

    /// What the watch sees next.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Seen> {
        let seen = tokio::time::timeout(LIMIT, self.seen.recv())
            .await
            .context("the watch saw nothing for a minute")?;
        seen.context("the watch has ended")
    }

    /// A user's edit: the job shall be closed.
    pub(crate) async fn patch(jobs: &Api<AnomalyJob>, name: &str) -> anyhow::Result<()> {
        let wanted = Patch::Merge(json!({"spec": {"state": "Closed"}}));
        jobs.patch(name, &PatchParams::default(), &wanted).await?;
        Ok(())
    }

    /// Closes one job: the times until the patch was answered, and until the watch saw it closed.
    pub(crate) async fn close_one(
        &mut self,
        prefix: &str,
        index: usize,
    ) -> anyhow::Result<(Duration, Duration)> {
        let name = name(prefix, index);
        let began = Instant::now();
        Self::patch(&self.jobs, &name).await?;
        let patched = began.elapsed();
        loop {
            let seen = self.next().await?;
            if seen.closed && seen.name == name {
                return Ok((patched, seen.at - began));
            }
        }
    }

    /// Closes these jobs at once: the time until the watch saw the last one closed.
    pub(crate) async fn close_at_once(
        &mut self,
        prefix: &str,
        objects: Range<usize>,
    ) -> anyhow::Result<Duration> {
        let began = Instant::now();
        for index in objects.clone() {
            let (jobs, name) = (self.jobs.clone(), name(prefix, index));
            tokio::spawn(async move {
                if let Err(error) = Self::patch(&jobs, &name).await {
                    eprintln!("a patch failed: {error:#}");
                }
            });
        }
        let last = self.all(prefix, objects, |seen| seen.closed).await?;
        Ok(last - began)
    }
}
