//! The HTTP room: connections, routing, parameter strictness, errors, filters, authentication and the knobs. It calls the
//! cluster; the cluster never calls back.

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "dispatch sends no other endpoints here"
)]
mod accounts;
mod answer;
pub(crate) mod auth;
mod call;
pub(crate) mod connection;
pub(crate) mod core;
mod dates;
mod dispatch;
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "dispatch sends no other endpoints here"
)]
mod feeds;
mod filter;
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "dispatch sends no other endpoints here"
)]
mod indices;
mod inject;
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "dispatch sends no other endpoints here"
)]
mod job_data;
mod job_shapes;
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "dispatch sends no other endpoints here"
)]
mod jobs;
mod json;
mod json_kinds;
mod json_tokens;
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "dispatch sends no other endpoints here"
)]
mod keys;
mod knob_body;
mod knob_list;
mod knob_values;
mod knobs;
mod knobs_cluster;
mod knobs_jobs;
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "dispatch sends no other endpoints here"
)]
mod misc;
mod params;
mod reading;
mod request;
mod routes;
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "dispatch sends no other endpoints here"
)]
mod security;
mod suggest;
mod uri;
mod wire;
