//! The disk is full, and nothing can be written anywhere: neither a line of the log nor a file.

use std::net::SocketAddr;

use super::{campaign, in_the_middle, passed};
use crate::support::chance::{Chance, each_seed};
use crate::support::controlplane;
use crate::support::operator::Ways;
use crate::support::room::Room;

#[test]
fn fault_55_a_full_disk_loses_the_log_and_nothing_else() {
    each_seed(5, |seed| {
        let mut chance = Chance::new(seed);
        let room = Room::new(controlplane::shared());
        let mut campaign = campaign(&room, seed);
        // Its log cannot be read, so the address is chosen here: the loopback has sixteen million, by process and seed.
        let [.., high, low] = std::process::id().to_be_bytes();
        let host = [
            127,
            high | 1,
            low,
            u8::try_from(seed % 250 + 1).expect("small"),
        ];
        // Each line of the log fails with ENOSPC, and so does what is said about that; a file could have no byte at all.
        let full = [
            "prlimit",
            "--fsize=0",
            "--",
            "bash",
            "-c",
            "exec \"$@\" >/dev/full 2>&1",
            "full",
        ];
        let ways = Ways {
            through: &full,
            listen: Some(SocketAddr::from((host, 8080))),
            ..Ways::default()
        };
        let mut operator = room.operator_in(&["--log-level", "debug"], ways);
        in_the_middle(&mut campaign, &mut chance);
        passed(&campaign, 55);
        assert!(operator.is_running() && operator.is_ready());
        let (status, _) = operator.terminate();
        assert_eq!(status.code(), Some(0));
    });
}
