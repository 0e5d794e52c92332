//! The cluster: a synchronous state machine with time passed in (reference section 10). Requests come in as method
//! calls, answers that take time come out through `take_finished`. It must know nothing of HTTP, sockets or threads.

mod bulk;
mod capacity;
mod close;
mod close_node;
mod config;
mod config_checks;
mod config_shape;
mod config_update;
mod core;
mod data;
mod datafeed;
mod datafeed_config;
mod delete;
pub mod error;
pub mod expression;
mod faults;
mod master;
pub mod model;
mod nodes;
mod open;
mod own_closings;
mod restart;
mod results;
mod settings;
mod snapshots;
mod stats;
mod tasks;
#[cfg(test)]
mod tests;
pub mod time_value;
mod views;

pub use self::{
    bulk::{Bulk, Feeds},
    close::CloseRequest,
    config_shape::megabytes,
    core::{Cluster, Outcome, Reply},
    datafeed::{StartRequest, StopRequest},
    delete::DeleteRequest,
    error::ApiError,
    expression::Expression,
    open::OpenRequest,
    restart::RestartTimes,
    snapshots::SnapshotQuery,
    stats::Wanted,
    time_value::TimeValue,
};
