//! Elasticsearch simulator.
fn main() {}
