//! Check runs on a commit; GitHub lets only Apps make them.

use super::{Access, JobError, Turn};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What a check run says, which is to be made or brought up to date.
#[derive(Debug, Clone, Copy)]
pub struct CheckReport<'a> {
    /// What it is called on the commit.
    pub name: &'a str,
    /// Its idempotency key.
    pub external_id: &'a str,
    /// The commit.
    pub head_sha: &'a str,
    /// Whether it is green.
    pub conclusion: CheckConclusion,
    /// One line.
    pub title: &'a str,
    /// Markdown.
    pub summary: &'a str,
}

/// How a check run ended, of the ways that we use: what we say blocks nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckConclusion {
    /// Green.
    Success,
    /// Grey.
    Neutral,
}

impl Access<'_> {
    /// Makes the check run of this key, or brings it up to date; its page.
    ///
    /// # Errors
    /// [`JobError`].
    pub async fn put_check_run(&self, turn: Turn, check: &CheckReport<'_>) -> Result<String, JobError> {
        #[derive(Deserialize)]
        struct Runs {
            check_runs: Vec<Run>,
        }
        #[derive(Deserialize)]
        struct Run {
            id: u64,
            #[serde(default)]
            external_id: Option<String>,
            #[serde(default)]
            html_url: Option<String>,
        }
        let (repository, head) = (self.repository, check.head_sha);
        let name = check.name.replace(' ', "%20");
        let listed: Runs = self
            .get(&format!("/repos/{repository}/commits/{head}/check-runs?check_name={name}&per_page=100"))
            .await?;
        let body = json!({
            "name": check.name,
            "head_sha": head,
            "external_id": check.external_id,
            "status": "completed",
            "conclusion": check.conclusion,
            "output": { "title": check.title, "summary": check.summary },
        });
        let known =
            listed.check_runs.into_iter().find(|run| run.external_id.as_deref() == Some(check.external_id));
        let run: Run = match known {
            Some(run) => {
                self.write(turn, Method::PATCH, &format!("/repos/{repository}/check-runs/{}", run.id), &body)
                    .await?
            }
            None => self.write(turn, Method::POST, &format!("/repos/{repository}/check-runs"), &body).await?,
        };
        Ok(run.html_url.unwrap_or_default())
    }
}
