//! The HTTP room: connections, routing, parameter strictness, errors, filters, authentication and the knobs. It calls the
//! cluster; the cluster never calls back.

mod answer;
pub(crate) mod auth;
mod call;
pub(crate) mod connection;
pub(crate) mod core;
mod dates;
mod dispatch;
mod feeds;
mod filter;
mod inject;
mod jobs;
mod json;
mod knobs;
mod misc;
mod params;
mod request;
mod routes;
mod security;
mod suggest;
mod uri;
