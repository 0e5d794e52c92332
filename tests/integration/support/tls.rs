//! Certificates made for a test, and TLS before a server that has none. No test stands here.

use std::sync::Arc;

use anomalyjob_operator::elasticsearch::tls::install_provider;
use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::RUNTIME;

/// An authority that signs certificates for tests.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(authority(), key).unwrap())
    }

    pub(crate) fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    /// A certificate for `name`, changed by `change`, and its key.
    pub(crate) fn sign(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> (Certificate, KeyPair) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }

    pub(crate) fn acceptor(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> TlsAcceptor {
        let (certificate, key) = self.sign(name, change);
        acceptor_of(vec![certificate.der().clone()], &key)
    }

    /// Wants a certificate of its client that this authority signed.
    pub(crate) fn acceptor_of_known_clients(&self) -> TlsAcceptor {
        install_provider();
        let mut roots = RootCertStore::empty();
        roots.add(self.der()).unwrap();
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots));
        let (certificate, key) = self.sign("127.0.0.1", |_| {});
        let config = ServerConfig::builder()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// An authority that this one has signed.
    pub(crate) fn below(&self) -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::signed_by(authority(), key, &self.0).unwrap())
    }
}

/// Each with a name of its own, as a chain is followed by names.
fn authority() -> CertificateParams {
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let name = format!("authority {number}");
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    params
}

/// A server that sends this chain.
pub(crate) fn acceptor_of(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> TlsAcceptor {
    install_provider();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// TLS before a server of this machine.
pub(crate) struct Front {
    pub(crate) port: u16,
    acceptor: watch::Sender<TlsAcceptor>,
}

impl Front {
    pub(crate) fn before(server: u16, acceptor: TlsAcceptor) -> Self {
        Self::at("127.0.0.1:0", server, acceptor)
    }

    /// The same at an address of this machine.
    pub(crate) fn at(address: &str, server: u16, acceptor: TlsAcceptor) -> Self {
        let listener = RUNTIME.block_on(TcpListener::bind(address)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, current) = watch::channel(acceptor);
        RUNTIME.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut changes = current.clone();
                let acceptor = changes.borrow_and_update().clone();
                tokio::spawn(async move {
                    let passing = pass(stream, acceptor, server);
                    tokio::select! {
                        passed = passing => passed,
                        // The connections of before end with what they were made by.
                        _ = changes.changed() => Ok(()),
                    }
                });
            }
        });
        Self {
            port,
            acceptor: sender,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// From now on it has these certificates, and all connections are made anew.
    pub(crate) fn change(&self, acceptor: TlsAcceptor) {
        self.acceptor.send_replace(acceptor);
    }
}

async fn pass(stream: TcpStream, acceptor: TlsAcceptor, server: u16) -> std::io::Result<()> {
    let mut outer = acceptor.accept(stream).await?;
    let mut inner = TcpStream::connect(("127.0.0.1", server)).await?;
    tokio::io::copy_bidirectional(&mut outer, &mut inner).await?;
    Ok(())
}
