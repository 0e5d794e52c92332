//! File descriptors run out.

use std::process::Command;
use std::time::Duration;

use super::{campaign, in_the_middle, passed};
use crate::support::chance::{Chance, each_seed};
use crate::support::controlplane;
use crate::support::operator::{Operator, Ways};
use crate::support::room::Room;

fn limit(operator: &Operator, most: u64) {
    let pid = operator.pid().to_string();
    // The hard limit stays, so that the soft one can be raised again.
    let nofile = format!("--nofile={most}:");
    let mut prlimit = Command::new("prlimit");
    let status = prlimit.args(["--pid", &pid, &nofile]).status();
    assert!(status.expect("prlimit").success());
}

fn open(operator: &Operator) -> u64 {
    let folder = format!("/proc/{}/fd", operator.pid());
    std::fs::read_dir(folder).expect("its descriptors").count() as u64
}

#[test]
fn fault_57_with_256_descriptors_it_works_and_without_any_it_waits_for_them() {
    each_seed(5, |seed| {
        let mut chance = Chance::new(seed);
        let room = Room::new(controlplane::shared());
        let mut campaign = campaign(&room, seed);
        campaign.ask(6);
        let few = ["prlimit", "--nofile=256:256", "--"];
        let ways = Ways {
            through: &few,
            ..Ways::default()
        };
        let mut operator = room.operator_in(&[], ways);
        campaign.after_requests(chance.within(1, 10));
        // From now on nothing can be opened: no connection to either side, and none to the endpoints.
        limit(&operator, chance.within(3, open(&operator)));
        in_the_middle(&mut campaign, &mut chance);
        std::thread::sleep(Duration::from_millis(chance.within(1000, 5000)));
        campaign.tells_no_lie();
        assert!(operator.is_running());
        limit(&operator, 256);
        passed(&campaign, 57);
        assert!(operator.is_running() && operator.is_ready());
        let left = open(&operator);
        assert!(left < 64, "{left} descriptors are open");
    });
}
