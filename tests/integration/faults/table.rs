//! The table `tests/faults.txt`: which fault of the plan (reliability.md 5.2) is shown where. It must name every test there is,
//! no other, and every number.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// How many the plan has.
const FAULTS: u32 = 60;

/// Number, file and name of a test.
type Row = (u32, String, String);

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The rows that the sources of a folder have, by what one line says.
fn shown_in(folder: &str, row: impl Fn(&str) -> Option<(u32, String)>) -> BTreeSet<Row> {
    let mut rows = BTreeSet::new();
    for entry in fs::read_dir(root().join(folder)).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str());
        let file = format!("{folder}/{}", name.expect("a name"));
        let text = fs::read_to_string(&path).expect("a source");
        let of_lines = text.lines().filter_map(&row);
        rows.extend(of_lines.map(|(number, name)| (number, file.clone(), name)));
    }
    rows
}

/// `fn fault_17_a_lease_is_stolen() {`, which is a test of its own.
fn of_a_test(line: &str) -> Option<(u32, String)> {
    let name = line.strip_prefix("fn ")?.strip_suffix("() {")?;
    let (number, _) = name.strip_prefix("fault_")?.split_once('_')?;
    Some((number.parse().ok()?, name.to_owned()))
}

/// `    17 the_lease_is_stolen V9,`, a row of the faults in virtual time.
fn of_virtual_time(line: &str) -> Option<(u32, String)> {
    let mut words = line.strip_prefix("    ")?.strip_suffix(',')?.split(' ');
    let number = words.next()?.parse().ok()?;
    let (name, profile) = (words.next()?, words.next()?);
    (profile.starts_with('V') && words.next().is_none()).then(|| (number, name.to_owned()))
}

#[test]
fn every_fault_of_the_plan_is_shown_somewhere_and_the_table_says_where() {
    let mut rows = shown_in("tests/integration/faults", of_a_test);
    rows.extend(shown_in("tests/integration/long", of_a_test));
    rows.extend(shown_in(
        "tests/integration/virtual_time/faults",
        of_virtual_time,
    ));
    let numbers: BTreeSet<u32> = rows.iter().map(|(number, _, _)| *number).collect();
    let missing: Vec<u32> = (1..=FAULTS)
        .filter(|number| !numbers.contains(number))
        .collect();
    assert!(missing.is_empty(), "no test shows {missing:?}");
    println!("faults with a test: {} of {FAULTS}", numbers.len());
    let mut table = String::from(
        "# Which fault of the plan is shown where. Those in virtual_time run the shell in memory, the others real processes.\n",
    );
    for (number, file, name) in &rows {
        let _ = writeln!(table, "{number:>2} {file} {name}");
    }
    let file = root().join("tests/faults.txt");
    if std::env::var("CI").as_deref() == Ok("false") {
        fs::write(&file, &table).expect("write");
    }
    let stored = fs::read_to_string(Path::new(&file)).unwrap_or_default();
    assert!(
        stored == table,
        "tests/faults.txt is not what there is: `make generate` writes it"
    );
}
