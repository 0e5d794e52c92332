//! The shipped shell in virtual time: the processes as they ship, against an API server and an Elasticsearch in memory, with
//! the crashes and faults that no wall clock has time for. What needs a real process or a real socket is not here.

mod api;
mod awaits;
mod between;
mod crash;
mod digest;
mod elastic;
mod faults;
mod hostile;
mod judge;
mod leftovers;
mod life;
mod live;
mod parity;
mod scenes;
mod sentinel;
mod world;
