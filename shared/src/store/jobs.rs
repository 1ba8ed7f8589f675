//! What a job is: what it asks for, how it stands, and what a review found.

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
    /// Say how its last review came about.
    Explain,
    /// Tell why a run failed; the job's number is the inference's id.
    Verdict,
}

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// It waits for a node.
    Queued,
    /// A node works on it.
    Running,
    /// It did what it was asked for.
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
    /// To be shown, the most urgent first.
    pub findings: Vec<Finding>,
    /// Not to be shown.
    pub withheld: BTreeMap<Withheld, u32>,
    /// What was looked at, and what was not.
    pub receipt: Receipt,
    /// The model that scored the hunks.
    pub model_version: String,
    /// Hexadecimal SHA-256 of what the model was shown.
    pub input_sha256: String,
}

/// A statement that answers with how one job stands.
#[derive(Deserialize)]
pub(super) struct StatusRow {
    pub(super) status: JobStatus,
}

// === impl JobKind, JobStatus ===

impl JobKind {
    /// Its name in the table and on the wire.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Review => "review",
            Self::Explain => "explain",
            Self::Verdict => "verdict",
        }
    }
}

impl JobStatus {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Queued, Self::Running, Self::Done, Self::Skipped, Self::Failed, Self::Dead, Self::Superseded];

    /// Its name in the table, on the wire and on a metric.
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

    /// The status of this name.
    #[must_use]
    pub fn parse(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.label() == label)
    }
}
