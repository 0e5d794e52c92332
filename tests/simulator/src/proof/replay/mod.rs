//! Answers recorded from a real Elasticsearch 7.10, replayed against profile 7.10.
//!
//! The files are in `tests/contract/recorded`, whose README says how they are to be read. Every conversation
//! is replayed, every step as it stands: also those that change the index `.ml-config` (`config-index-surgery`), which the
//! simulator understands. It must not use any other source of truth and must not know how the simulator works.

mod compare;
mod conversation;
mod expressions;
mod names;
mod races;
mod recorded;
mod text;

pub(crate) use self::names::base64;
