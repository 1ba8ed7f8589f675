//! The statements that read the input of verdicts, a page at a time.

use super::column;
use super::query::{Query, Value};
use super::{scope_param, statement};
use crate::access::Scope;
use crate::features::Telemetry;
use serde::{Deserialize, Serialize};

/// The number of rows on one page, about 2 MB of masked text.
pub const PAGE: u32 = 200;

/// The columns of a [`StoredTelemetry`], of the rows that `$rest` says.
macro_rules! select_telemetry {
    ($name:literal, $rest:literal) => {
        concat!(
            "-- ",
            $name,
            "
SELECT inferences.id, repository, subject, prediction, confidence, model_version, telemetry,
  (SELECT corrected FROM feedback WHERE inference_id = inferences.id ORDER BY feedback.id DESC LIMIT 1) AS corrected
FROM telemetry JOIN inferences ON inferences.id = telemetry.inference_id ",
            $rest
        )
    };
}

const TELEMETRY_PAGE: &str = select_telemetry!(
    "telemetry_page",
    "WHERE inferences.id > ?1 AND timestamp >= ?2 AND (corrected IS NOT NULL OR NOT ?3)
  AND (?5 IS NULL OR inferences.installation_id = ?5) ORDER BY inferences.id LIMIT ?4"
);
const TELEMETRY_LATEST: &str =
    select_telemetry!("telemetry_latest", "ORDER BY telemetry.inference_id DESC LIMIT ?1");

/// One verdict with what it was made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredTelemetry {
    /// The id of the inference.
    pub id: i64,
    /// The repository as `owner/name`.
    pub repository: String,
    /// The subject as `run:<id>:<attempt>` or `job:<id>`.
    pub subject: String,
    /// The class, or `Unknown`.
    pub prediction: String,
    /// The confidence of the most likely class.
    pub confidence: f64,
    /// The model that made the verdict.
    pub model_version: String,
    /// The class a person named last.
    pub corrected: Option<String>,
    /// What the model read, masked.
    #[serde(deserialize_with = "column::json")]
    pub telemetry: Telemetry,
}

/// The telemetry of inferences after `after`, made at `since` or later; only of corrected ones if asked.
pub fn page(scope: Scope, after: i64, since: i64, corrected_only: bool) -> Query<Vec<StoredTelemetry>> {
    let row = [
        Value::Integer(after),
        Value::Integer(since),
        Value::Integer(i64::from(corrected_only)),
        Value::Integer(i64::from(PAGE)),
        scope_param(scope),
    ];
    Query::reading(statement(TELEMETRY_PAGE, row)).rows()
}

/// The telemetry of the last `limit` inferences of all installations, newest first.
pub fn latest(limit: u32) -> Query<Vec<StoredTelemetry>> {
    Query::reading(statement(TELEMETRY_LATEST, [Value::Integer(i64::from(limit))])).rows()
}
