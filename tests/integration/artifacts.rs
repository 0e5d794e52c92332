//! The committed files that are made from the types say what the types say.
//!
//! Where one differs it is rewritten and the test fails, so that running it again passes and the
//! difference is in the working tree to look at. With CI=true nothing is rewritten.

use std::fs;
use std::path::{Path, PathBuf};

use anomalyjob_operator::artifacts;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The paths that differ from what the types say; rewrites them unless `only_look`.
fn differing(root: &Path, only_look: bool) -> Vec<String> {
    let mut differing = Vec::new();
    for (path, text) in artifacts::files().expect("types render") {
        let file = root.join(&path);
        if fs::read_to_string(&file).is_ok_and(|old| old == text) {
            continue;
        }
        if !only_look {
            fs::create_dir_all(file.parent().expect("a file is in a folder")).expect("folder");
            fs::write(&file, text).expect("write");
        }
        differing.push(path);
    }
    differing
}

#[test]
fn committed_files_say_what_the_types_say() {
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    let differing = differing(&root(), ci);
    assert!(
        differing.is_empty(),
        "not as the types say (rewritten unless CI=true): {differing:?}"
    );
}

#[test]
fn a_file_that_differs_is_found_and_mended_but_only_found_in_ci() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        differing(folder.path(), false).len(),
        artifacts::files().unwrap().len()
    );
    assert_eq!(differing(folder.path(), true), Vec::<String>::new());
    let page = folder.path().join("docs/conditions.md");
    fs::write(&page, "edited by hand").unwrap();
    assert_eq!(differing(folder.path(), true), ["docs/conditions.md"]);
    assert_eq!(fs::read_to_string(&page).unwrap(), "edited by hand");
}

#[test]
fn no_crd_folder_holds_a_file_that_no_type_makes() {
    let known: Vec<_> = artifacts::crds()
        .unwrap()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    for folder in ["crds", "charts/anomalyjob-operator/files/crds"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(known.contains(&name), "{folder}/{name} is made by no type");
        }
    }
}

#[test]
fn crds_stay_far_below_the_limit_of_client_side_apply() {
    for (name, text) in artifacts::crds().unwrap() {
        assert!(text.len() < 100_000, "{name} has {} bytes", text.len());
    }
}
