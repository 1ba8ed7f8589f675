//! `sentinel eval`: how well a model does on labelled data, with baselines beside it.

use crate::evaluation::{Report, WordBaseline};
use crate::{dataset, model};
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use std::path::PathBuf;

const BASELINE: &[u8] = include_bytes!("../../../models/failure/baseline.json");

/// Score a model on labelled records.
#[derive(Debug, Args)]
pub(super) struct Eval {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Classifier(ClassifierEval),
}

/// Score the failure classifier on JSON lines with `excerpt` and `label` (and `alt_label`, `step_name`, `job_name`).
#[derive(Debug, Args)]
struct ClassifierEval {
    /// Labelled records: JSON lines, plain or gzip.
    #[arg(long)]
    data: PathBuf,
    /// Directory of another model, with its baseline.json.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Eval {
    pub(super) fn run(self) -> Result<()> {
        match self.what {
            What::Classifier(eval) => eval.run(),
        }
    }
}

impl ClassifierEval {
    fn run(self) -> Result<()> {
        let bundle = model::load(self.model.as_deref())?;
        let baseline = match &self.model {
            Some(directory) => {
                std::fs::read(directory.join("baseline.json")).context("reading the model's baseline.json")?
            }
            None => BASELINE.to_vec(),
        };
        let records = dataset::read(&self.data)?;
        let report = Report::of(&bundle, &WordBaseline::parse(&baseline)?, &records)?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            print!("{}", report.table());
        }
        Ok(())
    }
}
