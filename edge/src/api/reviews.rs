//! Jobs about pull requests, and the accounts on GitHub whose jobs are paused.

use crate::app::App;
use crate::clock::now;
use crate::{parameters, respond};
use sentinel_shared::access::Principal;
use sentinel_shared::api::reviews::{ReplayAnswer, ReplayRequest};
use sentinel_shared::store::jobs::{JobKind, JobStatus};
use sentinel_shared::store::{pauses, queue};
use sentinel_shared::{Error, Result};
use worker::{Request, Response};

/// The most jobs that one request lists.
const JOBS_LIMIT: u32 = 200;

/// `GET /api/jobs?status=dead&kind=review,explain&limit=1..200`, newest first.
pub(crate) async fn list(request: &Request, app: &App, who: &Principal) -> Result<Response> {
    let status = match parameters::query(request, "status") {
        None => None,
        Some(label) => Some(JobStatus::parse(&label).ok_or(Error::ParameterInvalid {
            name: "status",
            expected: "queued, running, done, skipped, failed, dead or superseded",
        })?),
    };
    let limit = parameters::query(request, "limit").map_or(Some(50), |text| text.parse().ok());
    let limit = limit.filter(|limit| (1..=JOBS_LIMIT).contains(limit));
    let limit =
        limit.ok_or(Error::ParameterInvalid { name: "limit", expected: "a whole number from 1 to 200" })?;
    let kinds = kinds(parameters::query(request, "kind").as_deref())?;
    respond::json(200, &app.database.ask(queue::list(who.scope, status, &kinds, limit)).await?)
}

/// The kinds in `kind=review,explain`; none where it is not given, and all are meant.
fn kinds(asked: Option<&str>) -> Result<Vec<JobKind>> {
    let expected = "review, explain or verdict, or several with commas";
    let labels = asked.filter(|asked| !asked.is_empty()).into_iter().flat_map(|asked| asked.split(','));
    labels
        .map(|label| JobKind::parse(label).ok_or(Error::ParameterInvalid { name: "kind", expected }))
        .collect()
}

/// `GET /api/breakers`: the accounts on GitHub whose jobs are paused, the oldest trouble first.
pub(crate) async fn breakers(app: &App, who: &Principal) -> Result<Response> {
    respond::json(200, &app.database.ask(pauses::breakers(who.scope)).await?)
}

/// `GET /api/job?key=owner/name%237@sha`: where a 202 points to.
pub(crate) async fn show(request: &Request, app: &App, who: &Principal) -> Result<Response> {
    let key = parameters::needed(request, "key")?;
    respond::json(200, &app.database.ask(queue::by_key(who.scope, &key)).await?)
}

/// `POST /api/jobs/replay` with `key`: queues a job again that ended without a review.
pub(crate) async fn replay(mut request: Request, app: &App, who: &Principal) -> Result<Response> {
    let ReplayRequest { key } = parameters::form(&mut request).await?;
    let revive = queue::revive(who.scope, Some(&key), now());
    let (revived, job) = app.database.ask(revive.and(queue::by_key(who.scope, &key))).await?;
    respond::json(200, &ReplayAnswer { status: (revived > 0).into(), job })
}
