//! How an Elasticsearch is reached: what both kinds of connections say, once.
//!
//! Secrets are named, never copied, and never with a namespace: those of an ElasticsearchConnection are in its own, those
//! of a ClusterElasticsearchConnection in that of the operator. There is no way to switch the check of certificates off.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// Where an Elasticsearch is, and with what the operator speaks to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// The address of Elasticsearch: `https://`, a host, a port where it is not 443, and a path where a
    /// proxy serves Elasticsearch below one. `http://` only with `allowPlaintext: true`. No user name or
    /// password (they belong into a Secret, see `auth`), no query, no fragment. Exactly one of `url`, `eckRef` and
    /// `secretRef` must be given. Examples: `https://es.example:9200`, `https://proxy.example/es`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::url")]
    pub url: Option<String>,

    /// An Elasticsearch of ECK (Elastic Cloud on Kubernetes) in the namespace of the Secrets; address and authority
    /// follow from its name. Not together with `url` or `secretRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "EckRef")]
    pub eck_ref: Option<EckRef>,

    /// A Secret that holds everything, under the keys that ECK uses for a cluster which it does not
    /// run itself: `url`, then `api-key`, or `username` and `password`, or none of them, and `ca.crt` where
    /// the certificate was not signed by a public authority. Not together with `url`, `eckRef`, `auth` or `tls.ca`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SecretRef")]
    pub secret_ref: Option<SecretRef>,

    /// Whether an unencrypted connection is allowed.
    /// - `true`: a `http://` url is allowed; jobs, answers and credentials then cross the network unencrypted.
    /// - `false` (default): only `https://`.
    #[serde(default)]
    pub allow_plaintext: bool,

    /// The credentials; one kind at most. Absent: none are sent, for a cluster without security; with `eckRef`
    /// those of the user `elastic` that ECK made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Auth")]
    pub auth: Option<Auth>,

    /// How the certificate of Elasticsearch is checked. Absent: against the public authorities; with `eckRef` or
    /// `secretRef` against the authority that is found there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Tls")]
    pub tls: Option<Tls>,

    /// How much is asked of this Elasticsearch at once. Absent: the defaults of its fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Limits")]
    pub limits: Option<Limits>,

    /// Whether this Elasticsearch is left alone.
    /// - `true`: nothing is sent to it, no question and no call; its AnomalyJobs say ConnectionSuspended. What it has
    ///   accepted already goes on there.
    /// - `false` (default): it is used.
    #[serde(default)]
    pub suspend: bool,
}

/// An Elasticsearch that ECK runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EckRef {
    /// The name of the Elasticsearch object. The operator connects to the Service NAME`-es-http` at port 9200,
    /// trusts `ca.crt` of the Secret NAME`-es-http-certs-public` unless `tls.ca` says otherwise, and is the
    /// user `elastic` of the Secret NAME`-es-elastic-user` unless `auth` says otherwise. Example: `logs`.
    #[schemars(schema_with = "schema::eck_name")]
    pub name: String,
}

/// How much is asked of an Elasticsearch at once: ceilings, below which the operator adapts by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// How many jobs may be closing at once, so that saving their models does not flood the disks of the cluster.
    /// Further ones wait for their turn. Default: 64. Example: 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::max_closing")]
    pub max_closing: Option<u32>,

    /// How many calls that change something (close, open, start, stop) may be on their way at once. One whose jobs were all
    /// seen to have taken it is not counted. Fewer are made while Elasticsearch says that it has too much to do.
    /// Default: 8. Example: 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::max_in_flight")]
    pub max_in_flight: Option<u32>,

    /// How many requests a second may be sent, questions included; further ones wait. As many as a second's worth may
    /// go together after a pause. Absent: no ceiling. Example: 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::requests_per_second")]
    pub requests_per_second: Option<u32>,
}

/// The credentials; one kind at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::auth_rules()))]
pub struct Auth {
    /// A Secret that holds an API key: the `encoded` text of the create call, or
    /// `id:api_key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SecretKeyRef")]
    pub api_key_secret_ref: Option<SecretKeyRef>,

    /// A Secret of the type `kubernetes.io/basic-auth`, with the keys `username` and
    /// `password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SecretRef")]
    pub basic_secret_ref: Option<SecretRef>,

    /// A Secret that holds a bearer token, such as that of a service account of Elasticsearch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "TokenKeyRef")]
    pub bearer_token_secret_ref: Option<TokenKeyRef>,

    /// A Secret of the type `kubernetes.io/tls`, with the keys `tls.crt` and `tls.key`: the
    /// certificate by which Elasticsearch knows the operator (a realm of the type pki), and its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SecretRef")]
    pub client_certificate_secret_ref: Option<SecretRef>,
}

/// A Secret that holds an API key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretKeyRef {
    /// The name of the Secret. Example: `es-api-key`.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
    /// The key of the Secret that holds the API key. Default: `api-key`.
    #[serde(default = "api_key")]
    #[schemars(schema_with = "schema::data_key")]
    pub key: String,
}

fn api_key() -> String {
    "api-key".to_owned()
}

/// A Secret that holds a bearer token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenKeyRef {
    /// The name of the Secret. Example: `es-token`.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
    /// The key of the Secret that holds the token. Default: `token`.
    #[serde(default = "token")]
    #[schemars(schema_with = "schema::data_key")]
    pub key: String,
}

fn token() -> String {
    "token".to_owned()
}

/// A Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretRef {
    /// The name of the Secret. Example: `es-user`.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
}

/// How the certificate of Elasticsearch is checked. It is always checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// Where the certificate of the authority is that signed the one of Elasticsearch, as PEM.
    /// It is trusted instead of the public authorities. Absent: the public authorities are trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CaSource")]
    pub ca: Option<CaSource>,

    /// The name that the certificate of Elasticsearch must be for, where that is not the host of the address: for
    /// example behind a tunnel, or where the address is an IP address. It is also asked for in the handshake (SNI).
    /// Absent: the host of the address. Example: `es.example`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::server_name")]
    pub server_name: Option<String>,
}

/// Where a CA certificate is: exactly one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::ca_rules()))]
pub struct CaSource {
    /// A key of a Secret. Not together with `configMapRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CaKeyRef")]
    pub secret_ref: Option<CaKeyRef>,

    /// A key of a ConfigMap. Not together with `secretRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CaKeyRef")]
    pub config_map_ref: Option<CaKeyRef>,
}

/// A key of a Secret or ConfigMap that holds PEM certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaKeyRef {
    /// The name of the Secret or ConfigMap. Example: `es-ca`.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
    /// The key that holds the certificates. Default: `ca.crt`.
    #[serde(default = "ca_crt")]
    #[schemars(schema_with = "schema::data_key")]
    pub key: String,
}

fn ca_crt() -> String {
    "ca.crt".to_owned()
}
