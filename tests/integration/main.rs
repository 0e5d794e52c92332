//! Everything that is tested from outside, as one binary: linked once, and one control plane for all.

mod artifacts;
mod elasticsearch_client;
