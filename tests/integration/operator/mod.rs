//! The whole process: the real binary, the real API server, the rights that the chart gives, a simulated Elasticsearch.
//! What is asserted are facts of the world: the simulator's log and the objects, never the operator's own words alone.

mod bad_input;
mod claims;
mod close;
mod connections;
mod crash;
mod decisions;
mod deletion;
mod eck;
mod expressions;
mod forced;
mod health;
mod hostile;
mod kstatus;
mod lists;
mod many;
mod opened;
mod outage;
mod pace;
mod references;
mod replicas;
mod restart;
mod rights;
mod rotation;
mod undecodable;
mod wide;
