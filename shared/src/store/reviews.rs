//! The statements of reviews: the outbox, the queue with its leases, the results, and the account of writes.
//!
//! A lease says that another node may be assumed alive, not that it is: every statement that ends a job names the
//! lease's owner, and changes nothing once another node has it. What pauses a job that is not to blame is in
//! [`pauses`].

use super::pauses::{self, Breaker, Identity, account_of_job, is_let_through};
use super::{
    DAY_SECONDS, Rows, Statement, Transaction, Value, count_if_changed, held_to, json_of, number, optional,
    statement, text, text_in,
};
use crate::access::Scope;
use crate::github::rfc3339;
use crate::review::receipt::Receipt;
use crate::review::select::Withheld;
use crate::review::{Finding, ReviewJob};
use crate::webhook::DeliveryKey;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How long a node may be silent about a job before another takes it, in seconds.
pub const LEASE_SECONDS: i64 = 60;
/// Errors of its own before a job is dead; see [`pauses`] for trouble that is none of its own.
pub const FAILURES_MAX: i64 = 3;
/// How often a job may be taken at all: one that takes its node down each time ends here.
pub const ATTEMPTS_MAX: i64 = 10;
/// Jobs that one sweep of the edge submits.
pub const SUBMIT_LIMIT: i64 = 20;
/// GitHub's limits on writes by one account
/// (<https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits>).
pub const WRITES_A_MINUTE: i64 = 80;
/// See [`WRITES_A_MINUTE`].
pub const WRITES_AN_HOUR: i64 = 500;
/// Milliseconds between two writes.
pub const WRITE_SPACING_MS: i64 = 1000;

/// Seconds between two looks at the reactions to one review.
pub const HEAR_EVERY: i64 = 6 * 60 * 60;
/// Seconds after which a review is not listened to any more.
pub const HEAR_FOR: i64 = 14 * DAY_SECONDS;

/// What a job asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Review a pull request.
    Review,
    /// Say how its last review came about.
    Explain,
    /// Tell why a run failed; the job's number is the inference's id.
    Verdict,
}

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum JobStatus {
    Queued,
    Running,
    Done,
    /// There was nothing to do: a draft, a closed pull request, a policy that says no. A new event revives it.
    Skipped,
    /// GitHub refused for good.
    Failed,
    /// Given up after [`FAILURES_MAX`] errors of its own, or after three days of pauses; `sentinel jobs retry` revives it.
    Dead,
    /// The pull request has a newer head.
    Superseded,
}

/// A job that this node holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Leased {
    /// Row id.
    pub id: i64,
    /// What is asked.
    pub kind: JobKind,
    /// Where and for which key.
    pub repository: String,
    /// The job's key.
    pub key: String,
    /// The pull request or inference.
    pub number: u64,
    /// The commit the event was about; None for a comment's.
    pub head_sha: Option<String>,
    /// The App installation.
    pub installation_id: Option<u64>,
    /// How often it was taken, this time included.
    pub attempts: i64,
    /// What an earlier try found and stored.
    pub result: Option<ReviewResult>,
    /// Unix seconds.
    pub created_at: i64,
}

/// What a review found, before it is posted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReviewResult {
    /// The commit that was reviewed.
    pub head_sha: String,
    /// To be shown, the most urgent first.
    pub findings: Vec<Finding>,
    /// Not to be shown.
    pub withheld: BTreeMap<Withheld, u32>,
    /// The account.
    pub receipt: Receipt,
    /// Which model.
    pub model_version: String,
    /// Hexadecimal SHA-256 of what the model was shown.
    pub input_sha256: String,
}

/// A job as people and programs see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobRow {
    /// The key.
    pub key: String,
    /// `review`, `explain` or `verdict`.
    pub kind: String,
    /// `owner/name`.
    pub repository: String,
    /// The pull request.
    pub number: i64,
    /// The commit.
    pub head_sha: Option<String>,
    /// See [`JobStatus`].
    pub status: String,
    /// Times taken.
    pub attempts: i64,
    /// Times failed.
    pub failures: i64,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub finished_at: Option<String>,
    /// Why it failed, was skipped, or waits.
    pub error: Option<String>,
    /// Where it was posted.
    pub review_url: Option<String>,
    /// What was found.
    pub result: Option<ReviewResult>,
    /// Why it waits, while it does.
    pub wait: Option<Wait>,
}

/// Why a job waits, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wait {
    /// Why its account on GitHub is paused, see [`pauses::Reason`]; None where only the job is.
    pub reason: Option<String>,
    /// RFC 3339: not taken before.
    pub until: String,
}

/// The state of the queue, for `/metrics`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QueueState {
    /// (status, jobs).
    pub by_status: Vec<(String, u64)>,
    /// Seconds since the oldest lease was last renewed, 0 without any.
    pub oldest_lease_seconds: i64,
    /// Seconds that the oldest job which could be taken has waited.
    pub oldest_queued_seconds: i64,
    /// Writes to GitHub in the last hour, of the account that wrote most; [`WRITES_AN_HOUR`] is the end.
    pub writes_of_an_hour: i64,
    /// The accounts that are paused.
    pub breakers: Vec<Breaker>,
}

const BEGIN_DONE_DELIVERY: &str = "-- begin_done_delivery
INSERT INTO deliveries (hook, id, event, repository, installation_id, status, lease_until, received_at, finished_at)
VALUES (?1, ?2, ?3, ?4, ?5, 'done', ?6, ?6, ?6) ON CONFLICT (hook, id) DO NOTHING";

const ENQUEUE: &str = "-- enqueue_job
INSERT INTO review_jobs (key, kind, repository, number, base_sha, head_sha, installation_id, status, not_before, created_at)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, 'queued', ?8, ?8
WHERE NOT EXISTS (SELECT 1 FROM muted_pulls WHERE repository = ?3 AND number = ?4 AND ?2 = 'review')
ON CONFLICT (key) DO UPDATE SET status = 'queued', attempts = 0, failures = 0, not_before = ?8, error = NULL,
  finished_at = NULL WHERE status IN ('skipped', 'superseded')";

const ENQUEUE_VERDICT: &str = "-- enqueue_verdict
INSERT INTO review_jobs (key, kind, repository, number, head_sha, installation_id, status, not_before, created_at)
SELECT repository || '!' || subject, 'verdict', repository, id, head_sha, installation_id, 'queued', ?3, ?3
FROM inferences WHERE repository = ?1 AND subject = ?2 AND prediction <> 'Unknown' AND head_sha IS NOT NULL
ON CONFLICT (key) DO NOTHING";

// Only a review does so: a node that is told of a job that waits doesn't know its kind.
const SUPERSEDE: &str = "-- supersede_jobs
UPDATE review_jobs SET status = 'superseded', finished_at = ?4, error = 'a newer commit was pushed'
WHERE repository = ?1 AND number = ?2 AND kind = 'review' AND status = 'queued' AND head_sha <> ?3
  AND EXISTS (SELECT 1 FROM review_jobs AS newer WHERE newer.key = ?5 AND newer.kind = 'review')";

const JOB_STATUS: &str = "-- job_status
SELECT status FROM review_jobs WHERE key = ?1";

const MUTE: &str = "-- mute_pull
INSERT INTO muted_pulls (repository, number, muted_by, muted_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";

const CANCEL_OF_PULL: &str = "-- cancel_jobs_of_pull
UPDATE review_jobs SET status = 'skipped', finished_at = ?3, error = 'muted by /sentinel ignore'
WHERE repository = ?1 AND number = ?2 AND kind = 'review' AND status = 'queued'";

const UNMUTE: &str = "-- unmute_pull
DELETE FROM muted_pulls WHERE repository = ?1 AND number = ?2";

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
  AND newer.id > review_jobs.id AND newer.head_sha <> review_jobs.head_sha)";

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

const DUE: &str = "-- due_jobs
SELECT key, repository, number, base_sha, head_sha, installation_id FROM review_jobs
WHERE (status = 'queued' AND not_before <= ?1) OR (status = 'running' AND lease_until < ?1)
ORDER BY not_before, id LIMIT ?2";

/// The columns [`job_row`] reads, of the rows that `$rest` says.
macro_rules! select_jobs {
    ($name:literal, $rest:literal) => {
        concat!(
            "-- ",
            $name,
            "
SELECT key, kind, repository, number, head_sha, status, attempts, failures, created_at, finished_at, error,
  review_url, result, CASE WHEN status = 'queued' THEN not_before END,
  (SELECT json_array(reason, retry_at) FROM breakers WHERE status = 'queued'
    AND account IN ('token', 'app', COALESCE(CAST(installation_id AS TEXT), 'other')) ORDER BY retry_at DESC LIMIT 1)
FROM review_jobs ",
            $rest
        )
    };
}

const JOBS: &str = select_jobs!(
    "jobs",
    "WHERE (?1 IS NULL OR status = ?1) AND (?3 IS NULL OR installation_id = ?3) ORDER BY id DESC LIMIT ?2"
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

// Taken by being marked, so that of many nodes one asks GitHub.
const HEAR: &str = "-- hear_reactions
UPDATE review_jobs SET heard_at = ?1 WHERE id = (SELECT id FROM review_jobs
  WHERE kind = 'review' AND status = 'done' AND review_url IS NOT NULL AND finished_at > ?1 - ?2
    AND COALESCE(heard_at, finished_at) <= ?1 - ?3
    AND NOT EXISTS (SELECT 1 FROM breakers WHERE retry_at > ?1
      AND account IN (?4, COALESCE(CAST(installation_id AS TEXT), 'other')))
  ORDER BY COALESCE(heard_at, 0), id LIMIT 1)
RETURNING key, repository, number, installation_id, result";

const QUEUE_STATE: &str = "-- queue_state
SELECT status, COUNT(*), COALESCE(MAX(CASE WHEN status = 'running' THEN ?1 - lease_until + ?2 END), 0),
  COALESCE(MAX(CASE WHEN status = 'queued' AND not_before <= ?1 THEN ?1 - not_before END), 0)
FROM review_jobs GROUP BY status ORDER BY status";

const WRITES: &str = "-- github_writes
SELECT COUNT(*) FROM github_writes WHERE at_ms > ?1 * 1000 - 3600000 GROUP BY account ORDER BY 1 DESC LIMIT 1";

const TAKE_WRITE: &str = "-- take_write
INSERT INTO github_writes (account, at_ms) SELECT ?1, ?2
WHERE NOT EXISTS (SELECT 1 FROM github_writes WHERE account = ?1 AND at_ms > ?2 - ?3)
  AND (SELECT COUNT(*) FROM github_writes WHERE account = ?1 AND at_ms > ?2 - 60000) < ?4
  AND (SELECT COUNT(*) FROM github_writes WHERE account = ?1 AND at_ms > ?2 - 3600000) < ?5";

const FORGET_WRITES: &str = "-- forget_writes
DELETE FROM github_writes WHERE at_ms < ?1 - 3600000";

// === the edge: into the outbox ===

/// Records a delivery and the job it asks for, before it is acknowledged. Read the answer with [`enqueued`].
#[must_use]
pub fn accept(delivery: &DeliveryKey, event: &str, kind: JobKind, job: &ReviewJob, now: i64) -> Transaction {
    let mut statements = vec![
        statement(
            BEGIN_DONE_DELIVERY,
            [
                text(&delivery.hook),
                text(&delivery.id),
                text(event),
                text(&job.repository),
                id_of(job.installation_id),
                Value::Integer(now),
            ],
        ),
        count_if_changed("deliveries", event, 1),
    ];
    statements.extend(enqueue(kind, job, now).0);
    Transaction(statements)
}

/// Queues a job, once for its key, and cancels what is queued for older commits of the same pull request.
#[must_use]
pub fn enqueue(kind: JobKind, job: &ReviewJob, now: i64) -> Transaction {
    let mut statements = vec![statement(
        ENQUEUE,
        [
            text(&job.key),
            text(kind.label()),
            text(&job.repository),
            number(job.number),
            optional(job.base_sha.as_deref()),
            optional(job.head_sha.as_deref()),
            id_of(job.installation_id),
            Value::Integer(now),
        ],
    )];
    if let (JobKind::Review, Some(head)) = (kind, &job.head_sha) {
        statements.push(statement(
            SUPERSEDE,
            [text(&job.repository), number(job.number), text(head), Value::Integer(now), text(&job.key)],
        ));
    }
    statements.push(statement(JOB_STATUS, [text(&job.key)]));
    Transaction(statements)
}

/// Queues the telling of a verdict that is stored, once; a verdict that says nothing is not told.
#[must_use]
pub fn tell_verdict(repository: &str, subject: &str, now: i64) -> Statement {
    statement(ENQUEUE_VERDICT, [text(repository), text(subject), Value::Integer(now)])
}

/// How the job of [`accept`] or [`enqueue`] stands; None where its pull request is muted.
///
/// # Errors
/// [`Error::StoreShape`].
pub fn enqueued(answers: &[Rows]) -> Result<Option<JobStatus>> {
    let status = answers.last().ok_or(Error::StoreShape("enqueue_job"))?;
    match status.rows.first().map(Vec::as_slice) {
        None => Ok(None),
        Some([Value::Text(status)]) => {
            JobStatus::parse(status).map(Some).ok_or(Error::StoreShape("job_status"))
        }
        Some(_) => Err(Error::StoreShape("job_status")),
    }
}

/// Records a delivery that asks for silence: no more reviews of this pull request.
#[must_use]
pub fn mute(delivery: &DeliveryKey, event: &str, job: &ReviewJob, by: &str, now: i64) -> Transaction {
    let pull = || [text(&job.repository), number(job.number)];
    let [repository, at] = pull();
    let mut statements = accept(delivery, event, JobKind::Review, job, now).0;
    statements.truncate(2);
    statements.push(statement(MUTE, [repository.clone(), at.clone(), text(by), Value::Integer(now)]));
    statements.push(statement(CANCEL_OF_PULL, [repository, at, Value::Integer(now)]));
    statements.extend(super::feedback::dismiss(&job.repository, job.number as i64, by, now));
    Transaction(statements)
}

/// Ends the silence: somebody asks for a review again.
#[must_use]
pub fn unmute(job: &ReviewJob) -> Transaction {
    Transaction(vec![statement(UNMUTE, [text(&job.repository), number(job.number)])])
}

/// The jobs a node should be told of. Read the answer with [`due_jobs`].
#[must_use]
pub fn due(now: i64) -> Statement {
    statement(DUE, [Value::Integer(now), Value::Integer(SUBMIT_LIMIT)])
}

/// The jobs in [`due`]'s answer.
///
/// # Errors
/// [`Error::StoreShape`].
pub fn due_jobs(rows: &Rows) -> Result<Vec<ReviewJob>> {
    let job = |row: &Vec<Value>| match row.as_slice() {
        [Value::Text(key), Value::Text(repository), Value::Integer(number), base, head, installation] => {
            Some(ReviewJob {
                key: key.clone(),
                repository: repository.clone(),
                number: u64::try_from(*number).ok()?,
                base_sha: text_in(base),
                head_sha: text_in(head),
                installation_id: id_in(installation),
            })
        }
        _ => None,
    };
    rows.rows.iter().map(|row| job(row).ok_or(Error::StoreShape("due_jobs"))).collect()
}

// === the node: leases ===

/// Takes one job that is due and whose account is not paused, if there is one. Read the answer with [`claimed`].
#[must_use]
pub fn claim(owner: &str, identity: Identity, now: i64) -> Transaction {
    let lease_until = now + LEASE_SECONDS;
    let mut statements = vec![statement(BURY, [Value::Integer(now), Value::Integer(ATTEMPTS_MAX)])];
    statements.extend(pauses::before_claim(identity, now));
    let args = [text(owner), Value::Integer(now), Value::Integer(lease_until), text(identity.label())];
    statements.push(statement(CLAIM, args));
    statements.push(pauses::after_claim(owner, identity, lease_until, now));
    Transaction(statements)
}

/// The job in [`claim`]'s answer.
///
/// # Errors
/// [`Error::StoreShape`].
pub fn claimed(answers: &[Rows]) -> Result<Option<Leased>> {
    let [.., rows, _] = answers else { return Err(Error::StoreShape("claim_job")) };
    rows.rows.first().map(|row| leased(row).ok_or(Error::StoreShape("claim_job"))).transpose()
}

/// Says that the node is alive. Read the answer with [`renewed`].
#[must_use]
pub fn renew(id: i64, owner: &str, now: i64) -> Transaction {
    let args = [Value::Integer(id), text(owner), Value::Integer(now + LEASE_SECONDS)];
    Transaction(vec![statement(RENEW, args)])
}

/// What [`renew`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewed {
    /// The job is still this node's.
    Held,
    /// It is, and a newer commit waits: nothing should be posted about this one.
    Outdated,
    /// Another node has it.
    Lost,
}

/// What [`renew`]'s answer means.
///
/// # Errors
/// [`Error::StoreShape`].
pub fn renewed(answers: &[Rows]) -> Result<Renewed> {
    let [rows] = answers else { return Err(Error::StoreShape("renew_lease")) };
    match rows.rows.first().map(Vec::as_slice) {
        None => Ok(Renewed::Lost),
        Some([Value::Integer(0)]) => Ok(Renewed::Held),
        Some([Value::Integer(_)]) => Ok(Renewed::Outdated),
        Some(_) => Err(Error::StoreShape("renew_lease")),
    }
}

/// Stores what was found, before it is posted.
#[must_use]
pub fn keep_result(id: i64, owner: &str, result: &ReviewResult) -> Transaction {
    Transaction(vec![statement(
        KEEP_RESULT,
        [Value::Integer(id), text(owner), Value::Text(json_of(result)), text(&result.head_sha)],
    )])
}

/// How a job ended.
#[derive(Debug, Clone, Copy)]
pub struct Ending<'a> {
    /// `Done`, `Skipped`, `Failed` or `Superseded`.
    pub status: JobStatus,
    /// Why, where it was not done.
    pub reason: Option<&'a str>,
    /// Where it was posted.
    pub review_url: Option<&'a str>,
    /// (severity, comments) that were posted.
    pub posted: &'a BTreeMap<&'static str, u32>,
}

/// Ends a job and counts what it posted. Changes nothing where another node has the job.
#[must_use]
pub fn finish(id: i64, owner: &str, ending: &Ending<'_>, now: i64) -> Transaction {
    let mut statements = vec![
        statement(
            FINISH,
            [
                Value::Integer(id),
                text(owner),
                text(ending.status.label()),
                Value::Integer(now),
                optional(ending.reason),
                optional(ending.review_url),
            ],
        ),
        count_if_changed("jobs", ending.status.label(), 1),
    ];
    // Each count follows a change: the one before it.
    statements.extend(
        ending.posted.iter().map(|(severity, n)| count_if_changed("comments", severity, i64::from(*n))),
    );
    statements.push(pauses::forget());
    Transaction(statements)
}

/// Puts a job back for `not_before` that failed by itself, or buries it after [`FAILURES_MAX`] such errors. Read the answer with [`retried`].
#[must_use]
pub fn retry(id: i64, owner: &str, error: &str, not_before: i64, now: i64) -> Transaction {
    let args = [
        Value::Integer(id),
        text(owner),
        text(error),
        Value::Integer(not_before),
        Value::Integer(now),
        Value::Integer(FAILURES_MAX),
    ];
    Transaction(vec![pauses::end(id), statement(RETRY, args)])
}

/// Whether [`retry`] queued or buried the job; None where another node has it.
///
/// # Errors
/// [`Error::StoreShape`].
pub fn retried(answers: &[Rows]) -> Result<Option<JobStatus>> {
    enqueued(answers)
}

/// Gives a job back untouched: its node is going down.
#[must_use]
pub fn release(id: i64, owner: &str, now: i64) -> Transaction {
    Transaction(vec![statement(RELEASE, [Value::Integer(id), text(owner), Value::Integer(now)])])
}

/// Asks whether `account` may write to GitHub now; the answer's `affected` is 1 if so, and the write is counted.
#[must_use]
pub fn take_write(account: &str, now_ms: i64) -> Transaction {
    Transaction(vec![
        statement(FORGET_WRITES, [Value::Integer(now_ms)]),
        statement(
            TAKE_WRITE,
            [
                text(account),
                Value::Integer(now_ms),
                Value::Integer(WRITE_SPACING_MS),
                Value::Integer(WRITES_A_MINUTE),
                Value::Integer(WRITES_AN_HOUR),
            ],
        ),
    ])
}

// === people and programs ===

/// The latest jobs, of one status or of all. Read the answer with [`job_rows`].
#[must_use]
pub fn jobs(scope: Scope, status: Option<JobStatus>, limit: u32) -> Statement {
    let limit = Value::Integer(i64::from(limit));
    statement(JOBS, [optional(status.map(JobStatus::label)), limit, held_to(scope)])
}

/// The job of this key. Read the answer with [`job_rows`].
#[must_use]
pub fn job_by_key(scope: Scope, key: &str) -> Statement {
    statement(JOB_BY_KEY, [text(key), held_to(scope)])
}

/// A posted review whose reactions are to be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Posted {
    /// The job's key.
    pub key: String,
    /// Where.
    pub repository: String,
    /// The pull request.
    pub number: u64,
    /// The App installation.
    pub installation_id: Option<u64>,
    /// What was posted.
    pub findings: Vec<Finding>,
}

/// Takes the posted review that was listened to longest ago, [`HEAR_EVERY`] or more, if one is young enough and its
/// account is not paused. Read the answer with [`posted`].
#[must_use]
pub fn hear(identity: Identity, now: i64) -> Transaction {
    let times = [now, HEAR_FOR, HEAR_EVERY].map(Value::Integer);
    let [now, young, again] = times;
    Transaction(vec![statement(HEAR, [now, young, again, text(identity.label())])])
}

/// The review in [`hear`]'s answer.
///
/// # Errors
/// [`Error::StoreShape`].
pub fn posted(answers: &[Rows]) -> Result<Option<Posted>> {
    let shape = || Error::StoreShape("hear_reactions");
    let [rows] = answers else { return Err(shape()) };
    let Some(row) = rows.rows.first() else { return Ok(None) };
    let [Value::Text(key), Value::Text(repository), Value::Integer(number), installation, result] =
        row.as_slice()
    else {
        return Err(shape());
    };
    let result: Option<ReviewResult> =
        text_in(result).map(|json| serde_json::from_str(&json)).transpose().map_err(|_| shape())?;
    Ok(Some(Posted {
        key: key.clone(),
        repository: repository.clone(),
        number: u64::try_from(*number).map_err(|_| shape())?,
        installation_id: id_in(installation),
        findings: result.map_or_else(Vec::new, |result| result.findings),
    }))
}

/// The last review of a pull request that came to a result. Read the answer with [`job_rows`].
#[must_use]
pub fn last_review(repository: &str, pull: u64) -> Statement {
    statement(LAST_REVIEW, [text(repository), number(pull)])
}

/// The jobs in an answer.
///
/// # Errors
/// [`Error::StoreShape`].
pub fn job_rows(rows: &Rows) -> Result<Vec<JobRow>> {
    rows.rows.iter().map(|row| job_row(row).ok_or(Error::StoreShape("jobs"))).collect()
}

/// Queues a job again that ended without a review: the one of this key, or all that are dead.
#[must_use]
pub fn revive(scope: Scope, key: Option<&str>, now: i64) -> Transaction {
    Transaction(vec![statement(REVIVE, [optional(key), Value::Integer(now), held_to(scope)])])
}

/// How long the queue is, how old its parts, and what was written to GitHub. Read the answers with
/// [`queue_state_of`].
#[must_use]
pub fn queue_state(now: i64) -> [Statement; 3] {
    let now = Value::Integer(now);
    [
        statement(QUEUE_STATE, [now.clone(), Value::Integer(LEASE_SECONDS)]),
        statement(WRITES, [now]),
        pauses::breakers(Scope::All),
    ]
}

/// The state in [`queue_state`]'s answers.
///
/// # Errors
/// [`Error::StoreShape`].
pub fn queue_state_of(answers: &[Rows]) -> Result<QueueState> {
    let [jobs, writes, breakers] = answers else { return Err(Error::StoreShape("queue_state")) };
    let mut state = QueueState { breakers: pauses::breaker_rows(breakers)?, ..QueueState::default() };
    if let Some([Value::Integer(writes)]) = writes.rows.first().map(Vec::as_slice) {
        state.writes_of_an_hour = *writes;
    }
    for row in &jobs.rows {
        let [Value::Text(status), Value::Integer(jobs), Value::Integer(lease), Value::Integer(queued)] =
            row.as_slice()
        else {
            return Err(Error::StoreShape("queue_state"));
        };
        state.by_status.push((status.clone(), u64::try_from(*jobs).unwrap_or(0)));
        state.oldest_lease_seconds = state.oldest_lease_seconds.max(*lease);
        state.oldest_queued_seconds = state.oldest_queued_seconds.max(*queued);
    }
    Ok(state)
}

// === impl JobKind, JobStatus ===

impl JobKind {
    /// Its name in the table.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Review => "review",
            Self::Explain => "explain",
            Self::Verdict => "verdict",
        }
    }

    fn parse(label: &str) -> Option<Self> {
        [Self::Review, Self::Explain, Self::Verdict].into_iter().find(|kind| kind.label() == label)
    }
}

impl JobStatus {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Queued, Self::Running, Self::Done, Self::Skipped, Self::Failed, Self::Dead, Self::Superseded];

    /// Its name in the table, on the wire and on a metric.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::Superseded => "superseded",
        }
    }

    /// The status of this name.
    #[must_use]
    pub fn parse(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.label() == label)
    }
}

fn leased(row: &[Value]) -> Option<Leased> {
    let [
        Value::Integer(id),
        Value::Text(key),
        Value::Text(kind),
        Value::Text(repository),
        Value::Integer(number),
        head,
        installation,
        Value::Integer(attempts),
        result,
        Value::Integer(created_at),
    ] = row
    else {
        return None;
    };
    Some(Leased {
        id: *id,
        kind: JobKind::parse(kind)?,
        repository: repository.clone(),
        key: key.clone(),
        number: u64::try_from(*number).ok()?,
        head_sha: text_in(head),
        installation_id: id_in(installation),
        attempts: *attempts,
        // One that an older version stored in another shape is computed again.
        result: text_in(result).and_then(|json| serde_json::from_str(&json).ok()),
        created_at: *created_at,
    })
}

fn job_row(row: &[Value]) -> Option<JobRow> {
    let [
        Value::Text(key),
        Value::Text(kind),
        Value::Text(repository),
        Value::Integer(number),
        head,
        Value::Text(status),
        Value::Integer(attempts),
        Value::Integer(failures),
        Value::Integer(created_at),
        finished_at,
        error,
        review_url,
        result,
        not_before,
        breaker,
    ] = row
    else {
        return None;
    };
    Some(JobRow {
        key: key.clone(),
        kind: kind.clone(),
        repository: repository.clone(),
        number: *number,
        head_sha: text_in(head),
        status: status.clone(),
        attempts: *attempts,
        failures: *failures,
        created_at: rfc3339(*created_at),
        finished_at: match finished_at {
            Value::Integer(at) => Some(rfc3339(*at)),
            _ => None,
        },
        error: text_in(error),
        review_url: text_in(review_url),
        result: text_in(result).and_then(|json| serde_json::from_str(&json).ok()),
        wait: match not_before {
            Value::Integer(not_before) => Some(wait(*not_before, breaker)),
            _ => None,
        },
    })
}

fn wait(not_before: i64, breaker: &Value) -> Wait {
    let breaker: Option<(String, i64)> = text_in(breaker).and_then(|json| serde_json::from_str(&json).ok());
    let until = breaker.as_ref().map_or(not_before, |(_, retry_at)| not_before.max(*retry_at));
    Wait { reason: breaker.map(|(reason, _)| reason), until: rfc3339(until) }
}

fn id_of(id: Option<u64>) -> Value {
    id.map_or(Value::Null, number)
}

fn id_in(value: &Value) -> Option<u64> {
    match value {
        Value::Integer(id) => u64::try_from(*id).ok(),
        _ => None,
    }
}
