//! `sentinel eval`: scores a model on labelled data, next to its baselines.

use crate::learn::evaluation::classifier::{ClassifierReport, WordBaseline};
use crate::learn::evaluation::controls::Controls;
use crate::learn::evaluation::facts::{FactsReport, LabelledFacts};
use crate::learn::evaluation::review;
use crate::learn::failure_model;
use crate::learn::labelled_runs;
use crate::review::backend::ort::{BackendOptions, Pool, Provider};
use crate::review::model::ReviewModel;
use crate::review::tokenizer::Encoder;
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use sentinel_shared::text::printed_json;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

const BASELINE: &[u8] = include_bytes!("../../../models/failure/baseline.json");

/// Score a model on labelled records.
#[derive(Debug, Args)]
pub(super) struct Eval {
    #[command(subcommand)]
    what: EvalTarget,
}

#[derive(Debug, Subcommand)]
enum EvalTarget {
    Classifier(ClassifierEval),
    Facts(FactsEval),
    Review(ReviewEval),
}

/// Score the failure classifier on JSON lines with `label`, and `full_log` (the whole log) or `excerpt`
/// (and `alt_label`, `step_name`, `job_name`, `cause_line`).
#[derive(Debug, Args)]
struct ClassifierEval {
    /// The labelled records: JSON lines, plain or gzip.
    #[arg(long)]
    data: PathBuf,
    /// The folder of another model, with its baseline.json.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Score the failing tests and places that are found in whole logs, beside those that a reader found.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sentinel eval facts --data training/labels/facts.jsonl --logs logs")]
struct FactsEval {
    /// What a reader found: JSON lines with `blob`, `job_name`, `tool`, `tests`, `tests_total`, `places`, `allowed`.
    #[arg(long)]
    data: PathBuf,
    /// The folder of the logs, each named after its git blob: `BLOB.log`.
    #[arg(long)]
    logs: PathBuf,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Score the review model on labelled hunks: JSON lines with `hunk`, `path`, `repo`, `severity`, `category`, `lines`.
///
/// The model sees only `hunk` and `path`. The controls on the same hunks are: no model, the hunk's size, its words
/// without their order, and the model against shuffled labels.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sentinel eval review --data test.jsonl.zst --json")]
struct ReviewEval {
    /// The labelled hunks: JSON lines, plain, .gz or .zst.
    #[arg(long)]
    data: PathBuf,
    /// The folder of another model, with its controls.json.
    #[arg(long)]
    model: Option<PathBuf>,
    /// The hardware that runs the model.
    #[arg(long, value_enum, default_value = "auto")]
    provider: Provider,
    /// Also write the prediction for each hunk to this file, as JSON lines.
    #[arg(long)]
    predictions: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Eval {
    pub(super) fn run(self) -> Result<()> {
        match self.what {
            EvalTarget::Classifier(eval) => eval.run(),
            EvalTarget::Facts(eval) => eval.run(),
            EvalTarget::Review(eval) => eval.run(),
        }
    }
}

impl ClassifierEval {
    fn run(self) -> Result<()> {
        let bundle = failure_model::load(self.model.as_deref())?;
        let baseline = match &self.model {
            Some(directory) => {
                std::fs::read(directory.join("baseline.json")).context("reading the model's baseline.json")?
            }
            None => BASELINE.to_vec(),
        };
        let records = labelled_runs::read(&self.data)?;
        let report = ClassifierReport::of(&bundle, &WordBaseline::parse(&baseline)?, &records)?;
        if self.json {
            stdout!("{}", printed_json(&serde_json::to_string_pretty(&report)?));
        } else {
            stdout!("{}", report.table().trim_end());
        }
        Ok(())
    }
}

impl FactsEval {
    fn run(self) -> Result<()> {
        let labels: Vec<LabelledFacts> = labelled_runs::records(&self.data)?.collect::<Result<_>>()?;
        let report = FactsReport::of(&labels, &self.logs)?;
        if self.json {
            stdout!("{}", printed_json(&serde_json::to_string_pretty(&report)?));
        } else {
            stdout!("{}", report.table().trim_end());
        }
        Ok(())
    }
}

impl ReviewEval {
    fn run(self) -> Result<()> {
        let model = ReviewModel::load(self.model.as_deref())?;
        let encoder = Encoder::new(&model)?;
        let options = BackendOptions { provider: self.provider, sessions: None, library: None };
        let mut pool = Pool::load(&model, &options)?;
        let (judged, abstained) = review::judge(
            &encoder,
            model.manifest.calibration,
            &mut pool.sessions,
            &Controls::parse(&model.controls)?,
            labelled_runs::records(&self.data)?,
        )?;
        anyhow::ensure!(!judged.is_empty(), "{} has no hunk that the model can read", self.data.display());
        if let Some(path) = &self.predictions {
            let mut out = BufWriter::new(File::create(path).context("creating the predictions")?);
            for judged in &judged {
                writeln!(out, "{}", serde_json::to_string(judged)?)?;
            }
            out.flush()?;
        }
        let report = review::ReviewReport::of(&model.manifest, &judged, abstained);
        if self.json {
            stdout!("{}", printed_json(&serde_json::to_string_pretty(&report)?));
        } else {
            stdout!("{}", report.table().trim_end());
        }
        Ok(())
    }
}
