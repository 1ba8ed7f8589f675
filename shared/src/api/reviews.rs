//! Jobs about pull requests.

use crate::store::queue::JobRow;
use serde::{Deserialize, Serialize};

/// The body of `POST /api/jobs/replay`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayRequest {
    /// The key of the job.
    pub key: String,
}

/// The answer of `POST /api/jobs/replay`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplayAnswer {
    /// Whether the job was queued again.
    pub status: Requeued,
    /// The job as it is now.
    pub job: JobRow,
}

/// Whether a job or a delivery was queued again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Requeued {
    /// It was queued again.
    Queued,
    /// It is done, or somebody works on it.
    Unchanged,
}

impl From<bool> for Requeued {
    fn from(is_queued: bool) -> Self {
        if is_queued { Self::Queued } else { Self::Unchanged }
    }
}
