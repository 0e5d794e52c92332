//! What the operator says about itself: logs and metrics. It exists so that no other room formats a log line or names a
//! metric, and must depend on none of them.

mod labels;
mod logs;
mod metrics;
mod process;

pub use labels::{
    CloseOutcome, ElasticsearchApi, ElasticsearchOutcome, EventOutcome, EventType, StatusWrite,
};
pub use logs::{Error, Filter, Format, install};
pub use metrics::{CONTENT_TYPE, Metrics};
