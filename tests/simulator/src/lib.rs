//! Elasticsearch's anomaly detection API as a state machine behind real HTTP, for tests and demos.
//!
//! Two rooms: `cluster` is the state machine (synchronous, time passed in), `http` is the server. The arrow goes from `http` to
//! `cluster` only. It shares no code with the operator's client, so that each can prove the other wrong.

pub mod cluster;
mod http;
mod memory;
pub mod profile;
#[cfg(test)]
mod proof;
mod server;
#[cfg(test)]
mod server_tests;

pub use http::auth::{ApiKey, User};
pub use memory::Memory;
pub use profile::Profile;
pub use server::{Error, Options, Simulator};
