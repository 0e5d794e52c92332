//! How many ids leave together, and how many calls are on their way at once. Pure counting.
//!
//! It must not know which jobs are healthy or whose turn it is.

use std::time::Duration;

use super::pace;
use crate::api::JobId;

/// Ids that fit into one request line.
#[derive(Debug, Clone)]
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
        self.ids.len() < self.most
            && (self.ids.is_empty() || self.bytes + cost(id) <= self.room + 1)
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
#[derive(Debug, Clone)]
pub struct Window {
    size: usize,
    most: usize,
    refusals: u32,
    shut_until: Option<Duration>,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            size: pace::MAX_IN_FLIGHT,
            most: pace::MAX_IN_FLIGHT,
            refusals: 0,
            shut_until: None,
        }
    }
}

impl Window {
    /// How many calls may be on their way.
    pub fn size(&self) -> usize {
        if self.shut_until.is_some() {
            0
        } else {
            self.size
        }
    }

    /// No more than so many from now on; an ample one is filled again at once, unless load had narrowed it.
    pub fn limit(&mut self, most: usize) {
        let most = most.max(1);
        self.size = if self.size == self.most {
            most
        } else {
            self.size.min(most)
        };
        self.most = most;
    }

    /// When calls may go again, while they are held back for load.
    pub fn opens_at(&self) -> Option<Duration> {
        self.shut_until
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Duration) {
        self.shut_until = self.shut_until.filter(|until| now < *until);
    }

    /// A call was answered by an Elasticsearch that is not overloaded.
    pub fn went_well(&mut self) {
        self.refusals = 0;
        self.size = (self.size + 1).min(self.most);
    }

    /// A call was refused for load; `asked` is how long Elasticsearch wants to be left alone. Returns whether that is news:
    /// several that were on their way together are one refusal.
    pub fn overloaded(&mut self, asked: Option<Duration>, now: Duration) -> bool {
        if self.shut_until.is_some_and(|until| now < until) {
            return false;
        }
        self.refusals = self.refusals.saturating_add(1);
        self.size = (self.size / 2).max(1);
        let pause = pace::retry_delay(self.refusals, 1).max(asked.unwrap_or_default());
        self.shut_until = Some(now + pause);
        true
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
        let at = |window: &mut Window, now| {
            window.tick(now);
            window.size()
        };
        assert_eq!(at(&mut window, Duration::ZERO), 8);
        assert!(window.overloaded(Some(second * 7), second));
        assert!(!window.overloaded(None, second * 2));
        assert_eq!(at(&mut window, second * 2), 0);
        assert_eq!(at(&mut window, second * 8), 4);
        for n in 1..9 {
            window.overloaded(None, second * 100 * n);
        }
        assert_eq!(at(&mut window, second * 1000), 1);
        for _ in 0..20 {
            window.went_well();
        }
        assert_eq!(at(&mut window, second * 1000), 8);
    }

    #[test]
    fn what_is_refused_while_calls_are_held_back_is_no_news() {
        let mut window = Window::default();
        let second = Duration::from_secs(1);
        assert!(window.overloaded(Some(second * 7), second));
        assert!(!window.overloaded(None, second * 7));
        assert!(window.overloaded(None, second * 8));
        window.tick(second * 100);
        assert_eq!(window.size(), 2);
    }

    #[test]
    fn the_window_is_as_wide_as_the_connection_allows_and_load_narrows_it_further() {
        let mut window = Window::default();
        window.limit(20);
        assert_eq!(window.size(), 20);
        window.overloaded(None, Duration::ZERO);
        window.tick(Duration::from_secs(60));
        window.limit(12);
        assert_eq!(window.size(), 10);
        for _ in 0..20 {
            window.went_well();
        }
        assert_eq!(window.size(), 12);
        window.limit(0);
        assert_eq!(window.size(), 1);
    }
}
