//! What a run came to, as far as two runs are compared. It judges nothing.

use std::collections::BTreeMap;

use serde_json::Value;

use super::judge::{list, text};
use super::world::World;

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Digest {
    /// States of jobs and datafeeds.
    pub(crate) states: BTreeMap<String, String>,
    /// Conditions of objects.
    pub(crate) objects: BTreeMap<String, Vec<String>>,
    /// Forces that reached Elasticsearch.
    pub(crate) forces: usize,
}

impl Digest {
    pub(crate) async fn new(world: &World, forces: usize) -> Self {
        let mut states = BTreeMap::new();
        for elastic in world.clusters.iter() {
            let ask = async |path| elastic.call("GET", path, &Value::Null).await;
            let jobs = ask("/_ml/anomaly_detectors/_stats").await;
            for job in list(&jobs["jobs"]) {
                states.insert(text(&job["job_id"]), text(&job["state"]));
            }
            let feeds = ask("/_ml/datafeeds/_stats").await;
            for feed in list(&feeds["datafeeds"]) {
                states.insert(text(&feed["datafeed_id"]), text(&feed["state"]));
            }
        }
        let mut objects = BTreeMap::new();
        for key in world.api.store().keys("anomalyjobs") {
            objects.insert(key.2, Vec::new());
        }
        for (name, conditions) in &mut objects {
            let object = world.get("anomalyjobs", name);
            let line = |one: &Value| {
                format!(
                    "{}={}/{}",
                    text(&one["type"]),
                    text(&one["status"]),
                    text(&one["reason"])
                )
            };
            conditions.extend(list(&object["status"]["conditions"]).map(line));
            conditions.sort();
        }
        Self {
            states,
            objects,
            forces,
        }
    }
}
