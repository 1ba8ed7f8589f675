//! `sentinel classify`: reads job logs and prints a verdict on each job.

mod input;
mod report;

pub(super) use input::read_excerpt;

use crate::learn::failure_model;
use anyhow::Result;
use clap::Args;
use input::Input;
use report::Report;
use sentinel_shared::artifact::{JobVerdict, ModelBundle};
use sentinel_shared::excerpt::JobLog;
use sentinel_shared::text::{printed_json, printed_lines};
use std::path::PathBuf;
use std::process::ExitCode;

/// Say why jobs failed, from their logs.
///
/// Reads the logs of GitHub Actions (raw, from `gh run view --log` or `--log-failed`, or the archive that GitHub
/// offers), GitLab, Jenkins, Azure Pipelines, CircleCI, Buildkite and Travis CI, or of any build, of any size. Prints for
/// each failed job one of ten causes with its certainty, the line that it points at, and the reasons. A job without a
/// failure is said to have none.
///
/// With --json, `jobs` holds an object for each job: `job`, `step`, `found`, `prediction` (`Unknown` below the model's
/// threshold, null where no failure was found), `confidence`, `top`, `terms`, `line`, `around`, `facts` (failing tests, places in
/// the code), `kind`, `advice`, `docs` and `log`. If there is only
/// one job, the same fields stand beside `jobs`.
///
/// Exits with 0 if every log was read, and with 2 if one is missing, empty or not a log.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  sentinel classify job.log\n  sentinel classify logs_123.zip\n  \
                        gh run view 123 --log-failed | sentinel classify - --json")]
pub(super) struct Classify {
    /// Log files, .gz files, .zip archives or folders of logs; `-` reads standard input.
    #[arg(required = true)]
    logs: Vec<PathBuf>,
    /// The name of the failed step, if you know it.
    #[arg(long)]
    step: Option<String>,
    /// The name of the job. If there are several jobs, only this one is told.
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
    pub(super) fn run(self) -> Result<ExitCode> {
        let mut code = ExitCode::SUCCESS;
        let mut jobs = Vec::new();
        for path in &self.logs {
            match input::read(path) {
                Ok(Input { jobs: more, left_out }) => {
                    if left_out > 0 {
                        stderr!("{left_out} more jobs are left out: classify them one by one, with --job");
                    }
                    jobs.extend(more);
                }
                // Where there are several, the others are told all the same.
                Err(error) if self.logs.len() > 1 => {
                    stderr!("{}", printed_lines(&format!("error: {error:#}")));
                    code = ExitCode::from(2);
                }
                Err(error) => return Err(error),
            }
        }
        let jobs = JobLog::select(jobs, self.job.as_deref()).map_err(anyhow::Error::msg)?;
        let model = failure_model::load(self.model.as_deref())?;
        let verdicts = self.verdicts(&model, jobs)?;
        if self.json {
            stdout!("{}", printed_json(&format!("{:#}", model.jobs_json(&verdicts))));
        } else {
            let mut report = Report::new();
            for verdict in &verdicts {
                report.job(verdict)?;
            }
        }
        Ok(code)
    }

    fn verdicts(&self, model: &ModelBundle, jobs: Vec<JobLog>) -> Result<Vec<JobVerdict>> {
        let verdict = |log| model.classify_job(log, self.step.as_deref(), self.job.as_deref());
        Ok(jobs.into_iter().map(verdict).collect::<Result<_, _>>()?)
    }
}
