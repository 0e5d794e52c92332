//! The way to one Elasticsearch: from an ElasticsearchConnection, its Secret and its CA to a client that was proven.
//!
//! Runs beside the cluster's task and tells it what the connection is worth; looks at the credentials once a minute, sooner
//! after trouble, at once when asked. A cluster whose answers are being read is not probed besides. Secrets and ConfigMaps are read by name with `get`, never listed or watched. No value of them
//! leaves this file but into the client.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client as KubeClient};
use secrecy::SecretString;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::Dial;
use super::cluster::Message;
use super::connection_status::{self, Probe};
use super::pulse::Pulse;
use super::translate::trouble_of;
use super::writer::{API_SERVER_LIMIT, Writer};
use crate::api::{ElasticsearchConnection, Reason};
use crate::clock::Clock;
use crate::elasticsearch::{Client, Credentials, Endpoint, Error, Product, Version};
use crate::reconciler::input::{Connection, Trouble, Urgency, Usable};

/// How often a good connection is proven again.
const PROBE: Duration = Duration::from_secs(60);
/// A cluster that has answered within this time need not be probed.
const PULSE: Duration = Duration::from_secs(150);
/// How many jobs close at once where the connection does not say.
const DEFAULT_MAX_CLOSING: usize = 64;
/// Nothing asks for a probe more often than this.
const AT_MOST_EVERY: Duration = Duration::from_secs(5);
/// The annotation by which a human accepts that another cluster answers at the url.
const ACCEPT_UUID: &str = "anomalyjob.dev/accept-cluster-uuid";

/// What is known of the connection object.
#[derive(Clone, Debug, Default)]
pub(super) enum Known {
    /// The connections were not listed yet.
    #[default]
    NotYet,
    /// There is none of this name.
    Missing,
    /// It can not be decoded; the message says why.
    Invalid(Arc<str>),
    /// Here it is.
    Object(Arc<ElasticsearchConnection>),
}

impl Known {
    /// A probe of the one would find out the same as a probe of the other.
    fn asks_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::NotYet, Self::NotYet) | (Self::Missing, Self::Missing) => true,
            (Self::Invalid(one), Self::Invalid(two)) => one == two,
            (Self::Object(one), Self::Object(two)) => {
                let of = |object: &ElasticsearchConnection| {
                    let meta = &object.metadata;
                    let accepted = meta
                        .annotations
                        .as_ref()
                        .and_then(|all| all.get(ACCEPT_UUID))
                        .cloned();
                    (meta.uid.clone(), meta.generation, accepted)
                };
                of(one) == of(two)
            }
            _ => false,
        }
    }
}

/// Proves one connection, for as long as the cluster's task lives.
pub(super) struct Link {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) kube: KubeClient,
    pub(super) writer: Writer,
    pub(super) known: watch::Receiver<Known>,
    pub(super) recheck: mpsc::Receiver<()>,
    pub(super) cluster: mpsc::UnboundedSender<Message>,
    pub(super) pulse: Pulse,
    pub(super) clock: Clock,
    pub(super) dial: Dial,
    pub(super) current: Option<(Endpoint, Client)>,
    /// What the last probe found, for as long as nothing says that it is no longer so.
    pub(super) proven: Option<Probe>,
}

impl Link {
    /// Runs until the cluster's task is gone.
    pub(super) async fn run(mut self) {
        let mut failures = 0_u32;
        loop {
            let known = self.known.borrow_and_update().clone();
            let outcome = self.prove(&known).await;
            self.proven = outcome.as_ref().ok().cloned();
            failures = if outcome.is_ok() {
                0
            } else {
                failures.saturating_add(1)
            };
            if matches!(known, Known::NotYet) {
                failures = 0;
            } else {
                self.tell(&outcome);
            }
            // What was found out is said of what was asked about, and of no connection that came meanwhile.
            let newest = self.known.borrow().clone();
            if newest.asks_the_same(&known)
                && let Known::Object(object) = &newest
            {
                self.report(object, &outcome).await;
            }
            let pause = match &outcome {
                Ok(_) => PROBE,
                Err(trouble) if waits_for_a_human(trouble.reason) => PROBE,
                Err(_) => Duration::from_secs(1 << failures.min(5)).min(PROBE),
            };
            if !self.wait(pause, &known, &outcome).await {
                return;
            }
        }
    }

    /// Waits for the next probe; false when there is nobody to probe for.
    async fn wait(
        &mut self,
        pause: Duration,
        proven: &Known,
        outcome: &Result<Probe, Trouble>,
    ) -> bool {
        let over = Instant::now() + pause;
        let floor = Instant::now() + AT_MOST_EVERY;
        loop {
            let asked = async {
                tokio::time::sleep_until(floor).await;
                self.recheck.recv().await
            };
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(over) => return true,
                asked = asked => {
                    self.proven = None;
                    return asked.is_some();
                }
                changed = self.known.changed() => {
                    if changed.is_err() {
                        return false;
                    }
                    let now = self.known.borrow_and_update().clone();
                    if !now.asks_the_same(proven) {
                        self.proven = None;
                        return true;
                    }
                    // Our own write came back, or somebody else wrote the status.
                    if let Known::Object(object) = &now {
                        self.report(object, outcome).await;
                    }
                }
            }
        }
    }

    fn tell(&self, outcome: &Result<Probe, Trouble>) {
        let current = outcome.as_ref().ok().and(self.current.as_ref());
        let connection = match (outcome, current) {
            (Ok(probe), Some((endpoint, client))) => Connection::Usable(Usable {
                identity: probe
                    .cluster_uuid
                    .clone()
                    .unwrap_or_else(|| endpoint.identity()),
                cluster_uuid: probe.cluster_uuid.clone(),
                version: probe.version.clone(),
                stops_datafeeds: probe.stops_datafeeds,
                closes_idle_jobs: probe.closes_idle_jobs,
                list_room: client.list_room(),
                max_closing: probe.max_closing,
            }),
            (Ok(_), None) => Connection::Unusable(Trouble::new(Reason::Pending, "no client yet")),
            (Err(trouble), _) => Connection::Unusable(trouble.clone()),
        };
        let client = current.map(|(_, client)| Box::new(client.clone()));
        // Nobody listens any more: the next wait ends this task.
        let _ = self.cluster.send(Message::Link(client, connection));
    }

    fn object(&self, known: &Known) -> Result<Arc<ElasticsearchConnection>, Trouble> {
        match known {
            Known::NotYet => Err(Trouble::new(
                Reason::Pending,
                "the connections were not listed yet",
            )),
            Known::Missing => {
                let message = format!(
                    "there is no ElasticsearchConnection {} in namespace {}",
                    self.name, self.namespace
                );
                Err(Trouble::new(Reason::ConnectionNotFound, message))
            }
            Known::Invalid(why) => Err(Trouble::new(Reason::InvalidObject, Arc::clone(why))),
            Known::Object(object) => Ok(Arc::clone(object)),
        }
    }

    async fn prove(&mut self, known: &Known) -> Result<Probe, Trouble> {
        let object = self.object(known)?;
        let endpoint = self.endpoint(&object).await?;
        if self
            .current
            .as_ref()
            .is_none_or(|(current, _)| !current.same(&endpoint))
        {
            let client = (self.dial)(&endpoint).map_err(|error| {
                let reason = Reason::parse(error.category()).unwrap_or(Reason::URLInvalid);
                Trouble::new(reason, error.to_string())
            })?;
            self.current = Some((endpoint, client));
            self.proven = None;
        }
        let max_closing = max_closing(&object);
        if let Some(probe) = self.proven.take().filter(|_| self.pulse.within(PULSE)) {
            return Ok(Probe {
                max_closing,
                ..probe
            });
        }
        let Some((_, client)) = &self.current else {
            return Err(Trouble::new(Reason::Pending, "no client yet"));
        };
        let probe = probe(client).await.map_err(|error| trouble_of(&error))?;
        let probe = Probe {
            max_closing,
            ..probe
        };
        same_cluster(&object, &probe)?;
        Ok(probe)
    }

    async fn endpoint(&self, object: &ElasticsearchConnection) -> Result<Endpoint, Trouble> {
        let spec = &object.spec;
        let auth = spec.auth.as_ref();
        let credentials = if let Some(key) = auth.and_then(|auth| auth.api_key_secret_ref.as_ref())
        {
            Credentials::ApiKey(self.secret_text(&key.name, &key.key).await?)
        } else if let Some(basic) = auth.and_then(|auth| auth.basic_secret_ref.as_ref()) {
            Credentials::Basic {
                user: self.secret_text(&basic.name, "username").await?,
                password: self.secret_text(&basic.name, "password").await?,
            }
        } else {
            Credentials::None
        };
        let ca = spec.tls.as_ref().and_then(|tls| tls.ca.as_ref());
        let ca_pem = match ca {
            None => None,
            Some(ca) => match (&ca.secret_ref, &ca.config_map_ref) {
                (Some(at), _) => Some(self.secret(&at.name, &at.key).await?),
                (None, Some(at)) => Some(self.config_map(&at.name, &at.key).await?),
                (None, None) => {
                    return Err(Trouble::new(
                        Reason::CAInvalid,
                        "tls.ca names neither a Secret nor a ConfigMap",
                    ));
                }
            },
        };
        Ok(Endpoint {
            url: spec.url.clone(),
            allow_plaintext: spec.allow_plaintext,
            credentials,
            ca_pem,
        })
    }

    async fn secret_text(&self, name: &str, key: &str) -> Result<SecretString, Trouble> {
        let bytes = self.secret(name, key).await?;
        String::from_utf8(bytes)
            .map(SecretString::from)
            .map_err(|_| {
                Trouble::new(
                    Reason::SecretInvalid,
                    format!("key {key} of Secret {name} is no text"),
                )
            })
    }

    async fn secret(&self, name: &str, key: &str) -> Result<Vec<u8>, Trouble> {
        let api: Api<Secret> = Api::namespaced(self.kube.clone(), &self.namespace);
        let secret = get(&api, "Secret", name).await?;
        let value = secret
            .data
            .and_then(|mut data| data.remove(key))
            .map(|bytes| bytes.0);
        value.ok_or_else(|| {
            Trouble::new(
                Reason::SecretInvalid,
                format!("Secret {name} has no key {key}"),
            )
        })
    }

    async fn config_map(&self, name: &str, key: &str) -> Result<Vec<u8>, Trouble> {
        let api: Api<ConfigMap> = Api::namespaced(self.kube.clone(), &self.namespace);
        let map = get(&api, "ConfigMap", name).await?;
        let value = map
            .data
            .and_then(|mut data| data.remove(key))
            .map(String::into_bytes);
        value.ok_or_else(|| {
            Trouble::new(
                Reason::CAInvalid,
                format!("ConfigMap {name} has no key {key}"),
            )
        })
    }

    async fn report(&self, object: &ElasticsearchConnection, outcome: &Result<Probe, Trouble>) {
        if let Some((at, status)) = connection_status::next(object, outcome, self.clock.now()) {
            let tenant = Arc::from(self.namespace.as_str());
            let turn = self.writer.turn(&tenant, Urgency::ForCall).await;
            // A conflict or an outage: the next probe, or the delivery of what changed, comes here again.
            let _ = self
                .writer
                .write::<ElasticsearchConnection>(turn, &at.borrowed(), &status)
                .await;
        }
    }
}

async fn get<K>(api: &Api<K>, kind: &str, name: &str) -> Result<K, Trouble>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    match tokio::time::timeout(API_SERVER_LIMIT, api.get(name)).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(kube::Error::Api(status))) if status.is_not_found() => Err(Trouble::new(
            Reason::SecretNotFound,
            format!("there is no {kind} {name} in the namespace of the connection"),
        )),
        Ok(Err(kube::Error::Api(status))) if status.is_forbidden() => Err(Trouble::new(
            Reason::SecretNotFound,
            format!("the operator may not read {kind} {name}; its role must allow get on it"),
        )),
        Ok(Err(_)) | Err(_) => Err(Trouble::new(
            Reason::RetryingAfterError,
            format!("{kind} {name} could not be read; trying again"),
        )),
    }
}

/// `/`, and `_ml/info`, which also proves the product where `/` may not be read.
async fn probe(client: &Client) -> Result<Probe, Error> {
    let identity = match client.identify().await {
        Ok(identity) => Some(identity),
        Err(Error::MissingPrivilege(_)) => None,
        Err(error) => return Err(error),
    };
    client.ml_info().await?;
    let before_7_14 = match &identity {
        Some(identity) => identity.version < Version::WITH_PRODUCT_HEADER,
        None => client.product() == Product::ElasticsearchBefore714,
    };
    Ok(Probe {
        cluster_uuid: identity
            .as_ref()
            .map(|identity| Arc::from(identity.cluster_uuid.as_str())),
        cluster_name: identity
            .as_ref()
            .map(|identity| Arc::from(identity.cluster_name.as_str())),
        version: identity
            .as_ref()
            .map(|identity| Arc::from(identity.version.to_string())),
        stops_datafeeds: !before_7_14,
        // Where the version is not known it may be one of these.
        closes_idle_jobs: identity
            .as_ref()
            .is_none_or(|identity| identity.version >= Version::CLOSES_IDLE_JOBS),
        max_closing: DEFAULT_MAX_CLOSING,
    })
}

fn max_closing(object: &ElasticsearchConnection) -> usize {
    let limits = object.spec.limits.as_ref();
    let said = limits.and_then(|limits| limits.max_closing);
    said.and_then(|most| usize::try_from(most).ok())
        .unwrap_or(DEFAULT_MAX_CLOSING)
}

/// Nothing is called on a cluster whose uuid differs from the recorded one.
fn same_cluster(object: &ElasticsearchConnection, probe: &Probe) -> Result<(), Trouble> {
    let recorded = object
        .status
        .as_ref()
        .and_then(|status| status.cluster_uuid.as_deref());
    let accepted = object
        .metadata
        .annotations
        .as_ref()
        .and_then(|all| all.get(ACCEPT_UUID));
    match (recorded, probe.cluster_uuid.as_deref()) {
        (Some(before), Some(now)) if before != now && accepted.map(String::as_str) != Some(now) => {
            Err(Trouble::new(
                Reason::ClusterChanged,
                format!(
                    "another cluster answers at the url: {now} instead of {before}; if that is meant, annotate the connection with {ACCEPT_UUID}={now}"
                ),
            ))
        }
        _ => Ok(()),
    }
}

/// What only an edit mends is not probed faster and faster.
fn waits_for_a_human(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::CredentialsRejected
            | Reason::MissingPrivilege
            | Reason::URLInvalid
            | Reason::CAInvalid
            | Reason::ClusterChanged
            | Reason::VersionTooOld
            | Reason::LicenseMissing
            | Reason::MLUnavailable
            | Reason::InvalidObject
            | Reason::ConnectionNotFound
    )
}
