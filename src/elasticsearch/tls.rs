//! Whom to trust, and what a failed handshake meant.
//!
//! Certificates are always checked: there is no option here that could switch that off. The roots are those
//! of the system, or exactly the given bundle.

use std::error::Error as StdError;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Certificate, Identity};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::credentials::CredentialsProblem;

/// The largest CA bundle that is read, in bytes: parsing PEM costs time that a tenant would choose.
pub const MAX_CA_BYTES: usize = 64 * 1024;
/// The most certificates in one bundle.
const MAX_CA_CERTIFICATES: usize = 50;

/// Makes ring the process's provider of cryptography, unless there is one. Safe to call often; `main` calls
/// it because other clients of the process need a provider too.
pub fn install_provider() {
    // An error says that another thread was first, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// What is wrong with a CA bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaProblem {
    /// Over 64 KiB.
    #[error("the bundle is larger than 64 KiB")]
    TooLarge,
    /// More than 50 certificates.
    #[error("the bundle has more than 50 certificates")]
    TooMany,
    /// No `-----BEGIN CERTIFICATE-----` in it.
    #[error("there is no PEM certificate in it (it begins with -----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// The PEM frame is there and what it holds is none.
    #[error("what stands between BEGIN and END CERTIFICATE is no certificate")]
    Broken,
}

/// The certificates of a bundle, each checked to be one.
pub(super) fn roots(pem: &[u8]) -> Result<Vec<Certificate>, CaProblem> {
    if pem.len() > MAX_CA_BYTES {
        return Err(CaProblem::TooLarge);
    }
    let mut roots = Vec::new();
    let mut store = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| CaProblem::Broken)?;
        if roots.len() == MAX_CA_CERTIFICATES {
            return Err(CaProblem::TooMany);
        }
        store
            .add(certificate.clone())
            .map_err(|_| CaProblem::Broken)?;
        roots.push(Certificate::from_der(&certificate).map_err(|_| CaProblem::Broken)?);
    }
    if roots.is_empty() {
        Err(CaProblem::NoCertificate)
    } else {
        Ok(roots)
    }
}

/// A client certificate and its key, checked to belong together, as large as a bundle at most.
pub(super) fn identity(chain: &[u8], key: &str) -> Result<Identity, CredentialsProblem> {
    let (no_certificate, no_key) = (
        CredentialsProblem::NoCertificate,
        CredentialsProblem::NoPrivateKey,
    );
    if chain.len() > MAX_CA_BYTES || roots(chain).is_err() {
        return Err(no_certificate);
    }
    if key.len() > MAX_CA_BYTES {
        return Err(no_key);
    }
    let certificates = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| no_certificate)?;
    let private = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| no_key)?;
    let label = match &private {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    };
    // Written anew, so that what is used is what was checked: of several keys in a text reqwest takes the last.
    let mut whole = framed(label, private.secret_der());
    for certificate in &certificates {
        whole.push_str(&framed("CERTIFICATE", certificate));
    }
    let provider = rustls::crypto::ring::default_provider();
    match CertifiedKey::from_der(certificates, private, &provider) {
        Ok(_) => {}
        Err(rustls::Error::InconsistentKeys(_)) => return Err(CredentialsProblem::KeyOfAnother),
        Err(_) => return Err(no_key),
    }
    Identity::from_pem(whole.as_bytes()).map_err(|_| no_key)
}

/// As PEM.
fn framed(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

/// Why no encrypted connection came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsProblem {
    /// Signed by nobody who is trusted.
    #[error("its certificate is signed by no trusted CA; give its CA in tls.ca")]
    Untrusted,
    /// Its time is over.
    #[error("its certificate has expired")]
    Expired,
    /// Its time has not begun; or the clock here is wrong.
    #[error("its certificate is not valid yet, or the clock here is wrong")]
    NotYetValid,
    /// Made out to another host.
    #[error("its certificate is for another name than the host in url")]
    WrongName,
    /// Taken back.
    #[error("its certificate has been revoked")]
    Revoked,
    /// Something else about the certificate.
    #[error("its certificate is not acceptable")]
    BadCertificate,
    /// No TLS is spoken there.
    #[error("no TLS is spoken there; is it http:// at this port?")]
    NotTls,
    /// The other side broke the handshake off.
    #[error("it refused the handshake, for example for want of a client certificate")]
    RefusedByPeer,
    /// Anything else.
    #[error("no common protocol was found, or the handshake broke")]
    Handshake,
}

impl TlsProblem {
    /// The reason in one word.
    pub fn category(self) -> &'static str {
        match self {
            Self::Untrusted => "TLSUntrusted",
            Self::Expired | Self::NotYetValid => "TLSExpired",
            Self::WrongName => "TLSWrongName",
            Self::Revoked
            | Self::BadCertificate
            | Self::NotTls
            | Self::RefusedByPeer
            | Self::Handshake => "TLSFailed",
        }
    }

    /// Looks for a TLS error in a chain of causes.
    pub(super) fn find(error: &(dyn StdError + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(tls) = error.downcast_ref::<rustls::Error>() {
                return Some(Self::of(tls));
            }
            // An I/O error shows the cause of what it wraps, not what it wraps.
            if let Some(io) = error.downcast_ref::<std::io::Error>()
                && let Some(inner) = io.get_ref()
                && let Some(found) = Self::find(inner)
            {
                return Some(found);
            }
            next = error.source();
        }
        None
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "rustls' errors are non-exhaustive"
    )]
    fn of(error: &rustls::Error) -> Self {
        use rustls::CertificateError as Certificate;
        match error {
            rustls::Error::InvalidCertificate(problem) => match problem {
                Certificate::UnknownIssuer | Certificate::BadSignature => Self::Untrusted,
                Certificate::Expired | Certificate::ExpiredContext { .. } => Self::Expired,
                Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
                    Self::NotYetValid
                }
                Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                    Self::WrongName
                }
                Certificate::Revoked => Self::Revoked,
                _ => Self::BadCertificate,
            },
            rustls::Error::InvalidMessage(_) => Self::NotTls,
            rustls::Error::AlertReceived(_) => Self::RefusedByPeer,
            _ => Self::Handshake,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> String {
        rcgen::generate_simple_self_signed(["es".to_owned()])
            .unwrap()
            .cert
            .pem()
    }

    #[test]
    fn a_bundle_of_several_certificates_is_read_whole() {
        let pem = format!("# a comment\n{}\n{}", certificate(), certificate());
        assert_eq!(roots(pem.as_bytes()).unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_bundle_is_refused_with_what_it_is() {
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let cases: [(Vec<u8>, CaProblem); 7] = [
            (Vec::new(), CaProblem::NoCertificate),
            (b"not pem".to_vec(), CaProblem::NoCertificate),
            (key.into_bytes(), CaProblem::NoCertificate),
            (
                b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec(),
                CaProblem::Broken,
            ),
            (
                b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n".to_vec(),
                CaProblem::Broken,
            ),
            (vec![b'\n'; MAX_CA_BYTES + 1], CaProblem::TooLarge),
            (certificate().repeat(51).into_bytes(), CaProblem::TooMany),
        ];
        for (pem, expected) in cases {
            assert_eq!(
                roots(&pem).unwrap_err(),
                expected,
                "{}",
                String::from_utf8_lossy(&pem).trim()
            );
        }
    }

    #[test]
    fn of_several_keys_the_one_that_was_checked_is_used() {
        let own = rcgen::generate_simple_self_signed(["es".to_owned()]).unwrap();
        let (right, other) = (
            own.signing_key.serialize_pem(),
            rcgen::KeyPair::generate().unwrap().serialize_pem(),
        );
        let chain = own.cert.pem();
        let client = |chain: &str, key: &str| {
            install_provider();
            let identity = identity(chain.as_bytes(), key)?;
            let builder = reqwest::Client::builder().tls_certs_only([]);
            assert!(builder.identity(identity).build().is_ok(), "{chain}{key}");
            Ok(())
        };
        for (chain, key) in [
            (chain.clone(), format!("{right}{other}")),
            (format!("{chain}{other}"), right.clone()),
            (chain.clone(), format!("{right}{}", certificate())),
            (chain.clone(), format!("# a comment\n{right}")),
        ] {
            assert_eq!(client(&chain, &key), Ok(()));
        }
        let both = format!("{other}{right}");
        assert_eq!(client(&chain, &both), Err(CredentialsProblem::KeyOfAnother));
    }

    #[test]
    fn a_tls_error_is_found_however_deep_it_is_wrapped() {
        let tls = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let wrapped = std::io::Error::other(std::io::Error::other(tls));
        assert_eq!(TlsProblem::find(&wrapped), Some(TlsProblem::Expired));
        assert_eq!(TlsProblem::find(&std::io::Error::other("x")), None);
    }
}
