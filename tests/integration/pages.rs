//! The manifests that the pages show, and the examples, are what the real API server takes.

use std::fs;
use std::path::PathBuf;

use super::support::controlplane;

fn yaml_blocks(page: &str) -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(page);
    let text = fs::read_to_string(path).unwrap();
    let blocks = text.split("```yaml\n").skip(1);
    blocks
        .filter_map(|rest| rest.split("```").next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_manifest_of_the_readme_is_taken_by_the_api_server() {
    let plane = controlplane::shared();
    let namespace = plane.namespace();
    let blocks = yaml_blocks("README.md");
    assert!(blocks.len() >= 2);
    for (number, block) in blocks.iter().enumerate() {
        let file =
            std::env::temp_dir().join(format!("readme-{}-{number}.yaml", std::process::id()));
        fs::write(&file, block).unwrap();
        let path = file.to_str().unwrap();
        plane.kubectl_ok(&["apply", "--dry-run=server", "-n", &namespace, "-f", path]);
        fs::remove_file(file).unwrap();
    }
}
