//! What an answer of GitHub means for a job.

use sentinel_shared::store::pauses::Reason;
use std::time::Duration;

/// The reason why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobError {
    /// The cause has nothing to do with the job. The job pauses, and nothing is counted against it.
    Elsewhere {
        /// What GitHub does to the whole account; None if the cause is on our side.
        reason: Option<Reason>,
        /// The text for the job's record.
        what: String,
        /// How long GitHub asks to wait.
        after: Option<Duration>,
    },
    /// The job itself failed, and may succeed the next time.
    Failed(String),
    /// GitHub refuses for good.
    Refused(String),
    /// GitHub understood the call but cannot do it: a comment on a line that is not in the diff.
    Unprocessable(String),
    /// The thing does not exist, or we may not see it.
    NotFound(String),
}

impl JobError {
    /// For the job's record.
    #[must_use]
    pub fn what(&self) -> &str {
        match self {
            Self::Elsewhere { what, .. }
            | Self::Failed(what)
            | Self::Refused(what)
            | Self::Unprocessable(what)
            | Self::NotFound(what) => what,
        }
    }

    /// What GitHub does to the whole account.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Elsewhere { reason, .. } => *reason,
            _ => None,
        }
    }

    /// Whether the same may succeed later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Elsewhere { .. } | Self::Failed(_))
    }

    /// Marks the error of a call that was signed with the App's key.
    pub(super) fn of_the_key(self) -> Self {
        match self {
            Self::Elsewhere { reason: Some(Reason::TokenRefused), what, after } => {
                Self::Elsewhere { reason: Some(Reason::KeyRefused), what, after }
            }
            other => other,
        }
    }
}
