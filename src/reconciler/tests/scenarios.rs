//! The scenarios of `tests/scenarios`: stories for people who know Elasticsearch, held to by the shipped brain.
//!
//! Here they are found, run and counted. What their words mean stands in the files of this folder and, for people, in
//! `tests/scenarios/README.md`. A scenario never knows of anything that a user cannot see.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

mod by_hand;
pub(super) mod calls;
mod commands;
pub(super) mod grammar;
mod looks;
pub(super) mod script;
pub(super) mod sentences;
pub(super) mod story;
pub(super) mod wishes;

use self::grammar::Table;
use self::script::Script;

/// Read when the test runs: an image is built without the scenarios.
fn folder() -> String {
    format!("{}/tests/scenarios", env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    std::fs::read_to_string(format!("{}/README.md", folder())).unwrap()
}

/// Every scenario, or why its file is none.
fn all() -> Vec<Result<Script, String>> {
    let files = std::fs::read_dir(folder()).unwrap();
    let paths = files.map(|entry| entry.unwrap().path());
    let is_scenario = |path: &PathBuf| path.extension().is_some_and(|of| of == "txt");
    let paths: BTreeSet<PathBuf> = paths.filter(is_scenario).collect();
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy();
        script::read(&format!("tests/scenarios/{name}"), &text)
    };
    paths.iter().map(read).collect()
}

#[test]
fn every_scenario_holds() {
    let all = all();
    let wrong: Vec<String> = all
        .iter()
        .filter_map(|script| match script {
            Ok(script) => story::run(script).err(),
            Err(why) => Some(why.clone()),
        })
        .collect();
    let count = all.len();
    println!("scenarios: {} of {count} hold", count - wrong.len());
    assert!(wrong.is_empty(), "\n\n{}", wrong.join("\n\n"));
    assert!(count >= 60, "{count} scenarios: some were lost");
}

/// Rows of the table of the README: id, what it is, and why no scenario shows it.
fn listed() -> BTreeMap<String, String> {
    let mut rows = BTreeMap::new();
    for line in readme().lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [id, _, elsewhere] = cells[..] else {
            continue;
        };
        if id.starts_with(char::is_uppercase) && id.ends_with(|c: char| c.is_ascii_digit()) {
            let before = rows.insert(id.to_owned(), elsewhere.to_owned());
            assert!(before.is_none(), "{id} is listed twice");
        }
    }
    rows
}

#[test]
fn every_row_and_hazard_has_a_scenario_or_a_reason_why_not() {
    let listed = listed();
    for (kind, count) in [("R", 19), ("O", 7), ("B", 12), ("H", 36), ("U", 28)] {
        for n in 1..=count {
            let id = format!("{kind}{n}");
            assert!(listed.contains_key(&id), "{id} is not in the README");
        }
    }
    let mut covered: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for script in all().into_iter().map(Result::unwrap) {
        for id in &script.covers {
            assert!(listed.contains_key(id), "{}: there is no {id}", script.file);
            covered
                .entry(id.clone())
                .or_default()
                .push(script.file.clone());
        }
    }
    for (id, elsewhere) in &listed {
        let by = covered.get(id);
        assert_eq!(
            by.is_some(),
            elsewhere.is_empty(),
            "{id} is covered by {by:?}, and the README says: {elsewhere:?}"
        );
    }
}

#[test]
fn the_readme_has_every_word_of_the_grammar() {
    fn check<T>(readme: &str, table: Table<T>) {
        for (pattern, _) in table {
            assert!(readme.contains(&format!("`{pattern}`")), "`{pattern}`");
        }
    }
    let readme = readme();
    check(&readme, by_hand::ALL);
    check(&readme, commands::ALL);
    check(&readme, looks::ALL);
    check(&readme, sentences::ALL);
    check(&readme, wishes::ALL);
    for kind in calls::KINDS {
        assert!(readme.contains(&format!("`{kind} JOB`")), "{kind}");
    }
}

const SOUND: &str = "# A job is closed\n# covers: R8\ngiven job a is opened\napply a: Closed\nafter 10s\n  calls: close a\n  status a: Ready=True/InDesiredState\n";

fn run(text: &str) -> Result<(), String> {
    story::run(&script::read("x.txt", text)?)
}

#[test]
fn a_wrong_expectation_fails_with_its_line_what_was_and_the_story_so_far() {
    assert_eq!(run(SOUND), Ok(()));
    let wrong = [
        ("close a", "force a", "x.txt:6:", "was:      close a"),
        ("close a", "none", "x.txt:6:", "was:      close a"),
        (
            "close a",
            "close a, close a",
            "x.txt:6:",
            "was:      close a",
        ),
        (
            "Ready=True/InDesiredState",
            "Ready=True/Observing",
            "x.txt:7:",
            "Ready=True/InDesiredState",
        ),
        (
            "Ready=True/InDesiredState",
            "Ready=True/InDesiredState, Forced=True/DeadlinePassed",
            "x.txt:7:",
            "expected:",
        ),
    ];
    for (right, said, line, was) in wrong {
        let why = run(&SOUND.replace(right, said)).unwrap_err();
        assert!(why.starts_with(line) && why.contains(was), "{why}");
        assert!(
            why.contains("the story so far:\n") && why.contains("called: close a"),
            "{why}"
        );
    }
    let never = run(&format!("{SOUND}never: open, close\n")).unwrap_err();
    assert!(
        never.starts_with("x.txt:8:") && never.contains("close a after"),
        "{never}"
    );
    let forced =
        "given job a is opened\ngiven job a hangs when it is closed\napply a: Closed, timeout 1m";
    let forced = SOUND
        .replace("given job a is opened\napply a: Closed", forced)
        .replace("after 10s", "after 5m")
        .replace("close a\n", "close a, confirm a, force a\n");
    let why = run(&forced).unwrap_err();
    assert!(
        why.contains("Forced=True/DeadlinePassed"),
        "what is not named must be absent: {why}"
    );
}

#[test]
fn an_unknown_word_a_line_out_of_place_and_a_file_that_asserts_too_little_are_errors() {
    let cases = [
        (
            "job a is opened",
            "job a is upset",
            "x.txt:3: \"upset\" is no state",
        ),
        (
            "job a is opened",
            "the job is opened",
            "x.txt:3: \"the job is opened\" is unknown",
        ),
        ("given job", "now job", "x.txt:3: how a scenario begins"),
        (
            "apply a: Closed",
            "apply a: Shut",
            "x.txt:4: \"Shut\" is unknown",
        ),
        (
            "apply a: Closed",
            "aply a: Closed",
            "x.txt:4: \"aply a: Closed\" is unknown",
        ),
        ("after 10s", "after 10", "x.txt:5: \"10\" is no time span"),
        (
            "  calls: close a",
            "  calls: shut a",
            "x.txt:6: \"shut a\" is no call",
        ),
        (
            "  calls: close a",
            "calls: close a",
            "x.txt:6: \"calls: close a\" is unknown",
        ),
        (
            "Ready=True/InDesiredState",
            "Ready=True/Fine",
            "x.txt:7: \"Ready=True/Fine\" is no TYPE",
        ),
        ("  calls: close a\n", "", "x.txt:6: a scenario ends with"),
        (
            "  status a: Ready=True/InDesiredState\n",
            "",
            "x.txt:6: a scenario ends with",
        ),
        ("# covers: R8", "", "x.txt:2: the second line"),
        ("# A job", "A job", "x.txt:1: the first line"),
    ];
    for (right, said, why) in cases {
        assert!(SOUND.contains(right), "{right}");
        let told = run(&SOUND.replace(right, said)).unwrap_err();
        assert!(told.starts_with(why), "{why}\n{told}");
    }
    let late = format!("{SOUND}now job a is failed\n");
    assert!(run(&late).unwrap_err().contains("a scenario ends with"));
}
