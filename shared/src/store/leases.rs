//! The leases of jobs.
//!
//! A lease says that another node may be assumed alive, not that it is. So every statement that ends a job names the
//! lease's owner, and changes nothing once another node has the job.

use super::column;
use super::jobs::{self, JobKind, JobStatus, ReviewResult};
use super::pauses::{self, Identity, account_of_job, is_let_through};
use super::query::{Change, Query, Value};
use super::{json_of, optional, statement, text};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The seconds that a node may be silent about a job before another node takes it.
pub const LEASE_SECONDS: i64 = 60;
/// The number of own failures before a job is dead. [`pauses`] handles trouble that the job did not cause.
pub const FAILURES_MAX: i64 = 3;
/// How often a job may be taken at all. A job that crashes its node each time ends here.
pub const ATTEMPTS_MAX: i64 = 10;

/// A job that this node holds.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Leased {
    /// The id of the job's row.
    pub id: i64,
    /// The kind of job.
    pub kind: JobKind,
    /// The repository as `owner/name`.
    pub repository: String,
    /// The idempotency key of the job.
    pub key: String,
    /// The pull request's number, or the inference's id.
    pub number: u64,
    /// The commit the event was about; None for a comment's.
    pub head_sha: Option<String>,
    /// The App installation that the event came through.
    pub installation_id: Option<u64>,
    /// How often it was taken, this time included.
    pub attempts: i64,
    /// What an earlier try found and stored. One that an older version stored in another shape is computed again.
    #[serde(deserialize_with = "column::json_or_default")]
    pub result: Option<ReviewResult>,
    /// When the job was created, in Unix seconds.
    pub created_at: i64,
}

/// The state in which [`renew`] found a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewed {
    /// The job is still this node's.
    Held,
    /// The job is this node's, but a newer commit waits, so nothing should be posted about this one.
    Outdated,
    /// Another node has it.
    Lost,
}

/// How a job ended.
#[derive(Debug, Clone, Copy)]
pub struct Ending<'a> {
    /// `Done`, `Skipped`, `Failed` or `Superseded`.
    pub status: JobStatus,
    /// The reason, if the job was not done.
    pub reason: Option<&'a str>,
    /// The address of the posted review.
    pub review_url: Option<&'a str>,
    /// The number of posted comments of each severity.
    pub posted: &'a BTreeMap<&'static str, u32>,
}

const BURY: &str = "-- bury_jobs
UPDATE review_jobs SET status = 'dead', finished_at = ?1, error = 'its node went away each time it was taken'
WHERE status = 'running' AND lease_until < ?1 AND attempts >= ?2";

// One pull request is worked on by one node at a time, or two jobs of it could say the same thing twice. The number of
// a verdict's job is an inference's, not a pull request's.
const CLAIM: &str = concat!(
    "-- claim_job
UPDATE review_jobs SET status = 'running', lease_owner = ?1, lease_until = ?3, attempts = attempts + 1
WHERE id = (SELECT id FROM review_jobs AS free
  WHERE ((status = 'queued' AND not_before <= ?2) OR (status = 'running' AND lease_until < ?2))
    AND NOT EXISTS (SELECT 1 FROM review_jobs AS held WHERE held.repository = free.repository
      AND held.number = free.number AND (held.kind = 'verdict') = (free.kind = 'verdict')
      AND held.status = 'running' AND held.lease_until >= ?2 AND held.id <> free.id)
    AND ",
    is_let_through!(),
    "
  ORDER BY not_before, id LIMIT 1)
RETURNING id, key, kind, repository, number, head_sha, installation_id, attempts, result, created_at"
);

// A newer commit makes a review outdated, and nothing else.
const RENEW: &str = "-- renew_lease
UPDATE review_jobs SET lease_until = ?3 WHERE id = ?1 AND lease_owner = ?2 AND status = 'running'
RETURNING (SELECT COUNT(*) FROM review_jobs AS newer
  WHERE review_jobs.kind = 'review' AND newer.repository = review_jobs.repository
  AND newer.number = review_jobs.number AND newer.kind = 'review' AND newer.status = 'queued'
  AND newer.id > review_jobs.id AND newer.head_sha <> review_jobs.head_sha) AS newer";

const KEEP_RESULT: &str = "-- keep_result
UPDATE review_jobs SET result = ?3, head_sha = ?4 WHERE id = ?1 AND lease_owner = ?2 AND status = 'running'";

const FINISH: &str = "-- finish_job
UPDATE review_jobs SET status = ?3, finished_at = ?4, error = ?5, review_url = ?6, lease_owner = NULL
WHERE id = ?1 AND lease_owner = ?2 AND status = 'running'";

const RETRY: &str = "-- retry_job
UPDATE review_jobs SET status = CASE WHEN failures + 1 >= ?6 THEN 'dead' ELSE 'queued' END,
  finished_at = CASE WHEN failures + 1 >= ?6 THEN ?5 END, failures = failures + 1, not_before = ?4, error = ?3,
  lease_owner = NULL
WHERE id = ?1 AND lease_owner = ?2 AND status = 'running' RETURNING status";

const RELEASE: &str = "-- release_job
UPDATE review_jobs SET status = 'queued', attempts = attempts - 1, not_before = ?3, lease_owner = NULL
WHERE id = ?1 AND lease_owner = ?2 AND status = 'running'";

#[derive(Deserialize)]
struct RenewedRow {
    newer: i64,
}

/// Takes one job that is due and whose account is not paused, if there is one.
pub fn claim(owner: &str, identity: Identity, now: i64) -> Query<Option<Leased>> {
    let lease_until = now + LEASE_SECONDS;
    let bury = statement(BURY, [Value::Integer(now), Value::Integer(ATTEMPTS_MAX)]);
    let args = [text(owner), Value::Integer(now), Value::Integer(lease_until), text(identity.label())];
    Query::writing(bury)
        .done()
        .with(pauses::before_claim(identity, now))
        .then(Query::writing(statement(CLAIM, args)).first())
        .with(pauses::after_claim(owner, identity, lease_until, now))
}

/// Renews the lease, which says that the node is alive.
pub fn renew(id: i64, owner: &str, now: i64) -> Query<Renewed> {
    let args = [Value::Integer(id), text(owner), Value::Integer(now + LEASE_SECONDS)];
    Query::writing(statement(RENEW, args)).first().map(|row| match row {
        None => Renewed::Lost,
        Some(RenewedRow { newer: 0 }) => Renewed::Held,
        Some(_) => Renewed::Outdated,
    })
}

/// Stores what was found, before it is posted.
pub fn keep_result(id: i64, owner: &str, result: &ReviewResult) -> Query<()> {
    let row = [Value::Integer(id), text(owner), Value::Text(json_of(result)), text(&result.head_sha)];
    Query::writing(statement(KEEP_RESULT, row)).done()
}

/// Ends a job and counts what it posted. Answers whether it did: another node may have the job.
pub fn finish(id: i64, owner: &str, ending: &Ending<'_>, now: i64) -> Query<bool> {
    let row = [
        Value::Integer(id),
        text(owner),
        text(ending.status.label()),
        Value::Integer(now),
        optional(ending.reason),
        optional(ending.review_url),
    ];
    let finish = Change::of(statement(FINISH, row)).count("jobs", ending.status.label());
    let posted = ending.posted.iter();
    let finish = posted.fold(finish, |finish, (severity, n)| finish.count_by("comments", severity, *n));
    finish.affected().map(|ended| ended > 0).with(pauses::forget())
}

/// Puts a job back for `not_before` that failed by itself, or buries it after [`FAILURES_MAX`] such errors. Answers which;
/// None where another node has the job.
pub fn retry(id: i64, owner: &str, error: &str, not_before: i64, now: i64) -> Query<Option<JobStatus>> {
    let args = [
        Value::Integer(id),
        text(owner),
        text(error),
        Value::Integer(not_before),
        Value::Integer(now),
        Value::Integer(FAILURES_MAX),
    ];
    pauses::end(id).then(jobs::status(Query::writing(statement(RETRY, args))))
}

/// Gives a job back untouched, because its node stops.
pub fn release(id: i64, owner: &str, now: i64) -> Query<()> {
    Query::writing(statement(RELEASE, [Value::Integer(id), text(owner), Value::Integer(now)])).done()
}
