//! The statements of people's feedback and of the telemetry it is learned from.

use super::{Rows, Statement, Transaction, Value, count_if_changed, statement, text};
use crate::feedback::{Feedback, FeedbackRecord, FeedbackStats};
use crate::github::rfc3339;
use crate::{Error, Result};

/// Days telemetry is kept when nobody has said anything about its verdict.
pub const TELEMETRY_DAYS: i64 = 30;

const INSERT_FEEDBACK: &str = "-- insert_feedback
INSERT INTO feedback (inference_id, original, corrected, author, created_at)
SELECT id, prediction, ?2, ?3, ?4 FROM inferences WHERE id = ?1 AND NOT EXISTS (
  SELECT 1 FROM feedback WHERE corrected = ?2
  AND id = (SELECT MAX(id) FROM feedback WHERE inference_id = ?1 AND author = ?3))";

const FEEDBACK_OF: &str = "-- feedback_of
SELECT id, created_at, inference_id, original, corrected, author FROM feedback
WHERE inference_id = ?1 AND author = ?2 ORDER BY id DESC LIMIT 1";

const FEEDBACK: &str = "-- feedback
SELECT id, created_at, inference_id, original, corrected, author FROM feedback ORDER BY id DESC LIMIT ?1";

const FEEDBACK_TOTALS: &str = "-- feedback_totals
SELECT COUNT(*), COUNT(DISTINCT author), COALESCE(SUM(corrected <> original), 0) FROM feedback";

const FEEDBACK_LABELS: &str = "-- feedback_labels
SELECT corrected, COUNT(*) FROM feedback GROUP BY corrected";

const FORGET_TELEMETRY: &str = "-- forget_telemetry
DELETE FROM telemetry WHERE inference_id IN (SELECT inference_id FROM telemetry WHERE stored_at < ?1
  AND inference_id NOT IN (SELECT inference_id FROM feedback) LIMIT ?2)";

/// Rows one sweep forgets.
const FORGET_LIMIT: i64 = 500;

/// Stores `feedback` unless it repeats what its author said last. Read the answer with [`recorded`].
#[must_use]
pub fn record(feedback: &Feedback, now: i64) -> Transaction {
    let (id, class) = (Value::Integer(feedback.inference_id), text(feedback.corrected.name()));
    Transaction(vec![
        statement(INSERT_FEEDBACK, [id.clone(), class, text(&feedback.author), Value::Integer(now)]),
        count_if_changed("feedback", feedback.corrected.name(), 1),
        statement(FEEDBACK_OF, [id, text(&feedback.author)]),
    ])
}

/// The stored row in [`record`]'s answer, and whether it is new.
///
/// # Errors
/// [`Error::NotFound`] when there is no such inference.
pub fn recorded(answers: &[Rows]) -> Result<(FeedbackRecord, bool)> {
    let [inserted, _, stored] = answers else { return Err(Error::StoreShape("record")) };
    let record = feedback_rows(stored)?.pop().ok_or(Error::NotFound)?;
    Ok((record, inserted.affected > 0))
}

/// The latest `limit` rows of the audit, newest first. Read the answer with [`feedback_rows`].
#[must_use]
pub fn feedback(limit: u32) -> Statement {
    statement(FEEDBACK, [Value::Integer(i64::from(limit.min(super::HISTORY_LIMIT)))])
}

/// The rows in [`feedback`]'s answer.
///
/// # Errors
/// [`Error::StoreShape`].
pub fn feedback_rows(rows: &Rows) -> Result<Vec<FeedbackRecord>> {
    let record = |row: &Vec<Value>| match row.as_slice() {
        [
            Value::Integer(id),
            Value::Integer(created_at),
            Value::Integer(inference_id),
            Value::Text(original),
            Value::Text(corrected),
            Value::Text(author),
        ] => Ok(FeedbackRecord {
            id: *id,
            timestamp: rfc3339(*created_at),
            inference_id: *inference_id,
            original_pred: original.clone(),
            corrected_label: corrected.clone(),
            author_id: author.clone(),
        }),
        _ => Err(Error::StoreShape("feedback")),
    };
    rows.rows.iter().map(record).collect()
}

/// Two statements; read their answers with [`stats_of`].
#[must_use]
pub fn stats() -> [Statement; 2] {
    [statement(FEEDBACK_TOTALS, []), statement(FEEDBACK_LABELS, [])]
}

/// The statistics in the answers to [`stats`].
///
/// # Errors
/// [`Error::StoreShape`].
pub fn stats_of(answers: &[Rows]) -> Result<FeedbackStats> {
    let shape = || Error::StoreShape("feedback_stats");
    let [totals, labels] = answers else { return Err(shape()) };
    let Some([Value::Integer(total), Value::Integer(authors), Value::Integer(corrections)]) =
        totals.rows.first().map(Vec::as_slice)
    else {
        return Err(shape());
    };
    let count = |n: &i64| u64::try_from(*n).unwrap_or(0);
    let label = |row: &Vec<Value>| match row.as_slice() {
        [Value::Text(class), Value::Integer(rows)] => Ok((class.clone(), count(rows))),
        _ => Err(shape()),
    };
    Ok(FeedbackStats {
        total_records: count(total),
        unique_authors: count(authors),
        correction_rate: *corrections as f64 / (*total).max(1) as f64,
        label_distribution: labels.rows.iter().map(label).collect::<Result<_>>()?,
    })
}

/// Forgets telemetry that is older than [`TELEMETRY_DAYS`] and that nobody spoke about.
#[must_use]
pub fn forget_telemetry(now: i64) -> Statement {
    statement(
        FORGET_TELEMETRY,
        [Value::Integer(now - TELEMETRY_DAYS * 24 * 60 * 60), Value::Integer(FORGET_LIMIT)],
    )
}
