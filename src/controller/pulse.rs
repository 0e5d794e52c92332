//! Whether a cluster has answered lately, so that nobody asks it only to find that out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Shared by a cluster's task, whose reads are answered, and its link, which would have to probe otherwise.
#[derive(Clone)]
pub(super) struct Pulse {
    begun: Instant,
    /// Seconds since then of the last answer, plus one; 0: none yet.
    last: Arc<AtomicU64>,
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            last: Arc::new(AtomicU64::new(0)),
        }
    }

    /// The cluster has answered.
    pub(super) fn beat(&self) {
        self.last
            .store(self.begun.elapsed().as_secs() + 1, Ordering::Relaxed);
    }

    /// It has answered within this time.
    pub(super) fn within(&self, span: Duration) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        last > 0 && self.begun.elapsed().as_secs().saturating_sub(last - 1) <= span.as_secs()
    }
}
