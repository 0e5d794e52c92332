//! A namespace of its own on a control plane, with the rights that the chart gives, a simulated Elasticsearch, and the
//! objects in it. Tests that use rooms run side by side.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anomalyjob_operator::api::{AnomalyJob, ElasticsearchConnection, RECONCILE_REQUESTED};
use elasticsearch_simulator::Profile;
use futures::{StreamExt as _, stream};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams,
};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::controlplane::ControlPlane;
use super::elastic::Elastic;
use super::operator::{Operator, Ways};
use super::{LIMIT, RUNTIME, until};

/// The name of release, ServiceAccount and Lease.
pub(crate) const NAME: &str = "anomalyjob-operator";

pub(crate) struct Room<'p> {
    pub(crate) plane: &'p ControlPlane,
    pub(crate) namespace: String,
    pub(crate) client: Client,
    pub(crate) elastic: Elastic,
    folder: tempfile::TempDir,
    started: AtomicU32,
}

impl<'p> Room<'p> {
    /// A room with an Elasticsearch of the newest profile, without security.
    pub(crate) fn new(plane: &'p ControlPlane) -> Self {
        Self::with(plane, Elastic::new(Profile::V9))
    }

    pub(crate) fn with(plane: &'p ControlPlane, elastic: Elastic) -> Self {
        let room = Self {
            plane,
            namespace: plane.namespace(),
            client: RUNTIME.block_on(plane.client()),
            elastic,
            folder: tempfile::tempdir().expect("folder"),
            started: AtomicU32::new(0),
        };
        room.grant();
        room
    }

    /// Gives the operator of this room the rights that the chart gives one that serves all namespaces.
    pub(crate) fn grant_everywhere(&self) {
        self.apply_rights(&render_rights(&[]));
    }

    fn apply_rights(&self, rights: &str) {
        let file = self.folder.path().join("rights.yaml");
        let rights = rights.replace("the-namespace", &self.namespace);
        std::fs::write(&file, rights).expect("write");
        self.kubectl(&["apply", "-f", file.to_str().expect("UTF-8")]);
    }

    /// Applies the chart's ServiceAccount and rights, and writes a kubeconfig for that account.
    fn grant(&self) {
        self.apply_rights(rights());
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &self.namespace);
        let request = serde_json::from_value::<TokenRequest>(json!({"spec": {"audiences": []}}));
        let request = request.expect("a request");
        let params = PostParams::default();
        let token = RUNTIME.block_on(api.create_token_request(NAME, &params, &request));
        let token = token.expect("a token");
        let token = token.status.expect("an answer").token;
        let admin = std::fs::read_to_string(self.plane.kubeconfig()).expect("kubeconfig");
        let mut config: Value = serde_saphyr::from_str(&admin).expect("kubeconfig");
        for user in config["users"].as_array_mut().expect("users") {
            user["user"] = json!({ "token": token });
        }
        std::fs::write(self.kubeconfig(), config.to_string()).expect("write");
    }

    /// That of the operator's own account.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Where files of this room may be put.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a replica that serves this room alone.
    pub(crate) fn operator(&self) -> Operator {
        self.operator_with(&["--log-level", "info,anomalyjob_operator=debug"])
    }

    pub(crate) fn operator_with(&self, arguments: &[&str]) -> Operator {
        self.operator_in(arguments, Ways::default())
    }

    /// Starts one in another than the usual way.
    pub(crate) fn operator_in(&self, arguments: &[&str], ways: Ways<'_>) -> Operator {
        let number = self.started.fetch_add(1, Ordering::Relaxed) + 1;
        let log = self.folder.path().join(format!("operator-{number}.log"));
        let name = format!("replica-{number}");
        let mut all = vec!["--watch-namespace", &self.namespace];
        all.extend(["--lease-namespace", &self.namespace, "--identity", &name]);
        all.extend(arguments);
        Operator::start(&self.kubeconfig(), log, &all, ways)
    }

    /// Starts the next one after a kill, without the wait for the dead one's lease: that wait is tested by itself.
    pub(crate) fn operator_after_kill(&self) -> Operator {
        self.forget_the_lease();
        self.operator()
    }

    /// Nobody holds the lease any more. One that died early may not have had it.
    pub(crate) fn forget_the_lease(&self) {
        let api: Api<Lease> = Api::namespaced(self.client.clone(), &self.namespace);
        match RUNTIME.block_on(api.delete(NAME, &DeleteParams::default())) {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            Err(error) => panic!("the lease of the dead: {error}"),
        }
    }

    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        let mut all = vec!["-n", &self.namespace];
        all.extend(arguments);
        self.plane.kubectl_ok(&all)
    }

    pub(crate) fn api<K>(&self) -> Api<DynamicObject>
    where
        K: kube::Resource<DynamicType = ()>,
    {
        let resource = ApiResource::erase::<K>(&());
        if ["ClusterElasticsearchConnection", "Namespace"].contains(&&*K::kind(&())) {
            return Api::all_with(self.client.clone(), &resource);
        }
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    pub(crate) fn create<K>(&self, name: &str, body: Value)
    where
        K: kube::Resource<DynamicType = ()>,
    {
        let resource = ApiResource::erase::<K>(&());
        let object = DynamicObject::new(name, &resource).data(body);
        let api = self.api::<K>();
        let created = RUNTIME.block_on(api.create(&PostParams::default(), &object));
        created.unwrap_or_else(|error| panic!("{name} was not taken: {error}"));
    }

    pub(crate) fn patch<K>(&self, name: &str, patch: &Value)
    where
        K: kube::Resource<DynamicType = ()>,
    {
        let api = self.api::<K>();
        let params = PatchParams::default();
        let patched = RUNTIME.block_on(api.patch(name, &params, &Patch::Merge(patch)));
        patched.unwrap_or_else(|error| panic!("{name} was not patched: {error}"));
    }

    /// The connection `default`, to the room's own Elasticsearch, with these further or other fields.
    pub(crate) fn connect(&self, more: &Value) {
        let own = self.elastic.url();
        let url = more["url"].as_str().unwrap_or(&own);
        self.connect_to("default", url, more);
    }

    pub(crate) fn connect_to(&self, name: &str, url: &str, more: &Value) {
        let mut spec = json!({"url": url, "allowPlaintext": true});
        for (key, value) in more.as_object().into_iter().flatten() {
            spec[key] = value.clone();
        }
        self.create::<ElasticsearchConnection>(name, json!({"spec": spec}));
    }

    pub(crate) fn secret(&self, name: &str, data: &Value) {
        self.create::<Secret>(name, json!({"stringData": data}));
    }

    /// Asks for an AnomalyJob's deletion, and does not wait for it.
    pub(crate) fn delete(&self, name: &str) {
        self.kubectl(&["delete", "anomalyjob", name, "--wait=false"]);
    }

    /// Asks for the deletion of all objects of a kind.
    pub(crate) fn delete_all<K>(&self)
    where
        K: kube::Resource<DynamicType = ()>,
    {
        let api = self.api::<K>();
        let (how, all) = (DeleteParams::default(), ListParams::default());
        let deleted = RUNTIME.block_on(api.delete_collection(&how, &all));
        deleted.expect("they are deleted");
    }

    /// Waits until an AnomalyJob is gone.
    pub(crate) fn until_gone(&self, limit: Duration, name: &str) {
        until(&format!("{name} is gone"), limit, || {
            match self.get::<AnomalyJob>(name) {
                Err(error) if error.contains("not found") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
    }

    /// Asks for everything of an AnomalyJob to be looked at, and waits until that is answered.
    pub(crate) fn look_again(&self, name: &str, request: &str) -> Value {
        let annotation = json!({RECONCILE_REQUESTED: request});
        self.patch::<AnomalyJob>(name, &json!({"metadata": {"annotations": annotation}}));
        until(&format!("{name} was looked at"), LIMIT, || {
            let object = self.get::<AnomalyJob>(name)?;
            if object["status"]["lastHandledReconcileAt"] == request {
                Ok(object)
            } else {
                Err(object["status"].to_string())
            }
        })
    }

    /// An AnomalyJob of the job of the same name, over the connection `default`.
    pub(crate) fn job(&self, name: &str, more: &Value) {
        let mut spec = json!({"jobId": name});
        for (key, value) in more.as_object().into_iter().flatten() {
            spec[key] = value.clone();
        }
        self.create::<AnomalyJob>(name, json!({"spec": spec}));
    }

    /// Many AnomalyJobs, each of a name and a spec.
    pub(crate) fn jobs_at_once(&self, specs: Vec<(String, Value)>) {
        let resource = ApiResource::erase::<AnomalyJob>(&());
        let api = self.api::<AnomalyJob>();
        let one = |(name, spec): (String, Value)| {
            let object = DynamicObject::new(&name, &resource).data(json!({ "spec": spec }));
            let api = api.clone();
            async move { api.create(&PostParams::default(), &object).await }
        };
        let all = stream::iter(specs.into_iter().map(one)).buffer_unordered(32);
        for created in RUNTIME.block_on(all.collect::<Vec<_>>()) {
            created.expect("created");
        }
    }

    /// All AnomalyJobs, or why they cannot be had now.
    pub(crate) fn try_all_jobs(&self) -> Result<Vec<Value>, String> {
        let api = self.api::<AnomalyJob>();
        let params = ListParams::default();
        let list = async { tokio::time::timeout(Duration::from_secs(20), api.list(&params)).await };
        let list = RUNTIME.block_on(list).map_err(|_| "no answer".to_owned())?;
        let items = list.map_err(|error| error.to_string())?.items;
        let values = items.iter().map(serde_json::to_value);
        values
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())
    }

    /// All AnomalyJobs; none where they cannot be had now.
    pub(crate) fn all_jobs(&self) -> Vec<Value> {
        self.try_all_jobs().unwrap_or_default()
    }

    /// The same, to be closed by this policy.
    pub(crate) fn close(&self, name: &str, policy: &Value) {
        self.job(name, &json!({"state": "Closed", "close": policy}));
    }

    /// The object as it is stored.
    pub(crate) fn get<K>(&self, name: &str) -> Result<Value, String>
    where
        K: kube::Resource<DynamicType = ()>,
    {
        let api = self.api::<K>();
        let got = async { tokio::time::timeout(Duration::from_secs(5), api.get(name)).await };
        let got = RUNTIME.block_on(got).map_err(|_| "no answer".to_owned())?;
        let got = got.map_err(|error| error.to_string())?;
        serde_json::to_value(got).map_err(|error| error.to_string())
    }

    /// Waits until an AnomalyJob has all of these conditions, each like `Ready=False/JobFailed` or `Closed=True`.
    pub(crate) fn until(&self, name: &str, conditions: &[&str]) -> Value {
        self.until_within::<AnomalyJob>(LIMIT, name, conditions)
    }

    /// The same for an ElasticsearchConnection.
    pub(crate) fn until_connection(&self, name: &str, conditions: &[&str]) -> Value {
        self.until_within::<ElasticsearchConnection>(LIMIT, name, conditions)
    }

    pub(crate) fn until_within<K>(&self, limit: Duration, name: &str, conditions: &[&str]) -> Value
    where
        K: kube::Resource<DynamicType = ()>,
    {
        let what = format!("{name} is {}", conditions.join(", "));
        until(&what, limit, || {
            let object = self.get::<K>(name)?;
            if conditions.iter().all(|condition| has(&object, condition)) {
                Ok(object)
            } else {
                Err(object["status"].to_string())
            }
        })
    }

    /// Waits until an event of this reason is told of an object.
    pub(crate) fn event(&self, name: &str, reason: &str) -> Value {
        until(&format!("event {reason} of {name}"), LIMIT, || {
            let events = self.kubectl(&["get", "events.events.k8s.io", "-o", "json"]);
            let events: Value = serde_json::from_str(&events).expect("JSON");
            let all = events["items"].as_array().cloned().unwrap_or_default();
            let of =
                |event: &Value| event["reason"] == reason && event["regarding"]["name"] == name;
            let found = all.iter().find(|event| of(event)).cloned();
            found.ok_or_else(|| events.to_string())
        })
    }

    /// Waits until a field of an AnomalyJob's first target is there.
    pub(crate) fn until_target(&self, name: &str, field: &str) -> Value {
        until(&format!("{name} has {field}"), LIMIT, || {
            let object = self.get::<AnomalyJob>(name)?;
            match &object["status"]["targets"][0][field] {
                Value::Null => Err(object["status"].to_string()),
                value => Ok(value.clone()),
            }
        })
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!(
                "--- the simulator of {}\n{}",
                self.namespace,
                self.elastic.story()
            );
        }
    }
}

/// Whether an object has this condition, at its newest generation.
pub(crate) fn has(object: &Value, condition: &str) -> bool {
    let (of, rest) = condition.split_once('=').expect("TYPE=STATUS/REASON");
    let (status, reason) = rest.split_once('/').unwrap_or((rest, ""));
    let all = object["status"]["conditions"].as_array();
    all.into_iter().flatten().any(|stored| {
        stored["type"] == of
            && stored["status"] == status
            && (reason.is_empty() || stored["reason"] == reason)
            && stored["observedGeneration"] == object["metadata"]["generation"]
    })
}

/// Whether an object has a condition of this type at all.
pub(crate) fn has_any(object: &Value, of: &str) -> bool {
    let all = object["status"]["conditions"].as_array();
    all.into_iter().flatten().any(|stored| stored["type"] == of)
}

/// The chart's ServiceAccount and rights for an operator in `the-namespace` that watches that namespace, and serves
/// ClusterElasticsearchConnections.
pub(crate) fn rights() -> &'static str {
    static RIGHTS: OnceLock<String> = OnceLock::new();
    RIGHTS.get_or_init(|| {
        render_rights(&["watch.namespaces={the-namespace},clusterConnections.enabled=true"])
    })
}

fn render_rights(values: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = Command::new(root.join("tests/controlplane/build"))
        .arg("helm")
        .stderr(std::process::Stdio::inherit())
        .output()
        .expect("build");
    let folder = String::from_utf8(built.stdout).expect("a path");
    let helm = Path::new(folder.lines().last().expect("a folder")).join("helm");
    let rendered = Command::new(helm)
        .args(["template", NAME])
        .arg(root.join("charts/anomalyjob-operator"))
        .args(["-n", "the-namespace"])
        .args(values.iter().flat_map(|values| ["--set", values]))
        .args(["--show-only", "templates/rbac.yaml"])
        .args(["--show-only", "templates/serviceaccount.yaml"])
        .output()
        .expect("helm");
    let error = String::from_utf8_lossy(&rendered.stderr);
    assert!(rendered.status.success(), "helm template failed: {error}");
    String::from_utf8(rendered.stdout).expect("YAML")
}
