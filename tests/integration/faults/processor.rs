//! The processor is taken away most of the time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{campaign, in_the_middle, passed};
use crate::support::chance::{Chance, each_seed};
use crate::support::controlplane;
use crate::support::room::Room;

/// Of each tenth of a second five milliseconds are the process's, as under a quota of the kernel's scheduler. Made by
/// signals, because a quota needs a control group, which not everybody may make.
const OF: Duration = Duration::from_millis(100);
const HAS: Duration = Duration::from_millis(5);

#[test]
fn fault_58_with_a_twentieth_of_a_processor_all_comes_to_the_same_end() {
    each_seed(5, |seed| {
        let room = Room::new(controlplane::shared());
        let mut campaign = campaign(&room, seed);
        let mut operator = room.operator();
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    operator.signal("STOP");
                    std::thread::sleep(OF.saturating_sub(HAS));
                    operator.signal("CONT");
                    std::thread::sleep(HAS);
                }
            });
            // Set whatever comes, or the thread would hold up the end of a test that failed.
            let end = End(&ended);
            in_the_middle(&mut campaign, &mut Chance::new(seed));
            passed(&campaign, 58);
            drop(end);
        });
        assert!(operator.is_running(), "the same process");
    });
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
