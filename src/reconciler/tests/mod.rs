//! The brain in virtual time: a small world of one Elasticsearch and one API server around the shipped `Reconciler`.

#![allow(
    clippy::too_many_lines,
    clippy::large_enum_variant,
    clippy::similar_names,
    clippy::unchecked_time_subtraction,
    clippy::struct_excessive_bools,
    clippy::wildcard_imports,
    clippy::needless_pass_by_value,
    reason = "a walk and its checks read best in one piece"
)]

mod agreement;
mod batching;
mod believed;
mod chaos;
mod claiming;
mod coming;
mod costs_of_force;
mod counting;
mod datafeeds;
mod deleting;
mod drifting;
mod evidence;
mod explained;
mod fake_job;
mod flipping;
mod found;
mod ghost;
mod groups;
mod health;
mod isolating;
mod kstatus;
mod levers;
mod life;
mod meant;
mod mixed;
mod model;
mod moving;
mod opening;
mod origin;
mod pacing;
mod processes;
mod reading;
mod recorded;
mod refused;
mod resting;
mod restored;
mod rows;
mod rules;
mod scenarios;
mod telling;
mod untold;
mod worded;
mod world;

pub(super) use kstatus::{are_well_formed, is, kstatus};
pub(super) use world::{desired, job, key, moment, policy, usable};
