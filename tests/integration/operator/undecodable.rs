//! Objects that cannot be decoded, as an older CRD may have let them in, beside good ones.

use std::path::PathBuf;
use std::time::Duration;

use anomalyjob_operator::api::AnomalyJob;
use anomalyjob_operator::artifacts;
use kube::api::{ApiResource, DynamicObject, PostParams};
use serde_json::{Value, json};

use crate::support::controlplane::ControlPlane;
use crate::support::room::Room;
use crate::support::{LIMIT, RUNTIME, until};

/// The CRDs as files: of this repository, or with a schema that lets everything in.
fn crds(plane: &ControlPlane, relaxed: bool) -> Vec<PathBuf> {
    let all = artifacts::crds().expect("types render");
    let write = |(name, yaml): (String, String)| {
        let mut crd: Value = serde_saphyr::from_str(&yaml).expect("YAML");
        if relaxed {
            let version = &mut crd["spec"]["versions"][0];
            let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
            version["schema"]["openAPIV3Schema"] = anything;
            let version = version.as_object_mut().expect("a version");
            version.remove("selectableFields");
        }
        let file = plane
            .folder()
            .join(format!("{}-{relaxed}.json", name.replace('/', "-")));
        std::fs::write(&file, crd.to_string()).expect("write");
        file
    };
    all.into_iter()
        .map(|(name, yaml)| write((name.clone(), yaml)))
        .collect()
}

fn replace_crds(plane: &ControlPlane, relaxed: bool) {
    for file in crds(plane, relaxed) {
        plane.kubectl_ok(&["replace", "-f", file.to_str().expect("UTF-8")]);
    }
}

/// Tries to store an AnomalyJob with this spec.
fn try_bad(room: &Room, name: &str, spec: &Value, dry_run: bool) -> Result<(), String> {
    let body = json!({"spec": spec});
    let resource = ApiResource::erase::<AnomalyJob>(&());
    let object = DynamicObject::new(name, &resource).data(body);
    let params = PostParams {
        dry_run,
        ..PostParams::default()
    };
    let api = room.api::<AnomalyJob>();
    let created = RUNTIME.block_on(api.create(&params, &object));
    created.map(drop).map_err(|error| error.to_string())
}

/// Stores two objects that the schema refuses, and edits one into a third.
fn store_bad_ones(room: &Room) {
    replace_crds(room.plane, true);
    // One that names no job, and one whose status the API server takes from nobody.
    let (bad, worse) = (
        json!({"jobId": " , ", "state": "Closed"}),
        json!({"jobId": "worse", "close": {"timeout": 30}}),
    );
    until("the bad object is stored", LIMIT, || {
        try_bad(room, "bad", &bad, false)
    });
    until("the worse one is stored", LIMIT, || {
        try_bad(room, "worse", &worse, false)
    });
    room.patch::<AnomalyJob>("kept", &json!({"spec": bad}));
    replace_crds(room.plane, false);
    until("the schema is back", LIMIT, || {
        match try_bad(room, "other", &bad, true) {
            Err(error) if error.contains("jobId") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}

#[test]
fn an_undecodable_object_says_so_and_the_good_ones_beside_it_are_served() {
    let plane = ControlPlane::start(&[]);
    plane.apply_crds();
    let room = Room::new(&plane);
    room.elastic.opened("good");
    room.elastic.opened("later");
    room.elastic.opened("kept");
    room.connect(&json!({}));
    let operator = room.operator();
    room.close("kept", &json!({}));
    let closed = room.until("kept", &["Ready=True/InDesiredState", "Closed=True"]);
    drop(operator);
    store_bad_ones(&room);

    let mut operator = room.operator();
    room.close("good", &json!({}));
    room.until("good", &["Ready=True/InDesiredState", "Closed=True"]);
    let bad = room.until(
        "bad",
        &["Ready=False/InvalidObject", "Stalled=True/InvalidObject"],
    );
    let told = bad["status"]["conditions"][0]["message"]
        .as_str()
        .unwrap_or_default();
    assert!(told.contains("nothing is called"), "{told}");
    let kept = room.until("kept", &["Ready=False/InvalidObject", "Closed=Unknown"]);
    for noted in ["lastClose", "connection"] {
        assert!(closed["status"][noted].is_object(), "{closed}");
        assert_eq!(kept["status"][noted], closed["status"][noted], "{noted}");
    }
    let event = room.event("worse", "InvalidObject");
    assert_eq!(event["type"], "Warning");
    // Told once: what is written about it comes back as an undecodable object, too.
    let before = room.get::<AnomalyJob>("bad").expect("it is there");
    std::thread::sleep(Duration::from_millis(2500));
    let after = room.get::<AnomalyJob>("bad").expect("it is there");
    assert_eq!(
        before["metadata"]["resourceVersion"],
        after["metadata"]["resourceVersion"]
    );
    room.close("later", &json!({}));
    room.until("later", &["Ready=True/InDesiredState", "Closed=True"]);
    assert!(operator.is_running() && operator.is_ready());
    let log = room.elastic.log();
    assert_eq!(
        (log.closes("good"), log.closes("later"), log.of("Close")),
        (1, 1, 3)
    );

    // Mended, it is served like any other.
    room.elastic.opened("mended");
    room.patch::<AnomalyJob>("bad", &json!({"spec": {"jobId": "mended"}}));
    room.until("bad", &["Ready=True/InDesiredState", "Closed=True"]);
}
