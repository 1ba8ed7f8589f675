//! Checks the files in `deploy/` with schemas, with a linter, and against the program's own settings.
//!
//! The edge's tests check the files of Prometheus and Grafana, with the programs that read them.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// The Python of the tests; `cargo xtask` sets it.
fn python() -> PathBuf {
    std::env::var_os("SENTINEL_TEST_PYTHON").expect("SENTINEL_TEST_PYTHON: run `cargo xtask test`").into()
}

fn manifests_fit(root: &Path) -> Result<(), String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("py/manifests.py");
    let output = Command::new(python()).arg(script).arg(root).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

#[test]
fn every_manifest_fits_the_schema_of_what_reads_it() {
    manifests_fit(&root()).unwrap();
}

#[test]
fn a_manifest_with_a_field_that_a_cluster_would_drop_is_refused() {
    let copy = std::env::temp_dir().join(format!("sentinel-manifests-{}", std::process::id()));
    for path in ["deploy", "action.yml", "tests/fixtures/keda"] {
        let into = copy.join(path).parent().unwrap().to_owned();
        std::fs::create_dir_all(&into).unwrap();
        let copied = Command::new("cp").arg("-R").arg(root().join(path)).arg(&into).status().unwrap();
        assert!(copied.success());
    }
    let outcomes = [
        ("deploy/kubernetes/autoscale.yml", "maxReplicaCount", "maxReplicas"),
        ("deploy/kubernetes/node.yml", "periodSeconds", "periodSecond"),
        ("deploy/compose.yml", "stop_grace_period", "stop_grace"),
        ("action.yml", "runs:", "run:"),
    ]
    .map(|(path, right, wrong)| {
        let text = read(path);
        assert!(text.contains(right), "{path} says {right}");
        std::fs::write(copy.join(path), text.replace(right, wrong)).unwrap();
        let outcome = manifests_fit(&copy);
        std::fs::write(copy.join(path), text).unwrap();
        (path, outcome)
    });
    std::fs::remove_dir_all(&copy).unwrap();
    for (path, outcome) in outcomes {
        assert!(outcome.is_err(), "{path} is taken though it is wrong");
    }
}

#[test]
fn the_container_file_has_no_fault_that_a_linter_knows() {
    let hadolint = python().with_file_name("hadolint");
    let output = Command::new(hadolint).arg(root().join("deploy/docker/Dockerfile")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn every_variable_that_a_deployment_sets_is_one_that_something_reads() {
    let mut read_by_us = BTreeSet::new();
    for command in sentinel_tests::commands() {
        let names = command.get_arguments().filter_map(|argument| argument.get_env());
        read_by_us.extend(names.map(|name| name.to_string_lossy().into_owned()));
    }
    // Read before the arguments are.
    read_by_us.extend(["SENTINEL_LOG", "SENTINEL_LOG_FORMAT"].map(str::to_owned));
    let files = [
        "deploy/env.example",
        "deploy/compose.yml",
        "deploy/kubernetes/node.yml",
        "deploy/docker/Dockerfile",
        "deploy/launchd/dev.sentinel.node.plist",
        "deploy/systemd/sentinel-node.service",
    ];
    let mut found = 0;
    for file in files {
        let text = read(file);
        let names = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        for name in names
            .filter(|name| ["SENTINEL_", "TURSO_", "GITHUB_"].iter().any(|start| name.starts_with(start)))
        {
            assert!(read_by_us.contains(name), "{file} sets {name}, which nothing reads");
            found += 1;
        }
    }
    assert!(found > 15, "only {found} variables were found");
}
