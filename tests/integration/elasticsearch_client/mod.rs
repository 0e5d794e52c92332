//! The client against servers: the simulator for what Elasticsearch does, small raw ones for what nobody
//! should do. Nothing here depends on how long something takes; what must not last is given a limit.

mod access;
mod calls;
mod cluster;
mod fence;
mod hostile;
mod least;
mod lists;
mod opening;
mod product;
mod refusals;
pub(crate) mod server;
mod tasks;
mod tls;
