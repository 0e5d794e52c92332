//! How properties are tried: how many cases, from which seed, and where a case that broke one is kept.
//!
//! Each run tries the same cases, so that it fails for everybody or for nobody; `PROPTEST_RNG_SEED` tries others and
//! `PROPTEST_CASES` more or fewer. A case that broke a property is made small, printed, and kept in `tests/regressions/`, from
//! where it is tried first from then on. Nothing of what is tried is known here.

use std::cell::Cell;

use proptest::num::u64::ANY;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, FileFailurePersistence, RngAlgorithm, RngSeed, TestRunner};

/// How often each property is tried.
const CASES: u32 = 100_000;
const SEED: u64 = 1;

fn config(source: &'static str) -> Config {
    let asked = Config::default();
    let given = |name: &str| std::env::var_os(name).is_some();
    let kept = FileFailurePersistence::SourceParallel("tests/regressions");
    Config {
        cases: if given("PROPTEST_CASES") {
            asked.cases
        } else {
            CASES
        },
        rng_seed: if given("PROPTEST_RNG_SEED") {
            asked.rng_seed
        } else {
            RngSeed::Fixed(SEED)
        },
        // The default one is made for secrets, and takes most of the time where nothing is optimised.
        rng_algorithm: RngAlgorithm::XorShift,
        failure_persistence: Some(Box::new(kept)),
        source_file: Some(source),
        ..asked
    }
}

/// Tries `property`, which makes its case of what is chosen for it and asserts; `source` is the file that it stands in, and no
/// case needs more than so many choices.
pub(crate) fn holds(source: &'static str, choices: usize, property: impl Fn(&mut Choices)) {
    let mut runner = TestRunner::new(config(source));
    // Most cases get all that they need; what is made small is how many of them are not 0.
    let all = (ANY.no_shrink(), 0..=choices * 4);
    let outcome = runner.run(&all, |(seed, left)| {
        let left = left.min(choices);
        property(&mut Choices { seed, left });
        Ok(())
    });
    if let Err(broken) = outcome {
        panic!("{broken}\n{runner}");
    }
}

/// What is chosen for one case, one number after the other, by `SplitMix64`: to have a hundred thousand cases made without
/// optimisation costs too much otherwise. Where a case is made small the last choices become 0: what stands first is to be what
/// is simplest.
#[derive(Debug)]
pub(crate) struct Choices {
    seed: u64,
    left: usize,
}

impl Choices {
    pub(crate) fn number(&mut self) -> u32 {
        let Some(left) = self.left.checked_sub(1) else {
            return 0;
        };
        self.left = left;
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap()
    }

    pub(crate) fn large(&mut self) -> u64 {
        u64::from(self.number()) << 32 | u64::from(self.number())
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.number()).unwrap() % end
    }

    /// True in so many of a hundred cases, and false in the simplest.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) >= 100 - percent
    }

    /// Any of Unicode, most often one of the first.
    pub(crate) fn sign(&mut self) -> char {
        let number = self.number() >> self.below(32);
        char::from_u32(number % 0x0011_0000).unwrap_or('\u{fffd}')
    }

    pub(crate) fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    pub(crate) fn some<T>(
        &mut self,
        percent: usize,
        make: impl FnOnce(&mut Self) -> T,
    ) -> Option<T> {
        self.chance(percent).then(|| make(self))
    }

    /// At most so many.
    pub(crate) fn many<T>(&mut self, most: usize, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| make(self)).collect()
    }

    /// From one to so many of these signs.
    pub(crate) fn text(&mut self, signs: &str, most: usize) -> String {
        let signs: Vec<char> = signs.chars().collect();
        (0..=self.below(most)).map(|_| self.of(&signs)).collect()
    }
}

/// Counts how often something came about, because a property that never meets its case holds for nothing.
#[derive(Debug)]
pub(crate) struct Met<const N: usize> {
    words: [&'static str; N],
    counts: [Cell<u32>; N],
}

impl<const N: usize> Met<N> {
    pub(crate) fn new(words: [&'static str; N]) -> Self {
        Self {
            words,
            counts: [const { Cell::new(0) }; N],
        }
    }

    pub(crate) fn note(&self, met: [bool; N]) {
        for (count, met) in self.counts.iter().zip(met) {
            count.set(count.get() + u32::from(met));
        }
    }

    /// Each came about in one case of a hundred at least.
    pub(crate) fn is_often(&self) {
        let cases = config(file!()).cases;
        let counts = self.counts.each_ref().map(Cell::get);
        println!("of {cases} cases: {:?} {counts:?}", self.words);
        assert!(
            counts.iter().all(|count| *count >= cases / 100),
            "the dice are loaded, of {cases}: {:?} {counts:?}",
            self.words
        );
    }
}
