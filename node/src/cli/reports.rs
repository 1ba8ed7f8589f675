//! `sentinel reports`: sends reports of tests to the worker.

use crate::operate::worker_api::{Worker, url_encoded};
use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use sentinel_shared::api::reports::{ReportAnswer, ReportStatus};
use sentinel_shared::junit::{Outcome, REPORT_LIMIT_BYTES, Report};
use sentinel_shared::text::{printed, printed_json};
use std::path::{Path, PathBuf};

/// The largest number of files that one call sends: Surefire writes one for each class.
const FILES_MAX: usize = 5000;
/// The deepest folder that is looked into.
const DEPTH_MAX: usize = 20;

/// Send reports of tests, so that the worker knows how often tests fail.
///
/// A report is JUnit's XML, which most test runners write. Run it after the tests, whether or not they passed: without
/// reports of green runs there is no rate. Sending a report again changes nothing.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  sentinel reports upload junit.xml\n  sentinel reports upload target/surefire-reports \
    --job \"test (21)\""
)]
pub(super) struct Reports {
    #[command(subcommand)]
    action: ReportsAction,
}

#[derive(Debug, Subcommand)]
enum ReportsAction {
    /// Send reports of one job.
    Upload(Box<Upload>),
}

#[derive(Debug, Args)]
struct Upload {
    /// Reports, and folders whose reports (*.xml) are sent.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    worker: Worker,
    /// The repository, as `owner/name`.
    #[arg(long, env = "GITHUB_REPOSITORY")]
    repository: String,
    /// GitHub's id of the run.
    #[arg(long, env = "GITHUB_RUN_ID")]
    run_id: u64,
    /// The attempt of the run.
    #[arg(long, env = "GITHUB_RUN_ATTEMPT", default_value_t = 1)]
    attempt: u32,
    /// The job whose tests these are. Each job of a matrix needs a name of its own.
    #[arg(long, env = "GITHUB_JOB")]
    job: String,
    /// The commit.
    #[arg(long, env = "GITHUB_SHA")]
    sha: Option<String>,
    /// The branch. Without it, GITHUB_HEAD_REF or GITHUB_REF_NAME.
    #[arg(long)]
    branch: Option<String>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Reports {
    pub(super) fn run(self) -> Result<()> {
        match self.action {
            ReportsAction::Upload(upload) => upload.run(),
        }
    }
}

impl Upload {
    fn run(&self) -> Result<()> {
        let bodies = joined(reports(&self.files)?);
        let path = self.path();
        let answers: Vec<ReportAnswer> =
            bodies.iter().map(|body| self.worker.xml(&path, body)).collect::<Result<_>>()?;
        if self.json {
            stdout!("{}", printed_json(&serde_json::to_string_pretty(&answers)?));
        } else {
            answers.iter().for_each(show);
        }
        Ok(())
    }

    fn path(&self) -> String {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let branch =
            self.branch.clone().or_else(|| set("GITHUB_HEAD_REF")).or_else(|| set("GITHUB_REF_NAME"));
        let known = [("sha", &self.sha), ("branch", &branch)];
        let known = known.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        let more: String = known.map(|(name, value)| format!("&{name}={}", url_encoded(value))).collect();
        format!(
            "/api/reports?repository={}&run={}&attempt={}&job={}{more}",
            url_encoded(&self.repository),
            self.run_id,
            self.attempt,
            url_encoded(&self.job)
        )
    }
}

fn show(answer: &ReportAnswer) {
    let counts = &answer.counts;
    let before = match answer.status {
        ReportStatus::Recorded => "recorded",
        ReportStatus::Unchanged => "sent before",
    };
    stdout!(
        "{before}: {} passed, {} passed on retry, {} failed, {} skipped",
        counts.passed,
        counts.passed_on_retry,
        counts.failed,
        counts.skipped
    );
    for test in &answer.tests {
        let outcome = if test.outcome == Outcome::Failed { "failed" } else { "passed on retry" };
        let flaky = if test.flaky { " (flaky)" } else { "" };
        stdout!("  {outcome}: {}{flaky}", printed(&test.name));
    }
}

/// The reports in files, and in the XML files of folders. XML of a folder that is no report is left out.
fn reports(paths: &[PathBuf]) -> Result<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            let mut files = Vec::new();
            collect(path, 0, &mut files)?;
            files.sort_unstable();
            for file in files {
                let bytes = read(&file)?;
                if Report::parse(&bytes).is_ok() {
                    found.push(bytes);
                } else {
                    stderr!("{} is no report of tests; it is left out", file.display());
                }
            }
        } else {
            let bytes = read(path)?;
            Report::parse(&bytes).with_context(|| format!("reading {}", path.display()))?;
            found.push(bytes);
        }
        ensure!(found.len() <= FILES_MAX, "these are more than {FILES_MAX} files; call it several times");
    }
    ensure!(!found.is_empty(), "there is no report in what was named");
    Ok(found)
}

fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() && depth < DEPTH_MAX {
            collect(&path, depth + 1, files)?;
        } else if path.extension().is_some_and(|ending| ending == "xml") && files.len() < FILES_MAX {
            files.push(path);
        }
    }
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>> {
    let size = std::fs::metadata(file).with_context(|| format!("reading {}", file.display()))?.len();
    ensure!(
        size <= REPORT_LIMIT_BYTES as u64,
        "{} has {size} bytes, and a report may have {REPORT_LIMIT_BYTES}: have its runner leave out what tests print",
        file.display()
    );
    std::fs::read(file).with_context(|| format!("reading {}", file.display()))
}

/// The reports one after another, in as few bodies as the limit allows.
fn joined(reports: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> = Vec::new();
    for report in reports {
        match bodies.last_mut().filter(|body| body.len() + report.len() < REPORT_LIMIT_BYTES) {
            Some(body) => {
                body.push(b'\n');
                body.extend(report);
            }
            None => bodies.push(report),
        }
    }
    bodies
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_sent_in_as_few_bodies_as_the_limit_allows() {
        let report = |bytes: usize| vec![b' '; bytes];
        let sizes = |reports: &[usize]| {
            joined(reports.iter().map(|bytes| report(*bytes)).collect())
                .iter()
                .map(Vec::len)
                .collect::<Vec<_>>()
        };
        assert_eq!(sizes(&[10, 20, 30]), [62]);
        assert_eq!(sizes(&[REPORT_LIMIT_BYTES, 10, 20]), [REPORT_LIMIT_BYTES, 31]);
        assert_eq!(sizes(&[REPORT_LIMIT_BYTES / 2; 3]), [REPORT_LIMIT_BYTES / 2; 3]);
    }
}
