//! The real binary as a process: started, asked, killed, and never left behind. Its log is shown where a test fails.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::{LIMIT, http, until, until_true};

/// One running operator; killed when it is dropped, or when the test process dies (Linux).
pub(crate) struct Operator {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

/// What is unusual about a start; nothing by default.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ways<'a> {
    /// A program that becomes the operator, with its arguments, such as `prlimit --nofile=64 --`.
    pub(crate) through: &'a [&'a str],
    /// Another kubeconfig.
    pub(crate) kubeconfig: Option<&'a Path>,
    /// Where it listens, for one whose log cannot be read.
    pub(crate) listen: Option<SocketAddr>,
}

impl Operator {
    /// Starts a replica with these arguments, whose output goes to `log`, and waits until it listens.
    pub(crate) fn start(
        kubeconfig: &Path,
        log: PathBuf,
        arguments: &[&str],
        ways: Ways<'_>,
    ) -> Self {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let address = ways.listen.unwrap_or(anywhere);
        let mut words: Vec<&str> = Vec::new();
        if Path::new("/usr/bin/setpriv").exists() {
            words.extend(["/usr/bin/setpriv", "--pdeathsig", "KILL", "--"]);
        }
        words.extend(ways.through);
        let listen = address.to_string();
        words.extend([env!("CARGO_BIN_EXE_anomalyjob-operator"), "run"]);
        words.extend(["--listen", &listen, "--log-format", "json"]);
        // What a test needs listens on this machine, unless the test is about that.
        if !arguments.contains(&"--allow-endpoints") {
            words.extend(["--allow-endpoints", "127.0.0.0/8"]);
        }
        words.extend(arguments);
        let output = File::create(&log).expect("log file");
        let child = Command::new(words[0])
            .args(&words[1..])
            .env("KUBECONFIG", ways.kubeconfig.unwrap_or(kubeconfig))
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("log file"))
            .stderr(output)
            .spawn()
            .expect("the operator starts");
        let mut operator = Self {
            child,
            address,
            log,
        };
        if ways.listen.is_some() {
            until_true("it listens", LIMIT, || operator.get("/livez").is_ok());
        } else {
            operator.address = operator.listens();
        }
        operator
    }

    fn listens(&self) -> SocketAddr {
        until("a line that says where it listens", LIMIT, || {
            let log = self.log();
            let lines = log
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok());
            let mut listen =
                lines.filter_map(|line: serde_json::Value| line["listen"].as_str()?.parse().ok());
            listen.next().ok_or(log)
        })
    }

    /// Everything that it has said.
    pub(crate) fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(crate) fn get(&self, path: &str) -> std::io::Result<(u16, String)> {
        http::exchange(self.address, "GET", path, "", "")
    }

    pub(crate) fn metrics(&self) -> String {
        self.get("/metrics")
            .map(|(_, text)| text)
            .unwrap_or_default()
    }

    /// The value of a series, such as `anomalyjob_status_writes_total{outcome="written"}`.
    pub(crate) fn count(&self, series: &str) -> u64 {
        let metrics = self.metrics();
        let value = metrics.lines().find_map(|line| line.strip_prefix(series));
        let value = value.unwrap_or_else(|| panic!("no series {series} in {metrics}"));
        value.trim().parse().expect("a count")
    }

    /// Status writes that the API server took, of connections too.
    pub(crate) fn status_writes(&self) -> u64 {
        self.count("anomalyjob_status_writes_total{outcome=\"written\"}")
    }

    pub(crate) fn leads(&self) -> bool {
        let series = "leader_election_master_status{name=\"anomalyjob-operator\"} 1";
        self.metrics().lines().any(|line| line == series)
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.get("/readyz").is_ok_and(|(status, _)| status == 200)
    }

    pub(crate) fn until_ready(&self) {
        until_true("the operator is ready", LIMIT, || self.is_ready());
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_none()
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("its end");
    }

    /// SIGTERM; gives exit status and how long it took.
    pub(crate) fn terminate(&mut self) -> (ExitStatus, Duration) {
        let asked = Instant::now();
        self.signal("TERM");
        (self.child.wait().expect("its end"), asked.elapsed())
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let mut kill = Command::new("kill");
        let status = kill.args([&format!("-{name}"), &pid]).status();
        assert!(status.expect("kill").success(), "{name} {pid}");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for an end that nobody asked for.
    pub(crate) fn until_dead(&mut self) -> ExitStatus {
        until("it has ended", LIMIT, || {
            let ended = self.child.try_wait().expect("its state");
            ended.ok_or_else(|| "it runs".to_owned())
        })
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("--- {}\n{}", self.log.display(), self.log());
        }
    }
}
