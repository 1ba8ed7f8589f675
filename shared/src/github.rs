//! The payload and API fields that are read, and no others. Everything GitHub documents as nullable is an `Option`.
//!
//! Schemas: <https://docs.github.com/webhooks/webhook-events-and-payloads> and
//! <https://docs.github.com/rest/actions/workflow-jobs>. What an answer's status means is [`answer`]'s.

pub mod answer;
mod repository;

pub use repository::RepositoryName;

use crate::failure::Conclusion;
use serde::Deserialize;

/// Who or what an event belongs to.
#[derive(Debug, Deserialize)]
pub struct Repository {
    /// `owner/name`.
    pub full_name: Option<String>,
}

/// The App installation a delivery came through.
#[derive(Debug, Deserialize)]
pub struct Installation {
    /// Its id.
    pub id: Option<u64>,
    /// Whose it is. Told only by events about the installation itself; every other tells the id alone.
    pub account: Option<Actor>,
}

/// A person or a bot.
#[derive(Debug, Deserialize)]
pub struct Actor {
    /// Login name.
    pub login: Option<String>,
    /// `User`, `Bot` or `Organization`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
}

/// The parts every classified event shares.
#[derive(Debug, Deserialize)]
pub struct Payload {
    /// What happened to the thing the event is about.
    pub action: Option<String>,
    /// Where.
    pub repository: Option<Repository>,
    /// Through which App installation.
    pub installation: Option<Installation>,
    /// Who caused the event.
    pub sender: Option<Actor>,
    /// Present for `pull_request`, and there the same as in [`PullRequest`]; events of its reviews have none.
    pub number: Option<u64>,
    /// Present for `workflow_run`.
    pub workflow_run: Option<WorkflowRun>,
    /// Present for `workflow_job`.
    pub workflow_job: Option<WorkflowJob>,
    /// Present for `check_run`.
    pub check_run: Option<CheckRun>,
    /// Present for `pull_request`.
    pub pull_request: Option<PullRequest>,
    /// Present for `issue_comment`.
    pub comment: Option<Comment>,
    /// Present for `issue_comment`.
    pub issue: Option<Issue>,
}

/// `pull_request`, in deliveries and in the pulls API.
#[derive(Debug, Clone, Deserialize)]
pub struct PullRequest {
    /// Unique in its repository.
    pub number: u64,
    /// `open` or `closed`.
    pub state: Option<String>,
    /// Not meant to be reviewed yet.
    #[serde(default)]
    pub draft: bool,
    /// How many files it changes; not in every delivery.
    #[serde(default)]
    pub changed_files: u64,
    /// What it brings.
    pub head: Branch,
    /// Where it goes.
    pub base: Branch,
}

/// One side of a pull request.
#[derive(Debug, Clone, Deserialize)]
pub struct Branch {
    /// The commit.
    pub sha: String,
}

/// A comment in a conversation.
#[derive(Debug, Deserialize)]
pub struct Comment {
    /// Unique.
    pub id: u64,
    /// Markdown.
    pub body: Option<String>,
    /// What its author is to the repository: `OWNER`, `MEMBER`, `COLLABORATOR`, `CONTRIBUTOR`, `NONE` and others.
    pub author_association: Option<String>,
    /// Null when the account is gone.
    pub user: Option<Actor>,
}

/// An issue, or what a pull request has in common with one.
#[derive(Debug, Deserialize)]
pub struct Issue {
    /// The pull request's number too.
    pub number: u64,
    /// There only where it is a pull request.
    pub pull_request: Option<serde::de::IgnoredAny>,
}

/// `workflow_run`.
#[derive(Debug, Deserialize)]
pub struct WorkflowRun {
    /// Unique per run; attempts share it.
    pub id: Option<u64>,
    /// The workflow's name; null for a workflow file that could not be parsed.
    pub name: Option<String>,
    /// From 1; null in old deliveries.
    pub run_attempt: Option<u32>,
    /// How it ended; null until it did.
    pub conclusion: Option<String>,
    /// The commit.
    pub head_sha: Option<String>,
    /// The page of the run.
    pub html_url: Option<String>,
    /// RFC 3339.
    pub run_started_at: Option<String>,
    /// RFC 3339.
    pub updated_at: Option<String>,
    /// Null when the account is gone.
    pub actor: Option<Actor>,
}

/// `workflow_job`, in deliveries and in the jobs API.
#[derive(Debug, Deserialize)]
pub struct WorkflowJob {
    /// Unique per job and attempt.
    pub id: Option<u64>,
    /// The run it belongs to.
    pub run_id: Option<u64>,
    /// From 1.
    pub run_attempt: Option<u32>,
    /// The job's name.
    pub name: Option<String>,
    /// The workflow's name.
    pub workflow_name: Option<String>,
    /// How it ended; null until it did.
    pub conclusion: Option<String>,
    /// The commit.
    pub head_sha: Option<String>,
    /// The page of the job.
    pub html_url: Option<String>,
    /// RFC 3339.
    pub started_at: Option<String>,
    /// RFC 3339; null until it ended.
    pub completed_at: Option<String>,
    /// The runner's labels.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Its steps, in order.
    #[serde(default)]
    pub steps: Vec<Step>,
}

/// One step of a job.
#[derive(Debug, Clone, Deserialize)]
pub struct Step {
    /// As written in the workflow, or `Run <command>`.
    pub name: Option<String>,
    /// How it ended; null until it did.
    pub conclusion: Option<String>,
    /// RFC 3339.
    pub started_at: Option<String>,
    /// RFC 3339.
    pub completed_at: Option<String>,
}

// === impl WorkflowJob ===

impl WorkflowJob {
    /// Whether it ended in a way that is looked into.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        failed(self.conclusion.as_deref())
    }

    /// The first step that failed.
    #[must_use]
    pub fn failed_step(&self) -> Option<&Step> {
        self.steps.iter().find(|step| failed(step.conclusion.as_deref()))
    }
}

fn failed(conclusion: Option<&str>) -> bool {
    conclusion.and_then(Conclusion::parse).is_some()
}

/// `check_run`.
#[derive(Debug, Deserialize)]
pub struct CheckRun {
    /// For Actions, the id of the job.
    pub id: Option<u64>,
    /// The check's name; for Actions, the job's.
    pub name: Option<String>,
    /// How it ended; null until it did.
    pub conclusion: Option<String>,
    /// The commit.
    pub head_sha: Option<String>,
    /// The page of the check.
    pub html_url: Option<String>,
    /// RFC 3339.
    pub started_at: Option<String>,
    /// RFC 3339.
    pub completed_at: Option<String>,
    /// What the check has to say.
    pub output: Option<CheckOutput>,
}

/// `check_run.output`.
#[derive(Debug, Deserialize)]
pub struct CheckOutput {
    /// One line.
    pub title: Option<String>,
    /// Markdown.
    pub summary: Option<String>,
}

/// `GET /repos/{owner}/{repo}/actions/runs/{run_id}/attempts/{n}/jobs`.
#[derive(Debug, Deserialize)]
pub struct JobsPage {
    /// How many there are on all pages.
    pub total_count: u64,
    /// This page's.
    pub jobs: Vec<WorkflowJob>,
}

/// Unix seconds of an RFC 3339 time, or `None` when it is not one.
#[must_use]
pub fn unix_seconds(text: &str) -> Option<i64> {
    use time::{OffsetDateTime, format_description::well_known::Rfc3339};
    OffsetDateTime::parse(text, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp)
}

/// RFC 3339 of Unix seconds; the epoch for a time outside the years 0 to 9999.
#[must_use]
pub fn rfc3339(seconds: i64) -> String {
    use time::{OffsetDateTime, format_description::well_known::Rfc3339};
    let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    at.format(&Rfc3339).unwrap_or_else(|_| "1970-01-01T00:00:00Z".to_owned())
}
