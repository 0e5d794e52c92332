//! kube-apiserver and etcd are killed and started again under the operator, with closes under way.

use std::time::{Duration, Instant};

use super::{figure, sized};
use crate::support::campaign::{Campaign, MIXED};
use crate::support::chance::{Chance, seeds};
use crate::support::controlplane::ControlPlane;
use crate::support::room::Room;
use crate::support::{LIMIT, until};

/// A force whose note was not acknowledged in time waits a minute, and so does a lease that ran out meanwhile.
const END: Duration = Duration::from_secs(240);

/// Kills one or both of them for some time, and says so.
fn strike(plane: &ControlPlane, chance: &mut Chance) -> String {
    let both = ["kube-apiserver", "etcd"];
    let killed = chance.of(&[&both[..1], &both[1..], &both]);
    let away = chance.of(&[0, 0, 2, 8]);
    plane.hold(true);
    for program in killed {
        plane.kill(program);
    }
    std::thread::sleep(Duration::from_secs(away));
    plane.hold(false);
    format!("{} for {away} s", killed.join(" and "))
}

fn campaign(seed: u64, jobs: usize, strikes: usize) {
    println!("FAULT_SEED={seed}");
    let begun = Instant::now();
    let mut chance = Chance::new(seed);
    let plane = ControlPlane::start(&[]);
    plane.apply_crds();
    let room = Room::new(&plane);
    let mut campaign = Campaign::new(&room, seed, jobs, &MIXED);
    let mut operator = room.operator();
    let mut struck = Vec::new();
    for number in 0..strikes {
        campaign.ask(jobs * (number + 1) / strikes - jobs * number / strikes);
        campaign.after_requests(chance.within(1, 25));
        struck.push(strike(&plane, &mut chance));
        until("the API server answers", LIMIT, || room.try_all_jobs());
        campaign.tells_no_lie();
    }
    let mut figures = campaign.ends_well(END);
    assert!(operator.is_running(), "the same process");
    figures.took = begun.elapsed();
    figure(
        "API server and etcd",
        &format!("seed {seed}: {strikes} times killed and started again; {figures}"),
    );
    println!("in this order: {}", struck.join(", "));
}

#[test]
fn an_api_server_and_an_etcd_that_die_again_and_again_change_nothing_about_the_end() {
    let (jobs, strikes) = sized((24, 4), (200, 25));
    for seed in seeds(1) {
        campaign(seed, jobs, strikes);
    }
}
