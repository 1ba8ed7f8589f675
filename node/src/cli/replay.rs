//! `sentinel replay`: shows what another model would have said about stored deliveries.

use crate::learn::failure_model;
use crate::operate::worker_api::Worker;
use anyhow::{Context, Result, bail};
use clap::Args;
use sentinel_shared::artifact::ModelBundle;
use sentinel_shared::artifact::signed::PublicKeys;
use sentinel_shared::excerpt::Excerpt;
use sentinel_shared::store::telemetry::StoredTelemetry;
use sentinel_shared::text::{printed, printed_json};
use serde::Serialize;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Run stored deliveries through another model and show which verdicts would change. Changes nothing.
///
/// The model reads the masked text as it was stored, with the patterns of the model that served then.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  sentinel replay --since 24h --model lgbm_v3.3\n  \
                        sentinel replay --since 7d --model-dir candidate/ --json")]
pub(super) struct Replay {
    #[command(flatten)]
    worker: Worker,
    /// How far to look back: a number and s, m, h or d.
    #[arg(long, default_value = "24h", value_parser = duration)]
    since: Duration,
    /// The version of a registered model. Its signature is checked.
    #[arg(long, conflicts_with = "model_dir", requires = "public_keys")]
    model: Option<String>,
    /// The public keys that may sign models, comma-separated.
    #[arg(long, env = "SENTINEL_MODEL_PUBLIC_KEYS")]
    public_keys: Option<String>,
    /// The folder of a model that is not registered. Without this and --model, the built-in model is used.
    #[arg(long)]
    model_dir: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// The comparison of stored verdicts with a model's verdicts.
#[derive(Debug, Default, Serialize)]
pub(super) struct Diff {
    model_version: String,
    replayed: usize,
    changed: Vec<VerdictChange>,
    /// Of the runs that a person labelled: how many the stored verdict and the model's verdict get right.
    corrected: usize,
    pub(super) stored_right: usize,
    pub(super) model_right: usize,
}

#[derive(Debug, Serialize)]
struct VerdictChange {
    id: i64,
    repository: String,
    subject: String,
    stored: String,
    replayed: &'static str,
    confidence: f32,
    corrected: Option<String>,
}

impl Replay {
    pub(super) fn run(self) -> Result<()> {
        let bundle = match (&self.model, &self.public_keys) {
            (Some(version), Some(keys)) => {
                PublicKeys::parse(keys)?.verify(&self.worker.bundle(version)?)?.load_as(version)?
            }
            _ => failure_model::load(self.model_dir.as_deref())?,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock")?;
        let since = now.saturating_sub(self.since).as_secs() as i64;
        let mut diff = Diff::of(&bundle);
        self.worker.telemetry(since, false, |stored| diff.add(&bundle, stored))?;
        if self.json {
            stdout!("{}", printed_json(&serde_json::to_string_pretty(&diff)?));
        } else {
            diff.print();
        }
        Ok(())
    }
}

impl Diff {
    pub(super) fn of(bundle: &ModelBundle) -> Self {
        Self { model_version: bundle.manifest.model_version.clone(), ..Self::default() }
    }

    pub(super) fn add(&mut self, bundle: &ModelBundle, stored: StoredTelemetry) -> Result<()> {
        let prediction = bundle.classify(stored.telemetry, &Excerpt::default())?.prediction;
        let replayed = prediction.verdict();
        self.replayed += 1;
        if let Some(corrected) = &stored.corrected {
            self.corrected += 1;
            self.stored_right += usize::from(*corrected == stored.prediction);
            self.model_right += usize::from(corrected == replayed);
        }
        if stored.prediction != replayed {
            self.changed.push(VerdictChange {
                id: stored.id,
                repository: stored.repository,
                subject: stored.subject,
                stored: stored.prediction,
                replayed,
                confidence: prediction.confidence,
                corrected: stored.corrected,
            });
        }
        Ok(())
    }

    pub(super) fn print(&self) {
        stdout!("{} deliveries replayed with {}", self.replayed, printed(&self.model_version));
        for change in &self.changed {
            let said = change.corrected.as_ref().map(|class| format!("   (people say {})", printed(class)));
            stdout!(
                "  {:>6}  {:<32} {} -> {} ({:.0} %){}",
                change.id,
                printed(&change.repository),
                printed(&change.stored),
                change.replayed,
                change.confidence * 100.0,
                said.unwrap_or_default()
            );
        }
        stdout!("{} would have changed", self.changed.len());
        if self.corrected > 0 {
            stdout!(
                "of {} corrected verdicts, {} were right and {} would be right",
                self.corrected,
                self.stored_right,
                self.model_right
            );
        }
    }
}

fn duration(text: &str) -> Result<Duration> {
    let (number, unit) = text.split_at(text.len() - text.chars().last().map_or(0, char::len_utf8));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => bail!("give a number and s, m, h or d, as in 24h"),
    };
    let number: u64 = number.parse().context("give a number and s, m, h or d, as in 24h")?;
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_span_is_a_number_and_a_unit() {
        assert_eq!(duration("90m").unwrap(), duration("5400s").unwrap());
        assert_eq!(duration("2d").unwrap(), Duration::from_secs(172_800));
        for wrong in ["", "h", "3", "1.5h", "3 é", "-1h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
