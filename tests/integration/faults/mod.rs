//! Faults that befall whole processes, by the numbers of reliability.md 5.2: `fault_17_...`. Which number is shown where, here
//! and elsewhere, is the table `tests/faults.txt`.
//!
//! Each is a campaign of a dozen jobs of all kinds; a seed draws them and the moment of the fault. After the fault nobody
//! lends a hand, and the judge of the campaign (`support/campaign.rs`) looks at the world. `FAULT_SEED=7` replays one as far as
//! real processes allow, `FAULT_SEEDS=20` tries more; `make faults` does.

mod api_server;
mod certificates;
mod clocks;
mod descriptors;
mod disk;
mod lease;
mod memory;
mod processor;
mod rights;
mod stops;
mod table;

use std::time::Duration;

use crate::support::campaign::{Campaign, Kind, MIXED};
use crate::support::chance::Chance;
use crate::support::room::Room;

/// A force of unknown fate takes a minute, a lease that ran out 15 s, and twenty scenarios run next to each other.
const END: Duration = Duration::from_secs(200);

/// What ends without waiting for a human, so that afterwards all is quiet.
const ENDING: [Kind; 6] = [
    Kind::Quick,
    Kind::Slow,
    Kind::Fed,
    Kind::Hangs,
    Kind::Failed,
    Kind::Breaks,
];

/// A campaign of a job of each kind.
fn campaign<'r, 'p>(room: &'r Room<'p>, seed: u64) -> Campaign<'r, 'p> {
    Campaign::new(room, seed, MIXED.len(), &MIXED)
}

/// Asks for all of it, and waits for a moment in the middle.
fn in_the_middle(campaign: &mut Campaign<'_, '_>, chance: &mut Chance) {
    campaign.ask_all();
    campaign.after_requests(chance.within(1, 20));
}

/// The campaign has ended well; that is printed, for the count of what passed.
fn passed(campaign: &Campaign<'_, '_>, number: u32) {
    let figures = campaign.ends_well(END);
    println!("passed: fault {number}, seed {}: {figures}", campaign.seed);
}
