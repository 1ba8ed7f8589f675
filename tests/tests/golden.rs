//! The same numbers everywhere: features as scikit-learn computes them, and probabilities as LightGBM computes them,
//! from the ONNX file and from its compiled form, natively and in wasm.
//!
//! Regenerate with `python -m sentinel_training goldens`.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use sentinel_node::learn::failure_model;
use sentinel_shared::artifact::ModelBundle;
use sentinel_shared::excerpt::{Excerpt, JobLog, Jobs};
use sentinel_shared::features::{Telemetry, WIDTH};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const GOLDENS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/golden/failure.jsonl");

const LOGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/logs");

fn goldens() -> Vec<Value> {
    let text = std::fs::read_to_string(GOLDENS).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn telemetry(golden: &Value) -> Telemetry {
    serde_json::from_value(golden["telemetry"].clone()).unwrap()
}

#[test]
fn every_feature_is_scikit_learns_to_a_millionth() {
    let bundle = failure_model::load(None).unwrap();
    for golden in goldens() {
        let features = bundle.pipeline.transform(&telemetry(&golden));
        for column in 0..WIDTH {
            let expected = &golden["features"][column.to_string()];
            let ours = f64::from(features.values()[column]);
            let name = bundle.pipeline.name(column);
            match (golden["features"].get(column.to_string()), expected.as_f64()) {
                (None, _) => assert_eq!(ours, 0.0, "column {column}, {name}"),
                (Some(_), None) => assert!(ours.is_nan(), "column {column}, {name} is missing, not {ours}"),
                (Some(_), Some(expected)) => {
                    assert!(
                        (ours - expected).abs() <= 1e-6,
                        "column {column}, {name}: {ours} for {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_probability_is_lightgbms_from_onnx_and_from_the_compiled_form() {
    let from_onnx = failure_model::load(None).unwrap();
    let compiled = ModelBundle::from_bytes(&from_onnx.to_bytes()).unwrap();
    for golden in goldens() {
        let expected: Vec<f32> = serde_json::from_value(golden["probabilities"].clone()).unwrap();
        for bundle in [&from_onnx, &compiled] {
            let ours = bundle.classify(telemetry(&golden), &Excerpt::default()).unwrap().prediction;
            for (ours, expected) in ours.probabilities.iter().zip(&expected) {
                assert!((ours - expected).abs() <= 1e-5, "{ours} for {expected}");
            }
        }
    }
}

#[test]
fn the_npm_package_predicts_the_same_and_its_examples_run_in_node_and_in_a_worker() {
    let set = |name: &str| {
        std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `cargo xtask test`"))
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/js/wasm_pkg.mjs");
    let log = std::env::temp_dir().join(format!("sentinel-npm-{}.log", std::process::id()));
    std::fs::write(
        &log,
        "collected 42 items\nFAILED tests/test_money.py::test_round - AssertionError: assert 3 == 4\n\
        1 failed, 41 passed in 2.31s\n##[error]Process completed with exit code 1.\n",
    )
    .unwrap();
    let logs = logs_with_native_verdicts();
    let mut node = Command::new("node");
    node.arg(script)
        .args([&set("SENTINEL_PACKAGE"), GOLDENS])
        .arg(&log)
        .arg(set("SENTINEL_TOOLS"))
        .arg(&logs);
    let output = node.output().unwrap();
    std::fs::remove_file(&log).unwrap();
    std::fs::remove_dir_all(&logs).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    print!("{}", String::from_utf8_lossy(&output.stdout));
}

/// A folder with every log of the fixtures, with archives of some of them, and with the verdicts that the native build
/// gives on each.
fn logs_with_native_verdicts() -> PathBuf {
    let bundle = failure_model::load(None).unwrap();
    let verdicts = |jobs: Vec<JobLog>| {
        let verdict = |job| bundle.classify_job(job, None, None).unwrap();
        bundle.jobs_json(&jobs.into_iter().map(verdict).collect::<Vec<_>>())
    };
    let folder = std::env::temp_dir().join(format!("sentinel-logs-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut native = serde_json::Map::new();
    for entry in std::fs::read_dir(LOGS).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(folder.join(&name), &bytes).unwrap();
        native.insert(name, verdicts(Jobs::of(&bytes)));
    }
    assert!(native.len() >= 14, "{}", native.len());
    let read = |name: &str| std::fs::read(Path::new(LOGS).join(name)).unwrap();
    let (red, green) = (read("actions.log"), read("actions-green.log"));
    let job = |name: &str, parts: &[(Option<&str>, &[u8])]| {
        let mut jobs = Jobs::new();
        for (step, bytes) in parts {
            jobs.begin(Some(name), *step);
            jobs.push(bytes);
        }
        jobs.finish()
    };
    let lint = || job("lint", &[(None, &green)]);
    let root = [("1_test.txt", red.as_slice()), ("0_lint.txt", &green), ("test/1_Set up job.txt", b"x")];
    native.insert("root.zip".into(), verdicts([lint(), job("test", &[(None, &red)])].concat()));
    std::fs::write(folder.join("root.zip"), archive(&root)).unwrap();
    let steps = [("test/10_Unit tests.txt", red.as_slice()), ("test/2_Set up job.txt", b"fine\n")];
    let parts = [(Some("Set up job"), b"fine\n".as_slice()), (Some("Unit tests"), red.as_slice())];
    native.insert("steps.zip".into(), verdicts(job("test", &parts)));
    std::fs::write(folder.join("steps.zip"), archive(&steps)).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&red).unwrap();
    std::fs::write(folder.join("job.log.gz"), encoder.finish().unwrap()).unwrap();
    native.insert("job.log.gz".into(), verdicts(Jobs::of(&red)));
    std::fs::write(folder.join("native.json"), Value::Object(native).to_string()).unwrap();
    folder
}

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn a_compiled_bundle_that_was_cut_or_changed_is_refused() {
    let bytes = failure_model::load(None).unwrap().to_bytes();
    assert!(ModelBundle::from_bytes(&bytes).is_ok());
    assert!(ModelBundle::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    assert!(ModelBundle::from_bytes(b"SNTLFB02").is_err());
    for at in [8, 100, bytes.len() / 2, bytes.len() - 1] {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(ModelBundle::from_bytes(&changed).is_err(), "byte {at}");
    }
}

#[test]
fn the_named_line_holds_the_named_trouble() {
    let bundle = failure_model::load(None).unwrap();
    let log = format!("{}npm ERR! code ENOSPC\nnpm ERR! no space left on device\n", "all fine\n".repeat(30));
    let verdict = bundle.classify_log(&Excerpt::of(log.as_bytes()), None, None).unwrap();
    let line = verdict.explanation.line.unwrap();
    assert!([31, 32].contains(&line.number), "{line:?}");
    assert!(verdict.explanation.terms.iter().all(|term| term.drop > 0.0));
}

#[test]
fn of_two_lines_that_hold_the_same_the_first_is_named_every_time() {
    let bundle = failure_model::load(None).unwrap();
    let log = std::fs::read(Path::new(LOGS).join("actions.log")).unwrap();
    let excerpt = Excerpt::of(&log);
    let named = || bundle.classify_log(&excerpt, None, None).unwrap().explanation.line.unwrap().number;
    let first = named();
    assert!((0..50).all(|_| named() == first), "line {first}");
}
