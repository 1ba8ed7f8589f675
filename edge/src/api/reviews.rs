//! Jobs about pull requests, and the accounts on GitHub whose jobs are paused.

use crate::clock::now;
use crate::guard::Call;
use crate::{parameters, respond};
use sentinel_shared::Result;
use sentinel_shared::api::reviews::{ReplayAnswer, ReplayRequest};
use sentinel_shared::store::jobs::{JobKind, JobStatus};
use sentinel_shared::store::{pauses, queue};
use worker::Response;

/// The most jobs that one request lists.
const JOBS_LIMIT: u32 = 200;
/// The jobs of a list whose length is not asked for.
const JOBS_DEFAULT: u32 = 50;

/// `GET /api/jobs?status=dead&kind=review,explain&limit=1..200`, newest first.
pub(crate) async fn list(Call { query, app, who, .. }: Call) -> Result<Response> {
    let expected = "queued, running, done, skipped, failed, dead or superseded";
    let status = query.read("status", expected, JobStatus::parse)?;
    let limit = query.within("limit", &(1..=JOBS_LIMIT), "a whole number from 1 to 200")?;
    let kinds = query.read("kind", "review, explain or verdict, or several with commas", kinds)?;
    let jobs = queue::list(who.scope, status, &kinds.unwrap_or_default(), limit.unwrap_or(JOBS_DEFAULT));
    respond::json(200, &app.database.ask(jobs).await?)
}

/// The kinds in `kind=review,explain`; none if the list is empty, and all are meant.
fn kinds(asked: &str) -> Option<Vec<JobKind>> {
    asked.split(',').filter(|_| !asked.is_empty()).map(JobKind::parse).collect()
}

/// `GET /api/breakers`: the accounts on GitHub whose jobs are paused, the oldest trouble first.
pub(crate) async fn breakers(Call { app, who, .. }: Call) -> Result<Response> {
    respond::json(200, &app.database.ask(pauses::breakers(who.scope)).await?)
}

/// `GET /api/job?key=owner/name%237@sha`: where a 202 points to.
pub(crate) async fn show(Call { query, app, who, .. }: Call) -> Result<Response> {
    respond::json(200, &app.database.ask(queue::by_key(who.scope, query.needed("key")?)).await?)
}

/// `POST /api/jobs/replay` with `key`: queues a job again that ended without a review.
pub(crate) async fn replay(Call { mut request, app, who, .. }: Call) -> Result<Response> {
    let ReplayRequest { key } = parameters::form(&mut request).await?;
    let revive = queue::revive(who.scope, Some(&key), now());
    let (revived, job) = app.database.ask(revive.and(queue::by_key(who.scope, &key))).await?;
    respond::json(200, &ReplayAnswer { status: (revived > 0).into(), job })
}
