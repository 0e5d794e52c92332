//! Where a connection really goes: from the host of a url to addresses.
//!
//! The name that a certificate is checked against may be another one than the host (`tls.serverName`). reqwest knows one
//! name only, so requests are made out to that name, and here it is turned into the addresses of the host.

use std::net::{IpAddr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::endpoint::SetupError;

/// The host of a url: what is looked up, whatever name is asked for.
#[derive(Debug, Clone)]
pub(super) struct Reach {
    host: Host,
}

#[derive(Debug, Clone)]
enum Host {
    Address(IpAddr),
    Name(String),
}

impl Reach {
    /// To the host of this url.
    pub(super) fn to(url: &Url) -> Self {
        let text = url.host_str().unwrap_or_default();
        let bare = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        let host = match bare.unwrap_or(text).parse() {
            Ok(address) => Host::Address(address),
            Err(_) => Host::Name(text.to_owned()),
        };
        Self { host }
    }
}

impl Resolve for Reach {
    fn resolve(&self, _: Name) -> Resolving {
        let host = self.host.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = match host {
                Host::Address(address) => vec![SocketAddr::new(address, 0)],
                Host::Name(name) => tokio::net::lookup_host((name, 0)).await?.collect(),
            };
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// The url of requests, made out to the name that the certificate must be for.
pub(super) fn named(mut url: Url, server_name: Option<&str>) -> Result<Url, SetupError> {
    if let Some(name) = server_name {
        let set = url.set_host(Some(name));
        if set.is_err() || matches!(Reach::to(&url).host, Host::Address(_)) {
            return Err(SetupError::ServerName);
        }
    }
    Ok(url)
}
