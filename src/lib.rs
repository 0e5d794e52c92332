//! The operator for Elasticsearch anomaly detection jobs: a person patches an `AnomalyJob`, its job closes, and the
//! status says what truly happened. This file is the map; it must hold no logic.
//!
//! | room | why it exists |
//! |---|---|
//! | [`api`] | the kinds: data, schema, conditions and reasons |
//! | [`arguments`] | what can be said on the command line or in the environment |
//! | [`lease`] | one of several replicas acts; a claim with an expiry is asked right before each mutating call |
//! | [`reconciler`] | the brain: pure decisions for all objects of one cluster; start at [`reconciler::target`] |
//! | [`elasticsearch`] | the client of the machine learning API; knows nothing of Kubernetes |
//! | [`controller`] | the shell: watches in, calls and status writes out |
//! | [`finalizer`] | the one patch that adds our finalizer or takes it away |
//! | [`release`] | `anomalyjob-operator release`: no object is held back by us any more |
//! | [`replica`] | one process's life: candidate, leader, candidate again |
//! | [`clock`] | the wall clock as an argument |
//! | [`kubernetes`] | the one client for the API server, and which of its calls are bounded where |
//! | [`telemetry`] | logs and metrics; every metric and label name stands there |
//! | [`admin`] | `/livez`, `/readyz`, `/metrics` |
//! | [`shutdown`] | the one way in which a part of the process is asked to stop |
//! | [`artifacts`] | files that are made from the types: CRDs, pages of reference |
//!
//! Arrows point one way: `main` uses all of them; `replica` uses the controller and the lease; `controller` uses the reconciler, the client, the claim, the metrics
//! and the readiness; `reconciler` and `elasticsearch` use only `api` and know nothing of each other.

pub mod admin;
pub mod api;
pub mod arguments;
pub mod artifacts;
pub mod clock;
pub mod controller;
pub mod elasticsearch;
pub mod finalizer;
pub mod kubernetes;
pub mod lease;
#[cfg(test)]
mod properties;
pub mod reconciler;
pub mod release;
pub mod replica;
pub mod shutdown;
pub mod telemetry;
