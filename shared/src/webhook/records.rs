//! Turns a completed run, job or check into its [`FailureRecord`] or [`PassedRun`], or into nothing if it neither failed
//! nor passed.

use super::passed::PassedRun;
use crate::failure::{Conclusion, FIELD_CHARS, FailureRecord, Subject, bounded};
use crate::github::{CheckRun, CommitSha, PullNumber, WorkflowJob, WorkflowRun, unix_seconds};
use crate::{Error, Result};

/// The part of an event that says where it comes from.
pub(super) struct Origin {
    pub(super) repository: String,
    pub(super) installation_id: Option<u64>,
    pub(super) default_branch: Option<String>,
    pub(super) sender: Option<String>,
}

pub(super) fn run_record(origin: Origin, run: &WorkflowRun) -> Result<Option<FailureRecord>> {
    let Some(conclusion) = run.conclusion.as_deref().and_then(Conclusion::parse_of_run) else {
        return Ok(None);
    };
    let run_id = run.id.ok_or(Error::FieldMissing("workflow_run.id"))?;
    let (branch, author) = (branch_of(run, &origin.repository), author_of(run, &origin));
    Ok(Some(FailureRecord {
        subject: Subject::Run { run_id, run_attempt: run.run_attempt.unwrap_or(1) },
        repository: origin.repository,
        installation_id: origin.installation_id,
        author,
        workflow: run.name.as_deref().map(bounded),
        job: None,
        conclusion,
        summary: None,
        branch,
        default_branch: origin.default_branch,
        trigger: run.event.as_deref().map(bounded),
        pull: first(run.pull_requests.as_deref()),
        base: base(run.pull_requests.as_deref()),
        head_sha: commit(run.head_sha.as_deref()),
        html_url: run.html_url.as_deref().map(bounded),
        started_at: run.run_started_at.as_deref().and_then(unix_seconds),
        ended_at: run.updated_at.as_deref().and_then(unix_seconds),
        runner_labels: Vec::new(),
    }))
}

/// The run if it passed.
pub(super) fn passed_run(origin: &Origin, run: &WorkflowRun) -> Result<Option<PassedRun>> {
    if run.conclusion.as_deref() != Some("success") {
        return Ok(None);
    }
    Ok(Some(PassedRun {
        repository: origin.repository.clone(),
        installation_id: origin.installation_id,
        run_id: run.id.ok_or(Error::FieldMissing("workflow_run.id"))?,
        run_attempt: run.run_attempt.unwrap_or(1),
        workflow: run.name.as_deref().map(bounded),
        branch: branch_of(run, &origin.repository),
        default_branch: origin.default_branch.clone(),
        head_sha: commit(run.head_sha.as_deref()),
        trigger: run.event.as_deref().map(bounded),
        author: author_of(run, origin),
        pull: first(run.pull_requests.as_deref()),
        ended_at: run.updated_at.as_deref().and_then(unix_seconds),
    }))
}

pub(super) fn job_record(origin: Origin, job: &WorkflowJob) -> Result<Option<FailureRecord>> {
    let Some(conclusion) = job.conclusion.as_deref().and_then(Conclusion::parse) else { return Ok(None) };
    let job_id = job.id.ok_or(Error::FieldMissing("workflow_job.id"))?;
    Ok(Some(FailureRecord {
        subject: Subject::Job { job_id, run_id: job.run_id, run_attempt: job.run_attempt.unwrap_or(1) },
        repository: origin.repository,
        installation_id: origin.installation_id,
        author: origin.sender.as_deref().map(bounded),
        workflow: job.workflow_name.as_deref().map(bounded),
        job: job.name.as_deref().map(bounded),
        conclusion,
        summary: None,
        branch: job.head_branch.as_deref().map(bounded),
        default_branch: origin.default_branch,
        trigger: None,
        pull: None,
        base: None,
        head_sha: commit(job.head_sha.as_deref()),
        html_url: job.html_url.as_deref().map(bounded),
        started_at: job.started_at.as_deref().and_then(unix_seconds),
        ended_at: job.completed_at.as_deref().and_then(unix_seconds),
        runner_labels: job.labels.iter().take(16).map(|label| bounded(label)).collect(),
    }))
}

pub(super) fn check_record(origin: Origin, check: CheckRun) -> Result<Option<FailureRecord>> {
    let Some(conclusion) = check.conclusion.as_deref().and_then(Conclusion::parse) else { return Ok(None) };
    let job_id = check.id.ok_or(Error::FieldMissing("check_run.id"))?;
    let summary = check.output.map(|output| {
        let parts = [output.title, output.summary];
        parts.into_iter().flatten().map(|text| summary_part(&text)).collect::<Vec<_>>().join("\n")
    });
    Ok(Some(FailureRecord {
        subject: Subject::Job { job_id, run_id: None, run_attempt: 1 },
        repository: origin.repository,
        installation_id: origin.installation_id,
        author: origin.sender.as_deref().map(bounded),
        workflow: None,
        job: check.name.as_deref().map(bounded),
        conclusion,
        summary: summary.filter(|text| !text.is_empty()),
        branch: check.check_suite.and_then(|suite| suite.head_branch).as_deref().map(bounded),
        default_branch: origin.default_branch,
        trigger: None,
        pull: first(check.pull_requests.as_deref()),
        base: base(check.pull_requests.as_deref()),
        head_sha: commit(check.head_sha.as_deref()),
        html_url: check.html_url.as_deref().map(bounded),
        started_at: check.started_at.as_deref().and_then(unix_seconds),
        ended_at: check.completed_at.as_deref().and_then(unix_seconds),
        runner_labels: Vec::new(),
    }))
}

fn author_of(run: &WorkflowRun, origin: &Origin) -> Option<String> {
    let actor = run.actor.as_ref().and_then(|actor| actor.login.as_deref());
    actor.or(origin.sender.as_deref()).map(bounded)
}

/// The branch of a run, with the owner of the fork that it is in. A fork's `main` is not the repository's.
fn branch_of(run: &WorkflowRun, repository: &str) -> Option<String> {
    let branch = run.head_branch.as_deref()?;
    let head = run.head_repository.as_ref().and_then(|head| head.full_name.as_deref());
    Some(match head.filter(|head| *head != repository).and_then(|head| head.split_once('/')) {
        Some((owner, _)) => bounded(&format!("{owner}:{branch}")),
        None => bounded(branch),
    })
}

fn first(pulls: Option<&[PullNumber]>) -> Option<u64> {
    pulls?.first().map(|pull| pull.number)
}

/// The branch that the first pull request goes onto.
fn base(pulls: Option<&[PullNumber]>) -> Option<String> {
    pulls?.first()?.base.as_ref()?.name.as_deref().map(bounded)
}

/// The beginning of a text of several lines.
fn summary_part(text: &str) -> String {
    crate::text::lines(text).chars().take(FIELD_CHARS).collect()
}

/// The commit that a run tested, if it has a usable name. A verdict without one is stored and not told on GitHub.
fn commit(sha: Option<&str>) -> Option<String> {
    sha.and_then(|sha| CommitSha::parse(sha).ok()).map(String::from)
}
