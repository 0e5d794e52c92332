//! An operator that finds thousands of objects waiting when it starts: how long until all are closed and reported, at what
//! cost, and what an edit of somebody else takes meanwhile.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anomalyjob_operator::api::AnomalyJob;
use kube::Api;
use serde_json::Value;

use crate::Programs;
use crate::ceiling::{self, Ceiling};
use crate::figures::{self, Figures, Times, mib, share};
use crate::operator::{Operator, Writes};
use crate::simulator::{Counts, Simulator};
use crate::world::{Seen, World, name};

const PREFIX: &str = "bench_waiting__";
const EDIT: &str = "bench_an_edit__";
/// An object that is younger at a start was just created by somebody who waits, and does not count as one of many.
const WAITING: Duration = Duration::from_secs(61);
/// More edits than a catch-up leaves time for.
const EDITS: usize = 600;

/// What is measured.
pub(crate) struct Run {
    pub(crate) title: &'static str,
    pub(crate) namespace: &'static str,
    pub(crate) objects: usize,
    pub(crate) close_ms: u64,
    /// `limits.maxClosing`.
    pub(crate) max_closing: Option<u32>,
    /// Others are edited meanwhile.
    pub(crate) edits: bool,
    /// Requests to Elasticsearch for each job at most.
    pub(crate) requests: f64,
    /// What the time is compared with.
    pub(crate) bar: &'static str,
}

/// What was found out.
struct Found {
    took: Duration,
    /// From the first object that was seen closed to the last.
    writing: Duration,
    edits: Times,
    writes: Writes,
    counts: Counts,
    cpu: Duration,
}

/// Measures it.
pub(crate) async fn measure(
    figures: &mut Figures,
    programs: &Programs,
    run: &Run,
    status: &Value,
) -> anyhow::Result<()> {
    let simulator = Simulator::start(&programs.simulator, run.close_ms)?;
    let mut world = World::new(run.namespace).await?;
    world.connect(&simulator, run.max_closing).await?;
    simulator.open_jobs(PREFIX, run.objects).await?;
    world.create(PREFIX, 0..run.objects, Some("Closed")).await?;
    if run.edits {
        simulator.open_jobs(EDIT, EDITS).await?;
        world.create(EDIT, 0..EDITS, None).await?;
    }
    let created = Instant::now();
    let old_enough = tokio::time::sleep_until((created + WAITING).into());
    let before = ceiling::measure(&format!("before-{}", run.namespace), status).await?;
    old_enough.await;
    let operator = Operator::start(&programs.operator, &programs.kubeconfig, &[run.namespace])?;
    let found = watch(run, &mut world, &operator, &simulator).await?;
    let memory = operator.memory_line().await?;
    operator.stop().await?;
    let after = ceiling::measure(&format!("after-{}", run.namespace), status).await?;
    tell(figures, run, &[before, after], &found);
    figures::show("resident afterwards", memory);
    if !run.edits && run.close_ms == 0 {
        at_rest(figures, programs, run, &simulator).await?;
    }
    Ok(())
}

async fn watch(
    run: &Run,
    world: &mut World,
    operator: &Operator,
    simulator: &Simulator,
) -> anyhow::Result<Found> {
    let mut waiting: BTreeSet<String> = (0..run.objects).map(|index| name(PREFIX, index)).collect();
    let (mut first, mut last) = (None, operator.started);
    let mut edits = Edits::default();
    while !waiting.is_empty() || edits.begun.is_some() {
        let seen = world.next().await?;
        if run.edits {
            edits.see(&world.jobs, &seen, first.is_some() && !waiting.is_empty());
        }
        if seen.closed && waiting.remove(&seen.name) {
            first.get_or_insert(seen.at);
            last = seen.at;
        }
    }
    let took = last - operator.started;
    let cpu = operator.cpu()?;
    Ok(Found {
        took,
        writing: first.map_or(Duration::ZERO, |first| last - first),
        edits: edits.times,
        writes: operator.settled_writes().await?,
        counts: simulator.counts().await?,
        cpu,
    })
}

/// Edits one after the other, driven by what the watch sees.
#[derive(Default)]
struct Edits {
    begun: Option<(String, Instant)>,
    next: usize,
    times: Times,
}

impl Edits {
    fn see(&mut self, jobs: &Api<AnomalyJob>, seen: &Seen, may_begin: bool) {
        let ended = |(name, _): &mut (String, Instant)| seen.closed && *name == seen.name;
        if let Some((_, began)) = self.begun.take_if(ended) {
            self.times.push(seen.at - began);
        }
        if self.begun.is_none() && may_begin && self.next < EDITS {
            let name = name(EDIT, self.next);
            self.next += 1;
            self.begun = Some((name.clone(), Instant::now()));
            let jobs = jobs.clone();
            tokio::spawn(async move {
                if let Err(error) = World::patch(&jobs, &name).await {
                    eprintln!("a patch failed: {error:#}");
                }
            });
        }
    }
}

#[allow(clippy::cast_precision_loss)]
fn tell(figures: &mut Figures, run: &Run, [before, after]: &[Ceiling; 2], found: &Found) {
    figures::title(run.title);
    let ceiling = f64::midpoint(before.rate, after.rate);
    figures::show(
        "raw ceiling, before and after",
        format!(
            "{:.0} and {:.0} status writes/s of {} bytes",
            before.rate, after.rate, before.bytes
        ),
    );
    let rate = |time: Duration| run.objects as f64 / time.as_secs_f64();
    let whole = rate(found.took);
    figures::beside(
        "start of the process -> all reported",
        format!(
            "{:.1} s, {whole:.0}/s, {:.0} % of the ceiling",
            found.took.as_secs_f64(),
            whole / ceiling * 100.0
        ),
        run.bar,
    );
    let writing = rate(found.writing);
    figures::show(
        "first -> last seen closed",
        format!(
            "{:.1} s, {writing:.0}/s, {:.0} % of the ceiling",
            found.writing.as_secs_f64(),
            writing / ceiling * 100.0
        ),
    );
    counts(figures, run, found);
    if run.edits {
        figures::beside(
            "patch -> Closed of others meanwhile",
            &found.edits,
            "p99 60 ms",
        );
    }
}

#[allow(clippy::cast_precision_loss)]
fn counts(figures: &mut Figures, run: &Run, found: &Found) {
    figures::show("requests", &found.counts);
    let jobs = run.objects + found.edits.len();
    let per_job = share(
        found.counts.sum().saturating_sub(2 * found.edits.len()),
        run.objects,
    );
    figures.at_most("requests for each waiting job", per_job, run.requests);
    // Each of the others was observed once, before it was edited; and the connection is told of once.
    let others = if run.edits { EDITS } else { 0 } + 1;
    figures.exactly("status writes", found.writes.written, jobs + others);
    figures.exactly("status writes that were refused", found.writes.refused, 0);
    let (told, dropped) = (found.writes.events, found.writes.dropped);
    figures::show(
        "events",
        format!("{told} published, {dropped} dropped so far"),
    );
    let cpu = found.cpu.as_secs_f64();
    figures::show(
        "the operator's processor time",
        format!("{cpu:.2} s, {:.2} ms a job", cpu * 1000.0 / jobs as f64),
    );
}

/// A new process that finds all of them closed.
async fn at_rest(
    figures: &mut Figures,
    programs: &Programs,
    run: &Run,
    simulator: &Simulator,
) -> anyhow::Result<()> {
    let before = simulator.counts().await?;
    let operator = Operator::start(&programs.operator, &programs.kubeconfig, &[run.namespace])?;
    let ready = operator.ready().await?;
    figures::title(&format!(
        "A new process with {} objects at rest",
        run.objects
    ));
    figures::show("ready after", figures::ms(ready));
    let memory = operator.memory_line().await?;
    let bar = if run.objects > 10_000 {
        "36 MiB"
    } else {
        "16 MiB"
    };
    figures::beside("resident", memory, bar);
    let writes = operator.settled_writes().await?;
    figures.exactly("status writes", writes.written + writes.refused, 0);
    figures::show("requests", simulator.counts().await?.since(&before));
    figures::show(
        "the program's file",
        mib(std::fs::metadata(&programs.operator)?.len() / 1024),
    );
    operator.stop().await
}
