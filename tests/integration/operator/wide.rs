//! ClusterElasticsearchConnections: whom they serve, with whose Secrets, and what becomes of those whom they serve no longer.
//! What was called is read from the simulator's own record.

use std::time::Duration;

use anomalyjob_operator::api::{AnomalyJob, ClusterElasticsearchConnection};
use elasticsearch_simulator::{ApiKey, Options, Profile};
use k8s_openapi::api::core::v1::Namespace;
use serde_json::{Value, json};

use crate::support::controlplane::{self, ControlPlane};
use crate::support::elastic::{Elastic, Log};
use crate::support::operator::{Operator, Ways};
use crate::support::room::Room;
use crate::support::{LIMIT, side_by_side, until};

const KIND: &str = "ClusterElasticsearchConnection";
const DONE: [&str; 2] = ["Ready=True/InDesiredState", "Closed=True"];
/// Enough for what others do to a job to be noticed.
const SLOW: Duration = Duration::from_secs(90);
const REFUSED: &str = "Ready=False/NamespaceNotAllowed";

/// The operator as the chart installs it by default, with a secured Elasticsearch. It serves all namespaces of a control plane of
/// its own: two operators that serve the same connections would both write their status.
struct House<'p> {
    home: Room<'p>,
    _operator: Operator,
}

/// The namespaces of two tenants.
struct Scene<'h> {
    home: &'h Room<'h>,
    team: Room<'h>,
    other: Room<'h>,
    name: &'static str,
}

impl<'p> House<'p> {
    fn new(plane: &'p ControlPlane) -> Self {
        let home = Room::with(plane, secured());
        home.grant_everywhere();
        home.secret("es", &json!({"api-key": "key:secret"}));
        let operator = Operator::start(
            &home.kubeconfig(),
            home.folder().join("operator.log"),
            &[
                "--log-level",
                "info,anomalyjob_operator=debug",
                "--lease-namespace",
                &home.namespace,
                "--cluster-connections-namespace",
                &home.namespace,
            ],
            Ways::default(),
        );
        Self {
            home,
            _operator: operator,
        }
    }

    fn scene(&self, name: &'static str) -> Scene<'_> {
        Scene {
            home: &self.home,
            team: Room::new(self.home.plane),
            other: Room::new(self.home.plane),
            name,
        }
    }
}

fn secured() -> Elastic {
    Elastic::with(Options {
        profile: Profile::V9,
        api_keys: vec![ApiKey::new("key", "secret", &["manage_ml", "monitor"])],
        ..Options::default()
    })
}

impl Scene<'_> {
    /// The connection of the scene, which serves these.
    fn connection(&self, allowed: &Value) {
        self.connection_to(&self.home.elastic, allowed);
    }

    fn connection_to(&self, elastic: &Elastic, allowed: &Value) {
        let spec = json!({
            "url": elastic.url(), "allowPlaintext": true,
            "auth": {"apiKeySecretRef": {"name": "es"}}, "allowedNamespaces": allowed,
        });
        self.home
            .create::<ClusterElasticsearchConnection>(self.name, json!({ "spec": spec }));
    }

    fn change(&self, spec: &Value) {
        let patch = json!({ "spec": spec });
        self.home
            .patch::<ClusterElasticsearchConnection>(self.name, &patch);
    }

    fn serve(&self, allowed: &Value) {
        self.change(&json!({ "allowedNamespaces": allowed }));
    }

    fn only(room: &Room) -> Value {
        json!([{"names": [room.namespace]}])
    }

    fn until_connection(&self, condition: &str) -> Value {
        let conditions = [condition];
        self.home
            .until_within::<ClusterElasticsearchConnection>(LIMIT, self.name, &conditions)
    }

    /// The job of this object; each scene has its own in the one Elasticsearch.
    fn job(&self, object: &str) -> String {
        format!("{}-{object}", self.name)
    }

    fn closes(&self, object: &str) -> usize {
        self.home.elastic.log().closes(&self.job(object))
    }

    /// An open job that a tenant wants closed.
    fn close(&self, room: &Room, object: &str) {
        self.close_in(&self.home.elastic, room, object);
    }

    fn close_in(&self, elastic: &Elastic, room: &Room, object: &str) {
        elastic.opened(&self.job(object));
        let by = json!({"kind": KIND, "name": self.name});
        let spec = json!({"jobId": self.job(object), "state": "Closed", "connectionRef": by});
        room.job(object, &spec);
    }
}

fn message(object: &Value) -> String {
    object["status"]["conditions"][0]["message"].to_string()
}

/// The tenant's own Secret of the same name is of no account, and what it may touch is said for its namespace.
fn a_namespace_that_is_served_closes_its_jobs(house: &House) {
    let scene = house.scene("served");
    let allowed = json!([{"names": [scene.team.namespace], "allow": {"jobs": ["served-rate"]}}]);
    scene.connection(&allowed);
    scene.team.secret("es", &json!({"api-key": "key:wrong"}));
    scene.close(&scene.team, "rate");
    scene.close(&scene.team, "mine");
    scene.close(&scene.other, "theirs");
    let job = scene.team.until("rate", &DONE);
    assert_eq!(job["status"]["connection"]["kind"], KIND);
    assert_eq!(job["status"]["connection"]["name"], "served");
    scene.team.until("mine", &["Ready=False/NotAllowed"]);

    let refused = scene.other.until("theirs", &[REFUSED]);
    let said = message(&refused);
    assert!(said.contains("allowedNamespaces"), "{said}");
    // It tells nothing of others, and nothing of the cluster.
    let status = refused["status"].to_string();
    for secret in [&scene.team.namespace, &scene.home.elastic.url()] {
        assert!(!status.contains(secret.as_str()), "{status}");
    }
    assert_eq!(refused["status"]["connection"]["clusterUUID"], Value::Null);

    let connection = scene.until_connection("Ready=True/Connected");
    assert!(connection["status"]["clusterUUID"].is_string());
    let described = scene.home.kubectl(&["describe", "cesconn", "served"]);
    assert!(
        described.contains("Connected") && described.contains(&scene.team.namespace),
        "{described}"
    );
    assert_eq!(
        ["rate", "mine", "theirs"].map(|object| scene.closes(object)),
        [1, 0, 0]
    );
}

/// What is written into `allowedNamespaces` holds at once, both ways.
fn an_edit_lets_namespaces_in_and_out(house: &House) {
    let scene = house.scene("edits");
    scene.connection(&Scene::only(&scene.team));
    scene.close(&scene.other, "rate");
    scene.other.until("rate", &[REFUSED]);
    let both = json!([{"names": [scene.team.namespace, scene.other.namespace]}]);
    scene.serve(&both);
    let served = scene.other.until("rate", &DONE);

    scene.serve(&Scene::only(&scene.team));
    let let_go = scene.other.until("rate", &[REFUSED]);
    // It says of which cluster that is what it still tells, and was told of it when it was served.
    let of = |job: &Value| job["status"]["connection"]["clusterUUID"].clone();
    assert!(of(&served).is_string());
    assert_eq!(of(&let_go), of(&served));
    is_not_corrected(&scene, "rate");
    scene.serve(&json!([]));
    scene.team.until("fence", &[REFUSED]);
    scene.until_connection("Ready=True/Connected");
}

/// Somebody opens a job that was let go: it is left as it is, while one of a namespace that is served is put back. By the
/// tasks of the cluster, which tell of all jobs at once, and within 50 seconds.
fn is_not_corrected(scene: &Scene, object: &str) {
    let (job, fence) = (scene.job(object), scene.job("fence"));
    let elastic = &scene.home.elastic;
    let closes = scene.closes(object);
    scene.close(&scene.team, "fence");
    scene.team.until("fence", &DONE);
    elastic.open(&job);
    elastic.open(&fence);
    let put_back = |log: &Log| log.closed(&fence) == 2;
    let log = elastic.until_within(SLOW, "the one that is served is put back", put_back);
    assert_eq!(log.closes(&job), closes);
    assert_eq!(log.state(&job), Some("opened"));
}

fn labels_of_a_namespace_let_it_in_and_out(house: &House) {
    let scene = house.scene("labels");
    let label = |room: &Room, value: Value| {
        let patch = json!({"metadata": {"labels": {"ml": value}}});
        room.patch::<Namespace>(&room.namespace, &patch);
    };
    label(&scene.team, json!("yes"));
    scene.connection(&json!([{"selector": {"matchLabels": {"ml": "yes"}}}]));
    scene.close(&scene.other, "rate");
    scene.other.until("rate", &[REFUSED]);
    label(&scene.other, json!("yes"));
    scene.other.until("rate", &DONE);
    label(&scene.other, json!("no"));
    scene.other.until("rate", &[REFUSED]);
    is_not_corrected(&scene, "rate");
    label(&scene.other, Value::Null);
    scene.close(&scene.other, "again");
    scene.other.until("again", &[REFUSED]);
    assert_eq!(scene.closes("again"), 0);
}

/// Where none is named: the own `default`, else the one for all, else none; and each change of that moves the object. An own
/// one that has gone is missed for a while.
fn the_default_is_the_own_one_and_then_the_one_for_all(house: &House) {
    let scene = house.scene("default");
    let team = &scene.team;
    for elastic in [&scene.home.elastic, &team.elastic] {
        elastic.opened("rate");
    }
    team.job("rate", &json!({"state": "Closed"}));
    scene.other.job("rate", &json!({"state": "Closed"}));
    team.until("rate", &["Ready=False/ConnectionNotFound"]);

    scene.connection(&Scene::only(team));
    let job = team.until("rate", &DONE);
    assert_eq!(job["status"]["connection"]["kind"], KIND);
    assert_eq!(scene.home.elastic.log().closes("rate"), 1);
    assert_eq!(team.elastic.log().closes("rate"), 0);
    // That there is one which serves others is not told.
    let missing = ["Ready=False/ConnectionNotFound"];
    let said = message(&scene.other.until("rate", &missing));
    assert!(said.contains("no ClusterElasticsearchConnection default that serves it"));

    team.connect(&json!({}));
    let closed = |times: usize| move |log: &Log| log.closed("rate") == times;
    team.elastic.until("the own one is used", closed(1));
    in_use(team, "ElasticsearchConnection");
    team.kubectl(&["delete", "esconn", "default"]);
    team.patch::<AnomalyJob>("rate", &json!({"spec": {"state": "Opened"}}));
    let said = message(&team.until("rate", &missing));
    assert!(said.contains("there was one"), "{said}");
    team.connect(&json!({}));
    team.until("rate", &["Ready=True/InDesiredState"]);
    assert_eq!(team.elastic.log().state("rate"), Some("opened"));
    assert_eq!(scene.home.elastic.log().state("rate"), Some("closed"));
}

fn in_use(room: &Room, kind: &str) {
    until(&format!("a {kind} is used"), LIMIT, || {
        let job = room.get::<AnomalyJob>("rate")?;
        let used = job["status"]["connection"]["kind"] == kind;
        let ready = job["status"]["conditions"][0]["status"] == "True";
        (used && ready)
            .then_some(())
            .ok_or_else(|| job["status"].to_string())
    });
}

/// One cluster, reached by a connection of each kind: of two objects that mean one job the one through the cluster-wide acts, though younger.
fn both_kinds_lead_to_one_cluster(house: &House) {
    let scene = house.scene("claims");
    scene.connection(&Scene::only(&scene.other));
    let team = &scene.team;
    team.secret("es", &json!({"api-key": "key:secret"}));
    let auth = json!({"auth": {"apiKeySecretRef": {"name": "es"}}});
    team.connect_to("default", &scene.home.elastic.url(), &auth);
    let job = scene.job("rate");
    scene.home.elastic.opened(&job);
    team.job("rate", &json!({"jobId": job, "state": "Closed"}));
    team.until("rate", &DONE);
    let by = json!({"kind": KIND, "name": "claims"});
    let open = json!({"jobId": job, "state": "Opened", "connectionRef": by});
    scene.other.job("rate", &open);
    scene.other.until("rate", &["Ready=True/InDesiredState"]);
    let older = team.until("rate", &["Ready=False/Conflict"]);
    assert!(!older["status"].to_string().contains(&scene.other.namespace));
    let state = || scene.home.elastic.log().state(&job).map(str::to_owned);
    assert_eq!(state().as_deref(), Some("opened"));
    is_replaced(&scene);
    scene.other.until("rate", &["Ready=True/InDesiredState"]);
    assert_eq!(scene.home.elastic.log().closes(&job), 1);
    scene.other.delete("rate");
    team.until("rate", &DONE);
    assert_eq!(state().as_deref(), Some("closed"));
}

/// `kubectl replace --force` takes its time: what it served keeps its jobs meanwhile, and others close theirs.
fn is_replaced(scene: &Scene) {
    let team = &scene.team;
    scene.home.kubectl(&["delete", "cesconn", scene.name]);
    scene.close(&scene.other, "gone");
    let missing = ["Ready=False/ConnectionNotFound"];
    let said = message(&scene.other.until("gone", &missing));
    assert!(said.contains("there is no ClusterElastic"), "{said}");
    let fence = scene.job("fence");
    scene.home.elastic.opened(&fence);
    team.job("fence", &json!({"jobId": fence, "state": "Closed"}));
    team.until("fence", &DONE);
    team.until("rate", &["Ready=False/Conflict"]);
    scene.connection(&Scene::only(&scene.other));
}

/// What is wrong with it is told in full to its owner, and in one word to those whom it serves.
fn what_is_wrong_is_the_owners_business(house: &House) {
    let scene = house.scene("owner");
    scene.connection(&Scene::only(&scene.team));
    scene.change(&json!({"auth": {"apiKeySecretRef": {"name": "of-the-house"}}}));
    let key = json!({"api-key": "key:secret"});
    scene.team.secret("of-the-house", &key);
    // Two watches keep no order between them: before this an object might still be served as the connection was.
    let said = message(&scene.until_connection("Ready=False/SecretNotFound"));
    scene.close(&scene.team, "rate");
    let there = format!("Secret of-the-house in namespace {}", scene.home.namespace);
    assert!(said.contains(&there), "{said}");
    let tenant = scene.team.until("rate", &["Ready=False/SecretNotFound"]);
    let status = tenant["status"].to_string();
    assert!(status.contains("whoever owns it sees why"), "{status}");
    assert!(!status.contains("of-the-house"), "{status}");
    // Suspended, mended and deleted: each is noticed.
    scene.change(&json!({"suspend": true}));
    scene.home.secret("of-the-house", &key);
    scene
        .team
        .until("rate", &["Ready=False/ConnectionSuspended"]);
    assert_eq!(scene.closes("rate"), 0);
    scene.change(&json!({"suspend": false}));
    scene.team.until("rate", &DONE);
    scene.home.kubectl(&["delete", "cesconn", "owner"]);
    let open = json!({"spec": {"state": "Opened"}});
    scene.team.patch::<AnomalyJob>("rate", &open);
    scene
        .team
        .until("rate", &["Ready=False/ConnectionNotFound"]);
}

/// A read finds it out before any probe does, and says no more to those whom it serves.
fn what_a_read_finds_wrong_is_the_owners_business_too(house: &House) {
    let scene = house.scene("reads");
    let elastic = &scene.other.elastic;
    scene.connection_to(elastic, &Scene::only(&scene.team));
    scene.close_in(elastic, &scene.team, "rate");
    scene.team.until("rate", &DONE);
    elastic.cut_off();
    let open = json!({"spec": {"state": "Opened"}});
    scene.team.patch::<AnomalyJob>("rate", &open);
    let refused = ["Ready=False/ConnectionRefused"];
    let status = scene.team.until("rate", &refused)["status"].to_string();
    assert!(status.contains("whoever owns it sees why"), "{status}");
    assert!(!status.contains("url"), "{status}");
}

/// A proxy that answers for one path, while the probe finds all in order.
fn what_no_probe_finds_wrong_is_seen_by_the_owner(house: &House) {
    let scene = house.scene("proxy");
    let elastic = &scene.other.elastic;
    scene.connection_to(elastic, &Scene::only(&scene.team));
    scene.close_in(elastic, &scene.team, "rate");
    scene.team.until("rate", &DONE);
    elastic.inject(&json!({"api": "JobStats", "status": 502, "body": "html", "count": null}));
    let open = json!({"spec": {"state": "Opened"}});
    scene.team.patch::<AnomalyJob>("rate", &open);
    let refused = ["Ready=False/ClusterUnreachable"];
    let said = message(&scene.team.until("rate", &refused));
    assert!(said.contains("whoever owns it sees why"), "{said}");
    until("its owner sees why", SLOW, || {
        let object = (scene.home).get::<ClusterElasticsearchConnection>(scene.name)?;
        let conditions = object["status"]["conditions"].to_string();
        (conditions.contains("(ClusterUnreachable)") && conditions.contains("502"))
            .then_some(())
            .ok_or(conditions)
    });
    elastic.stop_injecting();
    scene.team.until("rate", &["Ready=True/InDesiredState"]);
}

#[test]
fn a_cluster_wide_connection_serves_those_whom_it_allows_and_nobody_else() {
    let plane = ControlPlane::start(&[]);
    plane.apply_crds();
    let house = House::new(&plane);
    side_by_side(&[
        ("served", &|| {
            a_namespace_that_is_served_closes_its_jobs(&house);
        }),
        ("edits", &|| an_edit_lets_namespaces_in_and_out(&house)),
        ("labels", &|| {
            labels_of_a_namespace_let_it_in_and_out(&house);
        }),
        ("claims", &|| both_kinds_lead_to_one_cluster(&house)),
        ("default", &|| {
            the_default_is_the_own_one_and_then_the_one_for_all(&house);
        }),
        ("owner", &|| what_is_wrong_is_the_owners_business(&house)),
        ("reads", &|| {
            what_a_read_finds_wrong_is_the_owners_business_too(&house);
        }),
        ("proxy", &|| {
            what_no_probe_finds_wrong_is_seen_by_the_owner(&house);
        }),
    ]);
}

/// Without the right to see cluster-wide connections all others work as ever.
#[test]
fn an_operator_that_may_not_see_cluster_wide_connections_serves_the_others() {
    let room = Room::new(controlplane::shared());
    let binding = format!("{}:anomalyjob-operator:cluster-connections", room.namespace);
    room.kubectl(&["delete", "clusterrolebinding", &binding]);
    room.connect(&json!({}));
    room.elastic.opened("mine");
    room.elastic.opened("rate");
    room.close("mine", &json!({}));
    let by = json!({"kind": KIND, "name": "not-to-be-seen"});
    room.job("rate", &json!({"state": "Closed", "connectionRef": by}));
    let operator = room.operator_with(&["--cluster-connections", "true"]);
    room.until("mine", &DONE);
    operator.until_ready();
    let unseen = message(&room.until("rate", &["Ready=False/Pending"]));
    let right = "list and watch on clusterelasticsearchconnections";
    assert!(unseen.contains(right), "{unseen}");
    drop(operator);
    // One that is told to serve none says so.
    let _other = room.operator_after_kill();
    let said = room.until("rate", &["Ready=False/ConnectionNotFound"]);
    assert!(message(&said).contains("--cluster-connections"));
    assert_eq!(room.elastic.log().closes("rate"), 0);
}
