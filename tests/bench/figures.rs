//! The table that is printed: each number with its bar beside it. Counts that miss theirs fail the bench in the end, after
//! everything was measured; times and memory depend on the machine and are shown only.

use std::fmt::Display;
use std::time::Duration;

use anyhow::ensure;

/// What was found so far.
#[derive(Default)]
pub(crate) struct Figures {
    wrong: Vec<String>,
}

impl Figures {
    /// A count that is the same on every machine.
    pub(crate) fn exactly(&mut self, what: &str, found: usize, bar: usize) {
        self.count(what, &found.to_string(), found == bar, &format!("{bar}"));
    }

    /// A count that may be as large as this.
    pub(crate) fn at_most(&mut self, what: &str, found: f64, bar: f64) {
        self.count(
            what,
            &format!("{found:.4}"),
            found <= bar,
            &format!("<= {bar}"),
        );
    }

    fn count(&mut self, what: &str, found: &str, holds: bool, bar: &str) {
        let verdict = if holds { "" } else { "  WRONG" };
        println!("  {what:<42} {found:<46} bar: {bar}, asserted{verdict}");
        if !holds {
            self.wrong.push(format!("{what}: {found} instead of {bar}"));
        }
    }

    /// Fails where a count was wrong.
    pub(crate) fn judge(self) -> anyhow::Result<()> {
        ensure!(
            self.wrong.is_empty(),
            "counts are wrong: {}",
            self.wrong.join("; ")
        );
        Ok(())
    }
}

/// A new group of lines.
pub(crate) fn title(title: &str) {
    println!("\n{title}");
}

/// A number that nothing is compared with.
pub(crate) fn show(what: &str, found: impl Display) {
    println!("  {what:<42} {found}");
}

/// A number beside its bar.
pub(crate) fn beside(what: &str, found: impl Display, bar: &str) {
    let found = found.to_string();
    println!("  {what:<42} {found:<46} bar: {bar}");
}

/// Times of one kind.
#[derive(Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn push(&mut self, took: Duration) {
        let at = self.0.partition_point(|other| *other <= took);
        self.0.insert(at, took);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn percentile(&self, percentile: usize) -> Duration {
        let rank = (self.0.len() * percentile).div_ceil(100).saturating_sub(1);
        self.0.get(rank).copied().unwrap_or_default()
    }
}

impl Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (half, most) = (ms(self.percentile(50)), ms(self.percentile(99)));
        write!(f, "p50 {half}, p99 {most} ({} times)", self.len())
    }
}

/// A time in ms.
pub(crate) fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

/// KiB as MiB.
pub(crate) fn mib(kib: u64) -> String {
    format!("{}.{} MiB", kib / 1024, kib % 1024 * 10 / 1024)
}

/// A share of a whole. Counts of a bench are far below what a float holds exactly.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}
