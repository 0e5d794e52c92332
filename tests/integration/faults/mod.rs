//! Faults of real processes.
