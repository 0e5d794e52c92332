//! Elasticsearch simulator.

#[cfg(test)]
mod proof;
