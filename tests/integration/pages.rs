//! What the README shows is what works: its manifests are ones that the real API server takes, and its `kubectl` lines run
//! against them. No operator runs here; what an operator makes of the objects is shown by `operator` and the demo.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::support::controlplane;

/// The blocks of the page in this language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(page);
    let text = fs::read_to_string(path).unwrap();
    let begin = format!("```{language}\n");
    let blocks = text.split(begin.as_str()).skip(1);
    blocks
        .filter_map(|rest| rest.split("```").next())
        .map(str::to_owned)
        .collect()
}

/// The arguments of a line that calls kubectl, as a shell reads it.
fn arguments(line: &str) -> Vec<String> {
    let script = format!("kubectl() {{ printf '%s\\0' \"$@\"; }}; {line}");
    let said = Command::new("bash").args(["-euc", &script]).output();
    let said = said.unwrap();
    assert!(said.status.success(), "{line}");
    let text = String::from_utf8(said.stdout).unwrap();
    text.split_terminator('\0').map(str::to_owned).collect()
}

#[test]
fn every_manifest_of_the_readme_is_taken_and_every_kubectl_line_works_with_them() {
    let plane = controlplane::shared();
    let namespace = plane.namespace();
    let folder = tempfile::tempdir().unwrap();
    let manifests = blocks("README.md", "yaml");
    assert!(manifests.len() >= 3);
    for (number, manifest) in manifests.iter().enumerate() {
        let file = folder.path().join(format!("{number}.yaml"));
        fs::write(&file, manifest).unwrap();
        let file = file.to_str().unwrap();
        plane.kubectl_ok(&["apply", "--validate=strict", "-n", &namespace, "-f", file]);
    }
    let consoles = blocks("README.md", "console").join("\n");
    let lines = consoles.lines().filter_map(|line| line.strip_prefix("$ "));
    let lines: Vec<&str> = lines.filter(|line| line.starts_with("kubectl ")).collect();
    assert!(lines.len() >= 5, "{lines:?}");
    for line in lines {
        let mut arguments = arguments(line);
        let waits = arguments[0] == "wait";
        if waits {
            // Nobody acts here, so that it finds the object is all that can be seen.
            arguments.push("--timeout=0s".to_owned());
        }
        arguments.extend(["-n".to_owned(), namespace.clone()]);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        if waits {
            let said = plane.kubectl(&arguments);
            let error = String::from_utf8_lossy(&said.stderr).into_owned();
            assert!(error.contains("condition not met"), "{line}: {error}");
        } else {
            plane.kubectl_ok(&arguments);
        }
    }
}
