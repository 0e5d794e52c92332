//! `anomalyjob-operator release` against the real API server: what was held back by our finalizer is not any more, whatever
//! else is wrong with it, and nothing else of it is touched.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anomalyjob_operator::api::{AnomalyJob, FINALIZER};
use futures::StreamExt as _;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::support::controlplane::{self, ControlPlane, eventually};
use crate::support::{LIMIT, RUNTIME, until};

const OTHERS: &str = "example.com/backup";

pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs the real binary to its end.
pub(crate) fn run(kubeconfig: &Path, arguments: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_anomalyjob-operator"))
        .arg("release")
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .output()
        .expect("it runs");
    Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// The AnomalyJobs of one namespace.
struct Jobs {
    client: Client,
    namespace: String,
}

impl Jobs {
    fn in_new_namespace(plane: &ControlPlane) -> Self {
        Self {
            client: RUNTIME.block_on(plane.client()),
            namespace: plane.namespace(),
        }
    }

    fn api(&self) -> Api<DynamicObject> {
        let resource = ApiResource::erase::<AnomalyJob>(&());
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    async fn create(&self, name: &str, finalizers: &[&str]) -> Result<(), String> {
        let resource = ApiResource::erase::<AnomalyJob>(&());
        let spec = json!({"spec": {"jobId": "rate", "state": "Closed"}});
        let mut object = DynamicObject::new(name, &resource).data(spec);
        let finalizers: Vec<String> = finalizers.iter().map(ToString::to_string).collect();
        object.metadata.finalizers = Some(finalizers).filter(|some| !some.is_empty());
        let created = self.api().create(&PostParams::default(), &object).await;
        created.map(drop).map_err(|error| error.to_string())
    }

    fn created(&self, name: &str, finalizers: &[&str]) {
        RUNTIME.block_on(self.create(name, finalizers)).expect(name);
    }

    /// Object as it is stored, or nothing.
    fn get(&self, name: &str) -> Option<Value> {
        let got = RUNTIME
            .block_on(self.api().get_opt(name))
            .expect("an answer");
        got.map(|object| serde_json::to_value(object).expect("JSON"))
    }

    fn finalizers(&self, name: &str) -> Value {
        self.get(name).expect("it is there")["metadata"]["finalizers"].clone()
    }

    fn delete(&self, name: &str) {
        let deleted = RUNTIME.block_on(self.api().delete(name, &DeleteParams::default()));
        deleted.expect("it is taken");
    }

    fn patch(&self, name: &str, patch: &Value) -> Result<(), String> {
        let (api, params, patch) = (self.api(), PatchParams::default(), Patch::Merge(patch));
        let patched = RUNTIME.block_on(api.patch(name, &params, &patch));
        patched.map(drop).map_err(|error| error.to_string())
    }
}

#[test]
fn in_the_namespaces_that_are_named_ours_goes_and_all_else_stays() {
    let plane = controlplane::shared();
    let [one, two, other] = [(); 3].map(|()| Jobs::in_new_namespace(plane));
    one.created("ours", &[FINALIZER]);
    one.created("shared", &["example.com/first", FINALIZER, OTHERS]);
    one.created("theirs", &[OTHERS]);
    two.created("hangs", &[FINALIZER]);
    two.created("hangs-on", &[FINALIZER, OTHERS]);
    other.created("ours", &[FINALIZER]);
    two.delete("hangs");
    two.delete("hangs-on");
    let before = one.get("theirs");
    let spec = one.get("shared").expect("it is there")["spec"].clone();
    let namespaces = format!("{},{}", one.namespace, two.namespace);

    let said = run(&plane.kubeconfig(), &["--namespace", &namespaces]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let mut lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(
        lines.pop(),
        Some("AnomalyJobs: 5 seen, 4 held back, 4 released, 0 failed")
    );
    let line = |jobs: &Jobs, rest: &str| format!("{}/{rest}", jobs.namespace);
    let deleted = "hangs: released, and so deleted as was asked before";
    let mut expected = [
        line(&one, "ours: released"),
        line(&one, "shared: released"),
        line(&two, deleted),
        line(&two, "hangs-on: released"),
    ];
    lines.sort_unstable();
    expected.sort_unstable();
    assert_eq!(lines, expected);
    assert_eq!(one.finalizers("ours"), Value::Null);
    assert_eq!(
        one.finalizers("shared"),
        json!(["example.com/first", OTHERS])
    );
    assert_eq!(one.get("shared").expect("it is there")["spec"], spec);
    assert_eq!(one.get("theirs"), before, "it was not written");
    assert_eq!(two.get("hangs"), None);
    assert_eq!(two.finalizers("hangs-on"), json!([OTHERS]));
    assert_eq!(other.finalizers("ours"), json!([FINALIZER]));

    let again = run(&plane.kubeconfig(), &["-n", &one.namespace]);
    assert_eq!(again.code, Some(0));
    assert_eq!(
        again.out,
        "AnomalyJobs: 3 seen, 0 held back, 0 released, 0 failed\n"
    );
}

#[test]
fn objects_that_others_write_all_the_time_are_released_and_no_write_is_lost() {
    let plane = controlplane::shared();
    let jobs = Jobs::in_new_namespace(plane);
    let names = ["a", "b", "c"];
    for name in names {
        jobs.created(name, &[FINALIZER]);
    }
    let stop = AtomicBool::new(false);
    let (said, written) = std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let mut count = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                count += 1;
                for name in names {
                    let patch = json!({"metadata": {"annotations": {"x": count.to_string()}}});
                    jobs.patch(name, &patch).expect("it is taken");
                }
            }
            count
        });
        std::thread::sleep(Duration::from_millis(100));
        let said = run(&plane.kubeconfig(), &["-n", &jobs.namespace]);
        stop.store(true, Ordering::Relaxed);
        (said, writing.join().expect("writes"))
    });
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    for name in names {
        let object = jobs.get(name).expect("it is there");
        assert_eq!(object["metadata"]["finalizers"], Value::Null);
        assert_eq!(object["metadata"]["annotations"]["x"], written.to_string());
    }
}

#[test]
fn a_finalizer_that_is_put_back_is_told_as_an_operator_that_still_runs() {
    let plane = controlplane::shared();
    let jobs = Jobs::in_new_namespace(plane);
    jobs.created("ours", &[FINALIZER]);
    let said = std::thread::scope(|scope| {
        scope.spawn(|| {
            eventually("it is released", || jobs.finalizers("ours").is_null());
            let held = json!({"metadata": {"finalizers": [FINALIZER]}});
            jobs.patch("ours", &held).expect("it is taken");
        });
        run(&plane.kubeconfig(), &["-n", &jobs.namespace])
    });
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("an operator still runs"), "{}", said.err);
}

#[test]
fn without_the_rights_or_an_api_server_it_fails_and_says_why() {
    let plane = controlplane::shared();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("kubeconfig");
    let admin = std::fs::read_to_string(plane.kubeconfig()).expect("kubeconfig");
    let mut config: Value = serde_saphyr::from_str(&admin).expect("kubeconfig");
    config["users"][0]["user"] = json!({});
    std::fs::write(&file, config.to_string()).expect("write");
    let said = run(&file, &[]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    let words = ["of all namespaces cannot be listed", "forbidden"];
    for word in words {
        assert!(said.err.contains(word), "{}", said.err);
    }
    let said = run(&folder.path().join("none"), &[]);
    assert_eq!(said.code, Some(2), "{}", said.err);
}

/// Replaces the schema of AnomalyJobs: that of this repository, or one that takes everything.
fn replace_schema(plane: &ControlPlane, relaxed: bool) {
    let crds = anomalyjob_operator::artifacts::crds().expect("types render");
    let ours = crds.into_iter().map(|(_, yaml)| yaml);
    let yaml = ours
        .into_iter()
        .find(|yaml| yaml.contains("kind: AnomalyJob\n"));
    let mut crd: Value = serde_saphyr::from_str(&yaml.expect("the kind")).expect("YAML");
    if relaxed {
        let version = &mut crd["spec"]["versions"][0];
        version["schema"]["openAPIV3Schema"] =
            json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let version = version.as_object_mut().expect("a version");
        version.remove("selectableFields");
    }
    let file = plane.folder().join("schema.json");
    std::fs::write(&file, crd.to_string()).expect("write");
    plane.kubectl_ok(&["replace", "-f", file.to_str().expect("UTF-8")]);
}

/// Stores a spec that today's schema refuses, as an older one may have let it in.
fn spoil(jobs: &Jobs, name: &str, spec: &Value) {
    jobs.created(name, &[FINALIZER]);
    let wrong = json!({"spec": spec});
    until("a spec that is none is stored", LIMIT, || {
        jobs.patch(name, &wrong)
    });
}

#[test]
fn in_all_namespaces_every_page_of_the_list_and_what_cannot_be_decoded_is_released() {
    let plane = ControlPlane::start(&[]);
    plane.apply_crds();
    let [many, few] = [(); 2].map(|()| Jobs::in_new_namespace(&plane));
    let names: Vec<String> = (0..1010).map(|number| format!("job-{number}")).collect();
    let creations = names.iter().map(|name| many.create(name, &[FINALIZER]));
    let created = futures::stream::iter(creations).buffer_unordered(16);
    let created: Vec<Result<(), String>> = RUNTIME.block_on(created.collect());
    let created: Result<(), String> = created.into_iter().collect();
    created.expect("all");
    replace_schema(&plane, true);
    let (unknown, untyped) = (
        json!({"jobId": "No Id", "state": "Ajar"}),
        json!({"jobId": ["no", "id"]}),
    );
    spoil(&few, "undecodable", &unknown);
    spoil(&few, "untyped", &untyped);
    replace_schema(&plane, false);
    eventually("the schema is back", || {
        few.patch("untyped", &json!({"metadata": {"labels": {"a": "b"}}}))
            .is_err()
    });

    // What the API server lets nobody write is told, keeps nothing else back, and can be mended.
    let said = run(&plane.kubeconfig(), &[]);
    assert_eq!((said.code, said.out.lines().count()), (Some(1), 1013));
    let sum = "AnomalyJobs: 1012 seen, 1012 held back, 1011 released, 1 failed";
    assert_eq!(said.out.lines().last(), Some(sum));
    let told = format!("{}/untyped: NOT released: ", few.namespace);
    let line = said.out.lines().find(|line| line.starts_with(&told));
    assert!(
        line.is_some_and(|line| line.contains("spec.jobId")),
        "{line:?}"
    );
    let undecodable = few.get("undecodable").expect("it is there");
    assert_eq!(undecodable["metadata"]["finalizers"], Value::Null);
    assert_eq!(undecodable["spec"]["state"], "Ajar");
    let mended = json!({"spec": {"jobId": "rate"}});
    few.patch("untyped", &mended).expect("it is taken");
    let said = run(&plane.kubeconfig(), &[]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
}
