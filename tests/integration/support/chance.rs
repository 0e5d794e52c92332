//! Chance that can be had again: what a seed decides is the same in every run. What the machine decides beside it (which
//! step a process has reached after so many milliseconds) is not, so a seed replays as far as real processes allow.

/// A small generator (SplitMix64): the same on every machine, and no dependency.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `from` up to but without `to`.
    pub(crate) fn within(&mut self, from: u64, to: u64) -> u64 {
        from + self.next() % (to - from)
    }

    /// One of these.
    pub(crate) fn of<T: Copy>(&mut self, all: &[T]) -> T {
        let at = self.within(0, all.len() as u64);
        all[usize::try_from(at).expect("an index")]
    }

    pub(crate) fn shuffle<T>(&mut self, all: &mut [T]) {
        for at in (1..all.len()).rev() {
            let other = self.within(0, at as u64 + 1);
            all.swap(at, usize::try_from(other).expect("an index"));
        }
    }
}

/// The seeds of this run: `FAULT_SEED=7` is that one, `FAULT_SEEDS=20` the first twenty, and the first `usual` otherwise.
pub(crate) fn seeds(usual: u64) -> Vec<u64> {
    match (number("FAULT_SEED"), number("FAULT_SEEDS")) {
        (Some(seed), _) => vec![seed],
        (None, count) => (1..=count.unwrap_or(usual)).collect(),
    }
}

/// How many objects are a crowd: `FAULT_CROWD=5000` is what the plan says, and less is enough where time counts.
pub(crate) fn crowd(usual: usize) -> usize {
    let said = number("FAULT_CROWD").and_then(|count| usize::try_from(count).ok());
    said.unwrap_or(usual)
}

fn number(name: &str) -> Option<u64> {
    let said = std::env::var(name).ok()?;
    Some(
        said.parse()
            .unwrap_or_else(|_| panic!("{name}={said} is no number")),
    )
}

/// Runs it with each seed, five at a time, and says which failed.
pub(crate) fn each_seed(usual: u64, scenario: impl Fn(u64) + Sync) {
    for some in seeds(usual).chunks(5) {
        let runs: Vec<(String, Box<dyn Fn() + Sync + '_>)> = some
            .iter()
            .map(|seed| {
                let scenario = &scenario;
                let run = move || scenario(*seed);
                let run: Box<dyn Fn() + Sync + '_> = Box::new(run);
                (format!("FAULT_SEED={seed}"), run)
            })
            .collect();
        let runs: Vec<(&str, &(dyn Fn() + Sync))> = runs
            .iter()
            .map(|(name, run)| (name.as_str(), run.as_ref()))
            .collect();
        super::side_by_side(&runs);
    }
}
