//! `cargo xtask bench`: speed, side by side with what it replaces, in one run.

use crate::build::{self, Programs};
use crate::tools::cache;
use crate::{cargo, root, run, step, target};
use anyhow::{Context, Result};
use clap::Subcommand;
use std::path::PathBuf;
use std::process::Command;

#[derive(Subcommand)]
pub(crate) enum Bench {
    /// A prediction and a feature vector against ONNX Runtime and LightGBM's own predictor, one row at a time.
    Classifier,
    /// Webhooks a second, latency and CPU of workerd, with storing, at concurrency 1 and 50; cold start.
    Edge,
}

impl Bench {
    pub(crate) fn run(self) -> Result<()> {
        match self {
            Self::Classifier => classifier(),
            Self::Edge => edge(),
        }
    }
}

/// The reference's rounds and ours alternate, so that a busy machine slows both.
fn classifier() -> Result<()> {
    let python = python_environment()?;
    step("building with optimisation");
    run(cargo()?.args(["build", "--release", "-p", "sentinel-node"]))?;
    let sentinel = target()?.join("release/sentinel");
    run(Command::new(python)
        .current_dir(root())
        .env("PYTHONPATH", root().join("training"))
        .args(["-m", "sentinel_training.bench", "--sentinel"])
        .arg(sentinel))
}

fn edge() -> Result<()> {
    let programs = Programs::for_measuring()?;
    build::bundle()?;
    run(&mut programs.command(&target()?.join("debug/bench-edge")))
}

/// A virtual environment with the training's pinned packages.
fn python_environment() -> Result<PathBuf> {
    let folder = cache()?.join("python");
    let python = folder.join("bin/python");
    if !folder.join("installed").exists() {
        step("installing the training's Python packages (once)");
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))
            .context("Python 3 with venv is needed: https://www.python.org/downloads")?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).arg(root().join("training")))?;
        std::fs::write(folder.join("installed"), "")?;
    }
    Ok(python)
}
