//! The whole process: the real binary, the real API server, the rights that the chart gives, a simulated Elasticsearch.
//! What is asserted are facts of the world: the simulator's log and the objects, never the operator's own words alone.

mod bad_input;
mod close;
mod crash;
mod decisions;
mod kstatus;
mod many;
mod outage;
mod replicas;
mod rights;
mod undecodable;
