//! The seeded faults of `tests/mutants` are still faults of this code: each patch applies, and says by what it is killed.
//!
//! That they are killed takes a build each: `make mutants`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn patches() -> Vec<PathBuf> {
    let files = std::fs::read_dir(root().join("tests/mutants")).unwrap();
    let paths = files.map(|entry| entry.unwrap().path());
    let mut patches: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|of| of == "patch"))
        .collect();
    patches.sort();
    patches
}

/// What is wrong with a patch.
fn flaw(patch: &PathBuf) -> Option<String> {
    let text = std::fs::read_to_string(patch).unwrap();
    let mut lines = text.lines();
    let what = lines.next().unwrap_or_default();
    let hurts = lines.next().unwrap_or_default();
    let killer = lines.next().unwrap_or_default();
    if !what.ends_with('.') || !hurts.starts_with("Hurts: ") {
        return Some("it begins with what is broken, and what that hurts".to_owned());
    }
    let Some(killer) = killer.strip_prefix("Killed by: ") else {
        return Some("it does not say by what it is killed".to_owned());
    };
    let known = match killer.split_once(' ') {
        Some(("scenario", name)) => root().join(format!("tests/scenarios/{name}.txt")).exists(),
        Some(("model", world)) => {
            let plans = root().join("src/reconciler/tests/model/plans.rs");
            let plans = std::fs::read_to_string(plans).unwrap();
            plans.contains(&format!("plan(\"{world}\""))
        }
        _ => false,
    };
    if !known {
        return Some(format!("nothing is called {killer}"));
    }
    let mut git = Command::new("git");
    let git = git
        .args(["apply", "--check"])
        .arg(patch)
        .current_dir(root());
    let said = git.output().unwrap();
    (!said.status.success()).then(|| String::from_utf8_lossy(&said.stderr).into_owned())
}

#[test]
fn every_seeded_fault_still_applies_and_names_what_kills_it() {
    let patches = patches();
    let flaws: Vec<String> = patches
        .iter()
        .filter_map(|patch| Some(format!("{}: {}", patch.display(), flaw(patch)?)))
        .collect();
    assert!(flaws.is_empty(), "{}", flaws.join("\n"));
    let texts = patches.iter().map(|patch| {
        let text = std::fs::read_to_string(patch).unwrap();
        text.lines().skip(3).collect::<Vec<_>>().join("\n")
    });
    let different: BTreeSet<String> = texts.collect();
    assert!(
        different.len() >= 30,
        "{} seeded faults that differ",
        different.len()
    );
}
