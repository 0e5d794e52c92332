//! The numbered conformance cases of the reference page, section 11, and what of section 17 can be simulated.
//!
//! A case is a test that carries its number. Each answer of profile 9 that a case gets is also held against the API
//! description (`contract`), without the case having to ask.
//!
//! All 59 are here. Of section 17, findings 4, 9, 10, 12 to 16 and 18 are replayed from the recording too.

mod assignment;
mod closing;
mod closings;
mod configuring;
mod cost;
mod datafeeds;
mod faults;
mod opening;
mod resolving;
mod security;
mod seen;
mod snapshots;
mod state;
mod trouble;
mod versions;
mod world;

use super::wire::Request;

/// A close of an expression, to be sent from another thread.
fn request(method: &str, expression: &str) -> Request {
    request_with(method, expression, "")
}

/// Any request, to be sent from another thread.
fn request_to(method: &str, target: &str) -> Request {
    Request::new(method, target)
}

fn request_with(method: &str, expression: &str, rest: &str) -> Request {
    Request::new(
        method,
        &format!("{}/{expression}/_close{rest}", world::JOBS),
    )
}
