//! `sentinel classify`: reads a job log and prints a verdict.

use crate::learn::failure_model;
use anyhow::{Context, Result};
use clap::Args;
use sentinel_shared::classifier::Verdict;
use sentinel_shared::excerpt::{Excerpt, ExcerptFinder};
use sentinel_shared::text::{printed, printed_json};
use serde_json::json;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

/// Say why a job failed, from its log.
///
/// Reads a GitHub Actions job log (or any build log) of any size and finds the lines that matter. Prints one of ten
/// causes with its confidence, the terms that decided it and the line it points at, or `Unknown` if the model is not
/// sure.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  sentinel classify job.log\n  gh run view 123 --log-failed | sentinel classify - --json"
)]
pub(super) struct Classify {
    /// The log file; `-` reads standard input.
    log: PathBuf,
    /// The name of the failed step, if you know it.
    #[arg(long)]
    step: Option<String>,
    /// The name of the failed job, if you know it.
    #[arg(long)]
    job: Option<String>,
    /// The folder of another model (manifest.json, features.json, patterns.toml, model.onnx).
    #[arg(long)]
    model: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Classify {
    pub(super) fn run(self) -> Result<()> {
        let excerpt = self.read()?;
        anyhow::ensure!(!excerpt.binary, "{} is not a text log", self.log.display());
        let bundle = failure_model::load(self.model.as_deref())?;
        let verdict = bundle.classify_log(&excerpt, self.step.as_deref(), self.job.as_deref())?;
        if self.json {
            let mut told = bundle.public_json(&verdict);
            told["log"] = json!({ "lines": excerpt.log_lines, "bytes": excerpt.log_bytes });
            stdout!("{}", printed_json(&format!("{told:#}")));
        } else {
            print(&verdict, &excerpt);
        }
        Ok(())
    }

    fn read(&self) -> Result<Excerpt> {
        if self.log.as_os_str() == "-" {
            return read_excerpt(std::io::stdin().lock());
        }
        let file = File::open(&self.log).with_context(|| format!("opening {}", self.log.display()))?;
        read_excerpt(file)
    }
}

/// Reads the log to its end, however long it is.
pub(super) fn read_excerpt(mut log: impl Read) -> Result<Excerpt> {
    let mut finder = ExcerptFinder::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match log.read(&mut buffer).context("reading the log")? {
            0 => return Ok(finder.finish()),
            n => finder.push(&buffer[..n]),
        }
    }
}

fn print(verdict: &Verdict, excerpt: &Excerpt) {
    let prediction = &verdict.prediction;
    stdout!("{}  ({:.0} % sure)", prediction.verdict(), prediction.confidence * 100.0);
    if let Some(line) = &verdict.explanation.line {
        stdout!("  line {} of {}: {}", line.number, excerpt.log_lines, printed(line.text.trim()));
    }
    for term in &verdict.explanation.terms {
        stdout!("  {:<28} −{:.2} without it", printed(&term.term), term.drop);
    }
    let others: Vec<_> =
        prediction.top(3).iter().map(|(class, p)| format!("{} {:.0} %", class.name(), p * 100.0)).collect();
    stdout!("  top three: {}", others.join(", "));
}
