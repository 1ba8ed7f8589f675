//! `cargo xtask bench`: measures speed, next to the program that each part replaces, in one run.

use crate::build::Programs;
use crate::tools::cache;
use crate::{cargo, figures, root, run, step, target, training};
use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Measure speed, next to the program that each part replaces, in one run.
#[derive(Args)]
pub(crate) struct Bench {
    #[command(subcommand)]
    what: BenchTarget,
    /// Write the figures into docs/benchmarks.md, and into README.md if it shows them.
    #[arg(long, global = true)]
    write: bool,
}

#[derive(Clone, Subcommand)]
enum BenchTarget {
    /// Measure predictions next to ONNX Runtime and LightGBM's own predictor, one row at a time; features and excerpts.
    Classifier,
    /// Measure webhooks per second, latency and CPU of workerd, with storing, at concurrency 1 and 50; the first
    /// verdict.
    Edge,
    /// Measure the questions of the dashboard and the transaction of a delivery in a memory of many failures.
    History {
        /// How many failures the database has.
        #[arg(long, default_value_t = 1_000_000)]
        failures: u64,
    },
    /// Measure errors, latency and memory of worker, node and database together, at half the rate that they sustain.
    Load {
        /// How many minutes the load lasts.
        #[arg(long, default_value_t = 10.0)]
        minutes: f64,
    },
    /// Measure chunks per second, latency, CPU and memory of the node, next to TorchScript behind a Python gRPC server, or
    /// next to another build of the node.
    #[command(group = clap::ArgGroup::new("beside").required(true))]
    Node {
        /// A Python with `pip install './training[bench]'`. It needs torch, which is too large to be installed by this
        /// command.
        #[arg(long, env = "SENTINEL_BENCH_PYTHON", group = "beside")]
        python: Option<PathBuf>,
        /// The program `sentinel` of another build, such as the one before a change. Both are measured in turns.
        #[arg(long, group = "beside", conflicts_with = "write")]
        against: Option<PathBuf>,
    },
}

impl Bench {
    pub(crate) fn run(self) -> Result<()> {
        let (name, mut command) = match &self.what {
            BenchTarget::Classifier => ("classifier", classifier()?),
            BenchTarget::Edge => ("edge", edge()?),
            BenchTarget::History { failures } => ("history", history(*failures)?),
            BenchTarget::Load { minutes } => ("load", load(*minutes)?),
            BenchTarget::Node { python, against } => ("node", node(python.as_deref(), against.as_deref())?),
        };
        step("measuring");
        let output = command
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("starting the {name} bench"))?;
        let printed = String::from_utf8(output.stdout)?;
        print!("{printed}");
        ensure!(output.status.success(), "the {name} bench ended with {}", output.status);
        if self.write {
            figures::write(name, &format!("```text\n{printed}```\n"))?;
        }
        Ok(())
    }
}

/// The rounds of the reference and ours alternate, so that a busy machine slows both.
fn classifier() -> Result<Command> {
    let python = training::python("failure")?;
    step("building with optimisation");
    run(cargo()?.args(["build", "--release", "-p", "sentinel-node"]))?;
    let mut command = Command::new(python);
    command
        .current_dir(root())
        .env("PYTHONPATH", root().join("training"))
        .args(["-m", "sentinel_training.bench", "--sentinel"])
        .arg(target()?.join("release/sentinel"));
    Ok(command)
}

fn edge() -> Result<Command> {
    let programs = Programs::for_measuring()?;
    Ok(programs.command(&target()?.join("debug/bench-edge")))
}

fn history(failures: u64) -> Result<Command> {
    let programs = Programs::for_development()?;
    let mut command = programs.command(&target()?.join("debug/bench-history"));
    command.args(["--failures", &failures.to_string()]);
    Ok(command)
}

fn load(minutes: f64) -> Result<Command> {
    let programs = Programs::for_measuring()?;
    let mut command = programs.command(&target()?.join("debug/bench-load"));
    command.args(["--minutes", &minutes.to_string()]);
    Ok(command)
}

fn node(python: Option<&Path>, against: Option<&Path>) -> Result<Command> {
    let programs = Programs::for_development()?;
    let mut command = programs.command(&target()?.join("debug/bench-node"));
    if let Some(python) = python {
        command.arg("--python").arg(python).arg("--models").arg(cache()?.join("bench-models"));
    }
    if let Some(sentinel) = against {
        command.arg("--against").arg(sentinel);
    }
    Ok(command)
}
