//! The command line of the real binary: what scripts, charts and people rely on.

use std::process::{Command, Output};

const BINARY: &str = env!("CARGO_BIN_EXE_anomalyjob-operator");

/// Flag and variable of everything that can be said.
const FLAGS: [(&str, &str); 10] = [
    ("--cluster-connections ", "ANOMALYJOB_CLUSTER_CONNECTIONS"),
    (
        "--cluster-connections-namespace",
        "ANOMALYJOB_CLUSTER_CONNECTIONS_NAMESPACE",
    ),
    ("--watch-namespace", "ANOMALYJOB_WATCH_NAMESPACE"),
    ("--listen", "ANOMALYJOB_LISTEN"),
    ("--log-format", "ANOMALYJOB_LOG_FORMAT"),
    ("--log-level", "ANOMALYJOB_LOG_LEVEL"),
    ("--allow-endpoints", "ANOMALYJOB_ALLOW_ENDPOINTS"),
    ("--lease-namespace", "ANOMALYJOB_LEASE_NAMESPACE"),
    ("--lease-name", "ANOMALYJOB_LEASE_NAME"),
    ("--identity", "ANOMALYJOB_IDENTITY"),
];

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs the binary with nothing in its environment but `variables`.
fn say(arguments: &[&str], variables: &[(&str, &str)]) -> Said {
    let mut command = Command::new(BINARY);
    command
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied());
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said {
        code: status.code(),
        out: text(stdout),
        err: text(stderr),
    }
}

/// One line on standard error, and the exit code for what a restart does not mend.
fn refused_in_one_line(said: &Said, expected: &[&str]) {
    assert_eq!(said.code, Some(2), "{}", said.err);
    assert_eq!(said.err.lines().count(), 1, "{}", said.err);
    for words in expected {
        assert!(said.err.contains(words), "{words:?} in {}", said.err);
    }
}

#[test]
fn help_has_a_line_for_every_flag_and_names_its_variable() {
    for arguments in [&["--help"][..], &["run", "--help"]] {
        let help = say(arguments, &[]);
        assert_eq!(help.code, Some(0));
        for (flag, variable) in FLAGS {
            assert!(help.out.contains(flag), "{flag} in {}", help.out);
            assert!(
                help.out.contains(&format!("[env: {variable}=]")),
                "{variable} in {}",
                help.out
            );
        }
        let flags = help
            .out
            .lines()
            .filter(|line| line.trim_start().starts_with("--"))
            .count();
        assert_eq!(
            flags,
            FLAGS.len(),
            "a flag is missing in this test: {}",
            help.out
        );
        assert!(help.out.contains("KUBECONFIG"), "{}", help.out);
    }
}

#[test]
fn a_wrong_flag_command_or_word_is_refused_with_the_near_miss() {
    for (arguments, near) in [
        (&["--watch-namespce", "a"][..], "--watch-namespace"),
        (&["run", "--log-fromat", "json"], "--log-format"),
        (&["run", "--log-format", "jsn"], "'json'"),
        (&["crdd"], "'crd'"),
    ] {
        let said = say(arguments, &[]);
        assert_eq!(said.code, Some(2), "{arguments:?}: {}", said.err);
        assert!(
            said.err.contains("similar") && said.err.contains(near),
            "{arguments:?}: {}",
            said.err
        );
    }
}

#[test]
fn a_wrong_value_is_refused_alike_from_a_flag_and_from_a_variable() {
    for (flag, variable, value, expected) in [
        ("--listen", "ANOMALYJOB_LISTEN", "8080", "127.0.0.1:8080"),
        (
            "--watch-namespace",
            "ANOMALYJOB_WATCH_NAMESPACE",
            "a,B",
            "such as team-a",
        ),
        (
            "--allow-endpoints",
            "ANOMALYJOB_ALLOW_ENDPOINTS",
            "10.0.0.0/8,127.1",
            "such as 127.0.0.1",
        ),
        (
            "--log-level",
            "ANOMALYJOB_LOG_LEVEL",
            "info,kube=loud",
            "info,kube=debug",
        ),
        (
            "--lease-name",
            "ANOMALYJOB_LEASE_NAME",
            "a_b",
            "such as anomalyjob-operator",
        ),
        (
            "--lease-namespace",
            "ANOMALYJOB_LEASE_NAMESPACE",
            "a.b",
            "such as team-a",
        ),
        ("--identity", "ANOMALYJOB_IDENTITY", "a b", "without blanks"),
    ] {
        for said in [
            say(&["run", flag, value], &[]),
            say(&[], &[(variable, value)]),
        ] {
            assert_eq!(said.code, Some(2), "{flag}: {}", said.err);
            assert!(
                said.err.contains(flag) && said.err.contains(expected),
                "{flag}: {}",
                said.err
            );
        }
    }
}

#[test]
fn a_kubeconfig_that_cannot_be_used_is_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none");
    let said = say(&[], &[("KUBECONFIG", missing.to_str().unwrap())]);
    refused_in_one_line(
        &said,
        &[
            "KUBECONFIG",
            missing.to_str().unwrap(),
            "set it to a readable kubeconfig",
        ],
    );

    let no_context = folder.path().join("no-context");
    std::fs::write(
        &no_context,
        "apiVersion: v1\nkind: Config\ncurrent-context: prod\n",
    )
    .unwrap();
    let said = say(&[], &[("KUBECONFIG", no_context.to_str().unwrap())]);
    refused_in_one_line(&said, &["KUBECONFIG", "context", "prod"]);
}

#[test]
fn a_broken_kubeconfig_is_named_without_a_word_of_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken");
    std::fs::write(
        &broken,
        "users:\n- name: u\n  user: {token: s3cr3t-token: [}\n",
    )
    .unwrap();
    let said = say(&[], &[("KUBECONFIG", broken.to_str().unwrap())]);
    refused_in_one_line(&said, &["KUBECONFIG", "YAML", "line 3"]);
    assert!(!said.err.contains("s3cr3t"), "{}", said.err);
    assert!(!said.out.contains("s3cr3t"), "{}", said.out);
}

#[test]
fn without_a_kubeconfig_and_outside_a_pod_it_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let said = say(&[], &[("HOME", folder.path().to_str().unwrap())]);
    refused_in_one_line(&said, &["set KUBECONFIG", "service account"]);
}

#[test]
fn crd_prints_the_committed_crds_one_yaml_document_each() {
    let said = say(&["crd"], &[]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    let committed: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    let documents: Vec<_> = said
        .out
        .split("---\n")
        .filter(|document| !document.is_empty())
        .collect();
    assert_eq!(documents.len(), committed.len());
    for file in committed {
        assert!(
            documents.contains(&file.as_str()),
            "this committed file is not printed:\n{file}"
        );
    }
}

#[test]
fn release_says_what_it_takes_what_it_needs_and_what_its_exit_codes_mean() {
    let help = say(&["release", "--help"], &[]);
    assert_eq!(help.code, Some(0));
    for words in [
        "--namespace <NAMESPACE>",
        "ANOMALYJOB_RELEASE_NAMESPACE",
        "Stop the operator first",
        "list, get and patch anomalyjobs",
        "1 some are or may be",
    ] {
        assert!(help.out.contains(words), "{words} in {}", help.out);
    }
    for said in [
        say(&["release", "-n", "A_b"], &[]),
        say(&["release"], &[("ANOMALYJOB_RELEASE_NAMESPACE", "A_b")]),
    ] {
        assert_eq!(said.code, Some(2), "{}", said.err);
        assert!(said.err.contains("such as team-a"), "{}", said.err);
    }
}

#[test]
fn the_version_is_the_packages() {
    let said = say(&["--version"], &[]);
    assert_eq!(
        said.out.trim(),
        concat!("anomalyjob-operator ", env!("CARGO_PKG_VERSION"))
    );
}
