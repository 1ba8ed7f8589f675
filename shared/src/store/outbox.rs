//! The outbox: a job is stored before GitHub is answered, and a node is notified for as long as nobody has taken it.

use super::jobs::{self, JobKind, JobStatus};
use super::query::{Change, Query, Value};
use super::{feedback, number, optional, statement, text};
use crate::review::ReviewJob;
use crate::webhook::DeliveryKey;

/// The number of jobs that one sweep of the worker submits.
pub const SUBMIT_LIMIT: i64 = 20;

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
  -- The row may have had the subject of a job when it was told.
  AND NOT EXISTS (SELECT 1 FROM review_jobs AS told WHERE told.repository = ?1 AND told.number = inferences.id AND told.kind = 'verdict')
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

const DUE: &str = "-- due_jobs
SELECT key, repository, number, base_sha, head_sha, installation_id FROM review_jobs
WHERE (status = 'queued' AND not_before <= ?1) OR (status = 'running' AND lease_until < ?1)
ORDER BY not_before, id LIMIT ?2";

/// Records a delivery and the job it asks for, before it is acknowledged. Answers how the job stands; None where its pull
/// request is muted.
pub fn accept(
    delivery: &DeliveryKey,
    event: &str,
    kind: JobKind,
    job: &ReviewJob,
    now: i64,
) -> Query<Option<JobStatus>> {
    record(delivery, event, job, now).then(enqueue(kind, job, now))
}

/// Queues a job, once for its key, and cancels what is queued for older commits of the same pull request. Answers how the
/// job stands; None where its pull request is muted.
pub fn enqueue(kind: JobKind, job: &ReviewJob, now: i64) -> Query<Option<JobStatus>> {
    let row = [
        text(&job.key),
        text(kind.label()),
        text(&job.repository),
        number(job.number),
        optional(job.base_sha.as_deref()),
        optional(job.head_sha.as_deref()),
        job.installation_id.map_or(Value::Null, number),
        Value::Integer(now),
    ];
    let enqueue = Query::writing(statement(ENQUEUE, row)).done();
    let supersede = match (kind, &job.head_sha) {
        (JobKind::Review, Some(head)) => {
            let newer =
                [text(&job.repository), number(job.number), text(head), Value::Integer(now), text(&job.key)];
            Query::writing(statement(SUPERSEDE, newer)).done()
        }
        _ => Query::nothing(),
    };
    let status = jobs::status(Query::reading(statement(JOB_STATUS, [text(&job.key)])));
    enqueue.with(supersede).then(status)
}

/// Queues the publication of a stored verdict, once. `Unknown` is not published.
pub fn tell_verdict(repository: &str, subject: &str, now: i64) -> Query<()> {
    Query::writing(statement(ENQUEUE_VERDICT, [text(repository), text(subject), Value::Integer(now)])).done()
}

/// Records a delivery that mutes a pull request, so that it is not reviewed any more.
pub fn mute(delivery: &DeliveryKey, event: &str, job: &ReviewJob, by: &str, now: i64) -> Query<()> {
    let pull = || (text(&job.repository), number(job.number));
    let ((repository, at), (cancelled_in, cancelled)) = (pull(), pull());
    let mute = statement(MUTE, [repository, at, text(by), Value::Integer(now)]);
    let cancel = statement(CANCEL_OF_PULL, [cancelled_in, cancelled, Value::Integer(now)]);
    record(delivery, event, job, now)
        .with(Query::writing(mute).done())
        .with(Query::writing(cancel).done())
        .with(feedback::dismiss(&job.repository, job.number, by, now))
}

/// Unmutes a pull request, because somebody asks for a review again.
pub fn unmute(job: &ReviewJob) -> Query<()> {
    Query::writing(statement(UNMUTE, [text(&job.repository), number(job.number)])).done()
}

/// The jobs that a node should be notified of.
pub fn due(now: i64) -> Query<Vec<ReviewJob>> {
    Query::reading(statement(DUE, [Value::Integer(now), Value::Integer(SUBMIT_LIMIT)])).rows()
}

fn record(delivery: &DeliveryKey, event: &str, job: &ReviewJob, now: i64) -> Query<()> {
    let row = [
        text(&delivery.hook),
        text(&delivery.id),
        text(event),
        text(&job.repository),
        job.installation_id.map_or(Value::Null, number),
        Value::Integer(now),
    ];
    Change::of(statement(BEGIN_DONE_DELIVERY, row)).count("deliveries", event).done()
}
