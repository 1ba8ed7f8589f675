//! The jobs of one attempt of a run, collected from their pages.

use super::{JobsPage, WorkflowJob, unix_seconds};
use crate::failure::bounded;

/// The largest number of jobs that passed whose names are kept: a matrix has at most 256 jobs, and the names of the first
/// hundred tell which of a run's jobs pass.
pub const PASSED_MAX: usize = 100;

/// The jobs of an attempt, by how they ended.
#[derive(Debug, Default)]
pub struct RunJobs {
    /// The jobs that failed.
    pub failed: Vec<WorkflowJob>,
    /// The jobs that were cancelled. Jobs that were skipped are in no list.
    pub cancelled: Vec<WorkflowJob>,
    /// The names of jobs that passed, at most [`PASSED_MAX`].
    pub passed: Vec<String>,
    /// The number of jobs on the pages so far.
    seen: u64,
}

// === impl RunJobs ===

impl RunJobs {
    /// Takes the next page. Answers whether there is another one.
    pub fn push(&mut self, page: JobsPage) -> bool {
        let JobsPage { total_count, jobs } = page;
        let is_last = jobs.is_empty();
        for job in jobs {
            self.seen += 1;
            match job.conclusion.as_deref() {
                _ if job.has_failed() => self.failed.push(job),
                Some("cancelled") => self.cancelled.push(job),
                Some("success") if self.passed.len() < PASSED_MAX => {
                    self.passed.extend(job.name.as_deref().map(bounded));
                }
                _ => {}
            }
        }
        !is_last && self.seen < total_count
    }

    /// The jobs in the order in which they are looked into: failed ones by their end, because what failed first is rarely a
    /// consequence; cancelled ones from the longest, because a job that met its limit ran for longer than the others.
    #[must_use]
    pub fn in_order(mut self) -> Self {
        self.failed.sort_by_key(|job| ended_at(job).unwrap_or(i64::MAX));
        let seconds = |job: &WorkflowJob| ended_at(job)?.checked_sub(started_at(job)?);
        self.cancelled.sort_by_key(|job| std::cmp::Reverse(seconds(job)));
        self
    }
}

/// When the job started, in Unix seconds.
#[must_use]
pub fn started_at(job: &WorkflowJob) -> Option<i64> {
    job.started_at.as_deref().and_then(unix_seconds)
}

/// When the job ended, in Unix seconds.
#[must_use]
pub fn ended_at(job: &WorkflowJob) -> Option<i64> {
    job.completed_at.as_deref().and_then(unix_seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn page(total_count: u64, jobs: &serde_json::Value) -> JobsPage {
        serde_json::from_value(json!({ "total_count": total_count, "jobs": jobs })).unwrap()
    }

    fn names(jobs: &[WorkflowJob]) -> Vec<&str> {
        jobs.iter().filter_map(|job| job.name.as_deref()).collect()
    }

    #[test]
    fn jobs_are_sorted_by_how_they_ended_and_skipped_ones_are_no_cause() {
        let at = |minute: u32| format!("2026-01-01T00:{minute:02}:00Z");
        let job = |name: &str, conclusion: &str, start: u32, end: u32| json!({ "name": name, "conclusion": conclusion, "started_at": at(start), "completed_at": at(end) });
        let mut jobs = RunJobs::default();
        let first = json!([
            job("late", "failure", 0, 9),
            job("short", "cancelled", 0, 1),
            job("green", "success", 0, 1),
            job("skipped", "skipped", 0, 0),
        ]);
        assert!(jobs.push(page(7, &first)));
        let second = json!([
            job("early", "failure", 0, 2),
            job("long", "cancelled", 0, 30),
            { "name": "without times", "conclusion": "failure" },
        ]);
        assert!(!jobs.push(page(7, &second)));
        let jobs = jobs.in_order();
        assert_eq!(names(&jobs.failed), ["early", "late", "without times"]);
        assert_eq!(names(&jobs.cancelled), ["long", "short"]);
        assert_eq!(jobs.passed, ["green"]);
        // GitHub may count more jobs than it lists.
        assert!(!RunJobs::default().push(page(5, &json!([]))));
    }

    #[test]
    fn of_many_jobs_that_passed_the_first_hundred_are_named() {
        let mut jobs = RunJobs::default();
        let many: Vec<_> =
            (0..150).map(|n| json!({ "name": format!("job {n}"), "conclusion": "success" })).collect();
        assert!(!jobs.push(page(150, &json!(many))));
        assert_eq!((jobs.passed.len(), jobs.passed[99].as_str()), (PASSED_MAX, "job 99"));
    }
}
