//! The operator as a process: started, asked for its metrics, weighed by the kernel, stopped.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::figures::mib;

/// How often something is looked at that comes without an event.
const LOOK: Duration = Duration::from_millis(20);
/// Until it has a lease that an operator before it gave up, and has read all objects.
const READY: Duration = Duration::from_secs(120);

/// A running operator; killed when this is dropped.
pub(crate) struct Operator {
    child: Child,
    address: String,
    pub(crate) started: Instant,
    client: reqwest::Client,
}

/// Writes to the API server so far, from its metrics.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Writes {
    /// Status writes that were taken.
    pub(crate) written: usize,
    /// Status writes that were not.
    pub(crate) refused: usize,
    /// Events that were published.
    pub(crate) events: usize,
    /// Events that were dropped.
    pub(crate) dropped: usize,
}

impl Operator {
    /// Starts one that watches these namespaces, when no other acts under this lease.
    pub(crate) fn start(
        program: &Path,
        kubeconfig: &Path,
        namespaces: &[&str],
    ) -> anyhow::Result<Self> {
        Self::start_under("anomalyjob-operator", program, kubeconfig, namespaces)
    }

    /// The same under a lease of its own, so that it acts beside others.
    pub(crate) fn start_under(
        lease: &str,
        program: &Path,
        kubeconfig: &Path,
        namespaces: &[&str],
    ) -> anyhow::Result<Self> {
        let started = Instant::now();
        let mut child = Command::new(program)
            .args([
                "run",
                "--listen=127.0.0.1:0",
                "--log-format=json",
                "--lease-namespace=elastic-ml",
                // The simulator listens on this machine.
                "--allow-endpoints=127.0.0.0/8",
            ])
            .arg(format!("--lease-name={lease}"))
            .arg(format!("--watch-namespace={}", namespaces.join(",")))
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| program.display().to_string())?;
        let stdout = child.stdout.take().context("no stdout")?;
        let mut lines = BufReader::new(stdout).lines();
        let address = loop {
            let line = lines.next().context("the operator ended")??;
            let said: serde_json::Value = serde_json::from_str(&line)?;
            if let Some(address) = said.get("listen").and_then(|found| found.as_str()) {
                break address.to_owned();
            }
        };
        // Its log is read on, as a container's is; a full pipe would hold it up.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self {
            child,
            address,
            started,
            client: reqwest::Client::builder().build()?,
        })
    }

    async fn get(&self, path: &str) -> anyhow::Result<(bool, String)> {
        let answer = self
            .client
            .get(format!("http://{}{path}", self.address))
            .send()
            .await?;
        Ok((answer.status().is_success(), answer.text().await?))
    }

    /// Waits until it acts and knows all objects; gives the time since its start.
    pub(crate) async fn ready(&self) -> anyhow::Result<Duration> {
        let end = self.started + READY;
        // A replica that only waits for the lease is ready too.
        while self.sum("leader_election_master_status").await? == 0 || !self.get("/readyz").await?.0
        {
            ensure!(
                Instant::now() < end,
                "not ready after {} s",
                READY.as_secs()
            );
            tokio::time::sleep(LOOK).await;
        }
        Ok(self.started.elapsed())
    }

    /// The sum of the series whose names begin so.
    async fn sum(&self, series: &str) -> anyhow::Result<usize> {
        let (_, metrics) = self.get("/metrics").await?;
        let values = metrics
            .lines()
            .filter(|line| line.starts_with(series))
            .filter_map(|line| line.rsplit_once(' '));
        values.map(|(_, value)| Ok(value.parse::<usize>()?)).sum()
    }

    pub(crate) async fn writes(&self) -> anyhow::Result<Writes> {
        let written = self
            .sum("anomalyjob_status_writes_total{outcome=\"written\"}")
            .await?;
        Ok(Writes {
            written,
            refused: self.sum("anomalyjob_status_writes_total").await? - written,
            events: self.events("published").await?,
            dropped: self.events("dropped").await?,
        })
    }

    async fn events(&self, outcome: &str) -> anyhow::Result<usize> {
        let mut sum = 0;
        for kind in ["Normal", "Warning"] {
            let series =
                format!("anomalyjob_events_total{{type=\"{kind}\",outcome=\"{outcome}\"}}");
            sum += self.sum(&series).await?;
        }
        Ok(sum)
    }

    /// Status writes once no more are counted: one is seen on a watch before the operator has its answer.
    pub(crate) async fn settled_writes(&self) -> anyhow::Result<Writes> {
        let mut writes = self.writes().await?;
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let again = self.writes().await?;
            if again.written == writes.written {
                return Ok(again);
            }
            writes = again;
        }
    }

    /// The processor time that it has used.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, fields) = stat.rsplit_once(") ").context("no stat")?;
        // User and system time, in hundredths of a second.
        let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u64>);
        let ticks: u64 = ticks.sum::<Result<u64, _>>()?;
        Ok(Duration::from_millis(ticks * 10))
    }

    fn memory(&self, field: &str) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(field))
            .with_context(|| field.to_owned())?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// What of its resident memory is its own, and no part of a program file, in KiB.
    fn own_memory(&self) -> anyhow::Result<u64> {
        self.memory("RssAnon:")
    }

    /// Resident memory in KiB, once it has not changed for 2 s (10 s at most).
    async fn settled_memory(&self) -> anyhow::Result<u64> {
        let end = Instant::now() + Duration::from_secs(10);
        let mut last = (self.memory("VmRSS:")?, Instant::now());
        while last.1.elapsed() < Duration::from_secs(2) && Instant::now() < end {
            tokio::time::sleep(LOOK).await;
            let now = self.memory("VmRSS:")?;
            if now != last.0 {
                last = (now, Instant::now());
            }
        }
        Ok(last.0)
    }

    /// The most resident memory that it ever had, in KiB.
    fn peak_memory(&self) -> anyhow::Result<u64> {
        self.memory("VmHWM:")
    }

    /// All of the above in words.
    pub(crate) async fn memory_line(&self) -> anyhow::Result<String> {
        let all = self.settled_memory().await?;
        let (own, peak) = (self.own_memory()?, self.peak_memory()?);
        Ok(format!(
            "{}, own {}, at most {}",
            mib(all),
            mib(own),
            mib(peak)
        ))
    }

    /// Asks it to stop and waits until it has.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let asked = Command::new("kill")
            .arg(self.child.id().to_string())
            .status()?;
        ensure!(asked.success(), "the operator is gone");
        let end = Instant::now() + Duration::from_secs(15);
        loop {
            if let Some(ended) = self.child.try_wait()? {
                ensure!(ended.success(), "the operator ended with {ended}");
                return Ok(());
            }
            ensure!(Instant::now() < end, "it does not stop");
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // Both fail where it has ended already, as it should have.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
