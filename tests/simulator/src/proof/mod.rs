//! The proof that the simulator is right.
//!
//! Three witnesses: answers recorded from a real Elasticsearch (`replay`), the numbered conformance cases of the reference
//! page (`cases`), and Elasticsearch's own API description (`contract`), which sees every answer of profile 9 that a case
//! gets. All speak HTTP over TCP to a simulator in this process. Nothing here may call into the simulator beyond starting
//! it, and nothing may be shared with the operator's client.

mod cases;
mod contract;
mod replay;
mod rig;
mod wire;
