//! The fields of GitHub's payloads and answers that Sentinel reads. Every field that GitHub documents as nullable is an
//! `Option`.
//!
//! Schemas: <https://docs.github.com/webhooks/webhook-events-and-payloads> and
//! <https://docs.github.com/rest/actions/workflow-jobs>. [`answer`] says what the status of an answer means.

pub mod annotation;
pub mod answer;
mod commit;
pub mod jobs;
pub mod pulls;
mod repository;

pub use commit::CommitSha;
pub use repository::RepositoryName;

use crate::failure::Conclusion;
use serde::Deserialize;

/// The repository of an event.
#[derive(Debug, Deserialize)]
pub struct Repository {
    /// The repository as `owner/name`.
    pub full_name: Option<String>,
    /// The name of the default branch.
    pub default_branch: Option<String>,
}

/// The App installation that a delivery came through.
#[derive(Debug, Deserialize)]
pub struct Installation {
    /// The id that GitHub gave the installation.
    pub id: Option<u64>,
    /// The account of the installation. Only events about the installation itself have it; all others have just the id.
    pub account: Option<Actor>,
}

/// A person or a bot.
#[derive(Debug, Deserialize)]
pub struct Actor {
    /// The login name of the account.
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
    /// The repository that the event is about.
    pub repository: Option<Repository>,
    /// The App installation that the delivery came through.
    pub installation: Option<Installation>,
    /// Who caused the event.
    pub sender: Option<Actor>,
    /// Present for `pull_request`, and there the same as in [`PullRequest`]; events of its reviews have none.
    pub number: Option<u64>,
    /// Present in events of the kind `workflow_run`.
    pub workflow_run: Option<WorkflowRun>,
    /// Present in events of the kind `workflow_job`.
    pub workflow_job: Option<WorkflowJob>,
    /// Present in events of the kind `check_run`.
    pub check_run: Option<CheckRun>,
    /// Present in events of the kind `pull_request`.
    pub pull_request: Option<PullRequest>,
    /// Present in events of the kind `issue_comment`.
    pub comment: Option<Comment>,
    /// Present in events of the kind `issue_comment`.
    pub issue: Option<Issue>,
}

/// `pull_request`, in deliveries and in the pulls API.
#[derive(Debug, Clone, Deserialize)]
pub struct PullRequest {
    /// Unique in its repository.
    pub number: u64,
    /// Whether the pull request is `open` or `closed`.
    pub state: Option<String>,
    /// Whether it is a draft, which is not meant to be reviewed yet.
    #[serde(default)]
    pub draft: bool,
    /// How many files it changes; not in every delivery.
    #[serde(default)]
    pub changed_files: u64,
    /// The branch with the changes.
    pub head: Branch,
    /// The branch that the changes go into.
    pub base: Branch,
}

/// One side of a pull request.
#[derive(Debug, Clone, Deserialize)]
pub struct Branch {
    /// The SHA of the branch's latest commit.
    pub sha: String,
}

/// A comment in a conversation.
#[derive(Debug, Deserialize)]
pub struct Comment {
    /// The comment's id, unique across GitHub.
    pub id: u64,
    /// The text of the comment, in Markdown.
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

/// The `workflow_run` object of a payload.
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
    /// The SHA of the commit that the run tested.
    pub head_sha: Option<String>,
    /// The page of the run.
    pub html_url: Option<String>,
    /// When this attempt started, as RFC 3339.
    pub run_started_at: Option<String>,
    /// When the run last changed, as RFC 3339.
    pub updated_at: Option<String>,
    /// Null when the account is gone.
    pub actor: Option<Actor>,
    /// The branch or tag that the run tested. A fork's branch has no owner before it.
    pub head_branch: Option<String>,
    /// The repository that the branch is in: a fork is another one than the event's. Null when the fork is gone.
    pub head_repository: Option<Repository>,
    /// The event that started the run, such as `push`.
    pub event: Option<String>,
    /// The pull requests of the branch; empty for forks.
    pub pull_requests: Option<Vec<PullNumber>>,
}

/// A pull request in a list of them.
#[derive(Debug, Clone, Deserialize)]
pub struct PullNumber {
    /// Unique in its repository.
    pub number: u64,
    /// The branch that it goes onto.
    pub base: Option<BaseBranch>,
}

/// The `base` object of a pull request in a list of them.
#[derive(Debug, Clone, Deserialize)]
pub struct BaseBranch {
    /// The name of the branch.
    #[serde(rename = "ref")]
    pub name: Option<String>,
}

/// `workflow_job`, in deliveries and in the jobs API.
#[derive(Debug, Deserialize)]
pub struct WorkflowJob {
    /// Unique per job and attempt.
    pub id: Option<u64>,
    /// The run it belongs to.
    pub run_id: Option<u64>,
    /// The attempt of the run, counted from 1.
    pub run_attempt: Option<u32>,
    /// The name of the job.
    pub name: Option<String>,
    /// The name of the job's workflow.
    pub workflow_name: Option<String>,
    /// How it ended; null until it did.
    pub conclusion: Option<String>,
    /// The branch that the job tested. A fork's branch has no owner before it.
    pub head_branch: Option<String>,
    /// The SHA of the commit that the job tested.
    pub head_sha: Option<String>,
    /// The page of the job.
    pub html_url: Option<String>,
    /// When the job started, as RFC 3339.
    pub started_at: Option<String>,
    /// RFC 3339; null until it ended.
    pub completed_at: Option<String>,
    /// The labels that the job asked of its runner.
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
    /// When the step started, as RFC 3339.
    pub started_at: Option<String>,
    /// When the step ended, as RFC 3339.
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

    /// The step in which the job was stopped from outside.
    #[must_use]
    pub fn stopped_step(&self) -> Option<&Step> {
        self.steps.iter().find(|step| step.conclusion.as_deref() == Some("cancelled"))
    }
}

fn failed(conclusion: Option<&str>) -> bool {
    conclusion.and_then(Conclusion::parse).is_some()
}

/// The `check_run` object of a payload.
#[derive(Debug, Deserialize)]
pub struct CheckRun {
    /// For Actions, the id of the job.
    pub id: Option<u64>,
    /// The check's name; for Actions, the job's.
    pub name: Option<String>,
    /// How it ended; null until it did.
    pub conclusion: Option<String>,
    /// The SHA of the commit that was checked.
    pub head_sha: Option<String>,
    /// The page of the check.
    pub html_url: Option<String>,
    /// When the check started, as RFC 3339.
    pub started_at: Option<String>,
    /// When the check ended, as RFC 3339.
    pub completed_at: Option<String>,
    /// What the check has to say.
    pub output: Option<CheckOutput>,
    /// The suite that the check belongs to.
    pub check_suite: Option<CheckSuite>,
    /// The pull requests of the commit; empty for forks.
    pub pull_requests: Option<Vec<PullNumber>>,
}

/// The `check_run.check_suite` object of a payload.
#[derive(Debug, Deserialize)]
pub struct CheckSuite {
    /// The branch that was checked; null for forks.
    pub head_branch: Option<String>,
}

/// The `check_run.output` object of a payload.
#[derive(Debug, Deserialize)]
pub struct CheckOutput {
    /// The title, one line of text.
    pub title: Option<String>,
    /// The summary, in Markdown.
    pub summary: Option<String>,
}

/// One page of `GET /repos/{owner}/{repo}/actions/runs/{run_id}/attempts/{n}/jobs`.
#[derive(Debug, Deserialize)]
pub struct JobsPage {
    /// How many there are on all pages.
    pub total_count: u64,
    /// The jobs on this page.
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
