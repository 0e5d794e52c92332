//! Edits of a user who waits: one after the other, and many at once.

use anyhow::Context as _;
use serde_json::Value;

use crate::Programs;
use crate::figures::{self, Figures, Times, ms, share};
use crate::operator::{Operator, Writes};
use crate::simulator::{Counts, Simulator};
use crate::world::{World, name};

/// How many edits one after the other.
const EDITS: usize = 300;
/// How many edits at once.
const BURST: usize = 200;
/// How many edits beside a cluster that hangs, and as many of an operator that has none.
const COMPARED: usize = 600;
/// How many edits right after the objects of that cluster were created, while each of them is told that it hangs.
const MEANWHILE: usize = 100;
/// Objects of the cluster that hangs.
const HUNG: usize = 1000;
const PREFIX: &str = "bench_an_edit__";
const ALONE: &str = "bench_an_alone_";
const HANGING: &str = "bench_it_hangs_";

/// What happened between two looks.
struct Cost {
    writes: Writes,
    counts: Counts,
}

async fn cost(operator: &Operator, simulator: &Simulator) -> anyhow::Result<Cost> {
    Ok(Cost {
        writes: operator.settled_writes().await?,
        counts: simulator.counts().await?,
    })
}

/// Measures edits, and gives a status as the operator writes it.
pub(crate) async fn measure(figures: &mut Figures, programs: &Programs) -> anyhow::Result<Value> {
    let simulator = Simulator::start(&programs.simulator, 0)?;
    let all = EDITS + BURST + COMPARED + MEANWHILE;
    simulator.open_jobs(PREFIX, all).await?;
    let mut world = World::new("edits").await?;
    world.connect(&simulator, None).await?;
    let mut hung = World::new("hangs").await?;
    let operator = Operator::start(
        &programs.operator,
        &programs.kubeconfig,
        &["edits", "hangs"],
    )?;
    world.connection_ready().await?;
    figures::title("Memory");
    let memory = operator.memory_line().await?;
    figures::beside("resident, no object", memory, "12 MiB");
    world.observe(PREFIX, 0..all).await?;
    sequential(figures, &mut world, &operator, &simulator).await?;
    burst(figures, &mut world, &operator, &simulator).await?;
    beside(programs, &operator, &mut world, &mut hung, &simulator).await?;
    operator.stop().await?;
    let found = world.jobs.get(&name(PREFIX, 0)).await?;
    let status = serde_json::to_value(found.status.context("no status")?)?;
    Ok(status)
}

async fn sequential(
    figures: &mut Figures,
    world: &mut World,
    operator: &Operator,
    simulator: &Simulator,
) -> anyhow::Result<()> {
    let before = cost(operator, simulator).await?;
    let (mut own, mut seen) = (Times::default(), Times::default());
    for index in 0..EDITS {
        let (patched, closed) = world.close_one(PREFIX, index).await?;
        own.push(patched);
        seen.push(closed);
    }
    let after = cost(operator, simulator).await?;
    let requests = after.counts.since(&before.counts);
    figures::title("Edits one after the other, Elasticsearch answering at once");
    figures::beside(
        "patch -> Closed seen on a watch",
        &seen,
        "p50 8 ms, p99 20 ms",
    );
    figures::show("of that the user's own patch", &own);
    figures::show("requests", &requests);
    let (closes, reads) = (requests.of("Close"), requests.of("JobStats"));
    figures.exactly("calls of _close", closes, EDITS);
    // The view is refreshed in between, whatever is edited.
    figures.at_most("reads of _stats for each close", share(reads, EDITS), 1.1);
    writes(figures, &before, &after, EDITS);
    Ok(())
}

fn writes(figures: &mut Figures, before: &Cost, after: &Cost, edits: usize) {
    let written = after.writes.written - before.writes.written;
    figures.exactly("status writes", written, edits);
    let refused = after.writes.refused - before.writes.refused;
    figures.exactly("status writes that were refused", refused, 0);
}

async fn burst(
    figures: &mut Figures,
    world: &mut World,
    operator: &Operator,
    simulator: &Simulator,
) -> anyhow::Result<()> {
    let before = cost(operator, simulator).await?;
    let took = world.close_at_once(PREFIX, EDITS..EDITS + BURST).await?;
    let after = cost(operator, simulator).await?;
    let requests = after.counts.since(&before.counts);
    figures::title(&format!("{BURST} edits at once"));
    figures::show("all Closed after", ms(took));
    figures::show("requests", &requests);
    writes(figures, &before, &after, BURST);
    Ok(())
}

/// Edits beside another cluster that takes requests and never answers; and those of a second operator that has no such cluster,
/// in turn, so that what else happens on the machine meets both alike. What the hung one costs the whole machine meets both alike
/// too: that is told by the processor time of each.
async fn beside(
    programs: &Programs,
    operator: &Operator,
    world: &mut World,
    hung: &mut World,
    simulator: &Simulator,
) -> anyhow::Result<()> {
    simulator.open_jobs(ALONE, COMPARED).await?;
    let mut alone = World::new("alone").await?;
    alone.connect(simulator, None).await?;
    let other = Operator::start_under(
        "alone",
        &programs.operator,
        &programs.kubeconfig,
        &["alone"],
    )?;
    alone.connection_ready().await?;
    alone.observe(ALONE, 0..COMPARED).await?;
    let _hanging = hang(programs, hung).await?;
    let first = EDITS + BURST;
    let mut meanwhile = Times::default();
    for index in first..first + MEANWHILE {
        meanwhile.push(world.close_one(PREFIX, index).await?.1);
    }
    // What is told of them once is the price of the outage; what is compared is how it goes on.
    hung.written(HANGING, 1..HUNG).await?;
    operator.settled_writes().await?;
    let (mut with, mut without) = (Times::default(), Times::default());
    let used = [operator.cpu()?, other.cpu()?];
    for index in 0..COMPARED {
        let beside = first + MEANWHILE + index;
        with.push(world.close_one(PREFIX, beside).await?.1);
        without.push(alone.close_one(ALONE, index).await?.1);
    }
    let used = [
        operator.cpu()?.saturating_sub(used[0]),
        other.cpu()?.saturating_sub(used[1]),
    ];
    other.stop().await?;
    figures::title(&format!(
        "Edits beside a cluster that hangs, with {HUNG} objects"
    ));
    figures::show("while each of them is told of", &meanwhile);
    compare(&with, &without);
    let [with, without] = used.map(|used| used.as_secs_f64());
    figures::show(
        "processor time meanwhile",
        format!("{with:.2} s, and {without:.2} s of the one without it"),
    );
    Ok(())
}

/// A cluster that hangs from here on, and objects that want its jobs closed.
async fn hang(programs: &Programs, hung: &mut World) -> anyhow::Result<Simulator> {
    let simulator = Simulator::start(&programs.simulator, 0)?;
    simulator.open_jobs(HANGING, HUNG).await?;
    hung.connect(&simulator, None).await?;
    hung.connection_ready().await?;
    hung.observe(HANGING, 0..1).await?;
    simulator.hang().await?;
    hung.create(HANGING, 1..HUNG, Some("Closed")).await?;
    Ok(simulator)
}

fn compare(with: &Times, without: &Times) {
    figures::show("beside it", with);
    figures::show("of an operator without it, in turn", without);
    let ratio = |percentile| {
        let [with, without] = [with, without].map(|times| times.percentile(percentile));
        format!("{:.2}", with.as_secs_f64() / without.as_secs_f64())
    };
    figures::show("p50, ratio", ratio(50));
    figures::beside("p99, ratio", ratio(99), "1.10");
}
