//! The process: arguments in, parts wired together, an exit code out. It decides who stops when, and nothing else.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anomalyjob_operator::admin::{Admin, Liveness, Readiness, Shown};
use anomalyjob_operator::arguments::{Arguments, Command, Release, Run};
use anomalyjob_operator::clock::Clock;
use anomalyjob_operator::controller::Dial;
use anomalyjob_operator::elasticsearch::{self, Endpoint, Fence, Limits, Network};
use anomalyjob_operator::kubernetes::Connected;
use anomalyjob_operator::lease::{Lease, unique};
use anomalyjob_operator::replica::{Replica, Settings};
use anomalyjob_operator::shutdown::{self, Trigger};
use anomalyjob_operator::telemetry::{self, Format, Metrics};
use anomalyjob_operator::{artifacts, kubernetes, release};
use anyhow::Context as _;
use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

/// How long threads may linger that are still in a system call, such as a name lookup.
const THREADS_STOP: Duration = Duration::from_millis(500);

/// An argument, a variable or a file is wrong: a restart does not help.
const MISCONFIGURED: u8 = 2;

fn main() -> ExitCode {
    match Arguments::parse().command() {
        Command::Crd => print_crds(),
        Command::Release(release) => run(let_go(&release)),
        Command::Run(run) => start(&run),
    }
}

fn print_crds() -> ExitCode {
    let crds = match artifacts::crds() {
        Ok(crds) => crds,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut text = String::new();
    for (_, yaml) in &crds {
        text.push_str("---\n");
        text.push_str(yaml);
    }
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        // A reader such as `head` may leave when it has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: the CRDs cannot be printed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(options: &Run) -> ExitCode {
    let terminal = std::io::stdout().is_terminal();
    let format = options
        .log_format
        .unwrap_or(if terminal { Format::Text } else { Format::Json });
    if let Err(error) = telemetry::install(format, &options.log_level, terminal) {
        return refuse(&error);
    }
    run(operate(options))
}

/// Runs the process's one future to its end.
fn run(of: impl Future<Output = ExitCode>) -> ExitCode {
    // Installed by hand: with two providers in a build rustls would not choose, and panic at the first connection.
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        warn!("a cryptography provider was installed already");
    }
    // Two workers, so that a long turn of one cluster's brain never delays the renewal of the lease or a probe; not one per core,
    // because each costs stack and allocator memory, and the work is waiting. Blocking threads serve name lookups only; each ends
    // soon after its last one, and there may be many, for a lookup that nobody answers holds its thread for ten seconds.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(64)
        .thread_name("operator")
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&error),
    };
    let code = runtime.block_on(of);
    runtime.shutdown_timeout(THREADS_STOP);
    code
}

fn refuse(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(MISCONFIGURED)
}

/// Takes our finalizer off objects. A reader of the lines may leave early; the work goes on.
async fn let_go(options: &Release) -> ExitCode {
    let client = match kubernetes::client().await {
        Ok(client) => client,
        Err(error) => return refuse(&error),
    };
    let tell = |line: String| {
        let _ = writeln!(std::io::stdout(), "{line}");
    };
    match release::release(&client, &options.namespaces(), tell).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn operate(run: &Run) -> ExitCode {
    let connected = match kubernetes::connect().await {
        Ok(connected) => connected,
        Err(error) => return refuse(&error),
    };
    let admin = match Admin::bind(run.listen).await {
        Ok(admin) => admin,
        Err(error) => return refuse(&error),
    };
    match serve(run, connected, admin).await {
        Ok(()) => {
            info!("stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            error!("stopped: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(run: &Run, connected: Connected, admin: Admin) -> anyhow::Result<()> {
    let Connected { client, hosts } = connected;
    let (trigger, shutdown) = shutdown::channel();
    let signals = tokio::spawn(until_signal(trigger)?);
    let liveness = Liveness::new();
    let readiness = Readiness::default();
    let metrics = Metrics::new(&run.lease_name);
    info!(version = env!("CARGO_PKG_VERSION"), listen = %admin.address(), namespaces = watched(run), "started");

    let shown = Shown {
        liveness: liveness.clone(),
        readiness: readiness.clone(),
        metrics: metrics.clone(),
    };
    let (admin_stop, admin_stopped) = shutdown::channel();
    let serving = tokio::spawn(admin.serve(shown, admin_stopped));

    let clock = Clock::system();
    let lease = Lease::new(
        client.clone(),
        &run.lease_namespace(),
        &run.lease_name,
        unique(&run.identity()),
        clock.clone(),
    );
    let settings = Settings {
        namespaces: run.namespaces(),
        cluster_connections: run.cluster_connections(),
        client,
        metrics,
        readiness,
        clock,
        dial: dial(run, hosts),
    };
    let mut replica = Replica::new(settings, lease, shutdown);
    let ended = tokio::select! {
        ended = replica.lead() => ended.map_err(anyhow::Error::from),
        () = liveness.keep_beating() => Ok(()),
    };
    replica.leave().await;
    admin_stop.request();
    signals.abort();
    serving.await.context("the endpoints")?;
    ended
}

/// Clients of Elasticsearch, which reach no address that is closed to connections.
fn dial(run: &Run, api_server: Vec<String>) -> Dial {
    let network = Network::behind(Fence {
        open: run.allow_endpoints.clone(),
        guarded: api_server,
    });
    Arc::new(move |endpoint| {
        let network = network.clone();
        let endpoint = Endpoint {
            network,
            ..endpoint.clone()
        };
        elasticsearch::Client::new(&endpoint, Limits::default())
    })
}

fn watched(run: &Run) -> String {
    let namespaces = run.namespaces();
    if namespaces.is_empty() {
        "all".to_owned()
    } else {
        namespaces.join(",")
    }
}

/// Installs the handlers now, so that no signal is missed from here on; the future then waits for one.
fn until_signal(trigger: Trigger) -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
    Ok(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        info!(signal = name, "asked to stop");
        trigger.request();
        // Kept, because dropping it would ask too; the task ends with the process.
        std::future::pending::<()>().await;
    })
}
