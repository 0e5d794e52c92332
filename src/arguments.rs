//! What can be said on the command line. Every flag can be said by an environment variable too, because a chart sets
//! variables and a person types flags. It must refuse what it does not understand, and reads nothing but the machine's
//! name and the pod's namespace.

use std::net::SocketAddr;
use std::path::Path;

use clap::{Args, Parser, Subcommand};

use crate::elasticsearch::Opening;
use crate::telemetry::{Filter, Format};

/// Where a pod finds the namespace it runs in.
const POD_NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// Closes Elasticsearch anomaly detection jobs as AnomalyJob objects say, and reports what truly happened.
#[derive(Debug, Parser)]
#[command(name = "anomalyjob-operator", version, args_conflicts_with_subcommands = true, after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Run,
}

const AFTER_HELP: &str = "\
The API server is found through KUBECONFIG or ~/.kube/config, else through the service account of the pod it runs in.
Exit codes: 0 stopped as asked, 1 failed, 2 an argument, a variable or the kubeconfig is wrong.";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator (the default)
    #[command(after_help = AFTER_HELP)]
    Run(Run),
    /// Print the CustomResourceDefinitions as YAML, for `kubectl apply -f -`
    Crd,
    /// Take the operator's finalizer off AnomalyJobs, so that they can be deleted after it was uninstalled
    #[command(after_help = AFTER_RELEASE)]
    Release(Release),
}

const AFTER_RELEASE: &str = "\
Stop the operator first: one that runs puts the finalizer back. Nothing is called in Elasticsearch, and no job is closed.
It needs the rights to list, get and patch anomalyjobs.
Exit codes: 0 none is held back any more, 1 some are or may be, 2 an argument, a variable or the kubeconfig is wrong.";

/// What to release.
#[derive(Debug, Args)]
pub struct Release {
    /// Only the AnomalyJobs of this namespace; may be given several times, or as a comma-separated list. Without it all
    #[arg(short = 'n', long = "namespace", env = "ANOMALYJOB_RELEASE_NAMESPACE", value_name = "NAMESPACE", value_delimiter = ',', value_parser = label)]
    pub namespaces: Vec<String>,
}

impl Release {
    /// The namespaces, each once; none means all.
    pub fn namespaces(&self) -> Vec<String> {
        each_once(&self.namespaces)
    }
}

/// How to run.
#[derive(Debug, Args)]
pub struct Run {
    /// Watch this namespace only; may be given several times, or as a comma-separated list. Without it all are watched
    #[arg(long = "watch-namespace", env = "ANOMALYJOB_WATCH_NAMESPACE", value_name = "NAMESPACE", value_delimiter = ',', value_parser = label)]
    pub watch_namespaces: Vec<String>,

    /// Where to serve /livez, /readyz and /metrics
    #[arg(long, env = "ANOMALYJOB_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = address)]
    pub listen: SocketAddr,

    /// The form of a log line. Without it text where standard output is a terminal, else json
    #[arg(long, env = "ANOMALYJOB_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<Format>,

    /// Which events are logged: error, warn, info, debug, trace or off, also by module as in info,kube=debug
    #[arg(long, env = "ANOMALYJOB_LOG_LEVEL", value_name = "FILTER", default_value = "info", value_parser = filter)]
    pub log_level: Filter,

    /// Let connections reach addresses that are closed to them: loopback, link-local, metadata services, the API server.
    /// An address, a network or a host name, such as 127.0.0.0/8 or *.lab.example; several times, or as a comma-separated list
    #[arg(long = "allow-endpoints", env = "ANOMALYJOB_ALLOW_ENDPOINTS", value_name = "ENDPOINT", value_delimiter = ',', value_parser = opening)]
    pub allow_endpoints: Vec<Opening>,

    /// Whether ClusterElasticsearchConnections are served. They and the labels of namespaces are read everywhere, which needs a
    /// ClusterRole. Without it true, and false where --watch-namespace is given
    #[arg(long, env = "ANOMALYJOB_CLUSTER_CONNECTIONS", value_name = "BOOL")]
    pub cluster_connections: Option<bool>,

    /// The namespace of the Secrets and ConfigMaps that ClusterElasticsearchConnections name. Without it the pod's own, else
    /// default
    #[arg(long, env = "ANOMALYJOB_CLUSTER_CONNECTIONS_NAMESPACE", value_name = "NAMESPACE", value_parser = label)]
    pub cluster_connections_namespace: Option<String>,

    /// The namespace of the Lease that says which replica acts. Without it the pod's own, else default
    #[arg(long, env = "ANOMALYJOB_LEASE_NAMESPACE", value_name = "NAMESPACE", value_parser = label)]
    pub lease_namespace: Option<String>,

    /// The name of the Lease that says which replica acts
    #[arg(long, env = "ANOMALYJOB_LEASE_NAME", value_name = "NAME", default_value = "anomalyjob-operator", value_parser = subdomain)]
    pub lease_name: String,

    /// What this replica is called in the Lease; a random suffix is added. Without it the name of the host
    #[arg(long, env = "ANOMALYJOB_IDENTITY", value_name = "NAME", value_parser = identity)]
    pub identity: Option<String>,
}

impl Arguments {
    /// What was asked for; `run` where nothing was.
    pub fn command(self) -> Command {
        self.command.unwrap_or(Command::Run(self.run))
    }
}

impl Run {
    /// The namespaces to watch, each once; none means all.
    pub fn namespaces(&self) -> Vec<String> {
        each_once(&self.watch_namespaces)
    }

    /// The namespace of the Secrets of ClusterElasticsearchConnections; `None` where that kind is not served.
    pub fn cluster_connections(&self) -> Option<String> {
        let everywhere = self.watch_namespaces.is_empty();
        let serves = self.cluster_connections.unwrap_or(everywhere);
        serves.then(|| or_own(self.cluster_connections_namespace.as_ref()))
    }

    /// The namespace of the Lease.
    pub fn lease_namespace(&self) -> String {
        or_own(self.lease_namespace.as_ref())
    }

    /// The name of this replica.
    pub fn identity(&self) -> String {
        let given = self.identity.clone();
        given
            .or_else(|| word_in(Path::new("/proc/sys/kernel/hostname")))
            .unwrap_or_else(|| "anomalyjob-operator".to_owned())
    }
}

/// The namespace that is given, else that of the pod.
fn or_own(given: Option<&String>) -> String {
    given
        .cloned()
        .or_else(|| word_in(Path::new(POD_NAMESPACE)))
        .unwrap_or_else(|| "default".to_owned())
}

fn each_once(names: &[String]) -> Vec<String> {
    let mut names = names.to_vec();
    names.sort_unstable();
    names.dedup();
    names
}

fn word_in(file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    Some(text.trim().to_owned()).filter(|word| !word.is_empty())
}

/// A name by RFC 1123: what the API server takes as the name of a namespace.
fn label(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("it is empty; leave it out instead".to_owned());
    }
    if !is_label(text) {
        return Err(
            "a namespace is at most 63 of a-z, 0-9 and '-', with a letter or digit at both ends, such as team-a".to_owned()
        );
    }
    Ok(text.to_owned())
}

/// Labels joined by dots: what the API server takes as the name of a Lease.
fn subdomain(text: &str) -> Result<String, String> {
    if text.len() > 253 || !text.split('.').all(is_label) {
        return Err("the name of a Lease is at most 253 of a-z, 0-9, '-' and '.', such as anomalyjob-operator".to_owned());
    }
    Ok(text.to_owned())
}

fn is_label(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = bytes.first().copied().is_some_and(word) && bytes.last().copied().is_some_and(word);
    ends && bytes.len() <= 63 && bytes.iter().all(|&byte| word(byte) || byte == b'-')
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an address is an IP address and a port, such as 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080".to_owned())
}

fn filter(text: &str) -> Result<Filter, String> {
    text.parse::<Filter>()
        .map_err(|error| format!("{error}; try info, debug or info,kube=debug"))
}

fn opening(text: &str) -> Result<Opening, String> {
    text.parse::<Opening>().map_err(|error| error.to_string())
}

fn identity(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 200 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("a name is 1 to 200 visible ASCII characters without blanks".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> Result<Run, clap::Error> {
        let words = std::iter::once("anomalyjob-operator").chain(line.split_whitespace());
        match Arguments::try_parse_from(words)?.command() {
            Command::Run(run) => Ok(run),
            other => panic!("asked for run, got {other:?}"),
        }
    }

    #[test]
    fn run_is_what_happens_where_no_command_is_given() {
        for line in ["--log-format json", "run --log-format json"] {
            assert_eq!(run(line).unwrap().log_format, Some(Format::Json));
        }
        assert!(matches!(
            Arguments::try_parse_from(["x", "crd"]).unwrap().command(),
            Command::Crd
        ));
    }

    #[test]
    fn a_flag_before_the_command_is_refused_rather_than_ignored() {
        assert!(run("--log-format json run").is_err());
    }

    #[test]
    fn namespaces_are_repeated_or_separated_by_commas_and_each_counts_once() {
        let run = run("--watch-namespace b,a --watch-namespace b").unwrap();
        assert_eq!(run.namespaces(), ["a", "b"]);
    }

    #[test]
    fn cluster_connections_are_served_where_all_namespaces_are_watched_or_where_that_is_asked_for()
    {
        let of = |line: &str| run(line).unwrap().cluster_connections();
        let own = Some("default".to_owned());
        assert_eq!(of(""), own);
        assert_eq!(of("--watch-namespace a"), None);
        assert_eq!(of("--watch-namespace a --cluster-connections true"), own);
        assert_eq!(of("--cluster-connections false"), None);
        let named = "--cluster-connections-namespace es --watch-namespace a";
        assert_eq!(of(named), None);
        let asked = format!("{named} --cluster-connections=true");
        assert_eq!(of(&asked).as_deref(), Some("es"));
    }

    #[test]
    fn release_takes_namespaces_like_run_does_and_means_all_without_one() {
        let release = |line: &str| {
            let words = line.split_whitespace();
            match Arguments::try_parse_from(words).unwrap().command() {
                Command::Release(release) => release.namespaces(),
                other => panic!("asked for release, got {other:?}"),
            }
        };
        assert_eq!(release("x release --namespace b,a -n b"), ["a", "b"]);
        assert!(release("x release").is_empty());
        assert!(Arguments::try_parse_from(["x", "release", "-n", "A"]).is_err());
    }

    #[test]
    fn a_namespace_that_no_api_server_would_take_is_refused_with_what_would_be_right() {
        for wrong in ["Team", "a_b", "-a", "a-", "a.b", &"a".repeat(64)] {
            let error = run(&format!("--watch-namespace={wrong}"))
                .unwrap_err()
                .to_string();
            assert!(error.contains("such as team-a"), "{wrong}: {error}");
        }
        let empty = run("--watch-namespace=").unwrap_err().to_string();
        assert!(empty.contains("leave it out"), "{empty}");
    }

    #[test]
    fn the_grammar_of_the_command_line_is_sound() {
        use clap::CommandFactory as _;
        Arguments::command_for_update().debug_assert();
    }
}
