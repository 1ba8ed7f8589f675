//! `cargo xtask fuzz`: runs the parsers of outside input under libFuzzer and AddressSanitizer.

use crate::tools::cargo_fuzz;
use crate::{root, run, step, target};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

/// The targets. Each is the name of a file.
const TARGETS: [&str; 11] =
    ["bundle", "diff", "excerpt", "facts", "grpc", "hrana", "junit", "log", "policy", "redact", "webhook"];
const SHORT_SECONDS: u32 = 30;
/// The number of targets that run at once.
const LANES: usize = 2;
/// The largest input, in bytes: more than the seeds, so that several can be joined.
const INPUT_MAX_BYTES: usize = 16 * 1024;

/// Fuzz the parsers of outside input.
///
/// Starts from the seeds in tests/fuzz/seeds and from what earlier runs found, in Cargo's output folder. If a target
/// crashes, ends with an error and the path of the input; `--target NAME --input FILE` runs that input again.
#[derive(Args)]
pub(crate) struct Fuzz {
    /// Fuzz only this target.
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(TARGETS))]
    target: Option<String>,
    /// The seconds that each target runs.
    #[arg(long, default_value_t = SHORT_SECONDS)]
    seconds: u32,
    /// Run only this input.
    #[arg(long, requires = "target")]
    input: Option<PathBuf>,
}

/// The result of one target, as libFuzzer reports it.
struct Outcome {
    target: String,
    executions: u64,
    /// The number of the program's edges that were reached.
    edges: u64,
    /// Where the target crashed, if it did.
    crash: Option<String>,
}

impl Fuzz {
    /// All targets, for as long as CI runs them.
    pub(crate) fn short() -> Self {
        Self { target: None, seconds: SHORT_SECONDS, input: None }
    }

    pub(crate) fn run(&self) -> Result<()> {
        let targets: Vec<&str> = self.target.as_deref().map_or(TARGETS.to_vec(), |target| vec![target]);
        let folder = programs(&targets)?;
        if let (Some(input), Some(target)) = (&self.input, &self.target) {
            return run(Command::new(folder.join(target)).arg(input));
        }
        step(&format!("fuzzing {} targets for {} s each", targets.len(), self.seconds));
        let outcomes: Vec<Outcome> = thread::scope(|scope| {
            let lane = |lane: usize| targets.iter().skip(lane).step_by(LANES).copied().collect::<Vec<_>>();
            let lanes: Vec<_> = (0..LANES).map(lane).collect();
            let folder = &folder;
            let running: Vec<_> = lanes
                .into_iter()
                .map(|lane| {
                    scope.spawn(move || {
                        lane.into_iter().map(|t| self.fuzz(folder, t)).collect::<Result<Vec<_>>>()
                    })
                })
                .collect();
            let ended = running.into_iter().map(|lane| lane.join().expect("a lane returns its errors"));
            Ok::<_, anyhow::Error>(ended.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
        })?;
        println!("{:<10} {:>12} {:>8}  crash", "target", "executions", "edges");
        for Outcome { target, executions, edges, crash } in &outcomes {
            println!("{target:<10} {executions:>12} {edges:>8}  {}", crash.as_deref().unwrap_or("none"));
        }
        ensure!(outcomes.iter().all(|outcome| outcome.crash.is_none()), "a target crashed; see above");
        Ok(())
    }

    fn fuzz(&self, folder: &Path, name: &str) -> Result<Outcome> {
        let seeds = root().join("tests/fuzz/seeds").join(name);
        let (corpus, crashes) = (target()?.join("fuzz/corpus").join(name), target()?.join("fuzz/crashes"));
        std::fs::create_dir_all(&corpus)?;
        std::fs::create_dir_all(&crashes)?;
        let log = crashes.join(format!("{name}.log"));
        let output = std::fs::File::create(&log)?;
        let status = Command::new(folder.join(name))
            .arg(format!("-max_total_time={}", self.seconds))
            .arg(format!("-max_len={INPUT_MAX_BYTES}"))
            .arg(format!("-artifact_prefix={}/{name}-", crashes.display()))
            .args(["-print_final_stats=1", "-timeout=10", "-rss_limit_mb=2048"])
            .args([&corpus, &seeds])
            .stdout(output.try_clone()?)
            .stderr(output)
            .status()
            .with_context(|| format!("starting the target {name}"))?;
        let text = String::from_utf8_lossy(&std::fs::read(&log)?).into_owned();
        let executions = number_after(&text, "stat::number_of_executed_units:");
        let crash = (!status.success()).then(|| {
            let written = text.lines().rev().find_map(|line| line.split("Test unit written to ").nth(1));
            written.map_or_else(|| format!("see {}", log.display()), str::to_owned)
        });
        if executions == 0 && crash.is_none() {
            bail!("the target {name} ran nothing; see {}", log.display());
        }
        Ok(Outcome { target: name.to_owned(), executions, edges: number_after(&text, " cov: "), crash })
    }
}

/// Builds the targets and returns their folder.
fn programs(targets: &[&str]) -> Result<PathBuf> {
    let tool = cargo_fuzz()?;
    let folder = target()?.join("fuzz/target");
    step("building the fuzz targets");
    for target in targets {
        let mut build = Command::new(&tool);
        // The sanitizer is a flag that stable Rust has and does not promise.
        build.current_dir(root().join("tests")).env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", &folder);
        run(build.args(["fuzz", "build", target]))?;
    }
    Ok(folder.join(host()?).join("release"))
}

/// The target triple of this machine, as rustc names it.
fn host() -> Result<String> {
    let output = Command::new("rustc").current_dir(root()).arg("-vV").output().context("starting rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .context("rustc names its host")
}

/// The last number that follows `label` in `text`.
fn number_after(text: &str, label: &str) -> u64 {
    let after = text.rsplit(label).next().filter(|_| text.contains(label)).unwrap_or_default();
    after.trim_start().chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_a_program_and_seeds_and_is_run() {
        let names = |folder: &str| {
            let entries = std::fs::read_dir(root().join("tests/fuzz").join(folder)).expect("it is there");
            let mut names: Vec<String> = entries
                .map(|entry| {
                    entry
                        .expect("it is readable")
                        .path()
                        .file_stem()
                        .unwrap_or_default()
                        .to_string_lossy()
                        .into_owned()
                })
                .collect();
            names.sort();
            names
        };
        assert_eq!(names("fuzz_targets"), TARGETS);
        assert_eq!(names("seeds"), TARGETS);
    }

    #[test]
    fn figures_are_read_from_what_libfuzzer_prints() {
        let text = "#8 pulse cov: 12 ft: 3\n#9 DONE cov: 345 ft: 1\nstat::number_of_executed_units: 678\n";
        assert_eq!(number_after(text, " cov: "), 345);
        assert_eq!(number_after(text, "stat::number_of_executed_units:"), 678);
        assert_eq!(number_after(text, "nothing"), 0);
    }
}
