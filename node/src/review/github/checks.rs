//! Check runs on a commit; GitHub lets only Apps make them.

use super::{Access, JobError, Turn};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The content of a check run that is created or updated.
#[derive(Debug, Clone, Copy)]
pub struct CheckReport<'a> {
    /// The name of the check run on the commit.
    pub name: &'a str,
    /// The idempotency key of the check run.
    pub external_id: &'a str,
    /// The SHA of the commit.
    pub head_sha: &'a str,
    /// The conclusion, which makes it green or grey.
    pub conclusion: CheckConclusion,
    /// The title, one line of text.
    pub title: &'a str,
    /// The summary, in Markdown.
    pub summary: &'a str,
}

/// The conclusions that we use. None of them blocks a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckConclusion {
    /// Shown in green.
    Success,
    /// Shown in grey.
    Neutral,
}

impl Access<'_> {
    /// Creates or updates the check run with this key, and returns the address of its page.
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
