//! Deletes rows: all rows after their time, and the rows of a repository when its people ask.
//!
//! Counters and drift histograms name no repository and stay.

use super::query::{Query, Value};
use super::{DAY_SECONDS, scope_param, statement, text};
use crate::access::Scope;

/// The days for which verdicts, reviews, corrections and the ledger are kept by default.
pub const RETENTION_DAYS: i64 = 365;
/// The number of rows of each table that one sweep deletes. A backlog takes several sweeps.
const FORGET_LIMIT: i64 = 500;

// Children first, each by the same choice of parents, in one transaction. Triggers delete the failures of verdicts, the
// tests of reports, and causes and tests without a failure.
const OLD: [&str; 10] = [
    "-- forget_evidence_notes_of
DELETE FROM evidence_notes WHERE inference_id IN
  (SELECT id FROM inferences WHERE timestamp < ?1 ORDER BY timestamp, id LIMIT ?2)",
    "-- forget_telemetry_of
DELETE FROM telemetry WHERE inference_id IN
  (SELECT id FROM inferences WHERE timestamp < ?1 ORDER BY timestamp, id LIMIT ?2)",
    "-- forget_feedback_of
DELETE FROM feedback WHERE inference_id IN
  (SELECT id FROM inferences WHERE timestamp < ?1 ORDER BY timestamp, id LIMIT ?2)",
    "-- forget_inferences
DELETE FROM inferences WHERE id IN
  (SELECT id FROM inferences WHERE timestamp < ?1 ORDER BY timestamp, id LIMIT ?2)",
    "-- forget_runs
DELETE FROM runs WHERE (repository, run_id, run_attempt) IN
  (SELECT repository, run_id, run_attempt FROM runs WHERE ended_at < ?1 ORDER BY ended_at LIMIT ?2)",
    "-- forget_reports
DELETE FROM reports WHERE id IN (SELECT id FROM reports WHERE received_at < ?1 ORDER BY received_at LIMIT ?2)",
    "-- forget_retries
DELETE FROM retries WHERE (repository, workflow, head_sha) IN
  (SELECT repository, workflow, head_sha FROM retries WHERE claimed_at < ?1 ORDER BY claimed_at LIMIT ?2)",
    "-- forget_opinions_of
DELETE FROM feedback WHERE job_key IN
  (SELECT key FROM review_jobs WHERE finished_at < ?1 AND status NOT IN ('queued', 'running') ORDER BY id LIMIT ?2)",
    "-- forget_jobs
DELETE FROM review_jobs WHERE id IN
  (SELECT id FROM review_jobs WHERE finished_at < ?1 AND status NOT IN ('queued', 'running') ORDER BY id LIMIT ?2)",
    "-- forget_deliveries
DELETE FROM deliveries WHERE (hook, id) IN (SELECT hook, id FROM deliveries WHERE received_at < ?1
  AND status <> 'queued' ORDER BY received_at LIMIT ?2)",
];

const OF_REPOSITORY: [&str; 13] = [
    "-- erase_evidence_notes
DELETE FROM evidence_notes WHERE inference_id IN
  (SELECT id FROM inferences WHERE repository = ?1 AND (?2 IS NULL OR installation_id = ?2))",
    "-- erase_telemetry
DELETE FROM telemetry WHERE inference_id IN
  (SELECT id FROM inferences WHERE repository = ?1 AND (?2 IS NULL OR installation_id = ?2))",
    "-- erase_feedback
DELETE FROM feedback WHERE inference_id IN
  (SELECT id FROM inferences WHERE repository = ?1 AND (?2 IS NULL OR installation_id = ?2))",
    "-- erase_opinions
DELETE FROM feedback WHERE job_key IN
  (SELECT key FROM review_jobs WHERE repository = ?1 AND (?2 IS NULL OR installation_id = ?2))",
    "-- erase_inferences
DELETE FROM inferences WHERE repository = ?1 AND (?2 IS NULL OR installation_id = ?2)",
    "-- erase_runs
DELETE FROM runs WHERE repository = ?1 AND (?2 IS NULL OR installation_id = ?2)",
    "-- erase_reports
DELETE FROM reports WHERE repository = ?1 AND (?2 IS NULL OR installation_id = ?2)",
    "-- erase_retries
DELETE FROM retries WHERE repository = ?1 AND (?2 IS NULL OR installation_id = ?2)",
    "-- erase_known_issues
DELETE FROM known_issues WHERE repository = ?1 AND (?2 IS NULL OR installation_id = ?2)",
    "-- erase_pauses
DELETE FROM job_pauses WHERE job_key IN
  (SELECT key FROM review_jobs WHERE repository = ?1 AND (?2 IS NULL OR installation_id = ?2))",
    "-- erase_jobs
DELETE FROM review_jobs WHERE repository = ?1 AND (?2 IS NULL OR installation_id = ?2)",
    "-- erase_deliveries
DELETE FROM deliveries WHERE repository = ?1 AND (?2 IS NULL OR installation_id = ?2)",
    // Silence is a row of the repository too; it names no installation.
    "-- erase_silence
DELETE FROM muted_pulls WHERE repository = ?1 AND ?2 IS NULL",
];

/// Deletes rows that are older than `days`; nothing if that is 0.
pub fn old(now: i64, days: i64) -> Query<()> {
    if days == 0 {
        return Query::nothing();
    }
    let args = || [Value::Integer(now - days * DAY_SECONDS), Value::Integer(FORGET_LIMIT)];
    OLD.iter().map(|sql| Query::writing(statement(sql, args())).done()).collect()
}

/// Deletes every row of `repository` and returns how many there were.
pub fn repository(scope: Scope, repository: &str) -> Query<u64> {
    let erase = |sql| Query::writing(statement(sql, [text(repository), scope_param(scope)])).affected();
    let none = Query::nothing().map(|()| 0);
    OF_REPOSITORY.iter().fold(none, |all, sql| all.and(erase(sql)).map(|(sum, rows)| sum + rows))
}
