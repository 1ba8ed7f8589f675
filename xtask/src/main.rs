//! Every chore of this repository; `cargo xtask --help` lists them.

mod bench;
mod build;
mod ci;
mod circles;
mod eval;
mod figures;
mod fuzz;
mod tools;
mod training;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Build, run, test and measure Sentinel. Tools are downloaded once, into a cache folder ($SENTINEL_CACHE, else
/// ~/.cache/sentinel).
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Start the local stack (database, fake GitHub, worker in workerd, node) and deliver a recorded failed run.
    ///
    /// Prints the verdict and the dashboard's address. With --once, stops after the verdict and exits with 0 only if
    /// the dashboard's JSON contains it. Everything after `--` goes to the stack, e.g. `-- --port 8787`.
    Dev {
        /// Stop after the verdict.
        #[arg(long)]
        once: bool,
        /// Also deliver a pull request and show its review.
        #[arg(long)]
        review: bool,
        /// Options of the stack; see `cargo xtask dev -- --help`.
        #[arg(last = true)]
        rest: Vec<String>,
    },
    /// Install the tools and ONNX Runtime into the cache folder. Every other task does this by itself.
    Tools,
    /// Run all tests: units, the database server, the worker in workerd, the node, the dashboard in Chromium.
    ///
    /// `cargo xtask test faults` makes the long run of the fault suite: 320 jobs through randomised failures. `cargo
    /// xtask test chaos` sends 300 jobs through killed nodes, a killed database and outages of GitHub. `cargo xtask test
    /// soak` keeps a node and a database under mixed load for ten minutes: ready in every second, memory flat. `cargo xtask
    /// test browser` runs the tests that need Chromium, and keeps screenshots in Cargo's output folder.
    Test {
        /// Arguments for `cargo test`, e.g. a test's name.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Run everything that main must pass: format, lints for both targets, bundle size, the local stack, tests,
    /// training, fuzz targets.
    Ci,
    /// Check the code for what clippy has no lint for; `cargo xtask ci` does so too.
    Lint {
        #[command(subcommand)]
        lint: Lint,
    },
    /// Check the Python in training/: ruff, mypy, its tests, and a small model that is trained again.
    Training,
    /// Measure speed, next to the program that each part replaces, in one run.
    Bench(bench::Bench),
    Fuzz(fuzz::Fuzz),
    /// Build the optimised worker for `wrangler deploy` and print its size.
    Bundle,
    /// Build the npm package as it is published, and pack it into Cargo's output folder.
    Pack,
    /// Score a shipped model next to its baselines, and write the figures into the README.
    Eval(eval::Eval),
}

#[derive(Subcommand)]
enum Lint {
    /// Fail if files of a crate use each other in a circle, and name it.
    Circles,
}

fn main() -> Result<()> {
    match Cli::parse().task {
        Task::Dev { once, review, rest } => {
            let programs = build::Programs::for_development()?;
            let mut demo = programs.command(&programs.demo);
            if once {
                demo.arg("--once");
            }
            if review {
                demo.arg("--review");
            }
            run(demo.args(rest))
        }
        Task::Tools => tools::Tools::ensure().map(drop),
        Task::Test { rest } => test(&rest),
        Task::Ci => ci::run_checks(),
        Task::Lint { lint: Lint::Circles } => circles::check(&root()),
        Task::Training => training::check(&build::Programs::for_development()?.sentinel),
        Task::Bench(bench) => bench.run(),
        Task::Fuzz(fuzz) => fuzz.run(),
        Task::Bundle => build::bundle().map(drop),
        Task::Pack => build::pack(),
        Task::Eval(eval) => eval.run(),
    }
}

/// The jobs of the long fault run. Every test run makes a short one.
const FAULT_RUNS: &str = "320";
/// The jobs of the long chaos run.
const CHAOS_JOBS: &str = "300";
/// How long the long soak is: ten minutes.
const SOAK_SECONDS: &str = "600";

fn test(rest: &[String]) -> Result<()> {
    let programs = build::Programs::for_development()?;
    step("running the tests");
    let mut command = programs.command(Path::new("cargo"));
    forget_this_package(&mut command);
    command.arg("test");
    match rest {
        [] => command.args(["--lib", "--bins", "--tests"]),
        [name] if name == "faults" => {
            command.env("SENTINEL_FAULT_RUNS", FAULT_RUNS).args(["--test", "faults", "--", "--nocapture"])
        }
        [name] if name == "chaos" => {
            command.env("SENTINEL_CHAOS_JOBS", CHAOS_JOBS).args(["--test", "chaos", "--", "--nocapture"])
        }
        [name] if name == "soak" => {
            command.env("SENTINEL_SOAK_SECONDS", SOAK_SECONDS).args(["--test", "soak", "--", "--nocapture"])
        }
        [name] if name == "browser" => {
            let pictures = target()?.join("screenshots");
            std::fs::create_dir_all(&pictures)?;
            step(&format!("pictures go to {}", pictures.display()));
            command.env("SENTINEL_SCREENSHOTS", pictures).args(["--test", "edge", "--", "in_a_browser"])
        }
        rest => command.args(rest),
    };
    run(&mut command)
}

/// The root of the repository, from the variable that cargo sets at run time. If several checkouts share an output
/// folder, another checkout may have built this program.
fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    package.join("..").canonicalize().expect("the manifest's folder has a parent")
}

/// Cargo's output folder, the one that this program was built into.
fn target() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    Ok(program.ancestors().nth(2).context("cargo builds into <target>/<profile>/")?.to_owned())
}

/// A `cargo` command in the repository that builds into the same output folder.
fn cargo() -> Result<Command> {
    let mut command = Command::new("cargo");
    command.current_dir(root()).env("CARGO_TARGET_DIR", target()?);
    forget_this_package(&mut command);
    Ok(command)
}

/// Removes the variables with which `cargo run` describes this program's own package. Build scripts that read them
/// (ring's does) would run again, with everything that depends on them, at each change between `cargo xtask` and plain
/// cargo.
fn forget_this_package(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let told = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_")
                || name.starts_with("CARGO_MANIFEST_")
                || name.starts_with("CARGO_BIN_")
        });
        if told {
            command.env_remove(&name);
        }
    }
}

/// Runs `command` to its end.
fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("starting {:?}", command.get_program()))?;
    if !status.success() {
        bail!("{:?} {:?} ended with {status}", command.get_program(), command.get_args().collect::<Vec<_>>());
    }
    Ok(())
}

/// Prints the progress of a long chore.
fn step(what: &str) {
    eprintln!("==> {what}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
