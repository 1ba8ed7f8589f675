//! A verdict that is to be stored.

use crate::classifier::Verdict;
use crate::evidence::Note;
use crate::failure::{FailureRecord, Subject};
use crate::webhook::DeliveryKey;
use serde::{Deserialize, Serialize};

/// The evidence that a verdict was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceKind {
    /// Only the delivery itself.
    Payload,
    /// The delivery and the failed job's steps.
    Job,
    /// The delivery, the failed job's steps and its log.
    Log,
}

/// A verdict about a delivered record, to be stored.
#[derive(Clone, Copy)]
pub struct NewInference<'a> {
    /// The delivery it answers.
    pub key: &'a DeliveryKey,
    /// The failed run or job that was delivered.
    pub record: &'a FailureRecord,
    /// What the verdict is about: the run for its headline, else a job.
    pub subject: &'a Subject,
    /// The verdict, which says why it failed.
    pub verdict: &'a Verdict,
    /// What the verdict was made from.
    pub evidence: EvidenceKind,
    /// Remarks for readers about the evidence.
    pub notes: &'a [Note],
    /// The failed job's name, where the API told it.
    pub job: Option<&'a str>,
    /// The failed step's name, where the API told it.
    pub step: Option<&'a str>,
    /// The model that made the verdict.
    pub model_version: &'a str,
    /// Where the verdict falls in the model's drift histograms.
    pub cells: &'a [(String, u32)],
}

// === impl EvidenceKind ===

impl EvidenceKind {
    /// A short, stable name.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Payload => "payload",
            Self::Job => "job",
            Self::Log => "log",
        }
    }
}
