//! Elasticsearch simulator.
