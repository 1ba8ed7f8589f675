//! Corrections of verdicts.

use crate::feedback::FeedbackRecord;
use serde::{Deserialize, Serialize};

/// The answer of `POST /api/feedback`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedbackAnswer {
    /// Whether something was stored.
    pub status: FeedbackStatus,
    /// The row that is stored now.
    pub feedback: FeedbackRecord,
}

/// What became of a correction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedbackStatus {
    /// The correction is new.
    Recorded,
    /// The author said the same before.
    Unchanged,
}
