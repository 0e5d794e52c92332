//! The wall clock of the machine jumps.

use std::time::Duration;

use super::{campaign, in_the_middle, passed};
use crate::support::chance::{Chance, each_seed};
use crate::support::clock::Clock;
use crate::support::operator::Ways;
use crate::support::room::Room;
use crate::support::{LIMIT, controlplane, until_true};

const DAY: i64 = 24 * 60 * 60;

#[test]
fn fault_59_a_wall_clock_that_jumps_by_a_day_and_back_forces_nothing_early() {
    each_seed(5, |seed| {
        let mut chance = Chance::new(seed);
        let room = Room::new(controlplane::shared());
        let mut campaign = campaign(&room, seed);
        let clock = Clock::wrong_by(room.folder(), "jumping", 0);
        let through = clock.through();
        let ways = Ways {
            through: &through,
            ..Ways::default()
        };
        let mut operator = room.operator_in(&[], ways);
        in_the_middle(&mut campaign, &mut chance);
        // A day on, and a day behind.
        for day in [DAY, 0, -DAY, 0] {
            clock.jump_to(day);
            std::thread::sleep(Duration::from_millis(chance.within(300, 1500)));
        }
        passed(&campaign, 59);
        until_true("it leads", LIMIT, || operator.leads());
        assert!(operator.is_running(), "the same process");
    });
}
