//! The client for the machine learning API of Elasticsearch.
//!
//! It exists so that the rest of the operator speaks of jobs and datafeeds, and never of URLs, status codes
//! or error texts. It knows nothing of Kubernetes, keeps no state but what it learned about the product,
//! repeats no request, and decides nothing: an answer is a value, a refusal is one variant of [`Error`].
//!
//! The code map, in the order of a call:
//!
//! - [`endpoint`]: where and with what to connect, checked before anything is sent
//! - [`credentials`], [`tls`]: the two parts of it that are secret or trusted
//! - [`ids`]: lists of ids that cannot be empty
//! - [`client`]: the calls
//! - `request`: path, query and length of a request line; the only place that builds a URL
//! - `reads`: lists in as many requests as they need; `parts`: what a cut list left out; `line`: how long a request may be
//! - [`reach`]: from a host to addresses; [`fence`]: which of them are never connected to; `rate`: how many requests a second
//! - `transport`: one request, one bounded answer, within one time limit
//! - [`privileges`]: the actions that are used, by the names of roles
//! - `product`: is this Elasticsearch at all?
//! - [`answers`]: what a good answer says; `wire`, `wire_lists`, `wire_tasks`: how it is written
//! - [`error`], `classify`, `classify_start`: what a refusal means
//!
//! Sections named in this room ("reference 3.7") are those of the project's Elasticsearch reference.

pub mod answers;
mod classify;
mod classify_start;
pub mod client;
pub mod credentials;
pub mod endpoint;
pub mod error;
pub mod fence;
pub mod ids;
mod line;
mod parts;
pub mod privileges;
mod product;
mod rate;
pub mod reach;
mod reads;
mod request;
pub mod tls;
mod transport;
mod wire;
mod wire_lists;
mod wire_tasks;

pub use answers::{
    Blocked, DatafeedConfig, DatafeedStats, DatafeedTask, Flavor, Identity, JobConfig, JobStats,
    JobTask, MlInfo, Snapshot, Tasks, Version, View,
};
pub use client::{Client, Limits};
pub use credentials::Credentials;
pub use endpoint::{Endpoint, SetupError};
pub use error::{Error, Scope};
pub use fence::{Fence, Opening};
pub use ids::Ids;
pub use product::Product;
pub use reach::{Names, Network};
pub use tls::TlsProblem;
pub use transport::{Carrier, CarrierError};
