//! Starting and stopping the server: the listener, TLS, the ticker that lets due things happen. No requests are looked at here.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::{
    http::{
        auth::{ApiKey, Directory, User},
        connection::{Shared, serve},
        core::{Core, Network},
    },
    profile::Profile,
};

/// What a simulator is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address to listen on; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Version whose answers are given.
    pub profile: Profile,
    /// Certificate chain and key, PEM text.
    pub tls: Option<(String, String)>,
    /// Users; without users and keys security is off.
    pub users: Vec<User>,
    /// API keys.
    pub api_keys: Vec<ApiKey>,
    /// Default of the `close_ms` knob.
    pub close_ms: Option<u64>,
    /// Default of the `open_ms` knob.
    pub open_ms: Option<u64>,
    /// How long each cluster-state update takes in the master's queue; none = no queue.
    pub master_ms: Option<u64>,
    /// Wall time at the start, in ms since 1970; none = now.
    pub wall_ms: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            profile: Profile::default(),
            tls: None,
            users: Vec::new(),
            api_keys: Vec::new(),
            close_ms: None,
            open_ms: None,
            master_ms: None,
            wall_ms: None,
        }
    }
}

impl ApiKey {
    /// A key that is valid and belongs to `elastic`.
    pub fn new(id: &str, key: &str, privileges: &[&str]) -> Self {
        Self {
            id: id.into(),
            key: key.into(),
            privileges: privileges.iter().map(|name| (*name).to_owned()).collect(),
            name: id.into(),
            owner: "elastic".into(),
            invalidated: false,
            expires: None,
            created: 0,
        }
    }
}

impl User {
    /// A user with a password and privileges.
    pub fn new(name: &str, password: &str, privileges: &[&str]) -> Self {
        Self {
            name: name.into(),
            password: password.into(),
            privileges: privileges.iter().map(|name| (*name).to_owned()).collect(),
        }
    }
}

/// Why the simulator could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// Certificate or key are not usable.
    #[error("certificate or key: {0}")]
    Tls(String),
    /// A file cannot be read.
    #[error("cannot read {0}: {1}")]
    File(PathBuf, std::io::Error),
}

/// A running simulator. It stops when it is dropped.
#[derive(Debug)]
pub struct Simulator {
    shared: Arc<Shared>,
    address: SocketAddr,
    tls: bool,
    stop: watch::Sender<bool>,
    done: tokio::task::JoinHandle<()>,
}

impl Simulator {
    /// Starts listening.
    ///
    /// # Errors
    /// The address is taken, or the TLS material is not usable.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let (listen, tls) = (options.listen, options.tls.clone());
        Self::run(Arc::new(shared(options)), listen, tls).await
    }

    async fn run(
        shared: Arc<Shared>,
        listen: SocketAddr,
        tls: Option<(String, String)>,
    ) -> Result<Self, Error> {
        let acceptor = tls
            .as_ref()
            .map(|(cert, key)| acceptor(cert, key))
            .transpose()?;
        let listener = TcpListener::bind(listen)
            .await
            .map_err(|error| Error::Listen(listen, error))?;
        let address = listener
            .local_addr()
            .map_err(|error| Error::Listen(listen, error))?;
        let (stop, stopped) = watch::channel(false);
        let done = tokio::spawn(main_loop(
            Arc::clone(&shared),
            listener,
            address,
            acceptor,
            stopped,
        ));
        Ok(Self {
            shared,
            address,
            tls: tls.is_some(),
            stop,
            done,
        })
    }

    /// Base URL without a slash at the end.
    pub fn url(&self) -> String {
        format!(
            "{}://{}",
            if self.tls { "https" } else { "http" },
            self.address
        )
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Refuses connections and cuts the open ones; the cluster lives on.
    pub fn pause_network(&self) {
        self.shared.set_network(Network::Refuse, None);
    }

    /// Takes connections, and what comes over them, without ever answering; knobs still work.
    pub fn blackhole_network(&self) {
        self.shared.set_network(Network::Blackhole, None);
    }

    /// Listens again on the same port.
    pub fn resume_network(&self) {
        self.shared.set_network(Network::Up, None);
    }

    /// Stops at once: all connections are closed, the port is free when this returns.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        drop((&mut self.done).await);
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.done.abort();
    }
}

/// A new cluster, with nobody who ticks it yet.
pub(crate) fn shared(options: Options) -> Shared {
    let directory = Directory::new(options.users, options.api_keys);
    Shared::new(Core::new(
        options.profile,
        directory,
        options.close_ms,
        options.open_ms,
        options.master_ms,
        options.wall_ms,
    ))
}

/// Server side TLS from PEM texts, with ring.
fn acceptor(cert: &str, key: &str) -> Result<TlsAcceptor, Error> {
    let bad = |error: &dyn std::fmt::Display| Error::Tls(error.to_string());
    let chain = CertificateDer::pem_slice_iter(cert.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad(&error))?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| bad(&error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(&error))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| bad(&error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn main_loop(
    shared: Arc<Shared>,
    first: TcpListener,
    address: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    let mut network = shared.network.subscribe();
    let mut listener = Some(first);
    loop {
        let refuse = *network.borrow_and_update() == Network::Refuse;
        if refuse {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(address).await.ok();
        }
        let retry = !refuse && listener.is_none();
        tokio::select! {
            accepted = accept(listener.as_ref()) => {
                let (shared, acceptor) = (Arc::clone(&shared), acceptor.clone());
                connections.spawn(async move {
                    let stream = accepted;
                    drop(stream.set_nodelay(true));
                    match acceptor {
                        None => serve(stream, shared).await,
                        Some(acceptor) => if let Ok(stream) = acceptor.accept(stream).await { serve(stream, shared).await },
                    }
                });
            }
            () = due(&shared) => shared.lock().tick(),
            () = shared.changed.notified() => {}
            _ = network.changed() => {}
            _ = stopped.wait_for(|stop| *stop) => break,
            () = tokio::time::sleep(Duration::from_millis(20)), if retry => {}
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn accept(listener: Option<&TcpListener>) -> tokio::net::TcpStream {
    if let Some(listener) = listener {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return stream,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }
    std::future::pending().await
}

/// Waits for the next thing that is due, on the cluster's clock or for the network.
pub(crate) async fn due(shared: &Shared) {
    let next = {
        let core = shared.lock();
        core.cluster
            .next_due()
            .filter(|_| !core.clock.held)
            .map(|due| core.clock.instant(due))
    };
    let back = *shared
        .back_at
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    match [next, back].into_iter().flatten().min() {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
    if back.is_some_and(|back| back <= tokio::time::Instant::now()) {
        shared.set_network(Network::Up, None);
    }
}
