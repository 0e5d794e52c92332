//! The operator as a process: started, asked for its metrics, weighed by the kernel, stopped.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

/// How often something is looked at that comes without an event.
const LOOK: Duration = Duration::from_millis(20);

/// A running operator; killed when this is dropped.
pub(crate) struct Operator {
    child: Child,
    address: String,
    started: Instant,
    client: reqwest::Client,
}

/// Status writes so far, from its metrics.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Writes {
    pub(crate) written: usize,
    pub(crate) refused: usize,
}

impl Operator {
    pub(crate) fn start(program: &Path, kubeconfig: &Path) -> anyhow::Result<Self> {
        let started = Instant::now();
        let mut child = Command::new(program)
            .args([
                "run",
                "--listen=127.0.0.1:0",
                "--log-format=json",
                "--lease-namespace=elastic-ml",
            ])
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
        let end = self.started + Duration::from_secs(60);
        // A replica that only waits for the lease is ready too.
        while self.sum("leader_election_master_status").await? == 0 || !self.get("/readyz").await?.0
        {
            ensure!(Instant::now() < end, "not ready after a minute");
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
        })
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
    pub(crate) fn own_memory(&self) -> anyhow::Result<u64> {
        self.memory("RssAnon:")
    }

    /// Resident memory in KiB, once it has not changed for 2 s (10 s at most).
    pub(crate) async fn settled_memory(&self) -> anyhow::Result<u64> {
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
    pub(crate) fn peak_memory(&self) -> anyhow::Result<u64> {
        self.memory("VmHWM:")
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
