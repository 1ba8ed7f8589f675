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

/// An Actions check run has the id of its job. It needs the permission `checks: read`.
pub(super) fn annotations(repository: &str, job_id: u64) -> String {
    format!("/repos/{repository}/check-runs/{job_id}/annotations?per_page=100")
}
