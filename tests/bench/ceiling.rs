//! What the machine can do at most: statuses as the operator writes them, by eight writers that do nothing else.
//!
//! Measured right before each catch-up and right after it, on the same API server and with a watch of the same kind: its cost
//! of a write moves with its age and size, and what the machine can do moves by a third within minutes.

use std::time::Instant;

use anomalyjob_operator::api::AnomalyJob;
use anyhow::Context as _;
use futures::{TryStreamExt as _, stream};
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use kube::core::{PartialObjectMeta, Request};
use kube::{Resource as _, ResourceExt as _};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::world::World;

/// As many as the operator has.
const WRITERS: usize = 8;
/// So many that it takes some seconds.
const OBJECTS: usize = 3000;
const PREFIX: &str = "bench_ceiling__";

/// Writes a second, and the size of one body.
pub(crate) struct Ceiling {
    pub(crate) rate: f64,
    pub(crate) bytes: usize,
}

/// Measures with a copy of this status in a namespace of its own, and removes the objects again.
#[allow(clippy::cast_precision_loss)]
pub(crate) async fn measure(namespace: &str, status: &Value) -> anyhow::Result<Ceiling> {
    let mut world = World::new(namespace).await?;
    world.create(PREFIX, 0..OBJECTS, Some("Closed")).await?;
    let metas: Api<PartialObjectMeta<AnomalyJob>> =
        Api::namespaced(world.client.clone(), namespace);
    let objects = metas.list(&ListParams::default()).await?.items;
    let first = objects.first().context("no objects")?;
    let bytes = body(first, status).to_string().len();
    let began = Instant::now();
    stream::iter(objects.iter().map(anyhow::Ok))
        .try_for_each_concurrent(WRITERS, |object| put(&world, object, status))
        .await?;
    let last = world.all(PREFIX, 0..OBJECTS, |seen| seen.closed).await?;
    let rate = OBJECTS as f64 / (last - began).as_secs_f64();
    remove(&world).await?;
    Ok(Ceiling { rate, bytes })
}

#[derive(Deserialize)]
struct Stored {
    #[serde(rename = "metadata")]
    _metadata: StoredMeta,
}

#[derive(Deserialize)]
struct StoredMeta {
    #[serde(rename = "resourceVersion")]
    _resource_version: String,
}

fn body(object: &PartialObjectMeta<AnomalyJob>, status: &Value) -> Value {
    json!({
        "apiVersion": AnomalyJob::api_version(&()),
        "kind": AnomalyJob::kind(&()),
        "metadata": {
            "namespace": object.namespace(),
            "name": object.name_any(),
            "uid": object.uid(),
            "resourceVersion": object.resource_version(),
        },
        "status": status,
    })
}

async fn put(
    world: &World,
    object: &PartialObjectMeta<AnomalyJob>,
    status: &Value,
) -> anyhow::Result<()> {
    let bytes = serde_json::to_vec(&body(object, status))?;
    let params = PostParams {
        field_manager: Some("bench".to_owned()),
        ..PostParams::default()
    };
    let request = Request::new(AnomalyJob::url_path(&(), Some(&world.namespace)))
        .replace_subresource("status", &object.name_any(), &params, bytes)?;
    // No more is looked at than the operator does.
    let _: Stored = world.client.request(request).await?;
    Ok(())
}

async fn remove(world: &World) -> anyhow::Result<()> {
    let (at_once, all) = (DeleteParams::default(), ListParams::default());
    drop(world.jobs.delete_collection(&at_once, &all).await?);
    Ok(())
}
