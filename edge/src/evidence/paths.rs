//! The paths of GitHub's API that tell about a run.

use crate::respond;

pub(super) fn job(repository: &str, job_id: u64) -> String {
    format!("/repos/{repository}/actions/jobs/{job_id}")
}

pub(super) fn log(repository: &str, job_id: u64) -> String {
    format!("{}/logs", job(repository, job_id))
}

pub(super) fn jobs(repository: &str, run_id: u64, run_attempt: u32, page: u32) -> String {
    format!("/repos/{repository}/actions/runs/{run_id}/attempts/{run_attempt}/jobs?per_page=100&page={page}")
}

/// A file of the repository, on its default branch if no other is named.
pub(super) fn file(repository: &str, path: &str, branch: Option<&str>) -> String {
    let path = format!("/repos/{repository}/contents/{path}");
    match branch {
        Some(branch) => respond::address(&path, &[("ref", branch)]),
        None => path,
    }
}

/// A page of the files that a pull request changes. It needs the permission `pull_requests: read`.
pub(super) fn files(repository: &str, pull: u64, page: u32) -> String {
    format!("/repos/{repository}/pulls/{pull}/files?per_page=100&page={page}")
}

/// The pull requests that a commit belongs to.
pub(super) fn pulls_of_commit(repository: &str, commit: &str) -> String {
    format!("/repos/{repository}/commits/{commit}/pulls")
}

/// An Actions check run has the id of its job. It needs the permission `checks: read`.
pub(super) fn annotations(repository: &str, job_id: u64) -> String {
    format!("/repos/{repository}/check-runs/{job_id}/annotations?per_page=100")
}
