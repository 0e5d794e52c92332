//! The operator for Elasticsearch anomaly detection jobs: a person patches an `AnomalyJob`, its job closes, and the
//! status says what truly happened. This file is the map; it must hold no logic.
//!
//! | room | why it exists |
//! |---|---|
//! | [`api`] | the kinds: data, schema, conditions and reasons |
//! | [`arguments`] | what can be said on the command line or in the environment |
//! | [`lease`] | one of several replicas acts; a claim with an expiry is asked right before each mutating call |
//! | [`controller`] | the shell: watches in, calls and status writes out |
//! | [`kubernetes`] | the one client for the API server, and which of its calls are bounded where |
//! | [`telemetry`] | logs and metrics; every metric and label name stands there |
//! | [`admin`] | `/livez`, `/readyz`, `/metrics` |
//! | [`shutdown`] | the one way in which a part of the process is asked to stop |
//! | [`artifacts`] | files that are made from the types: CRDs, pages of reference |
//!
//! Arrows point one way: `main` uses all of them, `controller` uses the claim, the metrics and the readiness, and
//! `lease`, `telemetry`, `admin` and `arguments` use nothing of the controller.

pub mod admin;
pub mod api;
pub mod arguments;
pub mod artifacts;
pub mod controller;
pub mod kubernetes;
pub mod lease;
pub mod shutdown;
pub mod telemetry;
