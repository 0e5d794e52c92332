//! An Elasticsearch that ECK runs, by its name alone. What ECK lays out is laid out here: its kind, its Secrets, the names in
//! its certificate. The controller runs in this process, because only so can a test say where the name of a Service leads.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use anomalyjob_operator::admin::Readiness;
use anomalyjob_operator::api::{ClusterElasticsearchConnection, ElasticsearchConnection};
use anomalyjob_operator::clock::Clock;
use anomalyjob_operator::controller::{self, Settings};
use anomalyjob_operator::elasticsearch::{Client, Endpoint, Fence, Limits, Names, Network};
use anomalyjob_operator::lease::Lease;
use anomalyjob_operator::shutdown;
use anomalyjob_operator::telemetry::Metrics;
use elasticsearch_simulator::{ApiKey, Options, Profile, User};
use futures::future::BoxFuture;
use rcgen::{CertificateParams, SanType};
use serde_json::json;

use crate::support::controlplane;
use crate::support::elastic::Elastic;
use crate::support::room::{NAME, Room};
use crate::support::tls::{Authority, Front};
use crate::support::{LIMIT, RUNTIME};

/// The address of the Service; its port is ECK's.
const SERVICE: Ipv4Addr = Ipv4Addr::new(127, 77, 92, 1);

/// Knows one name, as the DNS of the cluster would.
#[derive(Debug)]
struct ClusterDns(String);

impl Names for ClusterDns {
    fn lookup(&self, host: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        let known = host == self.0;
        Box::pin(async move {
            if known {
                Ok(vec![IpAddr::V4(SERVICE)])
            } else {
                Err(std::io::Error::other(host))
            }
        })
    }
}

/// The kind, as far as this needs it.
const KIND: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: elasticsearches.elasticsearch.k8s.elastic.co}
spec:
  group: elasticsearch.k8s.elastic.co
  scope: Namespaced
  names: {kind: Elasticsearch, plural: elasticsearches, singular: elasticsearch, shortNames: [es]}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

const CLUSTER: &str = "
apiVersion: elasticsearch.k8s.elastic.co/v1
kind: Elasticsearch
metadata: {name: logs}
spec: {version: 9.4.0, nodeSets: [{name: default, count: 1}]}
";

fn apply(room: &Room, folder: &std::path::Path, text: &str) {
    let file = folder.join("object.yaml");
    std::fs::write(&file, text).expect("write");
    room.kubectl(&["apply", "-f", file.to_str().expect("UTF-8")]);
}

/// What ECK makes for a cluster that is called `logs`.
fn lay_out(room: &Room, authority: &Authority, names: &[String]) -> Front {
    let folder = tempfile::tempdir().expect("folder");
    apply(room, folder.path(), KIND);
    room.kubectl(&[
        "wait",
        "--for=condition=Established",
        "crd/elasticsearches.elasticsearch.k8s.elastic.co",
    ]);
    apply(room, folder.path(), CLUSTER);
    let change = |params: &mut CertificateParams| {
        params.subject_alt_names = names
            .iter()
            .map(|name| SanType::DnsName(name.as_str().try_into().expect("a name")))
            .collect();
    };
    let (certificate, key) = authority.sign("logs-es-http", change);
    let ca = String::from_utf8(authority.pem()).expect("PEM");
    let chain = format!("{}{ca}", certificate.pem());
    room.secret(
        "logs-es-http-certs-public",
        &json!({"ca.crt": ca, "tls.crt": chain}),
    );
    room.secret("logs-es-elastic-user", &json!({"elastic": "0Lr6e7sT"}));
    let acceptor = crate::support::tls::acceptor_of(vec![certificate.der().clone()], &key);
    Front::at(&format!("{SERVICE}:9200"), room.elastic.port(), acceptor)
}

/// The operator, with a DNS of its own.
fn run(room: &Room, service: &str) -> shutdown::Trigger {
    let (trigger, stopped) = shutdown::channel();
    let (client, namespace) = (room.client.clone(), room.namespace.clone());
    let network = Network {
        fence: Arc::new(Fence {
            open: vec!["127.0.0.0/8".parse().expect("a network")],
            ..Fence::default()
        }),
        names: Arc::new(ClusterDns(service.to_owned())),
    };
    RUNTIME.spawn(async move {
        let mut lease = Lease::new(
            client.clone(),
            &namespace,
            NAME,
            "here".to_owned(),
            Clock::system(),
        );
        let claim = lease.acquire(|| {}).await;
        let settings = Settings {
            client,
            cluster_connections: Some(namespace.clone()),
            namespaces: vec![namespace],
            claim,
            metrics: Metrics::new(NAME),
            readiness: Readiness::default(),
            clock: Clock::system(),
            dial: Arc::new(move |endpoint| {
                let network = network.clone();
                let endpoint = Endpoint {
                    network,
                    ..endpoint.clone()
                };
                Client::new(&endpoint, Limits::default())
            }),
        };
        controller::run(settings, stopped).await.expect("a run");
        drop(lease);
    });
    trigger
}

#[test]
fn an_elasticsearch_of_eck_is_connected_to_by_nothing_but_its_name() {
    let elastic = Elastic::with(Options {
        profile: Profile::V9,
        users: vec![User::new("elastic", "0Lr6e7sT", &["all"])],
        api_keys: vec![ApiKey::new("key", "secret", &["manage_ml"])],
        ..Options::default()
    });
    let room = Room::with(controlplane::shared(), elastic);
    let namespace = &room.namespace;
    let service = format!("logs-es-http.{namespace}.svc");
    let names = [
        format!("logs-es-http.{namespace}.es.local"),
        "logs-es-http".to_owned(),
        service.clone(),
        format!("logs-es-http.{namespace}"),
        format!("logs-es-internal-http.{namespace}.svc"),
        format!("*.logs-es-default.{namespace}.svc"),
    ];
    let authority = Authority::new();
    let _front = lay_out(&room, &authority, &names);
    let eck = |name: &str| json!({"spec": {"eckRef": {"name": name}}});
    room.create::<ElasticsearchConnection>("default", eck("logs"));
    room.create::<ElasticsearchConnection>("absent", eck("other"));
    room.secret("key", &json!({"api-key": "key:secret"}));
    let own = json!({"eckRef": {"name": "logs"}, "auth": {"apiKeySecretRef": {"name": "key"}}});
    room.create::<ElasticsearchConnection>("own", json!({ "spec": own }));
    // One that stands in no namespace finds what ECK has made in that of the operator.
    let wide = json!({"eckRef": {"name": "logs"}, "allowedNamespaces": []});
    let of_all = format!("{namespace}-eck");
    room.create::<ClusterElasticsearchConnection>(&of_all, json!({ "spec": wide }));
    room.elastic.opened("rate");
    let stop = run(&room, &service);

    room.until_connection("default", &["Ready=True/Connected"]);
    room.close("rate", &json!({}));
    room.until("rate", &["Ready=True/InDesiredState", "Closed=True"]);
    room.until_connection("own", &["Ready=True/Connected"]);
    let connected = ["Ready=True/Connected"];
    room.until_within::<ClusterElasticsearchConnection>(LIMIT, &of_all, &connected);
    let said = room.until_connection("absent", &["Ready=False/SecretNotFound"]);
    let message = said["status"]["conditions"][0]["message"].to_string();
    assert!(
        message.contains("there is no Secret other-es-http-certs-public"),
        "{message}"
    );
    stop.request();
}
