//! `sentinel explain-run`: explains the failed jobs of a GitHub Actions run, from inside the run and without a server.

use super::classify::read_excerpt;
use crate::database::now;
use crate::learn::failure_model;
use crate::operate::hidden::Hidden;
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use sentinel_shared::artifact::ModelBundle;
use sentinel_shared::classifier::Verdict;
use sentinel_shared::github::answer::{Answer, Meaning};
use sentinel_shared::github::{JobsPage, WorkflowJob};
use sentinel_shared::review::render;
use serde_json::{Value as Json, json};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;
use ureq::ResponseExt as _;

/// The time limit of one call; for a log, until its download begins.
const DEADLINE: Duration = Duration::from_secs(60);
/// The largest part of one log that is read.
const LOG_LIMIT_BYTES: u64 = 256 * 1024 * 1024;
/// The largest number of jobs that are explained. If a whole matrix fails, it usually fails for one reason.
const JOBS_MAX: usize = 20;
/// The largest number of pages of jobs, with 100 jobs each.
const PAGES: u32 = 10;
/// The number of tries of one call while GitHub limits us or is down.
const TRIES: u32 = 3;
/// The longest wait between two tries. It is short, because a job of the workflow waits too.
const WAIT_AT_MOST: Duration = Duration::from_secs(60);
/// The wait if GitHub names none.
const WAIT: Duration = Duration::from_secs(2);
/// The largest part of a refusal that is read. Its message distinguishes a limit from a missing permission.
const REFUSAL_LIMIT_BYTES: u64 = 4096;

/// Say why the jobs of a GitHub Actions run failed.
///
/// Runs as the last job of the same workflow (see action.yml). Reads the logs of the failed jobs with the workflow's
/// token and writes an annotation and a summary for each. Exits with 0, because the run has failed already.
#[derive(Debug, Args)]
#[command(
    after_help = "Example, with what Actions sets by itself:\n  GITHUB_TOKEN=${{ github.token }} sentinel explain-run\n\
                  Anywhere:\n  GITHUB_TOKEN=… sentinel explain-run --repository owner/name --run-id 123 --json"
)]
pub(super) struct ExplainRun {
    /// The repository as `owner/name`.
    #[arg(long, env = "GITHUB_REPOSITORY")]
    repository: String,
    /// The id of the failed run.
    #[arg(long, env = "GITHUB_RUN_ID")]
    run_id: u64,
    /// The attempt of the run.
    #[arg(long, env = "GITHUB_RUN_ATTEMPT", default_value_t = 1)]
    attempt: u32,
    /// A token that may read Actions (`permissions: { actions: read }`).
    #[arg(long, env = "GITHUB_TOKEN", hide_env_values = true)]
    token: Hidden,
    /// The address of GitHub's API.
    #[arg(long, env = "GITHUB_API_URL", default_value = "https://api.github.com")]
    api: String,
    /// The file that the summary is appended to, in Markdown.
    #[arg(long, env = "GITHUB_STEP_SUMMARY")]
    summary: Option<PathBuf>,
    /// The folder of another failure model.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Print one JSON document instead of annotations.
    #[arg(long)]
    json: bool,
}

/// A failed job and the reason.
struct Explained {
    job: WorkflowJob,
    verdict: Verdict,
}

impl ExplainRun {
    pub(super) fn run(self) -> Result<()> {
        let parts: Vec<&str> = self.repository.split('/').collect();
        ensure!(parts.len() == 2 && parts.iter().all(|part| !part.is_empty()), "--repository is owner/name");
        let model = failure_model::load(self.model.as_deref())?;
        let failed = self.failed_jobs()?;
        let mut explained = Vec::new();
        if failed.len() > JOBS_MAX {
            stderr!("{} jobs failed; the first {JOBS_MAX} are explained", failed.len());
        }
        for job in failed.into_iter().take(JOBS_MAX) {
            match self.explain(&model, &job)? {
                Some(verdict) => explained.push(Explained { job, verdict }),
                None => stderr!("{}: GitHub has no log of it", name(&job)),
            }
        }
        if self.json {
            let jobs: Vec<Json> = explained.iter().map(|each| each.json(&model)).collect();
            stdout!("{:#}", json!({ "jobs": jobs, "model_version": model.manifest.model_version }));
        } else {
            explained.iter().for_each(|each| stdout!("{}", each.annotation()));
        }
        if explained.is_empty() {
            stderr!("no failed job with a log in run {}", self.run_id);
        }
        if let Some(path) = &self.summary {
            let mut file = OpenOptions::new().create(true).append(true).open(path);
            let file = file.as_mut().map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
            for each in &explained {
                writeln!(file, "{}\n", each.markdown(&self, &model.manifest.model_version))?;
            }
        }
        Ok(())
    }

    fn failed_jobs(&self) -> Result<Vec<WorkflowJob>> {
        let (mut failed, mut seen) = (Vec::new(), 0);
        for page in 1..=PAGES {
            let path = format!(
                "/repos/{}/actions/runs/{}/attempts/{}/jobs?per_page=100&page={page}",
                self.repository, self.run_id, self.attempt
            );
            let Some(mut answer) = self.get(&path)? else {
                bail!(
                    "GitHub knows no run {} of {}, or the token may not read it",
                    self.run_id,
                    self.repository
                );
            };
            let JobsPage { total_count, jobs } =
                answer.body_mut().read_json().context("GitHub answered in another shape")?;
            seen += jobs.len() as u64;
            let is_last = jobs.is_empty() || seen >= total_count;
            failed.extend(jobs.into_iter().filter(WorkflowJob::has_failed));
            if is_last {
                return Ok(failed);
            }
        }
        stderr!("the run has more jobs than the {} that were looked at", PAGES * 100);
        Ok(failed)
    }

    /// None if there is no log, or no longer one.
    fn explain(&self, model: &ModelBundle, job: &WorkflowJob) -> Result<Option<Verdict>> {
        let Some(id) = job.id else { return Ok(None) };
        let path = format!("/repos/{}/actions/jobs/{id}/logs", self.repository);
        let Some(answer) = self.get(&path)? else { return Ok(None) };
        let excerpt = read_excerpt(answer.into_body().into_reader().take(LOG_LIMIT_BYTES))?;
        if excerpt.binary {
            return Ok(None);
        }
        Ok(Some(model.classify_log(&excerpt, failed_step(job), job.name.as_deref())?))
    }

    /// None if the address does not exist. A log is redirected to a storage host, which must not see the token; ureq
    /// sends the token only to the first host.
    #[expect(clippy::disallowed_methods, reason = "this command has its thread to itself")]
    fn get(&self, path: &str) -> Result<Option<ureq::http::Response<ureq::Body>>> {
        let mut tries = 1;
        loop {
            let mut answer = self.ask(path)?;
            let meaning = self.meaning(&mut answer);
            let wait = match meaning {
                Meaning::Done => return Ok(Some(answer)),
                Meaning::Absent => return Ok(None),
                Meaning::TokenRefused => bail!(
                    "GitHub does not accept the token: has it expired? It must be good for `permissions: {{ actions: read }}`"
                ),
                Meaning::Refused => {
                    bail!("GitHub refuses the token: the job needs `permissions: {{ actions: read }}`")
                }
                Meaning::Limited(wait) | Meaning::Away(Some(wait)) => wait,
                Meaning::Away(None) => WAIT * tries,
                Meaning::Moved | Meaning::Unprocessable => bail!("GitHub answered {}", answer.status()),
            };
            if tries == TRIES || wait > WAIT_AT_MOST {
                bail!("GitHub answered {}; try again in {} s", answer.status(), wait.as_secs());
            }
            stderr!("GitHub answered {}; trying again in {} s", answer.status(), wait.as_secs());
            std::thread::sleep(wait);
            tries += 1;
        }
    }

    fn meaning(&self, answer: &mut ureq::http::Response<ureq::Body>) -> Meaning {
        let api = self.api.parse::<ureq::http::Uri>().ok();
        let is_storage = answer.get_uri().authority() != api.as_ref().and_then(ureq::http::Uri::authority);
        let message = match answer.status().as_u16() {
            403 if !is_storage => answer
                .body_mut()
                .with_config()
                .limit(REFUSAL_LIMIT_BYTES)
                .read_to_string()
                .unwrap_or_default(),
            _ => String::new(),
        };
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let told = Answer {
            status: answer.status().as_u16(),
            retry_after: header("retry-after"),
            remaining: header("x-ratelimit-remaining"),
            reset: header("x-ratelimit-reset"),
            message: &message,
        };
        if is_storage { Meaning::of_storage(&told, now()) } else { Meaning::of(&told, now()) }
    }

    fn ask(&self, path: &str) -> Result<ureq::http::Response<ureq::Body>> {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .redirect_auth_headers(ureq::config::RedirectAuthHeaders::Never)
            .timeout_recv_response(Some(DEADLINE));
        config
            .build()
            .new_agent()
            .get(format!("{}{path}", self.api.trim_end_matches('/')))
            .header("accept", "application/vnd.github+json")
            .header("authorization", format!("Bearer {}", self.token.expose()))
            .header("user-agent", "sentinel")
            .header("x-github-api-version", "2022-11-28")
            .call()
            .context("asking GitHub")
    }
}

impl Explained {
    fn json(&self, model: &ModelBundle) -> Json {
        let mut told = model.public_json(&self.verdict);
        told["job"] = json!(self.job.name);
        told["step"] = json!(failed_step(&self.job));
        told["url"] = json!(self.job.html_url);
        told
    }

    /// The command that makes Actions show an annotation, as
    /// <https://docs.github.com/actions/reference/workflow-commands-for-github-actions#setting-an-error-message>
    /// describes it.
    fn annotation(&self) -> String {
        let prediction = &self.verdict.prediction;
        let title = format!("{} ({:.0} %)", prediction.verdict(), prediction.confidence * 100.0);
        let mut text = name(&self.job).to_owned();
        if let Some(line) = &self.verdict.explanation.line {
            let _ = write!(text, ": {}", line.text.trim());
        }
        format!("::error title={}::{}", escaped(&title, &[':', ',']), escaped(&text, &[]))
    }

    fn markdown(&self, of: &ExplainRun, model_version: &str) -> String {
        let place = [self.job.name.as_deref(), failed_step(&self.job)];
        let place = place.into_iter().flatten().collect::<Vec<_>>().join(" / ");
        render::verdict(&render::Verdict {
            key: &format!("{}!run:{}:{}", of.repository, of.run_id, of.attempt),
            prediction: self.verdict.prediction.verdict(),
            confidence: f64::from(self.verdict.prediction.confidence),
            line: self.verdict.explanation.line.as_ref().map(|line| line.text.trim()),
            place: Some(&place),
            run_url: self.job.html_url.as_deref(),
            correction_url: None,
            model_version,
        })
    }
}

fn name(job: &WorkflowJob) -> &str {
    job.name.as_deref().unwrap_or("a job")
}

fn failed_step(job: &WorkflowJob) -> Option<&str> {
    job.failed_step()?.name.as_deref()
}

/// Escapes text for a workflow command, so that no log line becomes a command.
fn escaped(text: &str, more: &[char]) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        if matches!(letter, '%' | '\r' | '\n') || more.contains(&letter) {
            let _ = write!(escaped, "%{:02X}", u32::from(letter));
        } else {
            escaped.push(letter);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_log_line_can_not_end_a_command_and_begin_another() {
        let line = "50 %\n::set-output name=x::y";
        assert_eq!(super::escaped(line, &[]), "50 %25%0A::set-output name=x::y");
        assert_eq!(super::escaped("a:b,c", &[':', ',']), "a%3Ab%2Cc");
    }
}
