//! Long campaigns with real processes: the real binary, the real API server and etcd, the simulator. `make test-long` runs
//! them at full size and prints their figures; in `make test` they are smaller, and otherwise the same.
//!
//! Judged by the simulator's record of what was called and what became of each job (`support/campaign.rs`), never by the
//! operator's status alone: statuses are held against that record.

mod descriptors;
mod killed;
mod planes;
pub(crate) mod storm;

/// A size that is one in `make test`, and another in `make test-long`.
fn sized<T>(usual: T, long: T) -> T {
    if std::env::var_os("LONG").is_some() {
        long
    } else {
        usual
    }
}

/// One line of what `make test-long` sums up.
fn figure(of: &str, line: &dyn std::fmt::Display) {
    println!("figure: {of}: {line}");
}
