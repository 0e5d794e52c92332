//! Memory runs out: the process dies, as it would of a pod's limit, and the next one goes on.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use serde_json::json;

use super::{campaign, in_the_middle, passed};
use crate::support::chance::{Chance, each_seed};
use crate::support::controlplane;
use crate::support::operator::Operator;
use crate::support::room::Room;

/// No page of data more than it has now: what is asked for next is refused, and a program that gets no memory ends itself.
/// (Of the address space nothing is said: with that used up too, the kernel would let the heap grow in what it reserved.)
fn starve(operator: &Operator) {
    let pid = operator.pid().to_string();
    let mut prlimit = Command::new("prlimit");
    let status = prlimit.args(["--pid", &pid, "--data=4096"]).status();
    assert!(status.expect("prlimit").success());
}

#[test]
fn fault_53_killed_by_a_limit_of_memory_in_the_middle_it_comes_back_right() {
    each_seed(5, |seed| {
        let mut chance = Chance::new(seed);
        let room = Room::new(controlplane::shared());
        let mut campaign = campaign(&room, seed);
        campaign.ask(6);
        let mut operator = room.operator();
        campaign.after_requests(chance.within(1, 12));
        starve(&operator);
        in_the_middle(&mut campaign, &mut chance);
        // What it has left from earlier lasts for small answers.
        room.elastic
            .inject(&json!({"api": "JobStats", "body": "endless", "count": null}));
        let status = operator.until_dead();
        assert_eq!(
            status.signal(),
            Some(6),
            "it did not end of hunger: {status}"
        );
        let log = operator.log();
        assert!(log.contains("memory allocation of"), "{log}");
        room.elastic.stop_injecting();
        let mut next = room.operator_after_kill();
        passed(&campaign, 53);
        assert!(next.is_running() && next.is_ready());
    });
}
