//! From what a connection says, its Secrets and its ConfigMap to an [`Endpoint`].
//!
//! They are read by name with `get`, in one namespace, never listed or watched. No value leaves this file but into
//! the endpoint; what is wrong is said by the names of object and key, and by what was expected there.

use std::fmt::Debug;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::GetParams;
use kube::core::Request;
use kube::{Api, Client, Resource};
use secrecy::SecretString;
use serde::de::DeserializeOwned;

use super::writer::API_SERVER_LIMIT;
use crate::api::{Access, Auth, CaSource, EckRef, Reason, SecretRef};
use crate::elasticsearch::{Credentials, Endpoint, SetupError};
use crate::reconciler::input::Trouble;

/// The key of an authority where none is named.
const CA_CRT: &str = "ca.crt";

/// An endpoint, and where its parts are from.
pub(super) struct Resolved {
    pub(super) endpoint: Endpoint,
    origin: Origin,
}

/// The names by which people find what is wrong.
#[derive(Default)]
struct Origin {
    url: String,
    credentials: String,
    ca: String,
}

impl Resolved {
    /// Where the credentials are from; empty where there are none.
    pub(super) fn credentials_from(&self) -> &str {
        &self.origin.credentials
    }

    /// What is wrong with a part, by the name of where it is from.
    pub(super) fn trouble(&self, error: &SetupError) -> Trouble {
        let reason = Reason::parse(error.category()).unwrap_or(Reason::URLInvalid);
        let message = match error {
            SetupError::Url(problem) => format!("{}: {problem}", self.origin.url),
            SetupError::Credentials(problem) => format!("{}: {problem}", self.origin.credentials),
            SetupError::Ca(problem) => format!("{}: {problem}", self.origin.ca),
            SetupError::Plaintext | SetupError::ServerName | SetupError::NoSystemRoots => {
                error.to_string()
            }
        };
        Trouble::new(reason, message)
    }
}

/// The place where the Secrets and ConfigMaps of a connection are.
pub(super) struct Place<'a> {
    pub(super) kube: &'a Client,
    pub(super) namespace: &'a str,
}

impl Place<'_> {
    /// Reads all that the connection names.
    pub(super) async fn resolve(&self, access: &Access) -> Result<Resolved, Trouble> {
        let mut resolved = match (&access.url, &access.eck_ref, &access.secret_ref) {
            (Some(url), None, None) => Self::by_url(url),
            (None, Some(eck), None) => self.of_eck(eck, access).await?,
            (None, None, Some(secret)) => self.in_secret(secret).await?,
            // The API server refuses it; an object that is older than that rule may still be there.
            _ => {
                return Err(Trouble::new(
                    Reason::URLInvalid,
                    "exactly one of url, eckRef and secretRef must say where Elasticsearch is",
                ));
            }
        };
        if let Some(auth) = &access.auth {
            let (credentials, from) = self.credentials(auth).await?;
            resolved.endpoint.credentials = credentials;
            resolved.origin.credentials = from;
        }
        let tls = access.tls.as_ref();
        if let Some(ca) = tls.and_then(|tls| tls.ca.as_ref()) {
            let (pem, from) = self.ca(ca).await?;
            resolved.endpoint.ca_pem = Some(pem);
            resolved.origin.ca = from;
        }
        resolved.endpoint.server_name = tls.and_then(|tls| tls.server_name.clone());
        resolved.endpoint.allow_plaintext = access.allow_plaintext;
        let limits = access.limits.as_ref();
        resolved.endpoint.requests_per_second =
            limits.and_then(|limits| limits.requests_per_second);
        Ok(resolved)
    }

    fn by_url(url: &str) -> Resolved {
        Resolved {
            endpoint: Endpoint {
                url: url.to_owned(),
                ..Endpoint::default()
            },
            origin: Origin {
                url: "url".to_owned(),
                ..Origin::default()
            },
        }
    }

    /// The names are those of ECK; it makes both Secrets.
    async fn of_eck(&self, eck: &EckRef, access: &Access) -> Result<Resolved, Trouble> {
        let name = &eck.name;
        let mut resolved = Resolved {
            endpoint: Endpoint {
                url: format!("https://{name}-es-http.{}.svc:9200", self.namespace),
                ..Endpoint::default()
            },
            origin: Origin {
                url: "eckRef".to_owned(),
                ..Origin::default()
            },
        };
        if access.tls.as_ref().is_none_or(|tls| tls.ca.is_none()) {
            let mut certificates = self.secret(&format!("{name}-es-http-certs-public")).await?;
            resolved.endpoint.ca_pem =
                Some(certificates.take(CA_CRT, Reason::CAInvalid, "the authority as PEM")?);
            resolved.origin.ca = certificates.at(CA_CRT);
        }
        if access.auth.is_none() {
            let mut user = self.secret(&format!("{name}-es-elastic-user")).await?;
            resolved.endpoint.credentials = Credentials::Basic {
                user: "elastic".into(),
                password: user.text("elastic", "the password of the user elastic")?,
            };
            resolved.origin.credentials = user.at("elastic");
        }
        Ok(resolved)
    }

    async fn in_secret(&self, secret: &SecretRef) -> Result<Resolved, Trouble> {
        let mut keys = self.secret(&secret.name).await?;
        let url = keys.take("url", Reason::SecretInvalid, "the address of Elasticsearch")?;
        let url = String::from_utf8(url).map_err(|_| {
            Trouble::new(Reason::URLInvalid, format!("{} is no text", keys.at("url")))
        })?;
        let basic = keys.has("username") || keys.has("password");
        let (credentials, from) = match (keys.has("api-key"), basic) {
            (true, true) => {
                let message = format!(
                    "Secret {} holds both api-key and username or password; remove one of the two",
                    secret.name
                );
                return Err(Trouble::new(Reason::SecretInvalid, message));
            }
            (true, false) => {
                let key = keys.text("api-key", "an API key")?;
                (Credentials::ApiKey(key), keys.at("api-key"))
            }
            (false, true) => keys.basic()?,
            (false, false) => (Credentials::None, String::new()),
        };
        let ca = keys.at(CA_CRT);
        Ok(Resolved {
            origin: Origin {
                url: keys.at("url"),
                credentials: from,
                ca,
            },
            endpoint: Endpoint {
                // Editors and `echo` add a newline.
                url: url.trim_end_matches(['\r', '\n']).to_owned(),
                credentials,
                ca_pem: keys.remove(CA_CRT),
                ..Endpoint::default()
            },
        })
    }

    async fn credentials(&self, auth: &Auth) -> Result<(Credentials, String), Trouble> {
        if let Some(at) = &auth.api_key_secret_ref {
            let mut secret = self.secret(&at.name).await?;
            let key = secret.text(&at.key, "an API key, encoded or as id:api_key")?;
            return Ok((Credentials::ApiKey(key), secret.at(&at.key)));
        }
        if let Some(at) = &auth.bearer_token_secret_ref {
            let mut secret = self.secret(&at.name).await?;
            let token = secret.text(&at.key, "a bearer token")?;
            return Ok((Credentials::Bearer(token), secret.at(&at.key)));
        }
        if let Some(at) = &auth.client_certificate_secret_ref {
            let mut secret = self.secret(&at.name).await?;
            let chain_pem = secret.take(
                "tls.crt",
                Reason::SecretInvalid,
                "a client certificate as PEM",
            )?;
            let key_pem = secret.text("tls.key", "the key of the client certificate as PEM")?;
            let from = format!("Secret {}", at.name);
            return Ok((Credentials::ClientCertificate { chain_pem, key_pem }, from));
        }
        if let Some(at) = &auth.basic_secret_ref {
            return self.secret(&at.name).await?.basic();
        }
        Ok((Credentials::None, String::new()))
    }

    async fn ca(&self, ca: &CaSource) -> Result<(Vec<u8>, String), Trouble> {
        let wanted = "the authority as PEM";
        let (mut keys, key) = match (&ca.secret_ref, &ca.config_map_ref) {
            (Some(at), _) => (self.secret(&at.name).await?, &at.key),
            (None, Some(at)) => (self.config_map(&at.name).await?, &at.key),
            (None, None) => {
                return Err(Trouble::new(
                    Reason::CAInvalid,
                    "tls.ca names neither a Secret nor a ConfigMap",
                ));
            }
        };
        let pem = keys.take(key, Reason::CAInvalid, wanted)?;
        Ok((pem, keys.at(key)))
    }

    async fn secret(&self, name: &str) -> Result<Keys, Trouble> {
        let api: Api<Secret> = Api::namespaced(self.kube.clone(), self.namespace);
        let found = get(api, "Secret", name, self.namespace).await?;
        let data = found.data.unwrap_or_default().into_iter();
        Ok(Keys {
            of: format!("Secret {name}"),
            data: data.map(|(key, value)| (key, value.0)).collect(),
        })
    }

    async fn config_map(&self, name: &str) -> Result<Keys, Trouble> {
        let api: Api<ConfigMap> = Api::namespaced(self.kube.clone(), self.namespace);
        let found = get(api, "ConfigMap", name, self.namespace).await?;
        let data = found.data.unwrap_or_default().into_iter();
        Ok(Keys {
            of: format!("ConfigMap {name}"),
            data: data.map(|(key, value)| (key, value.into_bytes())).collect(),
        })
    }
}

/// What a Secret or ConfigMap holds.
struct Keys {
    of: String,
    data: std::collections::BTreeMap<String, Vec<u8>>,
}

impl Keys {
    fn at(&self, key: &str) -> String {
        format!("key {key} of {}", self.of)
    }

    fn has(&self, key: &str) -> bool {
        self.data.contains_key(key)
    }

    fn remove(&mut self, key: &str) -> Option<Vec<u8>> {
        self.data.remove(key)
    }

    fn take(&mut self, key: &str, reason: Reason, wanted: &str) -> Result<Vec<u8>, Trouble> {
        self.remove(key).ok_or_else(|| {
            let message = format!("{} has no key {key}, which must hold {wanted}", self.of);
            Trouble::new(reason, message)
        })
    }

    fn text(&mut self, key: &str, wanted: &str) -> Result<SecretString, Trouble> {
        let bytes = self.take(key, Reason::SecretInvalid, wanted)?;
        let no_text = || {
            let message = format!("{} is no text; it must hold {wanted}", self.at(key));
            Trouble::new(Reason::SecretInvalid, message)
        };
        String::from_utf8(bytes)
            .map(SecretString::from)
            .map_err(|_| no_text())
    }

    fn basic(&mut self) -> Result<(Credentials, String), Trouble> {
        let credentials = Credentials::Basic {
            user: self.text("username", "a user name")?,
            password: self.text("password", "a password")?,
        };
        Ok((credentials, self.of.clone()))
    }
}

/// Reads the text, and the object out of it: kube's own read logs the text of what it cannot decode.
async fn get<K>(api: Api<K>, kind: &str, name: &str, namespace: &str) -> Result<K, Trouble>
where
    K: Resource + Clone + Debug + DeserializeOwned,
{
    let read = async {
        let request = Request::new(api.resource_url())
            .get(name, &GetParams::default())
            .map_err(kube::Error::BuildRequest)?;
        let text = api.into_client().request_text(request).await?;
        serde_json::from_str(&text).map_err(kube::Error::SerdeError)
    };
    match tokio::time::timeout(API_SERVER_LIMIT, read).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(kube::Error::Api(status))) if status.is_not_found() => Err(Trouble::new(
            Reason::SecretNotFound,
            format!("there is no {kind} {name} in namespace {namespace}"),
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
