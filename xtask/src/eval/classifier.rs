//! The README's figures of the shipped failure classifier.
//!
//! They are the cross-validated ones of `models/failure/card.json`, which `python -m sentinel_training card` writes.
//! The single validation fold of `manifest.json` is not shown: it scored higher than the five folds do on average.

use crate::root;
use anyhow::{Context, Result};
use serde_json::Value;
use std::fmt::Write;

/// The labelled records that may be redistributed. `python -m sentinel_training train --work DIR` leaves the whole
/// validation split in DIR.
pub(super) const DATA: &str = "tests/fixtures/ci_logs/validation.jsonl";

/// Columns of the table: the key in `card.json`, and the heading.
const COLUMNS: [(&str, &str); 4] = [
    ("macro-F1", "macro-F1"),
    ("strict", "strict accuracy"),
    ("lenient", "lenient accuracy"),
    ("Actions-like", "strict, GitHub Actions logs"),
];
/// Rows below the model's own: the key in `card.json`, and what the reader sees. They show what each part is worth.
const PARTS: [(&str, &str); 3] = [
    ("patterns alone, no words", "known error patterns only, no words"),
    ("no patterns", "words only, no error patterns"),
    ("no text", "no text from the log"),
];

pub(super) fn table() -> Result<String> {
    let (card, manifest) = (read("card.json")?, read("manifest.json")?);
    let shown = |figure: &Value| {
        let part = |index: usize| figure[index].as_f64().unwrap_or(f64::NAN);
        format!("{:.3} ± {:.3}", part(0), part(1))
    };
    let mut text = String::from("| |");
    COLUMNS.iter().for_each(|(_, heading)| text += &format!(" {heading} |"));
    text += &format!("\n|---|{}\n", "---|".repeat(COLUMNS.len()));
    let model = format!("**{}**", manifest["model_version"].as_str().context("the model has a version")?);
    for (key, name) in std::iter::once(("full", model.as_str())).chain(PARTS) {
        let scores = &card["ablation"][key];
        let cells: Vec<String> = COLUMNS.iter().map(|(column, _)| shown(&scores[column])).collect();
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    }
    let _ = writeln!(
        text,
        "\n{} folds by repository, {} seeds; mean ± standard deviation over the seeds. Accuracy on the most \
         confident 70 % of the answers: {}. Expected calibration error: {}.",
        card["folds"],
        card["seeds"],
        shown(&card["selective_70"]),
        shown(&card["ece"]),
    );
    Ok(text)
}

fn read(name: &str) -> Result<Value> {
    let path = root().join("models/failure").join(name);
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("parsing {}", path.display()))
}
