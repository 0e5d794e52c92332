//! SIGKILL, again and again, at moments that a seed draws: right after a random number of requests to Elasticsearch, which
//! is in the middle of something, or at a random time of the new process's life.

use std::time::Duration;

use super::{figure, sized};
use crate::support::campaign::{Campaign, MIXED};
use crate::support::chance::{Chance, seeds};
use crate::support::controlplane;
use crate::support::room::Room;

/// An unseen fate of a force is waited for a minute, and the queue before it may be long.
const LIMIT: Duration = Duration::from_secs(240);

/// When the next kill comes.
enum Moment {
    Requests(u64),
    Millis(u64),
}

fn moment(chance: &mut Chance) -> Moment {
    if chance.within(0, 3) > 0 {
        Moment::Requests(chance.within(1, 25))
    } else {
        Moment::Millis(chance.within(0, 2500))
    }
}

/// Kills so often while so many jobs are closed; some of the dead leave their lease, which a successor must wait for.
fn campaign(seed: u64, jobs: usize, kills: usize, one_leaves_its_lease_of: u64) {
    println!("FAULT_SEED={seed}");
    let begun = std::time::Instant::now();
    let mut chance = Chance::new(seed);
    let room = Room::new(controlplane::shared());
    let mut campaign = Campaign::new(&room, seed, jobs, &MIXED);
    let mut operator = room.operator();
    for kill in 0..kills {
        // As many as keep pace with the kills, so that there is always something under way.
        campaign.ask(jobs * (kill + 1) / kills - jobs * kill / kills);
        match moment(&mut chance) {
            Moment::Requests(count) => campaign.after_requests(count),
            Moment::Millis(time) => std::thread::sleep(Duration::from_millis(time)),
        }
        operator.kill();
        operator = if chance.within(0, one_leaves_its_lease_of) == 0 {
            room.operator()
        } else {
            room.operator_after_kill()
        };
        campaign.tells_no_lie();
    }
    let mut figures = campaign.ends_well(LIMIT);
    assert!(operator.is_running());
    figures.took = begun.elapsed();
    figure(
        "SIGKILL",
        &format!("seed {seed}: killed {kills} times; {figures}"),
    );
}

#[test]
fn fault_51_killed_at_random_again_and_again_it_brings_every_job_where_it_should_be() {
    let (jobs, kills) = sized((40, 20), (300, 200));
    // A lease that runs out takes its 15 s: rarely, and in the short campaign hardly ever.
    let leaves = sized(30, 20);
    for seed in seeds(1) {
        campaign(seed, jobs, kills, leaves);
    }
}
