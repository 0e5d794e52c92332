//! TLS before a simulator, with certificates that can be changed while it runs: by another authority, or run out.

use std::sync::{Arc, PoisonError, RwLock};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::RUNTIME;

/// An authority that signs certificates for this machine.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        anomalyjob_operator::elasticsearch::tls::install_provider();
        let mut params = CertificateParams::new(Vec::new()).expect("params");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("key");
        Self(CertifiedIssuer::self_signed(params, key).expect("CA"))
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    fn acceptor(&self, ran_out: bool) -> TlsAcceptor {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("params");
        if ran_out {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate().expect("key");
        let certificate = params.signed_by(&key, &self.0).expect("certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("key");
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("config");
        TlsAcceptor::from(Arc::new(config))
    }
}

/// What listens with TLS and speaks to the simulator without.
pub(crate) struct Front {
    pub(crate) port: u16,
    acceptor: Arc<RwLock<TlsAcceptor>>,
    changed: watch::Sender<()>,
}

impl Front {
    /// Before the simulator at this port, with a good certificate of this authority.
    pub(crate) fn before(port: u16, authority: &Authority) -> Self {
        let listener = RUNTIME
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .expect("listener");
        let front = Self {
            port: listener.local_addr().expect("address").port(),
            acceptor: Arc::new(RwLock::new(authority.acceptor(false))),
            changed: watch::Sender::new(()),
        };
        let (acceptor, changed) = (front.acceptor.clone(), front.changed.subscribe());
        RUNTIME.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor
                    .read()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone();
                let mut changed = changed.clone();
                changed.mark_unchanged();
                tokio::spawn(async move {
                    let carry = async {
                        let mut outer = acceptor.accept(stream).await?;
                        let mut inner = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
                        tokio::io::copy_bidirectional(&mut outer, &mut inner).await
                    };
                    tokio::select! {
                        _ = carry => {}
                        _ = changed.changed() => {}
                    }
                });
            }
        });
        front
    }

    /// From now on; open connections are cut, as by a restart that a new certificate takes.
    pub(crate) fn present(&self, authority: &Authority, ran_out: bool) {
        let next = authority.acceptor(ran_out);
        *self
            .acceptor
            .write()
            .unwrap_or_else(PoisonError::into_inner) = next;
        self.changed.send_replace(());
    }
}
