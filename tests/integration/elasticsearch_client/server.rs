//! A server that answers exactly the bytes that a test writes, over TCP or TLS, and keeps what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anomalyjob_operator::elasticsearch::{Client, Credentials, Endpoint, Fence, Limits, Network};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What is sent back.
pub(crate) enum Reply {
    /// These bytes, then the end of the connection.
    Bytes(Vec<u8>),
    /// These bytes, and then the last ones again without end.
    Endless(Vec<u8>, Vec<u8>),
    /// These bytes, one a second, and then nothing.
    Slow(Vec<u8>),
    /// These bytes, and then nothing, with the connection left open.
    Stall(Vec<u8>),
}

/// An answer with status, further header lines (each with its line break) and body.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Reply {
    let length = body.len();
    Reply::Bytes(
        format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}")
            .into_bytes(),
    )
}

/// The header line of an Elasticsearch since 7.14.
pub(crate) const PRODUCT: &str =
    "X-elastic-product: Elasticsearch\r\ncontent-type: application/json\r\n";

/// A good answer to `_ml/info`.
pub(crate) const INFO: &str =
    r#"{"upgrade_mode":false,"defaults":{"datafeeds":{"scroll_size":1000}}}"#;

/// A network in which the servers of tests may be reached.
pub(crate) fn lab() -> Network {
    Network::behind(Fence {
        open: vec!["127.0.0.0/8".parse().unwrap()],
        ..Fence::default()
    })
}

type Script = dyn Fn(&str) -> Reply + Send + Sync;

/// Stops when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Answers each request with what `script` makes of its head.
    pub(crate) async fn start(script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self::with(None, Arc::new(script)).await
    }

    /// The same behind TLS.
    pub(crate) async fn start_tls(
        acceptor: TlsAcceptor,
        script: impl Fn(&str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::with(Some(acceptor), Arc::new(script)).await
    }

    async fn with(acceptor: Option<TlsAcceptor>, script: Arc<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        let task = tokio::spawn(async move {
            // The tasks of the connections end with the server.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (script, seen, acceptor) =
                    (Arc::clone(&script), Arc::clone(&seen), acceptor.clone());
                connections.spawn(async move {
                    match acceptor {
                        None => serve(stream, &script, &seen).await,
                        // A client that does not trust us breaks off here, which is the test.
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, &script, &seen).await,
                            Err(_) => Ok(()),
                        },
                    }
                });
            }
        });
        Self {
            address,
            heads,
            task,
        }
    }

    /// The heads of all requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// Waits until so many requests have come.
    pub(crate) async fn until_asked(&self, times: usize) {
        while self.heads.lock().unwrap().len() < times {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    /// The request lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.heads()
            .iter()
            .filter_map(|head| head.lines().next().map(str::to_owned))
            .collect()
    }

    /// Where it is, without TLS.
    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint {
            url: format!("http://{}", self.address),
            allow_plaintext: true,
            network: lab(),
            ..Endpoint::default()
        }
    }

    /// A client without credentials.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.endpoint(), Limits::default()).unwrap()
    }

    /// A client with an API key.
    pub(crate) fn client_with_key(&self, key: &str) -> Client {
        let credentials = Credentials::ApiKey(key.into());
        Client::new(
            &Endpoint {
                credentials,
                ..self.endpoint()
            },
            Limits::default(),
        )
        .unwrap()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    script: &Arc<Script>,
    seen: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = stream.read_u8().await?;
        head.push(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    seen.lock().unwrap().push(head.clone());
    match script(&head) {
        Reply::Bytes(bytes) => {
            stream.write_all(&bytes).await?;
            stream.shutdown().await
        }
        Reply::Endless(start, again) => {
            stream.write_all(&start).await?;
            loop {
                stream.write_all(&again).await?;
            }
        }
        Reply::Slow(bytes) => {
            for byte in bytes {
                stream.write_all(&[byte]).await?;
                stream.flush().await?;
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
            std::future::pending().await
        }
        Reply::Stall(bytes) => {
            stream.write_all(&bytes).await?;
            std::future::pending().await
        }
    }
}
