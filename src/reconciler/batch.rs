//! How many ids leave together, and how many calls are on their way at once. Pure counting.
//!
//! It must not know which jobs are healthy or whose turn it is.

use std::time::Duration;

use super::pace;
use crate::api::JobId;

/// Ids that fit into one request line.
#[derive(Debug)]
pub struct Batch {
    ids: Vec<JobId>,
    bytes: usize,
    room: usize,
    most: usize,
}

impl Batch {
    /// An empty one for lines with so many bytes of joined ids, and for no more ids than `most`.
    pub fn new(room: usize, most: usize) -> Self {
        Self {
            ids: Vec::new(),
            bytes: 0,
            room,
            most,
        }
    }

    /// Whether one more id fits. The first always does: an id that is too long alone is refused, not lost.
    pub fn fits(&self, id: &JobId) -> bool {
        self.ids.len() < self.most && (self.ids.is_empty() || self.bytes + cost(id) <= self.room + 1)
    }

    /// Takes an id in.
    pub fn push(&mut self, id: JobId) {
        self.bytes += cost(&id);
        self.ids.push(id);
    }

    /// Nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// Bytes that an id takes in a list, its comma included.
pub fn cost(id: &JobId) -> usize {
    id.as_str().len() + 1
}

/// How many calls may be on their way: one more after each that went well, half as many after a refusal for load.
#[derive(Debug)]
pub struct Window {
    size: usize,
    refusals: u32,
    closed_until: Duration,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            size: pace::MAX_IN_FLIGHT,
            refusals: 0,
            closed_until: Duration::ZERO,
        }
    }
}

impl Window {
    /// How many calls may be on their way now.
    pub fn size(&self, now: Duration) -> usize {
        if now < self.closed_until { 0 } else { self.size }
    }

    /// When calls may go again.
    pub fn opens_at(&self) -> Duration {
        self.closed_until
    }

    /// Calls are held back for load.
    pub fn is_shut(&self, now: Duration) -> bool {
        now < self.closed_until
    }

    /// A call was answered by an Elasticsearch that is not overloaded.
    pub fn went_well(&mut self) {
        self.refusals = 0;
        self.size = (self.size + 1).min(pace::MAX_IN_FLIGHT);
    }

    /// A call was refused for load; `asked` is how long Elasticsearch wants to be left alone.
    pub fn overloaded(&mut self, asked: Option<Duration>, now: Duration) {
        // Several that were on their way together are one refusal.
        if self.is_shut(now) {
            return;
        }
        self.refusals = self.refusals.saturating_add(1);
        self.size = (self.size / 2).max(1);
        self.closed_until = now + pace::retry_delay(self.refusals, 1).max(asked.unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_fills_the_line_to_the_last_byte_and_no_further() {
        let id = |text: &str| JobId::parse(text).unwrap();
        let mut batch = Batch::new(8, 10);
        for text in ["aa", "bb", "cc"] {
            assert!(batch.fits(&id(text)));
            batch.push(id(text));
        }
        // "aa,bb,cc" has eight bytes.
        assert!(!batch.fits(&id("d")));
        let mut few = Batch::new(100, 1);
        few.push(id("a"));
        assert!(!few.fits(&id("b")));
        assert!(Batch::new(3, 1).fits(&id("much-longer")));
    }

    #[test]
    fn the_window_halves_under_load_waits_as_it_is_asked_to_and_grows_again() {
        let mut window = Window::default();
        let second = Duration::from_secs(1);
        assert_eq!(window.size(Duration::ZERO), 8);
        window.overloaded(Some(second * 7), second);
        window.overloaded(None, second);
        assert_eq!((window.size(second * 2), window.size(second * 8)), (0, 4));
        for _ in 0..9 {
            window.overloaded(None, window.opens_at());
        }
        assert_eq!(window.size(window.opens_at()), 1);
        for _ in 0..20 {
            window.went_well();
        }
        assert_eq!(window.size(window.opens_at()), 8);
    }
}
