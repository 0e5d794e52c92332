//! What a close costs: the time that a user waits, requests, writes, memory. `tests/bench/run` starts what this needs.
//!
//! Counts are asserted, because they are the same on every machine; times and memory are printed only. It must measure
//! from outside: what a watch sees, what the simulator counted, what the kernel says. Nothing here is linked into the operator.

mod operator;
mod simulator;
mod world;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use operator::{Operator, Writes};
use simulator::{Counts, Simulator};
use world::World;

/// How many edits one after the other.
const EDITS: usize = 300;
/// How many edits at once.
const BURST: usize = 200;
/// How many objects for the second look at memory.
const MANY: usize = 1000;

/// Where the parts are that `tests/bench/run` has started.
struct Parts {
    /// The program to measure.
    operator: PathBuf,
    /// Its ServiceAccount's kubeconfig.
    kubeconfig: PathBuf,
    /// The simulator's address, such as `http://127.0.0.1:9200`.
    simulator: String,
    /// `user:password` of one who may do all there.
    admin: String,
}

fn parts() -> anyhow::Result<Parts> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what: &str| {
        arguments
            .next()
            .with_context(|| format!("{what} is missing: call tests/bench/run"))
    };
    Ok(Parts {
        operator: next("the operator")?.into(),
        kubeconfig: next("its kubeconfig")?.into(),
        simulator: next("the simulator's url")?,
        admin: next("the simulator's admin")?,
    })
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        anyhow::bail!("a cryptography provider was there already");
    }
    let parts = parts()?;
    let simulator = Simulator::new(&parts.simulator, &parts.admin)?;
    let mut world = World::new().await?;
    simulator.open_jobs(0..MANY).await?;

    let operator = Operator::start(&parts.operator, &parts.kubeconfig)?;
    world.connection_ready().await?;
    memory(&operator, "no object (aim 12 MiB)").await?;

    world.observe(0..EDITS + BURST).await?;
    sequential(&mut world, &operator, &simulator).await?;
    burst(&mut world, &operator, &simulator).await?;
    world.observe(EDITS + BURST..MANY).await?;
    memory(&operator, "1000 objects, after all this").await?;
    operator.stop().await?;

    let operator = Operator::start(&parts.operator, &parts.kubeconfig)?;
    let ready = operator.ready().await?;
    line(
        "ready after a start with 1000 objects",
        &format!("{} ms", ready.as_millis()),
    );
    memory(&operator, "1000 objects, new process").await?;
    operator.stop().await
}

async fn memory(operator: &Operator, when: &str) -> anyhow::Result<()> {
    let all = operator.settled_memory().await?;
    let own = operator.own_memory()?;
    let peak = operator.peak_memory()?;
    let found = format!(
        "{}, of which {} is no program text; at most it was {}",
        mib(all),
        mib(own),
        mib(peak)
    );
    line(&format!("memory, {when}"), &found);
    Ok(())
}

/// What happened between two looks, per close.
struct Cost {
    writes: Writes,
    counts: Counts,
}

async fn cost(operator: &Operator, simulator: &Simulator) -> anyhow::Result<Cost> {
    // A write is seen on a watch before the operator has its answer and counts it.
    let mut writes = operator.writes().await?;
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let again = operator.writes().await?;
        if again == writes {
            break;
        }
        writes = again;
    }
    Ok(Cost {
        writes,
        counts: simulator.counts().await?,
    })
}

async fn sequential(
    world: &mut World,
    operator: &Operator,
    simulator: &Simulator,
) -> anyhow::Result<()> {
    let before = cost(operator, simulator).await?;
    let (mut own, mut seen) = (Vec::new(), Vec::new());
    for index in 0..EDITS {
        let (patched, closed) = world.close_one(index).await?;
        own.push(patched);
        seen.push(closed);
    }
    let after = cost(operator, simulator).await?;
    own.sort_unstable();
    seen.sort_unstable();
    line(
        "patch -> Closed seen on a watch",
        &format!(
            "p50 {}, p99 {} (aim: p50 8 ms), {EDITS} one after the other",
            ms(&seen, 50),
            ms(&seen, 99)
        ),
    );
    line(
        "of that the user's own patch",
        &format!("p50 {}, p99 {}", ms(&own, 50), ms(&own, 99)),
    );
    let writes = after.writes.written - before.writes.written;
    let requests = after.counts.since(&before.counts);
    line(
        "status writes",
        &format!(
            "{writes} for {EDITS} closes, {} refused (aim: 1 a close)",
            after.writes.refused - before.writes.refused
        ),
    );
    line(
        "requests to Elasticsearch",
        &format!("{requests} for {EDITS} closes (aim: 1 close and 1 read each)"),
    );
    ensure!(
        requests.of("Close") == EDITS,
        "each job is closed by one call"
    );
    ensure!(writes == EDITS, "each close is written once");
    ensure!(
        requests.of("JobStats") <= EDITS + EDITS / 10,
        "each close is seen by one read, and few others are made"
    );
    Ok(())
}

async fn burst(
    world: &mut World,
    operator: &Operator,
    simulator: &Simulator,
) -> anyhow::Result<()> {
    let before = cost(operator, simulator).await?;
    let took = world.close_at_once(EDITS..EDITS + BURST).await?;
    let after = cost(operator, simulator).await?;
    let writes = after.writes.written - before.writes.written;
    let requests = after.counts.since(&before.counts);
    line(
        &format!("{BURST} patches at once"),
        &format!(
            "all Closed after {} ms; {writes} status writes, {requests}",
            took.as_millis()
        ),
    );
    ensure!(writes == BURST, "each close is written once");
    Ok(())
}

fn line(what: &str, found: &str) {
    println!("{what:<38} {found}");
}

fn mib(kib: u64) -> String {
    format!("{}.{} MiB", kib / 1024, kib % 1024 * 10 / 1024)
}

/// The percentile of sorted times, in ms.
fn ms(sorted: &[Duration], percentile: usize) -> String {
    let rank = (sorted.len() * percentile).div_ceil(100).saturating_sub(1);
    let found = sorted.get(rank).copied().unwrap_or_default();
    format!(
        "{}.{:02} ms",
        found.as_millis(),
        found.subsec_micros() % 1000 / 10
    )
}
