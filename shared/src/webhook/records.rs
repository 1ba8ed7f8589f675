//! Turns a completed run, job or check into its [`FailureRecord`], or into nothing if it did not fail.

use crate::failure::{Conclusion, FIELD_CHARS, FailureRecord, Subject, bounded};
use crate::github::{CheckRun, CommitSha, WorkflowJob, WorkflowRun, unix_seconds};
use crate::{Error, Result};

/// The part of an event that says where it comes from.
pub(super) struct Origin {
    pub(super) repository: String,
    pub(super) installation_id: Option<u64>,
    pub(super) sender: Option<String>,
}

pub(super) fn run_record(origin: Origin, run: WorkflowRun) -> Result<Option<FailureRecord>> {
    let Some(conclusion) = run.conclusion.as_deref().and_then(Conclusion::parse) else { return Ok(None) };
    let run_id = run.id.ok_or(Error::FieldMissing("workflow_run.id"))?;
    Ok(Some(FailureRecord {
        subject: Subject::Run { run_id, run_attempt: run.run_attempt.unwrap_or(1) },
        repository: origin.repository,
        installation_id: origin.installation_id,
        author: run.actor.and_then(|actor| actor.login).or(origin.sender).as_deref().map(bounded),
        workflow: run.name.as_deref().map(bounded),
        job: None,
        conclusion,
        summary: None,
        head_sha: commit(run.head_sha.as_deref()),
        html_url: run.html_url.as_deref().map(bounded),
        started_at: run.run_started_at.as_deref().and_then(unix_seconds),
        ended_at: run.updated_at.as_deref().and_then(unix_seconds),
        runner_labels: Vec::new(),
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
        head_sha: commit(check.head_sha.as_deref()),
        html_url: check.html_url.as_deref().map(bounded),
        started_at: check.started_at.as_deref().and_then(unix_seconds),
        ended_at: check.completed_at.as_deref().and_then(unix_seconds),
        runner_labels: Vec::new(),
    }))
}

/// The beginning of a text of several lines.
fn summary_part(text: &str) -> String {
    crate::text::lines(text).chars().take(FIELD_CHARS).collect()
}

/// The commit that a run tested, if it has a usable name. A verdict without one is stored and not told on GitHub.
fn commit(sha: Option<&str>) -> Option<String> {
    sha.and_then(|sha| CommitSha::parse(sha).ok()).map(String::from)
}
