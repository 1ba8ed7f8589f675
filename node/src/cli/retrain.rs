//! `sentinel retrain`: trains a candidate from people's corrections, or says why it does not.

use super::replay::Diff;
use crate::learn::evaluation::classifier::{ClassifierReport, WordBaseline};
use crate::learn::failure_model;
use crate::learn::labelled_runs;
use crate::operate::worker_api::Worker;
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use sentinel_shared::api::models::Registry;
use sentinel_shared::artifact::ModelBundle;
use sentinel_shared::artifact::signed::PrivateKey;
use sentinel_shared::text::printed;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// How far a candidate may fall behind on the validation split without counting as worse: three records of the shipped
/// split. Another seed moves the figures as far (`models/failure/README.md`).
const TOLERANCE: f64 = 0.02;

/// Learn from corrections: download them, train a candidate, compare it with the model in use, and upload it.
///
/// The candidate is scored on the validation split, which neither model was trained on, and on every delivery that the
/// worker has kept. It is refused if it is worse on either. Otherwise, with --key, it is signed and uploaded as a
/// candidate. It does not serve until you run `sentinel model promote`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sentinel retrain --data DIR --out candidate/ --key model.key --url https://sentinel.example.workers.dev"
)]
pub(super) struct Retrain {
    #[command(flatten)]
    worker: Worker,
    /// The folder with train.jsonl and train_more.jsonl, the labelled records that the model in use was trained on.
    #[arg(long)]
    data: PathBuf,
    /// The folder for the candidate.
    #[arg(long)]
    out: PathBuf,
    /// The folder of the model in use; by default the built-in model.
    #[arg(long)]
    model: Option<PathBuf>,
    /// The file with the private key. With it, the candidate is signed and uploaded.
    #[arg(long)]
    key: Option<PathBuf>,
    /// A Python with the packages of training/pyproject.toml.
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// The folder with the `sentinel_training` package.
    #[arg(long, default_value = "training")]
    training: PathBuf,
    /// The folder with the patterns.toml to train with.
    #[arg(long, default_value = "models/failure")]
    sources: PathBuf,
}

impl Retrain {
    pub(super) fn run(self) -> Result<()> {
        let work = self.out.join("work");
        std::fs::create_dir_all(&work).with_context(|| format!("creating {}", work.display()))?;
        let corrections = self.fetch(&work.join("feedback.jsonl"))?;
        ensure!(corrections > 0, "nobody has corrected a verdict yet, so there is nothing to learn from");
        stderr!("{corrections} corrections fetched");
        let version = self.next_version()?;
        self.fit(&work, &version)?;
        let candidate = failure_model::load(Some(&self.out))?;
        let active = failure_model::load(self.model.as_deref())?;
        let reasons = self.judge(&active, &candidate, &work.join("validation.jsonl"))?;
        if !reasons.is_empty() {
            bail!("the candidate is refused: {}", reasons.join("; "));
        }
        stdout!("{version} is no worse than {}", active.manifest.model_version);
        match &self.key {
            Some(key) => self.push(&candidate, key),
            None => {
                stdout!("sign and upload it with `sentinel model sign --model {} …`", self.out.display());
                Ok(())
            }
        }
    }

    /// Writes the telemetry of every corrected verdict as a labelled record.
    fn fetch(&self, path: &Path) -> Result<usize> {
        let mut out =
            BufWriter::new(File::create(path).with_context(|| format!("creating {}", path.display()))?);
        let mut count = 0;
        self.worker.telemetry(0, true, |stored| {
            let label = stored.corrected.context("a correction without a class")?;
            let record = json!({
                "id": format!("inference-{}", stored.id), "repo": stored.repository, "label": label,
                "telemetry": stored.telemetry, "origin": "feedback",
            });
            count += 1;
            writeln!(out, "{record}").context("writing a correction")
        })?;
        out.flush()?;
        Ok(count)
    }

    /// The next version: one more than the highest `lgbm_vX.N` in the registry.
    fn next_version(&self) -> Result<String> {
        let registry: Registry = self.worker.get("/api/registry")?;
        let latest = registry.latest.as_str();
        let versions = registry.models.iter().map(|row| row.model_version.as_str()).chain([latest]);
        let (family, _) = latest.rsplit_once('.').context("a version without a number")?;
        let numbers = versions.filter_map(|version| version.rsplit_once('.')?.1.parse::<u32>().ok());
        Ok(format!("{family}.{}", numbers.max().unwrap_or(0) + 1))
    }

    fn fit(&self, work: &Path, version: &str) -> Result<()> {
        let status = Command::new(&self.python)
            .args(["-m", "sentinel_training", "retrain", "--version", version])
            .env("PYTHONPATH", &self.training)
            .arg("--data")
            .arg(&self.data)
            .arg("--feedback")
            .arg(work.join("feedback.jsonl"))
            .arg("--model")
            .arg(&self.sources)
            .arg("--out")
            .arg(&self.out)
            .arg("--work")
            .arg(work)
            .arg("--sentinel")
            .arg(std::env::current_exe()?)
            .status()
            .with_context(|| format!("starting {}", self.python.display()))?;
        ensure!(status.success(), "the training ended with {status}");
        Ok(())
    }

    /// The reasons why the candidate is worse; empty if it is not.
    fn judge(&self, active: &ModelBundle, candidate: &ModelBundle, validation: &Path) -> Result<Vec<String>> {
        let baseline = std::fs::read(self.out.join("baseline.json")).context("reading baseline.json")?;
        let baseline = WordBaseline::parse(&baseline)?;
        let records = labelled_runs::read(validation)?;
        let report = |bundle| {
            Ok::<_, anyhow::Error>(serde_json::to_value(ClassifierReport::of(bundle, &baseline, &records)?)?)
        };
        let (before, after) = (report(active)?, report(candidate)?);
        let mut reasons = Vec::new();
        stdout!("{:<24}{:>10}{:>10}", format!("validation, n {}", records.len()), "in use", "candidate");
        for figure in ["macro_f1", "strict_accuracy", "lenient_accuracy"] {
            let of = |report: &Value| report[figure].as_f64().unwrap_or(0.0);
            stdout!("{figure:<24}{:>10.3}{:>10.3}", of(&before), of(&after));
            if of(&after) < of(&before) - TOLERANCE {
                reasons.push(format!("{figure} falls from {:.3} to {:.3}", of(&before), of(&after)));
            }
        }
        let mut diff = Diff::of(candidate);
        self.worker.telemetry(0, false, |stored| diff.add(candidate, stored))?;
        diff.print();
        if diff.model_right < diff.stored_right {
            reasons.push("it gets fewer of the corrected verdicts right".to_owned());
        }
        Ok(reasons)
    }

    fn push(&self, candidate: &ModelBundle, key: &Path) -> Result<()> {
        let text = std::fs::read_to_string(key).with_context(|| format!("reading {}", key.display()))?;
        failure_model::check_translation(candidate, Some(&self.out))?;
        let signed = PrivateKey::parse(&text)?.sign(&candidate.to_bytes());
        let answer = self.worker.push(&signed)?;
        stdout!("{} is a candidate", printed(&answer.model_version));
        Ok(())
    }
}
