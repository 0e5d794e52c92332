//! A long life: five clusters of a hundred jobs each in one process, faults all the time, and nothing left over at its end.
//!
//! The clusters are worlds of the random walk with one registry of claims above them; each goes from event to event by
//! itself, because nothing but the process and the API server is common to them. `make life` is ninety days of it, and
//! `make life LIFE_SEED=7 LIFE_DAYS=3` replays another one. What the shell might leave over is looked for in
//! `src/controller/dispatch_tests.rs`.

use std::hash::{DefaultHasher, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::leftovers::left_over;
use super::{Chaos, Rng, Setting, number};
use crate::reconciler::claims::Claims;
use crate::reconciler::tests::world::secs;

const CLUSTERS: u64 = 5;
const JOBS: usize = 100;
const OBJECTS: usize = 40;
const GROUPS: [&str; 6] = ["g-0", "g-1", "g-2", "g-3", "g-4", "g-5"];
/// No status may be larger, in bytes; the API server takes a million and a half.
const LARGEST: usize = 64 * 1024;
const DAY: u64 = 24 * 3600;

fn setting() -> Setting {
    let jobs: Vec<String> = (0..JOBS).map(|number| format!("job-{number:02}")).collect();
    let mut expressions = jobs.clone();
    expressions.extend(jobs.chunks(7).map(|some| some.join(",")));
    expressions.extend(GROUPS.map(str::to_owned));
    expressions.extend((0..10).map(|tens| format!("job-{tens}*")));
    expressions.push("*".to_owned());
    Setting {
        objects: (0..OBJECTS)
            .map(|number| format!("object-{number:02}"))
            .collect(),
        jobs,
        groups: GROUPS.to_vec(),
        expressions,
        all_wishes: true,
        timeouts: ["1m", "5m", "30m"],
        // Each look at a job that closes is an event: most of a life is quiet.
        bad: 5,
        crashes: 50_000,
    }
}

/// What a life came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum {
    inputs: u64,
    closes: u64,
    forces: u64,
    writes: usize,
    /// Bytes of the largest status.
    largest: usize,
    /// Digests of all that the brains asked for, where that is recorded.
    outputs: Vec<u64>,
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.inputs += other.inputs;
        self.closes += other.closes;
        self.forces += other.forces;
        self.writes += other.writes;
        self.largest = self.largest.max(other.largest);
        self.outputs.extend(other.outputs);
    }
}

/// One cluster of it.
struct Life {
    cluster: Chaos,
    /// The same for all of them: how time passes, and what befalls the process or the API server.
    plan: Rng,
    writes: usize,
}

impl Life {
    fn new(seed: u64, number: u64, setting: &Arc<Setting>, claims: &Arc<Mutex<Claims>>) -> Self {
        let mut cluster = Chaos::new(seed * CLUSTERS + number, setting, number, claims);
        for name in &setting.objects {
            cluster.create(name);
        }
        Self {
            cluster,
            plan: Rng(seed),
            writes: 0,
        }
    }

    fn live(mut self, lasts: Duration) -> Sum {
        let mut left = lasts;
        while !left.is_zero() {
            left = left.saturating_sub(self.step());
        }
        if self.cluster.outputs.is_none() {
            self.end();
        }
        let outputs = self.cluster.outputs.map(|outputs| outputs.finish());
        Sum {
            inputs: self.cluster.handled,
            closes: self.cluster.ghost.closes,
            forces: self.cluster.ghost.forces,
            writes: self.writes,
            largest: self.cluster.largest,
            outputs: outputs.into_iter().collect(),
        }
    }

    fn pass(&mut self, span: Duration) {
        self.cluster.pass(span);
        self.writes += self.cluster.world.writes.len();
        self.cluster.world.writes.clear();
        let Chaos {
            ghost,
            world,
            history,
            ..
        } = &mut self.cluster;
        ghost.forget_the_gone(world, history);
    }

    /// Time passes, and then something happens to the cluster, or to all of them.
    fn step(&mut self) -> Duration {
        let minutes = match self.plan.below(10) {
            0..6 => 1 + self.plan.below(8),
            6..9 => self.plan.below(30),
            _ => self.plan.below(90),
        };
        let span = secs(minutes * 60) + Duration::from_millis(self.plan.below(60_000));
        self.pass(span);
        let cluster = &mut self.cluster;
        if cluster.rng.chance(30) {
            cluster.heal();
        }
        if cluster.rng.chance(30) {
            cluster.mend();
        }
        match cluster.rng.below(100) {
            0..55 => cluster.meddle(),
            55..60 => cluster.hurt(),
            _ => {}
        }
        match self.plan.below(400) {
            0 | 1 => cluster.crash(),
            2 | 3 => cluster.world.api_server_down = true,
            _ => {}
        }
        span
    }

    /// The faults end: each object says what is so, all is quiet, and when all are deleted nothing of them is left.
    fn end(&mut self) {
        self.cluster.rest();
        self.pass(secs(4 * 3600));
        self.cluster.agree();
        let writes = self.writes;
        self.pass(secs(3600));
        assert_eq!(self.writes, writes, "writes at rest");
        self.cluster.delete_all();
        self.pass(secs(4 * 3600));
        let (world, coming) = (&self.cluster.world, &self.cluster.coming);
        assert!(world.stored.is_empty(), "not gone: {:#?}", world.stored);
        assert!(coming.is_empty(), "{coming:#?}");
        world.brain.assert_at_rest();
        let left = left_over(&format!("{:#?}", world.brain));
        assert!(left.is_empty(), "left in a brain: {left:#?}");
    }
}

/// From the first object to the deletion of the last, the clusters on two threads. One that is recorded has no such end.
fn live(seed: u64, lasts: Duration, recorded: bool) -> Sum {
    let (setting, claims) = (Arc::new(setting()), Arc::default());
    let (next, sums) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let worker = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= CLUSTERS {
                return;
            }
            let mut life = Life::new(seed, number, &setting, &claims);
            life.cluster.outputs = recorded.then(DefaultHasher::new);
            let sum = life.live(lasts);
            sums.lock().unwrap().push((number, sum));
        }
    };
    let other = std::thread::scope(|scope| {
        let other = scope.spawn(worker);
        worker();
        other.join()
    });
    if let Err(panic) = other {
        std::panic::resume_unwind(panic);
    }
    let mut sums = sums.into_inner().unwrap();
    sums.sort_by_key(|(number, _)| *number);
    let mut all = Sum::default();
    for (_, sum) in sums {
        all.add(sum);
    }
    let left = left_over(&format!("{:#?}", claims.lock().unwrap()));
    assert!(recorded || left.is_empty(), "left of claims: {left:#?}");
    all
}

#[test]
fn a_long_life_with_faults_all_the_time_breaks_no_rule_and_leaves_nothing_over() {
    let (seed, days) = (number("LIFE_SEED", 1), number("LIFE_DAYS", 0));
    // Without an optimised build a few hours are what there is time for.
    let lasts = secs(if days == 0 { DAY / 4 } else { days * DAY });
    println!("make life LIFE_SEED={seed} LIFE_DAYS={days} replays this");
    let began = Instant::now();
    let sum = live(seed, lasts, false);
    let took = began.elapsed();
    println!(
        "life: seed {seed}, {:.2} virtual days of {} jobs over {CLUSTERS} clusters in {took:.0?}: {:.0} virtual days a minute; {} inputs, {} closes, {} forces, {} writes, the largest status {} bytes; no rule broken, nothing left over",
        lasts.as_secs_f64() / secs(DAY).as_secs_f64(),
        JOBS as u64 * CLUSTERS,
        lasts.as_secs_f64() / secs(DAY / 60).as_secs_f64() / took.as_secs_f64(),
        sum.inputs,
        sum.closes,
        sum.forces,
        sum.writes,
        sum.largest,
    );
    assert!(sum.largest < LARGEST);
    // A life in which nothing happens proves nothing.
    assert!(sum.closes > 20 * days.max(1) && sum.forces > days);
}

#[test]
fn a_seed_replays_exactly_and_another_is_another_life() {
    let hours = secs(2 * 3600);
    let one = live(3, hours, true);
    assert_eq!(one, live(3, hours, true));
    let other = live(4, hours, true);
    let differs = |(one, other): (&u64, &u64)| one != other;
    assert!(one.outputs.iter().zip(&other.outputs).all(differs));
}
