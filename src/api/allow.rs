//! What the owner of a connection lets others do through it.
//!
//! It is data with one question; what follows from the answer is decided in `reconciler`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::expression::JobPattern;
use super::id::JobId;

/// Which jobs may be touched through a connection, and whether by force. The default allows everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Allow {
    /// The jobs that may be observed, closed and opened through this connection: ids, or wildcards in which `*` is any run of
    /// characters; groups do not count. What an AnomalyJob means beyond them is neither called nor looked at, and nothing is told of
    /// it: it says NotAllowed, also where it only observes, and of what a wildcard or group matches only how many there are.
    /// An empty list: none. Default: `*`, every job. Examples: `team-a-*`, `low_request_rate`.
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "set"))]
    pub jobs: Vec<JobPattern>,

    /// When a job may be closed by force, which loses what it learned since its last model snapshot. Whatever an
    /// AnomalyJob asks for, it gets no more than this.
    /// - `Always` (default): whenever its policy says so.
    /// - `Failed`: only where the job has failed or its config is lost, so that Elasticsearch closes it in no other way.
    /// - `Never`: not at all.
    pub force: AllowForce,
}

/// When force may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AllowForce {
    /// As the policy of the AnomalyJob says.
    Always,
    /// For a job that is ended by nothing else.
    Failed,
    /// Not at all.
    Never,
}

impl Default for Allow {
    fn default() -> Self {
        Self {
            jobs: JobPattern::parse("*").into_iter().collect(),
            force: AllowForce::Always,
        }
    }
}

impl Allow {
    /// Whether this job may be touched.
    pub fn covers(&self, job: &JobId) -> bool {
        self.jobs.iter().any(|pattern| pattern.matches(job))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_allowed_unless_something_else_is_said() {
        let job = JobId::parse("a").unwrap();
        assert!(Allow::default().covers(&job));
        let said: Allow = serde_json::from_str(r#"{"force":"Never"}"#).unwrap();
        assert!(said.covers(&job));
        let none: Allow = serde_json::from_str(r#"{"jobs":[]}"#).unwrap();
        assert!(!none.covers(&job));
        let some: Allow = serde_json::from_str(r#"{"jobs":["b","team-*"]}"#).unwrap();
        assert!(!some.covers(&job) && some.covers(&JobId::parse("team-1").unwrap()));
    }
}
