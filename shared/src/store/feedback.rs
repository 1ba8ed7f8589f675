//! The statements of people's feedback and of the telemetry it is learned from.

use super::{
    DAY_SECONDS, Rows, Statement, Transaction, Value, count_if_changed, held_to, statement, text, text_in,
};
use crate::access::Scope;
use crate::feedback::{Feedback, FeedbackRecord, FeedbackStats, Opinion};
use crate::github::rfc3339;
use crate::review::Finding;
use crate::{Error, Result};
use std::collections::BTreeMap;

/// Days telemetry is kept when nobody has said anything about its verdict.
pub const TELEMETRY_DAYS: i64 = 30;

const INSERT_FEEDBACK: &str = "-- insert_feedback
INSERT INTO feedback (inference_id, original, corrected, author, created_at, installation_id)
SELECT id, prediction, ?2, ?3, ?4, installation_id FROM inferences
WHERE id = ?1 AND (?5 IS NULL OR installation_id = ?5) AND NOT EXISTS (
  SELECT 1 FROM feedback WHERE corrected = ?2
  AND id = (SELECT MAX(id) FROM feedback WHERE inference_id = ?1 AND author = ?3))";

const FINDING_FEEDBACK: &str = "-- insert_finding_feedback
INSERT INTO feedback (job_key, finding, original, corrected, author, created_at, installation_id)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, (SELECT installation_id FROM review_jobs WHERE key = ?1) WHERE NOT EXISTS (
  SELECT 1 FROM feedback WHERE corrected = ?4
  AND id = (SELECT MAX(id) FROM feedback WHERE job_key = ?1 AND finding = ?2 AND author = ?5))";

const DISMISS: &str = "-- dismiss_review
INSERT INTO feedback (job_key, finding, original, corrected, author, created_at, installation_id)
SELECT key, '*', 'review', ?3, ?4, ?5, installation_id FROM review_jobs
WHERE id = (SELECT MAX(id) FROM review_jobs WHERE repository = ?1 AND number = ?2 AND kind = 'review'
    AND status = 'done' AND review_url IS NOT NULL)
  AND NOT EXISTS (SELECT 1 FROM feedback WHERE job_key = key AND finding = '*' AND author = ?4)";

/// The columns [`feedback_rows`] reads, of the rows that `$rest` says.
macro_rules! select_feedback {
    ($name:literal, $rest:literal) => {
        concat!(
            "-- ",
            $name,
            "
SELECT id, created_at, inference_id, job_key, finding, original, corrected, author FROM feedback ",
            $rest
        )
    };
}

const FEEDBACK_OF: &str = select_feedback!(
    "feedback_of",
    "WHERE inference_id = ?1 AND author = ?2 AND (?3 IS NULL OR installation_id = ?3) ORDER BY id DESC LIMIT 1"
);
const FEEDBACK: &str =
    select_feedback!("feedback", "WHERE ?2 IS NULL OR installation_id = ?2 ORDER BY id DESC LIMIT ?1");

const FEEDBACK_TOTALS: &str = "-- feedback_totals
SELECT COUNT(*), COUNT(DISTINCT author), COALESCE(SUM(corrected <> original), 0) FROM feedback
WHERE inference_id IS NOT NULL AND (?1 IS NULL OR installation_id = ?1)";

const FEEDBACK_LABELS: &str = "-- feedback_labels
SELECT corrected, COUNT(*), inference_id IS NULL AS of_finding FROM feedback
WHERE ?1 IS NULL OR installation_id = ?1 GROUP BY of_finding, corrected";

const FORGET_TELEMETRY: &str = "-- forget_telemetry
DELETE FROM telemetry WHERE inference_id IN (SELECT inference_id FROM telemetry WHERE stored_at < ?1
  AND inference_id NOT IN (SELECT inference_id FROM feedback WHERE inference_id IS NOT NULL) LIMIT ?2)";

/// Rows one sweep forgets.
const FORGET_LIMIT: i64 = 500;

/// Stores `feedback` unless it repeats what its author said last. Read the answer with [`recorded`].
#[must_use]
pub fn record(scope: Scope, feedback: &Feedback, now: i64) -> Transaction {
    let (id, class) = (Value::Integer(feedback.inference_id), text(feedback.corrected.name()));
    Transaction(vec![
        statement(
            INSERT_FEEDBACK,
            [id.clone(), class, text(&feedback.author), Value::Integer(now), held_to(scope)],
        ),
        count_if_changed("feedback", feedback.corrected.name(), 1),
        statement(FEEDBACK_OF, [id, text(&feedback.author), held_to(scope)]),
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

/// Stores what `author` thinks of a posted finding unless it repeats what they said last.
#[must_use]
pub fn of_finding(job_key: &str, finding: &Finding, opinion: Opinion, author: &str, now: i64) -> Transaction {
    let original = format!("{}/{}", finding.severity.label(), finding.category.label());
    let row = [
        text(job_key),
        text(&finding.fingerprint()),
        text(&original),
        text(opinion.label()),
        text(author),
        Value::Integer(now),
    ];
    Transaction(vec![
        statement(FINDING_FEEDBACK, row),
        count_if_changed("finding_feedback", opinion.label(), 1),
    ])
}

/// Stores that `author` did not want the last review of a pull request, if there is one.
pub(super) fn dismiss(repository: &str, pull: i64, author: &str, now: i64) -> [Statement; 2] {
    let opinion = Opinion::Dismissed.label();
    let row = [text(repository), Value::Integer(pull), text(opinion), text(author), Value::Integer(now)];
    [statement(DISMISS, row), count_if_changed("finding_feedback", opinion, 1)]
}

/// The latest `limit` rows of the audit, newest first. Read the answer with [`feedback_rows`].
#[must_use]
pub fn feedback(scope: Scope, limit: u32) -> Statement {
    statement(FEEDBACK, [Value::Integer(i64::from(limit.min(super::HISTORY_LIMIT))), held_to(scope)])
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
            inference_id,
            job_key,
            finding,
            Value::Text(original),
            Value::Text(corrected),
            Value::Text(author),
        ] => Ok(FeedbackRecord {
            id: *id,
            timestamp: rfc3339(*created_at),
            inference_id: match inference_id {
                Value::Integer(id) => Some(*id),
                _ => None,
            },
            job_key: text_in(job_key),
            finding: text_in(finding),
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
pub fn stats(scope: Scope) -> [Statement; 2] {
    [statement(FEEDBACK_TOTALS, [held_to(scope)]), statement(FEEDBACK_LABELS, [held_to(scope)])]
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
    let (mut label_distribution, mut findings) = (BTreeMap::new(), BTreeMap::new());
    for row in &labels.rows {
        let [Value::Text(label), Value::Integer(rows), Value::Integer(of_finding)] = row.as_slice() else {
            return Err(shape());
        };
        let labels = if *of_finding == 0 { &mut label_distribution } else { &mut findings };
        labels.insert(label.clone(), count(rows));
    }
    Ok(FeedbackStats {
        total_records: count(total),
        unique_authors: count(authors),
        correction_rate: *corrections as f64 / (*total).max(1) as f64,
        label_distribution,
        findings,
    })
}

/// Forgets telemetry that is older than [`TELEMETRY_DAYS`] and that nobody spoke about.
#[must_use]
pub fn forget_telemetry(now: i64) -> Statement {
    statement(
        FORGET_TELEMETRY,
        [Value::Integer(now - TELEMETRY_DAYS * DAY_SECONDS), Value::Integer(FORGET_LIMIT)],
    )
}
