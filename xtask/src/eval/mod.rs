//! `cargo xtask eval`: scores the shipped models and writes the figures into the documents.

mod classifier;
mod review;

use crate::build::Programs;
use crate::{figures, root, run};
use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// What a reader found in whole logs.
const FACTS: &str = "training/labels/facts.jsonl";

/// Score a shipped model next to its baselines.
///
/// Without --data it reads the labelled records in tests/fixtures, which may be redistributed. With --write it updates
/// the figures in the documents: for the classifier the cross-validated ones of models/failure/card.json, for facts and
/// reviews what the run measured.
#[derive(Args)]
pub(crate) struct Eval {
    /// The model to score.
    #[arg(value_enum, default_value_t = ScoredModel::Classifier)]
    what: ScoredModel,
    /// Labelled records in the format of `sentinel eval`; for facts the folder of the logs, each called BLOB.log.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Write the figures into README.md; for reviews also write docs/review-report.md.
    #[arg(long)]
    write: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum ScoredModel {
    Classifier,
    /// Failing tests and places in the code, beside what a reader found in the same logs.
    Facts,
    Review,
}

impl Eval {
    pub(crate) fn run(self) -> Result<()> {
        let (what, data) = match self.what {
            ScoredModel::Classifier if self.write => return figures::write("skill", &classifier::table()?),
            ScoredModel::Classifier => ("classifier", classifier::DATA),
            ScoredModel::Facts => return self.facts(),
            ScoredModel::Review => ("review", review::DATA),
        };
        let programs = Programs::for_development()?;
        let mut eval = programs.command(&programs.sentinel);
        eval.args(["eval", what, "--data"]).arg(self.data.unwrap_or_else(|| root().join(data)));
        if !self.write {
            return run(&mut eval);
        }
        figures::write("review", &review::table(&json(eval.arg("--json"))?))?;
        review::write_report(&programs)
    }
}

impl Eval {
    fn facts(self) -> Result<()> {
        let logs = self
            .data
            .context("--data names the folder of the logs; training/labels/README.md says where they are")?;
        let programs = Programs::for_development()?;
        let mut eval = programs.command(&programs.sentinel);
        eval.args(["eval", "facts", "--data"]).arg(root().join(FACTS)).arg("--logs").arg(logs);
        if !self.write {
            return run(&mut eval);
        }
        figures::write("facts", &printed(&mut eval)?)
    }
}

/// Runs a program and parses what it prints as JSON.
fn json(command: &mut Command) -> Result<Value> {
    Ok(serde_json::from_str(&printed(command)?)?)
}

/// Runs a program and returns what it prints.
fn printed(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
