//! The queue of jobs as people and programs see it. How a job gets in is in [`super::outbox`], who works on it in
//! [`super::leases`], and what pauses it in [`super::pauses`].

use super::column;
use super::jobs::{JobKind, JobStatus, ReviewResult};
use super::leases::LEASE_SECONDS;
use super::pauses::{self, Breaker, Reason};
use super::query::{Query, Value};
use super::{json_of, number, optional, scope_param, statement, text, writes};
use crate::access::Scope;
use crate::github::rfc3339;
use serde::{Deserialize, Deserializer, Serialize};

/// A job as people and programs see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobRow {
    /// The idempotency key of the job.
    pub key: String,
    /// The kind of job.
    pub kind: JobKind,
    /// The repository as `owner/name`.
    pub repository: String,
    /// The pull request's number, or the inference's id.
    pub number: i64,
    /// The SHA of the commit.
    pub head_sha: Option<String>,
    /// The status of the job.
    pub status: JobStatus,
    /// How often the job was taken.
    pub attempts: i64,
    /// How often the job failed through its own fault.
    pub failures: i64,
    /// When the job was created, as RFC 3339.
    #[serde(deserialize_with = "column::time")]
    pub created_at: String,
    /// When the job ended, as RFC 3339.
    #[serde(deserialize_with = "column::optional_time")]
    pub finished_at: Option<String>,
    /// The reason why it failed, was skipped, or waits.
    pub error: Option<String>,
    /// The address of the posted review.
    pub review_url: Option<String>,
    /// What was found; None where nothing was, or where another version stored it in another shape.
    #[serde(deserialize_with = "column::json_or_default")]
    pub result: Option<ReviewResult>,
    /// The reason for waiting, while the job waits.
    #[serde(deserialize_with = "wait")]
    pub wait: Option<Wait>,
}

/// The reason why a job waits, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// Why its account on GitHub is paused; None where only the job is.
    pub reason: Option<Reason>,
    /// The job is not taken before this time, as RFC 3339.
    pub until: String,
}

/// The state of the queue, for `/metrics`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QueueState {
    /// How many jobs there are of each status.
    pub by_status: Vec<(JobStatus, u64)>,
    /// Seconds since the oldest lease was last renewed, 0 without any.
    pub oldest_lease_seconds: i64,
    /// Seconds that the oldest job which could be taken has waited.
    pub oldest_queued_seconds: i64,
    /// Writes to GitHub in the last hour, of the account that wrote most.
    /// [`WRITES_AN_HOUR`](super::writes::WRITES_AN_HOUR) is the end.
    pub writes_of_an_hour: i64,
    /// The accounts that are paused.
    pub breakers: Vec<Breaker>,
}

/// The columns of a [`JobRow`], of the rows that `$rest` says.
macro_rules! select_jobs {
    ($name:literal, $rest:literal) => {
        concat!(
            "-- ",
            $name,
            "
SELECT key, kind, repository, number, head_sha, status, attempts, failures, created_at, finished_at, error,
  review_url, result, CASE WHEN status = 'queued' THEN json_array(not_before, json((SELECT json_array(reason, retry_at)
    FROM breakers WHERE account IN ('token', 'app', COALESCE(CAST(installation_id AS TEXT), 'other'))
    ORDER BY retry_at DESC LIMIT 1))) END AS wait
FROM review_jobs ",
            $rest
        )
    };
}

const JOBS: &str = select_jobs!(
    "jobs",
    "WHERE (?1 IS NULL OR status = ?1) AND (?3 IS NULL OR installation_id = ?3)
  AND (?4 = '[]' OR kind IN (SELECT value FROM json_each(?4))) ORDER BY id DESC LIMIT ?2"
);
const JOB_BY_KEY: &str =
    select_jobs!("job_by_key", "WHERE key = ?1 AND (?2 IS NULL OR installation_id = ?2)");
const LAST_REVIEW: &str = select_jobs!(
    "last_review",
    "WHERE repository = ?1 AND number = ?2 AND kind = 'review' AND result IS NOT NULL ORDER BY id DESC LIMIT 1"
);

const REVIVE: &str = "-- revive_jobs
UPDATE review_jobs SET status = 'queued', attempts = 0, failures = 0, not_before = ?2, finished_at = NULL
WHERE status IN ('dead', 'failed', 'skipped', 'superseded') AND (key = ?1 OR (?1 IS NULL AND status = 'dead'))
  AND (?3 IS NULL OR installation_id = ?3)";

const QUEUE_STATE: &str = "-- queue_state
SELECT status, COUNT(*) AS jobs,
  COALESCE(MAX(CASE WHEN status = 'running' THEN ?1 - lease_until + ?2 END), 0) AS lease_age,
  COALESCE(MAX(CASE WHEN status = 'queued' AND not_before <= ?1 THEN ?1 - not_before END), 0) AS queued_age
FROM review_jobs GROUP BY status ORDER BY status";

#[derive(Deserialize)]
struct StatusCount {
    status: JobStatus,
    jobs: u64,
    lease_age: i64,
    queued_age: i64,
}

/// The latest jobs, newest first: of one status or of all, and of these kinds or, where none is named, of all.
pub fn list(scope: Scope, status: Option<JobStatus>, kinds: &[JobKind], limit: u32) -> Query<Vec<JobRow>> {
    let (limit, kinds) = (Value::Integer(i64::from(limit)), Value::Text(json_of(&kinds)));
    let args = [optional(status.map(JobStatus::label)), limit, scope_param(scope), kinds];
    Query::reading(statement(JOBS, args)).rows()
}

/// The job of this key. [`crate::Error::NotFound`] where there is none.
pub fn by_key(scope: Scope, key: &str) -> Query<JobRow> {
    Query::reading(statement(JOB_BY_KEY, [text(key), scope_param(scope)])).found()
}

/// The last review of a pull request that came to a result.
pub fn last_review(repository: &str, pull: u64) -> Query<Option<JobRow>> {
    Query::reading(statement(LAST_REVIEW, [text(repository), number(pull)])).first()
}

/// Queues a job again that ended without a review: the one of this key, or all that are dead. Answers how many.
pub fn revive(scope: Scope, key: Option<&str>, now: i64) -> Query<u64> {
    Query::writing(statement(REVIVE, [optional(key), Value::Integer(now), scope_param(scope)])).affected()
}

/// How long the queue is, how old its parts, and what was written to GitHub.
pub fn state(now: i64) -> Query<QueueState> {
    let counts = [Value::Integer(now), Value::Integer(LEASE_SECONDS)];
    let counts = Query::reading(statement(QUEUE_STATE, counts)).rows::<StatusCount>();
    let all = counts.and(writes::of_an_hour(now)).and(pauses::breakers(Scope::All));
    all.map(|((counts, writes_of_an_hour), breakers)| QueueState {
        by_status: counts.iter().map(|row| (row.status, row.jobs)).collect(),
        oldest_lease_seconds: counts.iter().map(|row| row.lease_age).fold(0, i64::max),
        oldest_queued_seconds: counts.iter().map(|row| row.queued_age).fold(0, i64::max),
        writes_of_an_hour,
        breakers,
    })
}

// === the column `wait` ===

#[derive(Deserialize)]
#[serde(untagged)]
enum WaitColumn {
    /// `[not_before, [reason, retry_at] or null]`, in JSON.
    Stored(String),
    Told(Wait),
}

fn wait<'de, D: Deserializer<'de>>(column: D) -> Result<Option<Wait>, D::Error> {
    match Option::<WaitColumn>::deserialize(column)? {
        None => Ok(None),
        Some(WaitColumn::Told(wait)) => Ok(Some(wait)),
        Some(WaitColumn::Stored(json)) => {
            let (not_before, breaker): (i64, Option<(Reason, i64)>) =
                serde_json::from_str(&json).map_err(serde::de::Error::custom)?;
            let until = breaker.map_or(not_before, |(_, retry_at)| not_before.max(retry_at));
            Ok(Some(Wait { reason: breaker.map(|(reason, _)| reason), until: rfc3339(until) }))
        }
    }
}
