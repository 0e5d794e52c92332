//! Where an Elasticsearch is and with what to speak to it, checked before anything is sent.
//!
//! Each refusal names the field to mend and never shows a value, because a url may hold a password that
//! somebody put there by mistake.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use reqwest::Url;
use rustls::pki_types::DnsName;

use super::credentials::{Credentials, CredentialsProblem};
use super::reach::Network;
use super::tls::CaProblem;

/// The longest url that is taken, in bytes.
const MAX_URL: usize = 2048;

/// How to reach one Elasticsearch cluster.
#[derive(Clone, Default)]
pub struct Endpoint {
    /// `https://host[:port][/path]`; `http://` only with `allow_plaintext`.
    pub url: String,
    /// Whether `http://` is taken, over which credentials travel in the clear.
    pub allow_plaintext: bool,
    /// What is presented to it.
    pub credentials: Credentials,
    /// The only roots that are trusted, as PEM; absent: those of the system.
    pub ca_pem: Option<Vec<u8>>,
    /// The name that its certificate must be for; absent: the host of `url`.
    pub server_name: Option<String>,
    /// How many requests a second it may be sent; none: no ceiling.
    pub requests_per_second: Option<u32>,
    /// How the host becomes an address, and which may be connected to.
    pub network: Network,
}

impl Endpoint {
    /// A client of the one would be a client of the other, in one network.
    pub fn same(&self, other: &Self) -> bool {
        self.url == other.url
            && self.allow_plaintext == other.allow_plaintext
            && self.ca_pem == other.ca_pem
            && self.server_name == other.server_name
            && self.requests_per_second == other.requests_per_second
            && self.credentials.same(&other.credentials)
    }

    /// A name for the cluster behind it, where that does not tell its own: equal for endpoints that lead to the same
    /// place, name and authority, whatever the credentials.
    pub fn identity(&self) -> Arc<str> {
        let mut hasher = DefaultHasher::new();
        (&self.ca_pem, &self.server_name).hash(&mut hasher);
        let place = checked_url(&self.url, self.allow_plaintext)
            .map_or_else(|_| String::new(), |url| url.to_string());
        let place = place.trim_end_matches('/');
        Arc::from(format!("{place}#{:016x}", hasher.finish()))
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The url is left out: it may not have been checked yet, and hold a password.
        f.debug_struct("Endpoint")
            .field("allow_plaintext", &self.allow_plaintext)
            .field("credentials", &self.credentials)
            .field("ca_pem", &self.ca_pem.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

/// Why no client can be made of an [`Endpoint`]. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// `url` is unusable.
    #[error("url: {0}")]
    Url(#[from] UrlProblem),
    /// `url` is `http://` and that was not allowed.
    #[error("url: http:// sends everything unencrypted; use https://, or set allowPlaintext: true")]
    Plaintext,
    /// The credentials are unusable.
    #[error("auth: {0}")]
    Credentials(#[from] CredentialsProblem),
    /// `tls.serverName` is unusable.
    #[error("tls.serverName: it is no host name; write it like es.example")]
    ServerName,
    /// The CA bundle is unusable.
    #[error("tls.ca: {0}")]
    Ca(#[from] CaProblem),
    /// No CA was given and the system has none to offer, or they cannot be read.
    #[error(
        "tls.ca: none is given, and the system has no root certificates; give the CA of Elasticsearch"
    )]
    NoSystemRoots,
}

impl SetupError {
    /// The reason in one word, for conditions, events and metrics.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Url(_) | Self::Plaintext | Self::ServerName => "URLInvalid",
            Self::Credentials(_) => "SecretInvalid",
            Self::Ca(_) | Self::NoSystemRoots => "CAInvalid",
        }
    }
}

/// What is wrong with a url. Never holds the url.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlProblem {
    /// Not a url at all.
    #[error("it is no url; write https://host:port")]
    NotAUrl,
    /// Another scheme than http and https.
    #[error("it does not begin with https://")]
    Scheme,
    /// User name or password in the url.
    #[error("it holds a user name or password; put them into the Secret that auth names")]
    UserInfo,
    /// A host that no certificate can be for, such as two of them.
    #[error("its host is no name and no address; write one, like es.example")]
    Host,
    /// Something after a `?`.
    #[error("it has a query (a ? and what follows); leave it out")]
    Query,
    /// Something after a `#`.
    #[error("it has a fragment (a # and what follows); leave it out")]
    Fragment,
    /// A blank, line break or backslash, which parsers drop or turn in silence.
    #[error("it has a blank, a control character or a backslash in it")]
    Character,
    /// More than 2048 bytes.
    #[error("it is longer than 2048 bytes")]
    TooLong,
}

/// The url as a base for requests.
pub(super) fn checked_url(text: &str, allow_plaintext: bool) -> Result<Url, SetupError> {
    if text.len() > MAX_URL {
        return Err(UrlProblem::TooLong.into());
    }
    if text
        .chars()
        .any(|c| c.is_control() || c.is_whitespace() || c == '\\')
    {
        return Err(UrlProblem::Character.into());
    }
    let url = Url::parse(text).map_err(|_| UrlProblem::NotAUrl)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(UrlProblem::Scheme.into());
    }
    // The parser drops an empty user name, so the text is asked as well.
    let authority = text.split_once("//").map_or(text, |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') || !url.username().is_empty() || url.password().is_some() {
        return Err(UrlProblem::UserInfo.into());
    }
    if url.query().is_some() {
        return Err(UrlProblem::Query.into());
    }
    if url.fragment().is_some() {
        return Err(UrlProblem::Fragment.into());
    }
    if url.cannot_be_a_base() || !url.has_host() {
        return Err(UrlProblem::NotAUrl.into());
    }
    if url.domain().is_some_and(|host| !is_name(host)) {
        return Err(UrlProblem::Host.into());
    }
    if url.scheme() == "http" && !allow_plaintext {
        return Err(SetupError::Plaintext);
    }
    Ok(url)
}

/// A certificate may be for this host.
pub(super) fn is_name(host: &str) -> bool {
    DnsName::try_from(host).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> SetupError {
        checked_url(text, true).unwrap_err()
    }

    #[test]
    fn a_good_url_is_taken_with_port_and_path() {
        for text in [
            "https://es:9200",
            "https://proxy.example/es/",
            "https://[::1]:9200",
            "HTTPS://Es",
            "https://es.example.",
            "https://my_es.default.svc",
        ] {
            checked_url(text, false).unwrap();
        }
        checked_url("http://127.0.0.1:9200", true).unwrap();
    }

    #[test]
    fn each_wrong_url_is_refused_with_its_own_text() {
        let cases = [
            ("", UrlProblem::NotAUrl),
            ("es:9200", UrlProblem::Scheme),
            ("/es", UrlProblem::NotAUrl),
            ("https://", UrlProblem::NotAUrl),
            ("https://es:99999", UrlProblem::NotAUrl),
            ("ftp://es", UrlProblem::Scheme),
            ("file:///etc/passwd", UrlProblem::Scheme),
            ("https://u@es", UrlProblem::UserInfo),
            ("https://u:p@es", UrlProblem::UserInfo),
            ("https://@es", UrlProblem::UserInfo),
            ("https://:@es", UrlProblem::UserInfo),
            ("https://es-1,es-2:9200", UrlProblem::Host),
            ("https://*.example", UrlProblem::Host),
            ("https://es..example", UrlProblem::Host),
            ("https://es/?force=true", UrlProblem::Query),
            ("https://es/?", UrlProblem::Query),
            ("https://es/#x", UrlProblem::Fragment),
            ("https://es/a b", UrlProblem::Character),
            (" https://es", UrlProblem::Character),
            ("https://es\n", UrlProblem::Character),
            ("https:\\\\es", UrlProblem::Character),
        ];
        for (text, expected) in cases {
            assert_eq!(problem(text), SetupError::Url(expected), "{text:?}");
        }
        assert_eq!(
            problem(&format!("https://es/{}", "a".repeat(3000))),
            UrlProblem::TooLong.into()
        );
    }

    #[test]
    fn each_problem_has_a_reason_of_the_conditions() {
        let all: [SetupError; 6] = [
            SetupError::ServerName,
            UrlProblem::Query.into(),
            SetupError::Plaintext,
            CredentialsProblem::NoApiKey.into(),
            CaProblem::NoCertificate.into(),
            SetupError::NoSystemRoots,
        ];
        for error in all {
            assert!(
                crate::api::Reason::parse(error.category()).is_some(),
                "{error:?}"
            );
        }
    }

    #[test]
    fn http_is_refused_unless_allowed() {
        assert_eq!(checked_url("http://es", false), Err(SetupError::Plaintext));
        // What is wrong anyway is said first: allowing plaintext would not mend it.
        assert_eq!(
            checked_url("http://u:p@es", false),
            Err(UrlProblem::UserInfo.into())
        );
    }

    #[test]
    fn a_password_in_a_url_is_never_shown() {
        let endpoint = Endpoint {
            url: "https://u:s3ntinel@es".into(),
            ca_pem: Some(b"s3ntinel".to_vec()),
            ..Endpoint::default()
        };
        let error = checked_url(&endpoint.url, false).unwrap_err();
        let shown = format!("{endpoint:?} {endpoint:#?} {error} {error:?}");
        assert!(!shown.contains("s3ntinel"), "{shown}");
    }
}
