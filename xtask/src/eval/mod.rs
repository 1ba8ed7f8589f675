//! `cargo xtask eval`: figures of the shipped models, written where people read them.

mod classifier;
mod review;

use crate::build::Programs;
use crate::{figures, root, run};
use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// Score a shipped model with its baselines; without --data, on labelled records that may be redistributed.
#[derive(Args)]
pub(crate) struct Eval {
    /// Which model.
    #[arg(value_enum, default_value_t = What::Classifier)]
    what: What,
    /// Labelled records, as `sentinel eval` takes them.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Write the figures into README.md, and for reviews docs/review-report.md.
    #[arg(long)]
    write: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    Classifier,
    Review,
}

impl Eval {
    pub(crate) fn run(self) -> Result<()> {
        let programs = Programs::for_development()?;
        let (what, data) = match self.what {
            What::Classifier => ("classifier", classifier::DATA),
            What::Review => ("review", review::DATA),
        };
        let mut eval = programs.command(&programs.sentinel);
        eval.args(["eval", what, "--data"]).arg(self.data.unwrap_or_else(|| root().join(data)));
        if !self.write {
            return run(&mut eval);
        }
        let report = json(eval.arg("--json"))?;
        match self.what {
            What::Classifier => figures::write("skill", &classifier::table(&report)),
            What::Review => {
                figures::write("review", &review::table(&report))?;
                review::write_report(&programs)
            }
        }
    }
}

/// What a program prints, as JSON.
fn json(command: &mut Command) -> Result<Value> {
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}
