//! Everything that is tested from outside, as one binary: linked once, and one control plane for all.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on stops here"
)]

mod arguments;
mod artifacts;
mod boundaries;
mod controlplane;
mod elasticsearch_client;
mod examples;
mod faults;
mod lease;
mod long;
mod mutants;
mod operator;
mod pages;
mod process;
mod release;
mod schema;
mod support;
mod virtual_time;
