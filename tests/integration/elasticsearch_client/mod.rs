//! The client against servers: the simulator for what Elasticsearch does, small raw ones for what nobody
//! should do. Nothing here depends on how long something takes; what must not last is given a limit.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod access;
mod calls;
mod cluster;
mod hostile;
mod product;
mod refusals;
mod server;
mod tls;
