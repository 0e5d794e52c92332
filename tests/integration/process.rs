//! The real binary as a process: it starts, leads or stands by, is asked to stop, is frozen and wakes again.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::support::controlplane::{self, ControlPlane, eventually};

/// One running operator; killed when it is dropped.
struct Operator {
    child: Child,
    address: SocketAddr,
    lines: mpsc::Receiver<String>,
}

impl Operator {
    /// Starts a replica whose lease is in `namespace`.
    fn start(plane: &ControlPlane, namespace: &str, name: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_anomalyjob-operator"))
            .args([
                "--listen",
                "127.0.0.1:0",
                "--lease-namespace",
                namespace,
                "--identity",
                name,
            ])
            .args(["--watch-namespace", namespace])
            .env("KUBECONFIG", plane.kubeconfig())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            stdout
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        let started = line_with(&lines, "\"listen\"");
        let log: serde_json::Value =
            serde_json::from_str(&started).expect("a log line is JSON without a terminal");
        let address = log["listen"].as_str().unwrap().parse().unwrap();
        Self {
            child,
            address,
            lines,
        }
    }

    fn get(&self, path: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.address, Duration::from_secs(2))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn leads(&self) -> bool {
        let series = "leader_election_master_status{name=\"anomalyjob-operator\"} 1";
        self.get("/metrics")
            .is_ok_and(|metrics| metrics.lines().any(|line| line == series))
    }

    fn is_ready(&self) -> bool {
        self.get("/readyz")
            .is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([&format!("-{name}"), &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Asks it to stop, and waits until it has.
    fn stop(mut self, signal: &str) -> (ExitStatus, Duration) {
        let asked = Instant::now();
        self.signal(signal);
        let status = self.child.wait().unwrap();
        (status, asked.elapsed())
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line_with(lines: &mpsc::Receiver<String>, words: &str) -> String {
    loop {
        let line = lines
            .recv_timeout(Duration::from_secs(30))
            .unwrap_or_else(|_| panic!("no line with {words}"));
        if line.contains(words) {
            return line;
        }
    }
}

#[test]
fn the_leader_is_ready_and_so_is_its_standby_which_leads_within_3_s_of_a_clean_stop() {
    let plane = controlplane::shared();
    let namespace = plane.namespace();
    let first = Operator::start(plane, &namespace, "first");
    eventually("the first leads", || first.leads() && first.is_ready());
    let second = Operator::start(plane, &namespace, "second");
    eventually("the second stands by, ready", || second.is_ready());
    assert!(!second.leads());
    assert!(first.get("/livez").unwrap().starts_with("HTTP/1.1 200"));

    let (status, took) = first.stop("TERM");
    let stopped = Instant::now();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
    line_with(&second.lines, "acquired the lease");
    let took = stopped.elapsed();
    assert!(took <= Duration::from_secs(3), "{took:?}");
    eventually("the second leads", || second.leads());
    assert_eq!(second.stop("INT").0.code(), Some(0));
}

#[test]
fn a_frozen_leader_is_replaced_within_20_s_and_stands_by_when_it_wakes() {
    let plane = controlplane::shared();
    let namespace = plane.namespace();
    let first = Operator::start(plane, &namespace, "first");
    eventually("the first leads", || first.leads());
    let second = Operator::start(plane, &namespace, "second");
    eventually("the second stands by", || second.is_ready());
    first.signal("STOP");
    let frozen = Instant::now();
    line_with(&second.lines, "acquired the lease");
    let took = frozen.elapsed();
    assert!(took <= Duration::from_secs(20), "{took:?}");
    first.signal("CONT");
    line_with(&first.lines, "lost the lease");
    eventually("the first stands by", || !first.leads() && first.is_ready());
    eventually("the second still leads", || second.leads());
}

#[test]
fn an_api_server_that_cannot_be_reached_stops_neither_the_probes_nor_a_clean_stop() {
    let plane = ControlPlane::start(&[]);
    let namespace = plane.namespace();
    plane.hold(true);
    plane.kill("kube-apiserver");
    let operator = Operator::start(&plane, &namespace, "alone");
    line_with(&operator.lines, "the lease cannot be read or written");
    assert!(operator.get("/livez").unwrap().starts_with("HTTP/1.1 200"));
    assert!(!operator.is_ready());
    let (status, took) = operator.stop("TERM");
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
}
