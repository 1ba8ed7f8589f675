//! The statements of people's feedback, and of the telemetry that models learn from.

use super::query::{Change, Query, Value};
use super::{DAY_SECONDS, number, scope_param, statement, text};
use crate::access::Scope;
use crate::feedback::{Feedback, FeedbackRecord, FeedbackStats, Opinion};
use crate::review::Finding;
use serde::Deserialize;

/// The days for which telemetry is kept if nobody has said anything about its verdict.
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

/// The columns of a [`FeedbackRecord`], of the rows that `$rest` says.
macro_rules! select_feedback {
    ($name:literal, $rest:literal) => {
        concat!(
            "-- ",
            $name,
            "
SELECT id, created_at AS timestamp, inference_id, job_key, finding, original AS original_pred,
  corrected AS corrected_label, author AS author_id FROM feedback ",
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
SELECT COUNT(*) AS total, COUNT(DISTINCT author) AS authors,
  COALESCE(SUM(corrected <> original), 0) AS corrections FROM feedback
WHERE inference_id IS NOT NULL AND (?1 IS NULL OR installation_id = ?1)";

const FEEDBACK_LABELS: &str = "-- feedback_labels
SELECT corrected AS label, COUNT(*) AS count, inference_id IS NULL AS of_finding FROM feedback
WHERE ?1 IS NULL OR installation_id = ?1 GROUP BY of_finding, corrected";

const FORGET_TELEMETRY: &str = "-- forget_telemetry
DELETE FROM telemetry WHERE inference_id IN (SELECT inference_id FROM telemetry WHERE stored_at < ?1
  AND inference_id NOT IN (SELECT inference_id FROM feedback WHERE inference_id IS NOT NULL) LIMIT ?2)";

/// The number of rows that one sweep deletes.
const FORGET_LIMIT: i64 = 500;

#[derive(Deserialize)]
struct TotalsRow {
    total: u64,
    authors: u64,
    corrections: u64,
}

#[derive(Deserialize)]
struct LabelRow {
    label: String,
    count: u64,
    of_finding: bool,
}

/// Stores `feedback` unless it repeats what its author said last. The row that is stored then, and whether it is new;
/// [`crate::Error::NotFound`] where there is no such inference.
pub fn record(scope: Scope, feedback: &Feedback, now: i64) -> Query<(FeedbackRecord, bool)> {
    let (id, class) = (Value::Integer(feedback.inference_id), feedback.corrected.name());
    let row = [id.clone(), text(class), text(&feedback.author), Value::Integer(now), scope_param(scope)];
    let insert = Change::of(statement(INSERT_FEEDBACK, row)).count("feedback", class).affected();
    let stored =
        Query::reading(statement(FEEDBACK_OF, [id, text(&feedback.author), scope_param(scope)])).found();
    insert.and(stored).map(|(inserted, stored)| (stored, inserted > 0))
}

/// Stores what `author` thinks of a posted finding unless it repeats what they said last.
pub fn of_finding(job_key: &str, finding: &Finding, opinion: Opinion, author: &str, now: i64) -> Query<()> {
    let original = format!("{}/{}", finding.severity.label(), finding.category.label());
    let row = [
        text(job_key),
        text(&finding.fingerprint()),
        text(&original),
        text(opinion.label()),
        text(author),
        Value::Integer(now),
    ];
    Change::of(statement(FINDING_FEEDBACK, row)).count("finding_feedback", opinion.label()).done()
}

/// Stores that `author` did not want the last review of a pull request, if there is one.
pub(super) fn dismiss(repository: &str, pull: u64, author: &str, now: i64) -> Query<()> {
    let opinion = Opinion::Dismissed.label();
    let row = [text(repository), number(pull), text(opinion), text(author), Value::Integer(now)];
    Change::of(statement(DISMISS, row)).count("finding_feedback", opinion).done()
}

/// The latest `limit` rows of the audit, newest first.
pub fn feedback(scope: Scope, limit: u32) -> Query<Vec<FeedbackRecord>> {
    let limit = Value::Integer(i64::from(limit.min(super::HISTORY_LIMIT)));
    Query::reading(statement(FEEDBACK, [limit, scope_param(scope)])).rows()
}

/// The totals of what people said.
pub fn stats(scope: Scope) -> Query<FeedbackStats> {
    let totals = Query::reading(statement(FEEDBACK_TOTALS, [scope_param(scope)])).only::<TotalsRow>();
    let labels = Query::reading(statement(FEEDBACK_LABELS, [scope_param(scope)])).rows::<LabelRow>();
    totals.and(labels).map(|(totals, labels)| {
        let (findings, verdicts): (Vec<_>, Vec<_>) = labels.into_iter().partition(|row| row.of_finding);
        let counts = |rows: Vec<LabelRow>| rows.into_iter().map(|row| (row.label, row.count)).collect();
        FeedbackStats {
            total_records: totals.total,
            unique_authors: totals.authors,
            correction_rate: totals.corrections as f64 / totals.total.max(1) as f64,
            label_distribution: counts(verdicts),
            findings: counts(findings),
        }
    })
}

/// Forgets telemetry that is older than [`TELEMETRY_DAYS`] and that nobody spoke about.
pub fn forget_telemetry(now: i64) -> Query<()> {
    let args = [Value::Integer(now - TELEMETRY_DAYS * DAY_SECONDS), Value::Integer(FORGET_LIMIT)];
    Query::writing(statement(FORGET_TELEMETRY, args)).done()
}
