//! The simulator without a network: connections are pipes in memory, and time is that of the runtime. It exists for tests in
//! paused time, where a socket of the system would be slower than the clock; the HTTP is the same.

use std::sync::Arc;

use tokio::{
    io::DuplexStream,
    task::{JoinHandle, JoinSet},
};

use crate::{
    http::{
        connection::{Shared, serve},
        core::Network,
    },
    server::{Options, due, shared},
};

/// What a pipe holds before its writer has to wait.
const PIPE: usize = 256 * 1024;

/// A simulator that is reached through memory. It stops when it is dropped.
#[derive(Debug)]
pub struct Memory {
    shared: Arc<Shared>,
    ticker: JoinHandle<()>,
    connections: std::sync::Mutex<JoinSet<()>>,
}

impl Memory {
    /// Starts the cluster; `listen` and `tls` of the options are not looked at.
    pub fn start(options: Options) -> Self {
        let shared = Arc::new(shared(options));
        let ticker = tokio::spawn(tick(Arc::clone(&shared)));
        Self {
            shared,
            ticker,
            connections: std::sync::Mutex::default(),
        }
    }

    /// A connection; none where the network refuses.
    pub fn connect(&self) -> Option<DuplexStream> {
        if *self.shared.network.borrow() == Network::Refuse {
            return None;
        }
        let (client, server) = tokio::io::duplex(PIPE);
        let mut connections = self
            .connections
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        while connections.try_join_next().is_some() {}
        connections.spawn(serve(server, Arc::clone(&self.shared)));
        Some(client)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.ticker.abort();
    }
}

async fn tick(shared: Arc<Shared>) {
    loop {
        tokio::select! {
            biased;
            () = shared.changed.notified() => {}
            () = due(&shared) => shared.lock().tick(),
        }
    }
}
