//! Asks GitHub to run the failed jobs of a run again, once for each commit of a workflow.
//!
//! The claim is stored with the verdict before GitHub is asked, so that nobody asks twice, whatever happens here.

use crate::app::App;
use crate::clock::now;
use crate::github::{Asked, Github};
use sentinel_shared::failure::{FailureRecord, Subject};
use sentinel_shared::store::history::retries::{RetryState, answered};
use worker::{console_error, console_log};

/// Asks for a retry that was claimed, and stores the answer.
/// <https://docs.github.com/rest/actions/workflow-runs#re-run-failed-jobs-from-a-workflow-run>: it needs `actions: write`.
pub(crate) async fn ask(app: &App, record: &FailureRecord) {
    let Subject::Run { run_id, .. } = record.subject else { return };
    let Some(github) = Github::of(&app.config, 1) else { return };
    let path = format!("/repos/{}/actions/runs/{run_id}/rerun-failed-jobs", record.repository);
    let (state, answer) = match github.post(&path).await {
        Some(Asked { status: 200..=299, .. }) => (RetryState::Asked, None),
        Some(Asked { status: 404 | 410, .. }) => (RetryState::Gone, None),
        Some(Asked { status: 500.., .. }) | None => (RetryState::Unanswered, None),
        Some(Asked { status, message }) => (RetryState::Refused, Some(format!("{status}: {message}"))),
    };
    console_log!("retry.{}: {} {run_id}", state.label(), record.repository);
    let stored = app.database.ask(answered(record, state, answer.as_deref(), now())).await;
    if let Err(error) = stored {
        console_error!("retry.not_stored: {} {run_id}: {error}", record.repository);
    }
}
