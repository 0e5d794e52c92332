//! What a user may say about the way there: how jobs are closed and opened, what is done about drift, and at the end.
//!
//! Words and defaults only; what follows from them is decided in `reconciler::target`. The values of an enum are explained at
//! the field that holds it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::time_span::TimeSpan;

/// The state that jobs shall have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WantedState {
    /// No task in Elasticsearch; the job takes no data.
    Closed,
    /// The job takes data.
    Opened,
}

/// How a job is closed. The default is the whole policy: graceful, and force as the last resort.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClosePolicy {
    /// How the close begins.
    /// - `Graceful` (default): ask, and let the job finish and save what it learned.
    /// - `Immediate`: force at once, for jobs whose results nobody wants. `timeout` and `onTimeout` then
    ///   have no effect.
    pub mode: CloseMode,

    /// How long Elasticsearch may work on a graceful close that it has answered. Only time in which
    /// the job was seen closing counts, or seen not to close: an outage never brings a force nearer.
    ///
    /// One whole number from 1 and one unit of `s`, `m`, `h`, `d`. Default: `30m`, as in Elasticsearch.
    /// Examples: `90s`, `30m`, `2h`, `1d`.
    #[schemars(extend("x-kubernetes-validations" = super::schema::time_span_rules()))]
    pub timeout: TimeSpan,

    /// What happens when `timeout` is used up and the job still is not closed.
    /// - `Force` (default): close it by force; what it learned since its last model snapshot is lost.
    /// - `Wait`: go on waiting, for as long as it takes.
    /// - `Stall`: call nothing more and say so (condition Stalled), until a human decides.
    pub on_timeout: OnTimeout,

    /// What happens when the job is `failed`: Elasticsearch then refuses every close but a forced one.
    /// - `Force` (default): close it by force.
    /// - `Stall`: call nothing and say so (condition Stalled), so that the failure can be looked into.
    pub on_failed: OnFailed,
}

impl Default for ClosePolicy {
    fn default() -> Self {
        Self {
            mode: CloseMode::Graceful,
            timeout: TimeSpan::minutes(30),
            on_timeout: OnTimeout::Force,
            on_failed: OnFailed::Force,
        }
    }
}

/// How a close begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CloseMode {
    /// Ask, and wait.
    Graceful,
    /// Force at once.
    Immediate,
}

/// What happens when `timeout` is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnTimeout {
    /// Close by force.
    Force,
    /// Go on waiting.
    Wait,
    /// Call nothing more and say so.
    Stall,
}

/// What happens to a failed job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnFailed {
    /// Close by force.
    Force,
    /// Call nothing and say so.
    Stall,
}

/// How a job is opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OpenPolicy {
    /// How long Elasticsearch may take to open a job before the condition Stalled says OpenTimedOut. Only time in
    /// which the job was seen opening counts. Nothing is broken off: a job that opens later is open.
    ///
    /// One whole number from 1 and one unit of `s`, `m`, `h`, `d`. Default: `30m`, as in Elasticsearch.
    /// Examples: `90s`, `30m`, `2h`, `1d`.
    #[schemars(extend("x-kubernetes-validations" = super::schema::time_span_rules()))]
    pub timeout: TimeSpan,

    /// What becomes of the datafeed of a job that was opened.
    /// - `Resume` (default): it is started if it ran when the operator closed the job, and goes on behind the last
    ///   record. A datafeed that was started with an end, or of which that cannot be seen, stays stopped; an event says so. So does one that
    ///   stopped when somebody else closed the job.
    /// - `Start`: it is started, whether it ran before or not.
    /// - `Leave`: it is left as it is.
    ///
    /// A datafeed that somebody stops later, while the job is open, is left stopped; with `Start` until `spec` is edited.
    pub datafeed: OpenDatafeed,
}

impl Default for OpenPolicy {
    fn default() -> Self {
        Self {
            timeout: TimeSpan::minutes(30),
            datafeed: OpenDatafeed::Resume,
        }
    }
}

/// What becomes of the datafeed of an opened job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OpenDatafeed {
    /// Start it if it ran when we closed the job.
    #[default]
    Resume,
    /// Start it.
    Start,
    /// Leave it as it is.
    Leave,
}

/// What happens when somebody else changes the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DriftPolicy {
    /// Put it back.
    #[default]
    Correct,
    /// Only say so.
    Report,
}

/// What becomes of the jobs when the object is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Leave Elasticsearch alone.
    #[default]
    Retain,
    /// Close them first.
    Close,
}
