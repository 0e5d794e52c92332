//! The API server refuses, or takes everything and answers nothing.

use std::process::Command;
use std::time::Duration;

use super::{campaign, in_the_middle, passed};
use crate::support::chance::{Chance, each_seed};
use crate::support::controlplane::{self, ControlPlane};
use crate::support::gate::{Gate, Mishap};
use crate::support::operator::Ways;
use crate::support::room::Room;
use crate::support::{LIMIT, until_true};

#[test]
fn fault_3_lists_and_then_everything_are_refused_for_a_while() {
    each_seed(5, |seed| {
        let mut chance = Chance::new(seed);
        let status = chance.of(&[500, 503, 429]);
        let room = Room::new(controlplane::shared());
        let gate = Gate::before(&room.kubeconfig());
        let mut campaign = campaign(&room, seed);
        campaign.ask(7);
        gate.befalls("/anomalyjobs", Mishap::Refused(status));
        let ways = Ways {
            kubeconfig: Some(gate.kubeconfig()),
            ..Ways::default()
        };
        let mut operator = room.operator_in(&[], ways);
        std::thread::sleep(Duration::from_millis(chance.within(1000, 4000)));
        assert_eq!(room.elastic.log().of("Close"), 0, "it knows of no object");
        assert!(!operator.is_ready());
        gate.opens();
        in_the_middle(&mut campaign, &mut chance);
        gate.befalls("/", Mishap::Refused(status));
        std::thread::sleep(Duration::from_millis(chance.within(1000, 6000)));
        campaign.tells_no_lie();
        gate.opens();
        passed(&campaign, 3);
        assert!(operator.is_running(), "the same process");
    });
}

#[test]
fn fault_9_an_api_server_that_swallows_everything_stops_the_acting_and_nothing_else() {
    // An own one, because it is frozen: connections stay open, watches too, and nothing is ever answered.
    let plane = ControlPlane::start(&[]);
    plane.apply_crds();
    each_seed(1, |seed| {
        let room = Room::new(&plane);
        let mut campaign = campaign(&room, seed);
        let mut operator = room.operator();
        in_the_middle(&mut campaign, &mut Chance::new(seed));
        freeze(&plane, "STOP");
        until_true("it leads no more", LIMIT, || !operator.leads());
        let calls = || room.elastic.log().of("Close");
        let before = calls();
        std::thread::sleep(Duration::from_secs(6));
        assert_eq!(calls(), before, "it acts without the lease");
        assert!(
            operator
                .get("/livez")
                .is_ok_and(|(status, _)| status == 200)
        );
        freeze(&plane, "CONT");
        passed(&campaign, 9);
        assert!(operator.is_running(), "the same process");
    });
}

fn freeze(plane: &ControlPlane, signal: &str) {
    let pid = std::fs::read_to_string(plane.folder().join("kube-apiserver.pid")).expect("pid");
    let mut kill = Command::new("kill");
    let status = kill.args([&format!("-{signal}"), pid.trim()]).status();
    assert!(status.expect("kill").success());
}
