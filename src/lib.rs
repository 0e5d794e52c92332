//! The operator for Elasticsearch anomaly detection jobs.

pub mod api;
pub mod artifacts;
pub mod elasticsearch;
