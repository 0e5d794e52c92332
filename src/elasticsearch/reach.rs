//! Where a connection really goes: from the host of a url to the addresses that may be connected to.
//!
//! Names are looked up here and nowhere else, and what comes out is what is connected to: a name that leads elsewhere the
//! next time is judged anew. The name that a certificate is checked against may be another one than the
//! host (`tls.serverName`). reqwest knows one name only, so requests are made out to that name, and here it is
//! turned into the addresses of the host.

use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures::future::BoxFuture;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::endpoint::{SetupError, is_name};
use super::fence::Fence;

/// Looks names up.
pub trait Names: Debug + Send + Sync {
    /// The addresses of a host.
    fn lookup(&self, host: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>>;
}

/// The names of the system.
#[derive(Debug)]
struct SystemNames;

impl Names for SystemNames {
    fn lookup(&self, host: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// How hosts become addresses, and to which of them connections may be made. The default takes the system's names and
/// opens nothing that is closed.
#[derive(Clone, Debug)]
pub struct Network {
    /// What is closed.
    pub fence: Arc<Fence>,
    /// Who knows the names.
    pub names: Arc<dyn Names>,
}

impl Default for Network {
    fn default() -> Self {
        Self::behind(Fence::default())
    }
}

impl Network {
    /// The system's names behind this fence.
    pub fn behind(fence: Fence) -> Self {
        Self {
            fence: Arc::new(fence),
            names: Arc::new(SystemNames),
        }
    }

    /// The addresses of the hosts that are guarded. What cannot be looked up now cannot be connected to by that name either.
    async fn guarded(&self) -> Vec<IpAddr> {
        let mut all = Vec::new();
        for host in &self.fence.guarded {
            match address(host) {
                Some(address) => all.push(address),
                None => all.extend(self.names.lookup(host.clone()).await.unwrap_or_default()),
            }
        }
        all
    }
}

/// What reqwest takes as the cause of a failed lookup.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Every address of a host is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("every address of the host is closed to connections")]
pub(super) struct Fenced;

/// The host of a url: what is looked up, whatever name is asked for.
#[derive(Debug, Clone)]
pub(super) struct Reach {
    host: String,
    address: Option<IpAddr>,
    network: Network,
}

/// An address, in brackets where it has them in a url.
fn address(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    bare.unwrap_or(host).parse().ok()
}

impl Reach {
    /// To the host of this url.
    pub(super) fn to(url: &Url, network: &Network) -> Self {
        let host = url.host_str().unwrap_or_default();
        Self {
            host: host.to_owned(),
            address: address(host),
            network: network.clone(),
        }
    }

    /// Refuses an address that is written out in the url: reqwest looks up names only.
    pub(super) async fn check(&self) -> Result<(), Fenced> {
        match self.address {
            None => Ok(()),
            Some(_) => self.addresses().await.map_err(|_| Fenced).map(drop),
        }
    }

    /// Where connections may go.
    async fn addresses(&self) -> Result<Vec<IpAddr>, Cause> {
        let mut found = match self.address {
            Some(address) => vec![address],
            None => self.network.names.lookup(self.host.clone()).await?,
        };
        if found.is_empty() {
            return Err("the name has no address".into());
        }
        let guarded = self.network.guarded().await;
        found.retain(|address| self.network.fence.lets(&self.host, *address, &guarded));
        if found.is_empty() {
            return Err(Box::new(Fenced));
        }
        Ok(found)
    }
}

impl Resolve for Reach {
    fn resolve(&self, _: Name) -> Resolving {
        let reach = self.clone();
        Box::pin(async move {
            let found = reach.addresses().await?.into_iter();
            Ok(Box::new(found.map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

/// The url of requests, made out to the name that the certificate must be for.
pub(super) fn named(mut url: Url, server_name: Option<&str>) -> Result<Url, SetupError> {
    if let Some(name) = server_name {
        let set = url.set_host(Some(name));
        if set.is_err() || !url.domain().is_some_and(is_name) {
            return Err(SetupError::ServerName);
        }
    }
    Ok(url)
}
