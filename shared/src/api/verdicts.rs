//! Verdicts on demand, and how many there were.

use crate::features::Telemetry;
use crate::store::inferences::DayCount;
use serde::{Deserialize, Serialize};

/// The JSON body of `POST /api/classify`: a log, a record with a message, or telemetry that is already masked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassifyRequest {
    /// The log of a job.
    pub log: Option<String>,
    /// The name of the failed step, for a log.
    pub step: Option<String>,
    /// The name of the failed job, for a log.
    pub job: Option<String>,
    /// The error message of a record.
    pub error_message: Option<String>,
    /// Telemetry as [`crate::store::telemetry::StoredTelemetry`] has it.
    pub telemetry: Option<Telemetry>,
    /// What else the sender of an error message knows of the run.
    #[serde(flatten)]
    pub record: Telemetry,
}

/// The answer of `GET /api/timeline`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// The beginning of the first day, as RFC 3339.
    pub since: String,
    /// The number of days, with today.
    pub days: i64,
    /// The counts, the oldest day first. Days without verdicts are left out.
    pub counts: Vec<DayCount>,
}
