//! The manifests under `examples/` are ones that the real API server takes, unknown fields refused, and none is left out.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::controlplane::shared;

fn examples(extension: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let entries = fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    files
}

#[test]
fn the_api_server_takes_every_example_as_it_is() {
    let plane = shared();
    let namespace = plane.namespace();
    let files = examples("yaml");
    assert!(files.len() >= 14, "{files:?}");
    for file in files {
        let file = file.to_str().unwrap();
        let said = plane.kubectl_ok(&[
            "apply",
            "--dry-run=server",
            "--validate=strict",
            "--namespace",
            &namespace,
            "-f",
            file,
        ]);
        assert!(said.contains("anomalyjob.dev/"), "{file}: {said}");
    }
}

/// A choice that no example shows is one that people have to find in the reference.
#[test]
fn the_examples_show_every_field() {
    let files = examples("yaml");
    let texts: Vec<_> = files
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    for field in [
        "jobId:",
        "exclude:",
        "allowNoMatch:",
        "maxJobs:",
        "state: Closed",
        "state: Opened",
        "close:",
        "open:",
        "driftPolicy:",
        "deletionPolicy:",
        "url:",
        "eckRef:",
        "secretRef:",
        "apiKeySecretRef:",
        "basicSecretRef:",
        "bearerTokenSecretRef:",
        "clientCertificateSecretRef:",
        "configMapRef:",
        "serverName:",
        "limits:",
        "allow:",
        "allowedNamespaces:",
        "matchExpressions:",
        "kind: ClusterElasticsearchConnection",
    ] {
        assert!(texts.iter().any(|text| text.contains(field)), "{field}");
    }
    for (file, text) in files.iter().zip(&texts) {
        assert!(
            text.starts_with("# "),
            "{} explains nothing",
            file.display()
        );
    }
}

#[test]
fn an_example_with_a_misspelt_field_would_be_noticed() {
    let plane = shared();
    let good = examples("yaml")
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .find(|text| text.contains("onTimeout"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("misspelt.yaml");
    fs::write(&file, good.unwrap().replace("onTimeout", "onTimeOut")).unwrap();
    let said = plane.kubectl(&[
        "apply",
        "--dry-run=server",
        "--validate=strict",
        "-f",
        file.to_str().unwrap(),
    ]);
    let error = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(
        !said.status.success() && error.contains("onTimeOut"),
        "{error}"
    );
}

#[test]
fn the_role_grants_manage_ml_and_nothing_else() {
    let mut roles = examples("json").into_iter();
    let role = roles
        .find(|file| file.ends_with("elasticsearch-role.json"))
        .unwrap();
    let role: serde_json::Value = serde_json::from_slice(&fs::read(role).unwrap()).unwrap();
    let expected = serde_json::json!({"cluster": ["manage_ml"], "indices": [], "applications": []});
    assert_eq!(role, expected);
}
