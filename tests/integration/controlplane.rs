//! The harness itself: a test that relies on an outage must get one, and nothing may be left behind.

use crate::support::controlplane::{ControlPlane, eventually};

#[test]
fn an_own_control_plane_can_be_cut_off_and_comes_back_with_its_data() {
    let plane = ControlPlane::start(&["--audit"]);
    plane.apply_crds();
    let namespace = plane.namespace();
    let answers = || {
        plane
            .kubectl(&["get", "--raw", "/readyz", "--request-timeout=2s"])
            .status
            .success()
    };
    assert!(answers());

    plane.hold(true);
    plane.kill("kube-apiserver");
    eventually("no answer", || !answers());
    plane.hold(false);
    eventually("an answer again", answers);
    plane.kubectl_ok(&["get", "namespace", &namespace]);
    plane.kubectl_ok(&["get", "crd", "anomalyjobs.anomalyjob.dev"]);
    let log = std::fs::read_to_string(plane.folder().join("audit.log")).expect("an audit log");
    assert!(
        log.contains(&format!("\"name\":\"{namespace}\"")),
        "the log names who was created"
    );

    let folder = plane.folder().to_owned();
    drop(plane);
    assert!(!folder.exists(), "{} is left behind", folder.display());
}
