//! The indices of results, as far as `_stats` tells of them: deleted, their counts are zero; closed, it fails (case 52).
//! It must not hold results.

use serde_json::{Value, json};

use super::{
    config::missing_index,
    core::Cluster,
    error::ApiError,
    expression::plain,
    model::{Counts, Job},
};

/// The index a job writes its results to.
fn index_of(job: &Job) -> String {
    let name = job.fields.get("results_index_name").and_then(Value::as_str);
    format!(".ml-anomalies-{}", name.unwrap_or("shared"))
}

impl Cluster {
    /// The indices of results that fit a name or wildcard.
    fn result_indices(&self, token: &str) -> Vec<String> {
        let mut found: Vec<String> = self
            .jobs
            .values()
            .map(index_of)
            .filter(|index| plain(token, index))
            .collect();
        found.sort();
        found.dedup();
        found
    }

    /// Deletes indices of results with all stored counts and snapshots in them. False if none fits.
    pub(super) fn delete_results(&mut self, token: &str) -> bool {
        let indices = self.result_indices(token);
        for job in self.jobs.values_mut() {
            if indices.contains(&index_of(job)) {
                job.snapshots.clear();
                // A live process tells its own counts.
                if !self.tasks.get(&job.id).is_some_and(|task| task.live) {
                    job.counts = Counts::default();
                }
            }
        }
        self.closed_indices.retain(|index| !indices.contains(index));
        !indices.is_empty()
    }

    /// `POST /{index}/_close` and `_open`.
    ///
    /// # Errors
    /// 404 for an unknown literal.
    pub fn close_index(&mut self, expression: &str, close: bool) -> Result<Value, ApiError> {
        for token in expression.split(',') {
            let mut found = self.result_indices(token);
            found.extend(
                self.indices
                    .iter()
                    .filter(|index| plain(token, index))
                    .cloned(),
            );
            if found.is_empty() && !token.contains('*') {
                return Err(missing_index(token));
            }
            for index in found {
                if close {
                    self.closed_indices.insert(index);
                } else {
                    self.closed_indices.remove(&index);
                }
            }
        }
        Ok(json!({"acknowledged": true, "shards_acknowledged": true}))
    }

    /// Whether the stored counts of these jobs can be read.
    ///
    /// # Errors
    /// 403 for a closed index.
    pub(super) fn results_readable(&self, ids: &[String]) -> Result<(), ApiError> {
        if self.closed_indices.is_empty() {
            return Ok(());
        }
        let indices = ids.iter().filter_map(|id| self.jobs.get(id)).map(index_of);
        match indices
            .into_iter()
            .find(|index| self.closed_indices.contains(index))
        {
            None => Ok(()),
            Some(index) => Err(ApiError::new(
                403,
                "cluster_block_exception",
                format!("index [{index}] blocked by: [FORBIDDEN/4/index closed];"),
            )),
        }
    }
}
