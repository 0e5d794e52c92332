//! The list of every place where the shell waits, and what ends a process there: `awaits.txt`. It is compared with the sources,
//! so that nobody adds an await without saying what reaches it.
//!
//! A request is reached by its name in `between.rs`, and `crash` fails where one that is named was never hit in each way.
//! `channel` and `timer` are reached by the ends between any two steps; `inside` waits for a function that has lines of its own.
//! `many` needs more datafeeds than a scene has, `process` a real process, `defect` a panic, and `never` is a future without an end, in an arm that is not taken.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const LIST: &str = include_str!("awaits.txt");
const SHELL: [&str; 7] = [
    "src/controller",
    "src/lease",
    "src/finalizer.rs",
    "src/kubernetes.rs",
    "src/main.rs",
    "src/replica.rs",
    "src/shutdown.rs",
];
const OTHERS: [&str; 7] = [
    "channel", "timer", "inside", "many", "process", "defect", "never",
];

/// Place, text, and what reaches it.
fn listed() -> Vec<(String, String)> {
    let lines = LIST
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let parts = lines.map(|line| line.rsplit_once(" <- ").expect(line));
    parts
        .map(|(place, by)| (place.to_owned(), by.to_owned()))
        .collect()
}

/// The requests that are named in it.
pub(crate) fn points() -> BTreeSet<String> {
    let all = listed()
        .into_iter()
        .flat_map(|(_, by)| by.split(", ").map(str::to_owned).collect::<Vec<_>>());
    all.filter(|by| !OTHERS.contains(&by.as_str())).collect()
}

fn files(of: &Path) -> Vec<PathBuf> {
    if of.is_file() {
        return vec![of.to_owned()];
    }
    let entries = fs::read_dir(of)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .collect();
    files.sort();
    files.retain(|path| !path.to_string_lossy().ends_with("_tests.rs"));
    files
}

/// The statements of the shipped part of a file that wait, each on one line.
fn waits(text: &str) -> Vec<String> {
    let shipped = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    let code = shipped
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default().trim());
    let mut found = Vec::new();
    let mut before: Vec<&str> = Vec::new();
    for line in code {
        if line.starts_with('.') {
            before.push(line);
        } else {
            before = vec![line];
        }
        if line.contains(".await") {
            found.push(before.concat());
        }
    }
    found
}

#[test]
fn every_place_where_the_shell_waits_is_listed_with_what_reaches_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut there: BTreeMap<String, usize> = BTreeMap::new();
    for path in SHELL.iter().flat_map(|of| files(&root.join(of))) {
        let name = path.strip_prefix(root).expect("inside").display();
        for wait in waits(&fs::read_to_string(&path).expect("a file")) {
            *there.entry(format!("{name}: {wait}")).or_default() += 1;
        }
    }
    let mut named: BTreeMap<String, usize> = BTreeMap::new();
    for (place, _) in listed() {
        *named.entry(place).or_default() += 1;
    }
    let missing: Vec<_> = there
        .iter()
        .filter(|(place, count)| named.get(*place) != Some(count))
        .collect();
    let gone: Vec<_> = named
        .keys()
        .filter(|place| !there.contains_key(*place))
        .collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "not listed as often as they are there: {missing:#?}\nlisted and gone: {gone:#?}"
    );
}
