//! Reports of tests.

use crate::junit::Counts;
use crate::store::history::reports::ReportedTest;
use serde::{Deserialize, Serialize};

/// The answer of `POST /api/reports`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportAnswer {
    /// Whether something was stored.
    pub status: ReportStatus,
    /// The repository as `owner/name`.
    pub repository: String,
    /// GitHub's id of the run.
    pub run: u64,
    /// The attempt of the run.
    pub attempt: u32,
    /// The job whose tests the report tells.
    pub job: String,
    /// How many of its tests ended how.
    pub counts: Counts,
    /// The tests that failed, those first that failed for good; at most 100.
    pub tests: Vec<ReportedTest>,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportStatus {
    /// The report is new.
    Recorded,
    /// The same report was sent before.
    Unchanged,
}
