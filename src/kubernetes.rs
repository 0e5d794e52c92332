//! The client for the API server. It exists so that its limits are set in one place, and that a kubeconfig that cannot be
//! used is answered with one line that says what to do.
//!
//! What bounds a call: connecting 5 s and writing 30 s, here. An answer has no limit here, because a watch is an answer
//! that goes on; kube has none of its own either. So **the caller bounds every call that is no watch**: the lease in
//! `lease/elector.rs` (5 s), the controller's reads and writes where they are made. A watch that has gone silent is ended by
//! kube-runtime's own idle limit, one that does not begin by `controller/watch.rs`. And kube's retries (15 of them, on 429, 503 and 504) are off: they would spend the
//! caller's time unseen, and all callers come again by themselves, more slowly each time.

use std::time::Duration;

use kube::config::{InferConfigError, KubeConfigOptions, KubeconfigError};
use kube::{Client, Config};

const CONNECT: Duration = Duration::from_secs(5);
const WRITE: Duration = Duration::from_secs(30);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `KUBECONFIG` is set and cannot be used.
    #[error("KUBECONFIG cannot be used: {}; set it to a readable kubeconfig whose current context exists, or unset it to use the pod's service account", one_line(.0))]
    Kubeconfig(#[source] KubeconfigError),
    /// Neither a kubeconfig nor a service account was found.
    #[error("no way to the Kubernetes API: {}; set KUBECONFIG to a kubeconfig, or run in a pod with a service account", .0)]
    Nowhere(String),
    /// What was found cannot be used, such as a certificate that is none.
    #[error("the Kubernetes API cannot be used: {}; look at the certificates and credentials of the kubeconfig or the service account", .0)]
    Unusable(String),
}

/// A client for the API server of `KUBECONFIG`, of `~/.kube/config`, or of the pod this runs in. Calls nothing yet.
pub async fn client() -> Result<Client, Error> {
    Ok(connect().await?.client)
}

/// The object of this name is not there. A server that does not know the kind at this moment, as after its start, says 404
/// too, and names no object; nobody would ever ask again for one that was taken for gone.
pub fn is_gone(error: &kube::Error, name: &str) -> bool {
    let kube::Error::Api(status) = error else {
        return false;
    };
    let named = status.details.as_ref().map(|details| details.name.as_str());
    status.is_not_found() && named == Some(name)
}

/// A client, and where it leads.
pub struct Connected {
    /// As of [`client`].
    pub client: Client,
    /// The hosts of the API server: that of the client, and that which every pod is told of.
    pub hosts: Vec<String>,
}

/// The same as [`client`], with the hosts of the API server.
pub async fn connect() -> Result<Connected, Error> {
    let mut config = find().await?;
    let own = config.cluster_url.host().map(ToOwned::to_owned);
    let told = std::env::var("KUBERNETES_SERVICE_HOST").ok();
    let hosts = own.into_iter().chain(told.filter(|host| !host.is_empty()));
    let hosts = hosts.collect();
    config.connect_timeout = Some(CONNECT);
    config.write_timeout = Some(WRITE);
    config.read_timeout = None;
    config.default_retry = false;
    let client = Client::try_from(config);
    let client = client.map_err(|error| Error::Unusable(first_line(&error.to_string())))?;
    Ok(Connected { client, hosts })
}

async fn find() -> Result<Config, Error> {
    // kube's own inference would go on to the service account in silence where KUBECONFIG is wrong, and so to another
    // cluster than the one that was asked for.
    if std::env::var_os("KUBECONFIG").is_some_and(|value| !value.is_empty()) {
        return Config::from_kubeconfig(&KubeConfigOptions::default())
            .await
            .map_err(Error::Kubeconfig);
    }
    Config::infer()
        .await
        .map_err(|error: InferConfigError| Error::Nowhere(first_line(&error.to_string())))
}

/// A kubeconfig holds credentials, and the parser's text quotes the lines around a mistake: of that only the place is told.
fn one_line(error: &KubeconfigError) -> String {
    if let KubeconfigError::Parse(error) = error {
        return match error.location() {
            Some(location) => format!(
                "it is no valid YAML of a kubeconfig at line {}",
                location.line()
            ),
            None => "it is no valid YAML of a kubeconfig".to_owned(),
        };
    }
    first_line(&error.to_string())
}

fn first_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(300)
        .collect()
}
