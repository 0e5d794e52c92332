//! The brain in virtual time: a small world of one Elasticsearch and one API server around the shipped `Reconciler`.

mod chaos;
mod found;
mod ghost;
mod rows;
mod rules;
mod world;
