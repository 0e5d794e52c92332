//! The real API server for tests: one that all tests share, and own ones for tests that break it.
//!
//! No fake API server checks schemas, CEL, RBAC and resource versions as the real one does. The server is
//! run by `tests/controlplane/serve` with a pipe as stdin: when this process ends, in whatever way, the
//! pipe ends, and the server and its folder go with it.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anomalyjob_operator::artifacts;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// A running kube-apiserver with its etcd; both end when this is dropped.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    folder: PathBuf,
    supervisor: Child,
    stdin: Option<ChildStdin>,
}

/// The control plane that all tests share, with the CRDs of this repository. Started at the first call.
pub(crate) fn shared() -> &'static ControlPlane {
    static SHARED: OnceLock<ControlPlane> = OnceLock::new();
    SHARED.get_or_init(|| {
        let plane = ControlPlane::start(&[]);
        plane.apply_crds();
        plane
    })
}

fn room(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/controlplane")
        .join(file)
}

/// The folder of the programs. The very first call on a machine builds them, which takes minutes and says so.
fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let output = Command::new(room("build"))
            .stderr(Stdio::inherit())
            .output()
            .expect("build");
        assert!(output.status.success(), "tests/controlplane/build failed");
        let said = String::from_utf8(output.stdout).expect("a path");
        PathBuf::from(said.lines().last().expect("build prints the folder"))
    })
}

impl ControlPlane {
    /// Starts an own one, without CRDs; `options` are those of `serve`, such as `--durable`, `--audit`.
    pub(crate) fn start(options: &[&str]) -> Self {
        programs();
        let folder = tempfile::Builder::new()
            .prefix("controlplane-")
            .tempdir()
            .expect("folder")
            .keep();
        let log = folder.join("serve.log");
        // The shell outlives serve by one command, so that the folder goes however this process ended.
        let mut supervisor = Command::new("bash")
            .args(["-c", r#"trap '' INT; "$@"; rm -rf "$3""#, "serve"])
            .arg(room("serve"))
            .args([Path::new("--dir"), &folder])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log).expect("log"))
            .spawn()
            .expect("serve starts");
        let stdin = supervisor.stdin.take();
        let mut line = String::new();
        let stdout = supervisor.stdout.take().expect("stdout is a pipe");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("serve says something");
        // serve has its own time limit, and says the ends of the logs when it passes.
        let said = || fs::read_to_string(&log).unwrap_or_default();
        assert!(
            line.starts_with("ready "),
            "the control plane did not start: {}",
            said()
        );
        Self {
            folder,
            supervisor,
            stdin,
        }
    }

    /// An admin's kubeconfig, for `KUBECONFIG` of processes under test.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// The folder with logs, process ids (`kube-apiserver.pid`) and, with `--audit`, `audit.log`.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Kills `kube-apiserver` or `etcd`. It is started again at once, unless [`Self::hold`] says otherwise.
    pub(crate) fn kill(&self, program: &str) {
        let pid = fs::read_to_string(self.folder.join(format!("{program}.pid"))).expect("pid file");
        let status = Command::new("kill")
            .args(["-KILL", pid.trim()])
            .status()
            .expect("kill");
        assert!(status.success(), "{program} does not run");
    }

    /// While `down` a program that was killed stays so.
    pub(crate) fn hold(&self, down: bool) {
        let file = self.folder.join("hold");
        if down {
            fs::write(file, "")
        } else {
            fs::remove_file(file)
        }
        .expect("hold");
    }

    /// An admin's client, bound to the runtime of the caller's test: do not share it between tests.
    pub(crate) async fn client(&self) -> Client {
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig()).expect("kubeconfig");
        let config =
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        Client::try_from(config.expect("config")).expect("client")
    }

    /// Runs the kubectl that fits the server, as admin.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Output {
        Command::new(programs().join("kubectl"))
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .arg(format!(
                "--cache-dir={}",
                self.folder.join("kubectl-cache").display()
            ))
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("kubectl runs")
    }

    /// Runs kubectl, which must succeed, and gives what it printed.
    pub(crate) fn kubectl_ok(&self, arguments: &[&str]) -> String {
        let output = self.kubectl(arguments);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(
            output.status.success(),
            "kubectl {arguments:?} failed: {err}{out}"
        );
        out
    }

    /// Installs the CRDs of this repository and waits until objects of them can be created.
    pub(crate) fn apply_crds(&self) {
        let crds = artifacts::crds().expect("types render");
        let all = crds.iter().fold(String::new(), |mut all, (_, yaml)| {
            let _ = writeln!(all, "---\n{yaml}");
            all
        });
        let file = self.folder.join("crds.yaml");
        fs::write(&file, all).expect("write");
        let file = file.to_str().expect("a path in UTF-8");
        self.kubectl_ok(&["apply", "--server-side", "-f", file]);
        self.kubectl_ok(&[
            "wait",
            "--for=condition=Established",
            "--timeout=30s",
            "-f",
            file,
        ]);
        // Established comes a moment before every discovery document tells of the kind.
        eventually("both kinds in discovery", || {
            let listed = self.kubectl(&[
                "api-resources",
                "--api-group=anomalyjob.dev",
                "-o",
                "name",
                "--cached=false",
            ]);
            text(&listed.stdout).lines().count() == crds.len()
        });
    }

    /// A fresh namespace; gives its name.
    pub(crate) fn namespace(&self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.kubectl_ok(&["create", "namespace", &name]);
        name
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.supervisor.wait();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits until `holds`, for half a minute at most. For things that come without an event to wait for.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < end, "half a minute passed without: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
