//! `cargo xtask eval`: figures of the shipped classifier, written where people read them.

use crate::build::Programs;
use crate::{figures, root, run};
use anyhow::{Result, ensure};
use clap::Args;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// Score the classifier; without --data, on the redistributable part of the validation split.
#[derive(Args)]
pub(crate) struct Eval {
    /// Labelled records; the whole validation split is left by `python -m sentinel_training train --work DIR`.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Write the figures into README.md.
    #[arg(long)]
    write: bool,
}

impl Eval {
    pub(crate) fn run(self) -> Result<()> {
        let programs = Programs::for_development()?;
        let data = self.data.unwrap_or_else(|| root().join("tests/fixtures/ci_logs/validation.jsonl"));
        let mut eval = Command::new(&programs.sentinel);
        eval.args(["eval", "classifier", "--data"]).arg(&data);
        run(&mut eval)?;
        if self.write {
            let output = eval.arg("--json").output()?;
            ensure!(output.status.success(), "the evaluation failed");
            let report: Value = serde_json::from_slice(&output.stdout)?;
            figures::write("skill", &table(&report))?;
        }
        Ok(())
    }
}

fn table(report: &Value) -> String {
    let row = |name: &str, scores: &Value| {
        let figure = |key: &str| format!("{:.3}", scores[key].as_f64().unwrap_or(f64::NAN));
        format!(
            "| {name} | {} | {} | {} | {} |\n",
            scores["n"],
            figure("strict_accuracy"),
            figure("lenient_accuracy"),
            figure("macro_f1")
        )
    };
    let mut text =
        String::from("| | n | strict accuracy | lenient accuracy | macro-F1 |\n|---|---|---|---|---|\n");
    text += &row(&format!("**{}**", report["model_version"].as_str().unwrap_or_default()), report);
    for (name, scores) in report["subsets"].as_object().into_iter().flatten() {
        text += &row(&format!("– {}", name.replace('_', " ")), scores);
    }
    for (name, scores) in report["baselines"].as_object().into_iter().flatten() {
        text += &row(&format!("baseline: {}", name.replace('_', " ")), scores);
    }
    let figure = |pointer: &str| report.pointer(pointer).and_then(Value::as_f64).unwrap_or(f64::NAN);
    text + &format!(
        "\nAnswers {:.0} % of the records and is right in {:.1} % of those; the rest is `Unknown`. Expected calibration error {:.3}.\n",
        figure("/selective/coverage") * 100.0,
        figure("/selective/accuracy") * 100.0,
        figure("/ece"),
    )
}
