//! What closing costs: the time that a user waits, requests, writes, memory. `tests/bench/run` starts what this needs.
//!
//! Counts are asserted, because they are the same on every machine; times and memory are printed beside their bars. It
//! must measure from outside: what a watch sees, what the simulator counted, what the kernel says. Nothing here is linked
//! into the operator.

mod catch_up;
mod ceiling;
mod edits;
mod figures;
mod operator;
mod simulator;
mod world;

use std::path::PathBuf;

use anyhow::Context as _;
use catch_up::Run;
use figures::Figures;

/// Objects that wait at a start.
const MANY: usize = 10_000;

/// What `tests/bench/run` has built and prepared.
struct Programs {
    /// The program to measure.
    operator: PathBuf,
    /// Its ServiceAccount's kubeconfig.
    kubeconfig: PathBuf,
    /// The Elasticsearch of the measurements.
    simulator: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        anyhow::bail!("a cryptography provider was there already");
    }
    let mut arguments = std::env::args().skip(1);
    let mut next = |what: &str| {
        arguments
            .next()
            .with_context(|| format!("{what} is missing: call tests/bench/run"))
    };
    let programs = Programs {
        operator: next("the operator")?.into(),
        kubeconfig: next("its kubeconfig")?.into(),
        simulator: next("the simulator")?.into(),
    };
    let parts: Vec<String> = arguments.collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|named| named == part);
    let mut figures = Figures::default();
    let status = edits::measure(&mut figures, &programs).await?;
    for (part, run) in runs() {
        if wanted(part) && (part != "100000" || !parts.is_empty()) {
            catch_up::measure(&mut figures, &programs, &run, &status).await?;
        }
    }
    figures.judge()
}

fn runs() -> [(&'static str, Run); 4] {
    let at_once = Run {
        title: "10 000 objects at a start, maxClosing 2000, Elasticsearch answering at once",
        namespace: "catch-up",
        objects: MANY,
        close_ms: 0,
        max_closing: Some(2000),
        edits: false,
        requests: 0.01,
        bar: "95 % of the ceiling",
    };
    let slowly = Run {
        title: "10 000 objects at a start, maxClosing 2000, 5 s for each close",
        namespace: "catch-up-slowly",
        close_ms: 5000,
        bar: "30 s",
        ..at_once
    };
    let edited = Run {
        title: "10 000 objects at a start, maxClosing 64 (the default), while others are edited",
        namespace: "catch-up-edited",
        max_closing: None,
        edits: true,
        requests: 0.03,
        bar: "none",
        ..at_once
    };
    let most = Run {
        title: "100 000 objects at a start, maxClosing 2000, Elasticsearch answering at once",
        namespace: "catch-up-most",
        objects: 10 * MANY,
        ..at_once
    };
    [
        ("at-once", at_once),
        ("slowly", slowly),
        ("edited", edited),
        ("100000", most),
    ]
}
