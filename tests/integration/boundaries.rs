//! What a reader relies on when moving through the house: arrows, sizes, openings. No compiler checks these.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(of: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(of)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "no sources under {of}");
    found
}

/// The lines of code of the rooms that must not speak of `word`.
fn mentions(of: &str, words: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    let shipped =
        |(path, _): &(PathBuf, String)| !path.to_string_lossy().contains("src/reconciler/tests");
    for (path, text) in sources(of).into_iter().filter(shipped) {
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if words.iter().any(|word| code.contains(word)) {
                all.push(format!(
                    "{}:{}: {}",
                    path.display(),
                    number + 1,
                    line.trim()
                ));
            }
        }
    }
    all
}

#[test]
fn arrows_between_the_rooms_point_one_way() {
    let nothing = Vec::<String>::new();
    let shell = [
        "crate::controller",
        "crate::lease",
        "crate::telemetry",
        "crate::admin",
        "crate::kubernetes",
    ];
    assert_eq!(mentions("src/reconciler", &shell), nothing);
    assert_eq!(mentions("src/elasticsearch", &shell), nothing);
    assert_eq!(
        mentions("src/reconciler", &["crate::elasticsearch"]),
        nothing
    );
    assert_eq!(
        mentions("src/elasticsearch", &["crate::reconciler"]),
        nothing
    );
    let ours = [
        "crate::reconciler",
        "crate::elasticsearch",
        "crate::controller",
        "crate::lease",
        "crate::telemetry",
    ];
    assert_eq!(mentions("src/api", &ours), nothing);
}

#[test]
fn the_brain_awaits_nothing_reads_no_clock_and_rolls_no_dice() {
    let words = [
        "async ",
        ".await;",
        ".await?",
        ".await.",
        "tokio",
        "reqwest",
        "kube::",
        "Instant",
        "SystemTime",
        "Timestamp::now",
        "thread_rng",
        "RandomState",
        "std::env",
        "std::fs",
    ];
    assert_eq!(mentions("src/reconciler", &words), Vec::<String>::new());
}

#[test]
fn the_client_knows_no_kubernetes_and_the_simulator_shares_no_code_with_it() {
    assert_eq!(
        mentions("src/elasticsearch", &["kube::", "k8s_openapi"]),
        Vec::<String>::new()
    );
    let manifest = fs::read_to_string(root().join("tests/simulator/Cargo.toml")).unwrap();
    assert!(!manifest.contains("anomalyjob-operator"));
}

#[test]
fn only_the_writer_the_lease_and_the_release_write_to_the_api_server_and_no_secret_is_listed() {
    let writes = [
        "replace_status",
        "patch_status",
        "replace_subresource",
        ".patch(",
        ".create(",
        ".replace(",
    ];
    let elsewhere: Vec<_> = mentions("src", &writes)
        .into_iter()
        .filter(|line| !line.contains("src/lease/") && !line.contains("controller/writer.rs"))
        .filter(|line| !line.contains("src/release.rs"))
        .filter(|line| {
            !line.contains(".replace(\"")
                && !line.contains(".replace('")
                && !line.contains(".replace(at)")
        })
        .collect();
    assert_eq!(elsewhere, Vec::<String>::new());
    assert_eq!(
        mentions("src", &["Api::all::<Secret", "Api<Secret> = Api::all"]),
        Vec::<String>::new()
    );
}

#[test]
fn every_file_opens_with_its_purpose_and_stays_a_room_of_its_size() {
    for of in [
        "src",
        "tests/fuzz",
        "tests/integration",
        "tests/simulator/src",
    ] {
        for (path, text) in sources(of) {
            assert!(
                text.starts_with("//!"),
                "{} does not say why it exists",
                path.display()
            );
            let lines = text.lines().count();
            assert!(lines <= 500, "{} has {lines} lines", path.display());
        }
    }
}

#[test]
fn the_map_names_rooms_that_exist_and_stays_short() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert!(map.lines().count() <= 150);
    let named = map.split('`').skip(1).step_by(2);
    let paths =
        named.filter(|word| word.contains('/') && !word.contains(' ') && !word.starts_with('/'));
    for path in paths.collect::<Vec<_>>() {
        assert!(
            exists(path),
            "ARCHITECTURE.md names {path}, which is not there"
        );
    }
    for page in ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"] {
        let text = fs::read_to_string(root().join(page)).unwrap();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            assert!(exists(link), "{page} links to {link}, which is not there");
        }
    }
}

fn exists(path: &str) -> bool {
    let whole = root().join(path);
    whole.exists() || Path::new("src").join(path).exists() || root().join("src").join(path).exists()
}
