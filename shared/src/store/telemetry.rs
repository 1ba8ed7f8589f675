//! The statements that read back what verdicts were made from, a page at a time.

use super::{Rows, Statement, Value, held_to, statement, text_in};
use crate::access::Scope;
use crate::features::Telemetry;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Rows of one page: about 2 MB of masked text.
pub const PAGE: u32 = 200;

/// The columns [`stored`] reads, of the rows that `$rest` says.
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
    /// The inference.
    pub id: i64,
    /// `owner/name`.
    pub repository: String,
    /// `run:<id>:<attempt>` or `job:<id>`.
    pub subject: String,
    /// The verdict.
    pub prediction: String,
    /// Of the likeliest class.
    pub confidence: f64,
    /// By which model.
    pub model_version: String,
    /// The class a person named last.
    pub corrected: Option<String>,
    /// What the model read, masked.
    pub telemetry: Telemetry,
}

/// The telemetry of inferences after `after`, made at `since` or later; only of corrected ones if asked. Read the
/// answer with [`page_of`].
#[must_use]
pub fn page(scope: Scope, after: i64, since: i64, corrected_only: bool) -> Statement {
    let row = [
        Value::Integer(after),
        Value::Integer(since),
        Value::Integer(i64::from(corrected_only)),
        Value::Integer(i64::from(PAGE)),
        held_to(scope),
    ];
    statement(TELEMETRY_PAGE, row)
}

/// The telemetry of the last `limit` inferences of all installations, newest first. Read the answer with [`page_of`].
#[must_use]
pub fn latest(limit: u32) -> Statement {
    statement(TELEMETRY_LATEST, [Value::Integer(i64::from(limit))])
}

/// The rows in an answer.
///
/// # Errors
/// [`Error::StoreShape`].
pub fn page_of(rows: &Rows) -> Result<Vec<StoredTelemetry>> {
    rows.rows.iter().map(|row| stored(row).ok_or(Error::StoreShape("telemetry_page"))).collect()
}

fn stored(row: &[Value]) -> Option<StoredTelemetry> {
    let [Value::Integer(id), repository, subject, prediction, confidence, version, telemetry, corrected] =
        row
    else {
        return None;
    };
    Some(StoredTelemetry {
        id: *id,
        repository: text_in(repository)?,
        subject: text_in(subject)?,
        prediction: text_in(prediction)?,
        confidence: super::real(confidence)?,
        model_version: text_in(version)?,
        corrected: text_in(corrected),
        telemetry: serde_json::from_str(&text_in(telemetry)?).ok()?,
    })
}
