//! The simulator as a program: flags, environment variables, one line on stdout, an end on SIGTERM or SIGINT.

use std::{io::Write, net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::Parser;
use elasticsearch_simulator::{ApiKey, Error, Options, Profile, Simulator, User};
use tokio::signal::unix::{SignalKind, signal};

/// Elasticsearch's anomaly detection API for tests and demos. Knobs are listed at GET /_simulator/.
#[derive(Debug, Parser)]
#[command(version)]
struct Flags {
    /// Address to listen on; port 0 lets the system choose.
    #[arg(long, env = "ES_SIM_LISTEN", default_value = "127.0.0.1:9200")]
    listen: SocketAddr,
    /// Version whose answers are given: 7.10, 7.13, 7.17, 8 or 9.
    #[arg(long, env = "ES_SIM_PROFILE", default_value = "9")]
    profile: Profile,
    /// Certificate chain (PEM file); needs --tls-key.
    #[arg(long, env = "ES_SIM_TLS_CERT", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key (PEM file); needs --tls-cert.
    #[arg(long, env = "ES_SIM_TLS_KEY", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// name:password:privilege,privilege... Repeatable; in the environment separated by blanks. Without users and keys security is off.
    #[arg(long, env = "ES_SIM_USER", value_delimiter = ' ', value_parser = user)]
    user: Vec<User>,
    /// id:key:privilege,privilege... Repeatable; in the environment separated by blanks.
    #[arg(long, env = "ES_SIM_API_KEY", value_delimiter = ' ', value_parser = api_key)]
    api_key: Vec<ApiKey>,
    /// How long a native close takes, in ms, unless a knob says otherwise (profile 7.10: 60, as recorded; profile 9: 0).
    #[arg(long, env = "ES_SIM_CLOSE_MS")]
    close_ms: Option<u64>,
    /// How long a process takes to open, in ms, unless a knob says otherwise (0).
    #[arg(long, env = "ES_SIM_OPEN_MS")]
    open_ms: Option<u64>,
    /// How long each cluster-state update takes in the master's serial queue, in ms (none; a small real master takes 25).
    #[arg(long, env = "ES_SIM_MASTER_MS")]
    master_ms: Option<u64>,
}

fn three(text: &str) -> Result<(&str, &str, Vec<&str>), String> {
    let mut parts = text.splitn(3, ':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(name), Some(secret), Some(privileges)) if !name.is_empty() => Ok((
            name,
            secret,
            privileges
                .split(',')
                .filter(|name| !name.is_empty())
                .collect(),
        )),
        _ => Err("three parts with colons between them: name:secret:privilege,privilege".into()),
    }
}

fn user(text: &str) -> Result<User, String> {
    three(text).map(|(name, password, privileges)| User::new(name, password, &privileges))
}

fn api_key(text: &str) -> Result<ApiKey, String> {
    three(text).map(|(id, key, privileges)| ApiKey::new(id, key, &privileges))
}

fn file(path: PathBuf) -> Result<String, Error> {
    std::fs::read_to_string(&path).map_err(|error| Error::File(path, error))
}

async fn run(flags: Flags) -> Result<(), Box<dyn std::error::Error>> {
    let tls = match (flags.tls_cert, flags.tls_key) {
        (Some(cert), Some(key)) => Some((file(cert)?, file(key)?)),
        _ => None,
    };
    let (mut term, mut int) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let options = Options {
        listen: flags.listen,
        profile: flags.profile,
        tls,
        users: flags.user,
        api_keys: flags.api_key,
        close_ms: flags.close_ms,
        open_ms: flags.open_ms,
        master_ms: flags.master_ms,
        wall_ms: None,
    };
    let simulator = Simulator::start(options).await?;
    writeln!(std::io::stdout(), "listening on {}", simulator.url())?;
    std::io::stdout().flush()?;
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    simulator.stop().await;
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Flags::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nowhere else to complain to.
            drop(writeln!(
                std::io::stderr(),
                "elasticsearch-simulator: {error}"
            ));
            ExitCode::FAILURE
        }
    }
}
