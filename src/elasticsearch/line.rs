//! How long a request line may be on the way to this server.
//!
//! Elasticsearch takes 4095 bytes unless it is told otherwise, and a proxy before it may take less and say so in its
//! own words. What was refused is remembered for the life of the client and never tried again: a line that is
//! shorter than it had to be costs a few requests, one that is too long costs a refusal each time.

use std::sync::atomic::{AtomicUsize, Ordering};

/// No proxy of any use takes less, so what is refused below this is not refused for its length.
pub(super) const SHORTEST: usize = 512;

/// The longest line, in bytes without the line break. Shared by the clones of a client.
#[derive(Debug)]
pub(super) struct Line(AtomicUsize);

impl Line {
    pub(super) fn new(longest: usize) -> Self {
        Self(AtomicUsize::new(longest))
    }

    /// The longest line as far as is known.
    pub(super) fn longest(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    /// A line of this length was refused: half of it is tried next. Several that were under way together teach the
    /// same, not one after the other. Says whether a shorter one is worth a try.
    pub(super) fn was_refused(&self, length: usize) -> bool {
        if length <= SHORTEST {
            return false;
        }
        let next = (length / 2).max(SHORTEST);
        let before = self.0.fetch_min(next, Ordering::AcqRel);
        if next < before {
            tracing::info!(refused = length, next, "shorter request lines from now on");
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_halves_the_line_and_the_floor_ends_it() {
        let line = Line::new(4095);
        let mut steps = Vec::new();
        while line.was_refused(line.longest()) {
            steps.push(line.longest());
        }
        assert_eq!(steps, [2047, 1023, 512]);
    }

    #[test]
    fn lines_that_were_under_way_together_teach_once() {
        let line = Line::new(4095);
        for length in [4095, 4000, 4095] {
            assert!(line.was_refused(length));
        }
        assert_eq!(line.longest(), 2000);
    }

    #[test]
    fn a_short_line_teaches_nothing() {
        let line = Line::new(4095);
        assert!(!line.was_refused(512));
        assert_eq!(line.longest(), 4095);
    }
}
