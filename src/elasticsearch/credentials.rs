//! Credentials, and the header that is made of them.
//!
//! They come out of a Secret as a user wrote it, with or without a newline at the end. Nothing here may
//! show a value: not an error, not a `Debug`, not a log line.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Identity;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use super::endpoint::SetupError;
use super::tls;

/// The longest user name, password or API key that is taken, in bytes. The header has to fit into the 8 KiB
/// that Elasticsearch takes for all headers of a request.
const MAX_LENGTH: usize = 4096;

/// What both of them together are called.
const BOTH: &str = "user name with its password";

/// What the client presents to Elasticsearch. `Debug` shows the kind and nothing else.
#[derive(Clone, Default)]
pub enum Credentials {
    /// None: for a cluster without security.
    #[default]
    None,
    /// An API key, as `encoded` of the create call or as `id:api_key` (reference 9.3).
    ApiKey(SecretString),
    /// User name and password.
    Basic {
        /// The user name. It has no colon.
        user: SecretString,
        /// The password.
        password: SecretString,
    },
    /// A token of a service account or of OAuth2.
    Bearer(SecretString),
    /// A certificate that is shown in the handshake; no header is sent.
    ClientCertificate {
        /// The certificate and its chain, as PEM.
        chain_pem: Vec<u8>,
        /// Its key, as PEM.
        key_pem: SecretString,
    },
}

impl Credentials {
    /// Nothing is presented.
    pub fn are_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// They would present the same.
    pub fn same(&self, other: &Self) -> bool {
        let same =
            |one: &SecretString, two: &SecretString| one.expose_secret() == two.expose_secret();
        match (self, other) {
            (Self::None, Self::None) => true,
            (Self::ApiKey(one), Self::ApiKey(two)) | (Self::Bearer(one), Self::Bearer(two)) => {
                same(one, two)
            }
            (
                Self::ClientCertificate { chain_pem, key_pem },
                Self::ClientCertificate {
                    chain_pem: chain,
                    key_pem: key,
                },
            ) => chain_pem == chain && same(key_pem, key),
            (
                Self::Basic {
                    user: one,
                    password: first,
                },
                Self::Basic {
                    user: two,
                    password: second,
                },
            ) => same(one, two) && same(first, second),
            _ => false,
        }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::ApiKey(_) => "ApiKey(redacted)",
            Self::Basic { .. } => "Basic(redacted)",
            Self::Bearer(_) => "Bearer(redacted)",
            Self::ClientCertificate { .. } => "ClientCertificate(redacted)",
        })
    }
}

/// Which credential is unusable and why. Never holds the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsProblem {
    /// Nothing, or a newline alone.
    #[error("the {0} is empty")]
    Empty(&'static str),
    /// A line break (but the one at the end), a tab or the like.
    #[error("the {0} has a control character in it")]
    ControlCharacter(&'static str),
    /// More than 4096 bytes.
    #[error("the {0} is longer than 4096 bytes")]
    TooLong(&'static str),
    /// An API key outside of what Elasticsearch gives out.
    #[error("the API key is neither the `encoded` text of the create call nor `id:api_key`")]
    NoApiKey,
    /// A token has only visible characters.
    #[error("the bearer token has a blank or another character in it that no token has")]
    NoToken,
    /// No `-----BEGIN CERTIFICATE-----`, or what stands in it is none.
    #[error("tls.crt holds no PEM certificate (it begins with -----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// No key that is understood: PKCS#8, PKCS#1 or SEC1, not encrypted.
    #[error(
        "tls.key holds no usable private key, unencrypted PEM (it begins with -----BEGIN PRIVATE KEY-----)"
    )]
    NoPrivateKey,
    /// The key is that of another certificate.
    #[error("tls.key is not the key of the certificate in tls.crt")]
    KeyOfAnother,
    /// A colon ends the user name in the header.
    #[error("the user name has a colon in it")]
    ColonInUser,
}

impl Credentials {
    /// The value of `Authorization`, marked sensitive.
    pub(super) fn header(&self) -> Result<Option<HeaderValue>, SetupError> {
        let text = match self {
            Self::None | Self::ClientCertificate { .. } => return Ok(None),
            Self::Bearer(token) => {
                let token = checked("bearer token", token)?;
                if !token.chars().all(|c| c.is_ascii_graphic()) {
                    return Err(CredentialsProblem::NoToken.into());
                }
                format!("Bearer {token}")
            }
            Self::ApiKey(key) => format!("ApiKey {}", encoded_key(key)?),
            Self::Basic { user, password } => {
                let user = checked("user name", user)?;
                let password = checked("password", password)?;
                if user.contains(':') {
                    return Err(CredentialsProblem::ColonInUser.into());
                }
                if user.len() + password.len() > MAX_LENGTH {
                    return Err(CredentialsProblem::TooLong(BOTH).into());
                }
                format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
            }
        };
        let mut header = HeaderValue::try_from(text).map_err(|_| CredentialsProblem::NoApiKey)?;
        header.set_sensitive(true);
        Ok(Some(header))
    }

    /// What is shown in the handshake, checked to be a certificate and its key.
    pub(super) fn client_certificate(&self) -> Result<Option<Identity>, SetupError> {
        match self {
            Self::ClientCertificate { chain_pem, key_pem } => {
                Ok(Some(tls::identity(chain_pem, key_pem.expose_secret())?))
            }
            Self::None | Self::ApiKey(_) | Self::Basic { .. } | Self::Bearer(_) => Ok(None),
        }
    }
}

/// The value without one newline at its end, the one that editors and `echo` add.
fn checked<'a>(name: &'static str, value: &'a SecretString) -> Result<&'a str, CredentialsProblem> {
    let value = value.expose_secret();
    let value = value.strip_suffix('\n').unwrap_or(value);
    let value = value.strip_suffix('\r').unwrap_or(value);
    if value.is_empty() {
        return Err(CredentialsProblem::Empty(name));
    }
    if value.len() > MAX_LENGTH {
        return Err(CredentialsProblem::TooLong(name));
    }
    if value.chars().any(char::is_control) {
        return Err(CredentialsProblem::ControlCharacter(name));
    }
    Ok(value)
}

fn encoded_key(key: &SecretString) -> Result<String, CredentialsProblem> {
    let key = checked("API key", key)?;
    let printable = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
    if let Some((id, secret)) = key.split_once(':') {
        let good = printable(id) && printable(secret);
        return good
            .then(|| STANDARD.encode(key))
            .ok_or(CredentialsProblem::NoApiKey);
    }
    let good = key
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "+/=-_".contains(c));
    good.then(|| key.to_owned())
        .ok_or(CredentialsProblem::NoApiKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENTINEL: &str = "s3ntinel";

    fn basic(user: &str, password: &str) -> Credentials {
        Credentials::Basic {
            user: user.into(),
            password: password.into(),
        }
    }

    fn sent(credentials: &Credentials) -> String {
        credentials
            .header()
            .unwrap()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    }

    fn problem(credentials: &Credentials) -> CredentialsProblem {
        match credentials.header() {
            Err(SetupError::Credentials(problem)) => problem,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_encoded_key_is_sent_as_it_is_and_a_pair_is_encoded() {
        let expected = format!("ApiKey {}", STANDARD.encode("id:key"));
        assert_eq!(
            sent(&Credentials::ApiKey(STANDARD.encode("id:key").into())),
            expected
        );
        assert_eq!(sent(&Credentials::ApiKey("id:key".into())), expected);
        assert_eq!(
            sent(&basic("u", "p:q")),
            format!("Basic {}", STANDARD.encode("u:p:q"))
        );
        assert_eq!(
            sent(&Credentials::Bearer("AAE.x-1\n".into())),
            "Bearer AAE.x-1"
        );
        assert!(Credentials::None.header().unwrap().is_none());
    }

    #[test]
    fn a_client_certificate_is_taken_with_its_own_key_and_no_other() {
        let make = || rcgen::generate_simple_self_signed(["me".to_owned()]).unwrap();
        let (mine, other) = (make(), make());
        let problem = |chain: &str, key: &str| {
            let credentials = Credentials::ClientCertificate {
                chain_pem: chain.into(),
                key_pem: key.into(),
            };
            assert!(credentials.header().unwrap().is_none());
            match credentials.client_certificate() {
                Ok(found) => found.map(|_| None),
                Err(SetupError::Credentials(problem)) => Some(Some(problem)),
                Err(other) => panic!("{other:?}"),
            }
        };
        let (certificate, key) = (mine.cert.pem(), mine.signing_key.serialize_pem());
        let foreign = other.signing_key.serialize_pem();
        assert_eq!(problem(&certificate, &key), Some(None));
        for (chain, key, expected) in [
            (&*certificate, &*foreign, CredentialsProblem::KeyOfAnother),
            (&certificate, &certificate, CredentialsProblem::NoPrivateKey),
            (&certificate, "", CredentialsProblem::NoPrivateKey),
            (&key, &key, CredentialsProblem::NoCertificate),
            ("", &key, CredentialsProblem::NoCertificate),
        ] {
            assert_eq!(problem(chain, key), Some(Some(expected)));
        }
    }

    #[test]
    fn exactly_one_newline_at_the_end_is_taken_away() {
        assert_eq!(
            sent(&Credentials::ApiKey("id:key\n".into())),
            sent(&Credentials::ApiKey("id:key".into()))
        );
        assert_eq!(sent(&basic("u\n", "p\r\n")), sent(&basic("u", "p")));
        assert_eq!(
            problem(&basic("u", "p\n\n")),
            CredentialsProblem::ControlCharacter("password")
        );
        assert_eq!(
            sent(&basic("u", " p ")),
            format!("Basic {}", STANDARD.encode("u: p "))
        );
    }

    #[test]
    fn what_is_no_credential_is_refused_by_name() {
        assert_eq!(
            problem(&basic("", "p")),
            CredentialsProblem::Empty("user name")
        );
        assert_eq!(
            problem(&basic("u", "\n")),
            CredentialsProblem::Empty("password")
        );
        assert_eq!(problem(&basic("a:b", "p")), CredentialsProblem::ColonInUser);
        assert_eq!(
            problem(&Credentials::ApiKey("a\u{0}b".into())),
            CredentialsProblem::ControlCharacter("API key")
        );
        for key in ["two words", ":x", "x:", "äö", "ApiKey abc"] {
            assert_eq!(
                problem(&Credentials::ApiKey(key.into())),
                CredentialsProblem::NoApiKey,
                "{key}"
            );
        }
        for token in ["two words", "ö"] {
            assert_eq!(
                problem(&Credentials::Bearer(token.into())),
                CredentialsProblem::NoToken
            );
        }
        assert_eq!(
            problem(&Credentials::ApiKey("a".repeat(5000).into())),
            CredentialsProblem::TooLong("API key")
        );
        let half = "a".repeat(3000);
        assert_eq!(
            problem(&basic(&half, &half)),
            CredentialsProblem::TooLong(BOTH)
        );
    }

    #[test]
    fn no_value_is_ever_shown() {
        let broken = format!("{SENTINEL}\nx");
        let all = [
            Credentials::ApiKey(SENTINEL.into()),
            basic(SENTINEL, SENTINEL),
            Credentials::ApiKey(broken.clone().into()),
            basic(&broken, SENTINEL),
            basic(&format!("{SENTINEL}:"), SENTINEL),
            Credentials::Bearer(SENTINEL.into()),
            Credentials::Bearer(broken.clone().into()),
            Credentials::ClientCertificate {
                chain_pem: SENTINEL.into(),
                key_pem: SENTINEL.into(),
            },
        ];
        for credentials in all {
            let (header, shown) = (credentials.header(), credentials.client_certificate());
            let shown =
                format!("{credentials:?} {credentials:#?} {header:?} {header:#?} {shown:?}");
            assert!(!shown.contains(SENTINEL), "{shown}");
            assert!(!shown.contains(&STANDARD.encode(SENTINEL)), "{shown}");
            if let Err(error) = header {
                assert!(!error.to_string().contains(SENTINEL));
            }
        }
    }
}
