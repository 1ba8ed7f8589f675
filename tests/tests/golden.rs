//! The same numbers everywhere: features as scikit-learn computes them, and probabilities as LightGBM computes them,
//! from the ONNX file and from its compiled form, natively and in wasm.
//!
//! Regenerate with `python -m sentinel_training goldens`.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use sentinel_node::learn::failure_model;
use sentinel_shared::artifact::ModelBundle;
use sentinel_shared::excerpt::Excerpt;
use sentinel_shared::features::{Telemetry, WIDTH};
use serde_json::Value;
use std::process::Command;

const GOLDENS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/golden/failure.jsonl");

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
    let mut node = Command::new("node");
    node.arg(script).args([&set("SENTINEL_PACKAGE"), GOLDENS]).arg(&log).arg(set("SENTINEL_TOOLS"));
    let output = node.output().unwrap();
    std::fs::remove_file(&log).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    print!("{}", String::from_utf8_lossy(&output.stdout));
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
