//! The kinds of jobs, their status, and the result of a review.

use super::query::{Query, Rows};
use crate::review::Finding;
use crate::review::receipt::Receipt;
use crate::review::select::Withheld;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a job asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Review a pull request.
    Review,
    /// Explain how the last review of a pull request came about.
    Explain,
    /// Publish why a run failed. The job's number is the inference's id.
    Verdict,
}

/// The status of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// The job waits for a node.
    Queued,
    /// A node works on the job.
    Running,
    /// The job did what it was asked for.
    Done,
    /// There was nothing to do: a draft, a closed pull request, a policy that says no. A new event revives it.
    Skipped,
    /// GitHub refused for good.
    Failed,
    /// Given up after [`FAILURES_MAX`](super::leases::FAILURES_MAX) errors of its own, or after three days of pauses;
    /// `sentinel jobs retry` revives it.
    Dead,
    /// The pull request has a newer head.
    Superseded,
}

/// What a review found, before it is posted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReviewResult {
    /// The commit that was reviewed.
    pub head_sha: String,
    /// The findings to show, the most urgent first.
    pub findings: Vec<Finding>,
    /// The number of findings that are not shown, by reason.
    pub withheld: BTreeMap<Withheld, u32>,
    /// What was read, and what was skipped.
    pub receipt: Receipt,
    /// The model that scored the hunks.
    pub model_version: String,
    /// Hexadecimal SHA-256 of what the model was shown.
    pub input_sha256: String,
}

#[derive(Deserialize)]
struct JobStatusRow {
    status: JobStatus,
}

/// How the one job stands that a statement answers for; None where it answers for none.
pub(super) fn status(answer: Query<Rows>) -> Query<Option<JobStatus>> {
    answer.first::<JobStatusRow>().map(|row| row.map(|row| row.status))
}

// === impl JobKind, JobStatus ===

impl JobKind {
    /// The name in the table and on the wire.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Review => "review",
            Self::Explain => "explain",
            Self::Verdict => "verdict",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn parse(label: &str) -> Option<Self> {
        [Self::Review, Self::Explain, Self::Verdict].into_iter().find(|kind| kind.label() == label)
    }
}

impl JobStatus {
    /// Every status of a job.
    pub const ALL: [Self; 7] =
        [Self::Queued, Self::Running, Self::Done, Self::Skipped, Self::Failed, Self::Dead, Self::Superseded];

    /// The name in the table, on the wire and on a metric.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::Superseded => "superseded",
        }
    }

    /// The status with this name.
    #[must_use]
    pub fn parse(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.label() == label)
    }
}
