//! What the documents claim, held against what was measured.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use sentinel_node::evaluation::classifier::{Report, WordBaseline};
use sentinel_node::{dataset, model};
use serde_json::Value;
use std::path::Path;

fn root(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root(path)).unwrap()
}

fn manifest() -> Value {
    serde_json::from_str(&read("models/failure/manifest.json")).unwrap()
}

/// The shipped model on the redistributable validation records.
fn report() -> Value {
    let bundle = model::load(None).unwrap();
    let baseline = WordBaseline::parse(read("models/failure/baseline.json").as_bytes()).unwrap();
    let records = dataset::read(&root("tests/fixtures/ci_logs/validation.jsonl")).unwrap();
    serde_json::to_value(Report::of(&bundle, &baseline, &records).unwrap()).unwrap()
}

#[test]
fn the_readmes_figures_are_the_shipped_models() {
    let manifest = manifest();
    let metrics = &manifest["metrics"];
    let name = format!("| **{}** |", manifest["model_version"].as_str().unwrap());
    let readme = read("README.md");
    let row = readme
        .lines()
        .find_map(|line| line.strip_prefix(&name))
        .expect("the README has the shipped model's row");
    let figures: Vec<f64> = row.split('|').filter_map(|cell| cell.trim().parse().ok()).collect();
    let expected =
        ["n", "strict_accuracy", "lenient_accuracy", "macro_f1"].map(|name| metrics[name].as_f64().unwrap());
    assert_eq!(figures.len(), expected.len(), "{row}");
    for (figure, expected) in figures.iter().zip(expected) {
        // The manifest rounds to four digits, the README to three.
        assert!((figure - expected).abs() < 6e-4, "{figure} for {expected}: run `cargo xtask eval --write`");
    }
}

#[test]
fn the_shipped_model_beats_its_baselines_on_the_redistributable_validation_records() {
    let report = report();
    let strict = |scores: &Value| scores["strict_accuracy"].as_f64().unwrap();
    for (name, scores) in report["baselines"].as_object().unwrap() {
        assert!(strict(&report) > strict(scores), "{name}: {} against {}", strict(scores), strict(&report));
    }
}

#[test]
fn the_named_terms_carry_the_verdict() {
    let report = report();
    assert!(report["attribution"]["n"].as_u64().unwrap() >= report["n"].as_u64().unwrap() * 9 / 10);
    assert!(report["attribution"]["lowered"].as_f64().unwrap() >= 0.95, "{}", report["attribution"]);
}

#[test]
fn the_cards_first_row_is_what_its_figures_file_says() {
    let card: Value = serde_json::from_str(&read("models/failure/card.json")).unwrap();
    let shown: Vec<String> = card["ablation"]["full"]
        .as_object()
        .unwrap()
        .values()
        .map(|pair| format!("{:.3} ± {:.3}", pair[0].as_f64().unwrap(), pair[1].as_f64().unwrap()))
        .collect();
    let readme = read("models/failure/README.md");
    let row = readme.lines().find(|line| line.starts_with("| full |")).expect("the card has its first row");
    for figure in shown {
        assert!(row.contains(&figure), "{figure} is not in {row}: run `python -m sentinel_training card`");
    }
}

#[test]
fn the_validation_figure_is_over_the_gate() {
    assert!(manifest()["metrics"]["macro_f1"].as_f64().unwrap() >= 0.65);
}

#[test]
fn every_copied_record_may_be_redistributed() {
    for line in read("tests/fixtures/ci_logs/validation.jsonl").lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let license = record["license"].as_str().unwrap().trim_end_matches(" (repository)");
        assert!(["MIT", "BSD-3-Clause", "Apache-2.0", "MPL-2.0", "Unlicense"].contains(&license), "{record}");
    }
}

#[test]
fn the_readmes_review_figures_are_the_model_cards_and_its_model_the_shipped_one() {
    let card: Value = serde_json::from_str(&read("models/review/card.json")).unwrap();
    let manifest: Value = serde_json::from_str(&read("models/review/manifest.json")).unwrap();
    assert_eq!(card["model_version"], manifest["model_version"]);
    let figure = |pointer: &str| card.pointer(pointer).and_then(Value::as_f64).unwrap();
    let row = format!(
        "| **{}** | {:.3} ({:.3}–{:.3}) | {:.3} ({:.3}–{:.3}) |",
        card["model_version"].as_str().unwrap(),
        figure("/needs_comment/roc_auc"),
        figure("/needs_comment/roc_auc_interval/0"),
        figure("/needs_comment/roc_auc_interval/1"),
        figure("/needs_comment/pr_auc"),
        figure("/needs_comment/pr_auc_interval/0"),
        figure("/needs_comment/pr_auc_interval/1"),
    );
    let readme = read("README.md");
    assert!(readme.contains(&row), "the README lacks {row}: run `cargo xtask eval review --data … --write`");
    let control = format!("| control: bag of words | {:.3} |", figure("/controls/bag_of_words/roc_auc"));
    assert!(readme.contains(&control), "{control}");
    let paper = read("models/review/README.md");
    assert!(paper.contains(&format!("{:.3}", figure("/needs_comment/roc_auc"))));
}

#[test]
fn every_alert_has_its_page_in_the_runbook() {
    let rules = read("deploy/prometheus/alerts.yml");
    let runbook = read("docs/runbook.md");
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() >= 8, "{alerts:?}");
    for alert in alerts {
        assert!(runbook.contains(&format!("\n## {alert}\n")), "{alert} has no page");
        assert!(
            rules.contains(&format!("docs/runbook.md#{}", alert.to_lowercase())),
            "{alert} names no page"
        );
    }
}
