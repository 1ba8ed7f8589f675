//! What the sender of a webhook is answered.

use crate::store::inferences::Inference;
use crate::store::jobs::JobStatus;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The answer to GitHub's `ping`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pong {
    /// Always `pong`.
    pub msg: Cow<'static, str>,
}

/// What became of a delivery. Its JSON has the variant's name under `status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum DeliveryAnswer {
    /// The delivery asks for nothing that Sentinel does.
    Ignored {
        /// Why, as a short, stable name.
        reason: Cow<'static, str>,
    },
    /// The run passed, and that is remembered.
    Recorded {
        /// The repository as `owner/name`.
        repository: String,
    },
    /// The delivery was done before.
    Duplicate(KnownJob),
    /// The delivery is recorded, and its verdict or job will be at the `Location`.
    Queued {
        /// GitHub's id of the delivery, for a failed run.
        #[serde(skip_serializing_if = "Option::is_none")]
        delivery: Option<String>,
        /// The key of the job, for a pull request.
        #[serde(skip_serializing_if = "Option::is_none")]
        job: Option<String>,
        /// The repository as `owner/name`.
        repository: String,
    },
    /// The verdict, for a sender that waits.
    Done {
        /// The verdict as it is stored.
        inference: Box<Inference>,
    },
    /// The pull request is not reviewed any more.
    Muted {
        /// The repository as `owner/name`.
        repository: String,
        /// The number of the pull request.
        number: u64,
    },
    /// The App was uninstalled.
    Uninstalled {
        /// The number of keys that were revoked.
        keys_revoked: u64,
        /// The number of waiting jobs that were ended.
        jobs_ended: u64,
    },
}

/// The job that an earlier delivery made. A failed run that is done has none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownJob {
    /// The key of the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// The status of the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is: Option<JobStatus>,
}
