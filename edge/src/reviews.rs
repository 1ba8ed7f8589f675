//! Turns a pull request's delivery into a stored job, and notifies a node.
//!
//! The database is the outbox. A job is stored before GitHub is answered. The node is notified afterwards, and again by
//! the scheduled sweep for as long as nobody has taken the job. Nodes that pull need no notification.

use crate::app::App;
use crate::clock::now;
use crate::{evidence, parameters, respond, review_client};
use sentinel_shared::access::Principal;
use sentinel_shared::api::reviews::{ReplayAnswer, ReplayRequest};
use sentinel_shared::api::webhook::{DeliveryAnswer, KnownJob};
use sentinel_shared::review::ReviewJob;
use sentinel_shared::review::command::Command;
use sentinel_shared::store::jobs::{JobKind, JobStatus};
use sentinel_shared::store::{outbox, pauses, queue};
use sentinel_shared::webhook::{CommandRequest, DeliveryKey};
use sentinel_shared::{Error, Result};
use worker::{Context, Request, Response, console_error};

/// The most jobs that one request lists.
const JOBS_LIMIT: u32 = 200;

/// Stores the job of a pull request, answers 202, and tells the node.
pub(crate) async fn accept(
    app: &'static App,
    context: &Context,
    delivery: &DeliveryKey,
    event: &str,
    job: ReviewJob,
) -> Result<Response> {
    store(app, context, delivery, event, JobKind::Review, job).await
}

/// Does what a person with write access asked for in a conversation.
pub(crate) async fn obey(
    app: &'static App,
    context: &Context,
    delivery: &DeliveryKey,
    event: &str,
    request: CommandRequest,
) -> Result<Response> {
    let CommandRequest { command, job, by } = request;
    if !evidence::may_write(&app.config, &job.repository, &by).await? {
        return respond::json(200, &DeliveryAnswer::Ignored { reason: "no_write_access".into() });
    }
    match command {
        Command::Ignore => {
            app.database.ask(outbox::mute(delivery, event, &job, &by, now())).await?;
            respond::json(200, &DeliveryAnswer::Muted { repository: job.repository, number: job.number })
        }
        Command::Review => {
            app.database.ask(outbox::unmute(&job)).await?;
            store(app, context, delivery, event, JobKind::Review, job).await
        }
        Command::Explain => store(app, context, delivery, event, JobKind::Explain, job).await,
    }
}

async fn store(
    app: &'static App,
    context: &Context,
    delivery: &DeliveryKey,
    event: &str,
    kind: JobKind,
    job: ReviewJob,
) -> Result<Response> {
    app.limits.delivery(job.installation_id, &job.repository).await?;
    match app.database.ask(outbox::accept(delivery, event, kind, &job, now())).await? {
        None => return respond::json(200, &DeliveryAnswer::Ignored { reason: "muted".into() }),
        Some(JobStatus::Queued) => {}
        Some(status) => {
            let known = KnownJob { job: Some(job.key), is: Some(status) };
            return respond::json(200, &DeliveryAnswer::Duplicate(known));
        }
    }
    let queued = DeliveryAnswer::Queued {
        delivery: None,
        job: Some(job.key.clone()),
        repository: job.repository.clone(),
    };
    let mut answer = respond::json(202, &queued)?;
    let _ = answer.headers_mut().set("location", &respond::address("/api/job", &[("key", &job.key)]));
    context.wait_until(async move {
        review_client::submit(&app.config, &job).await;
    });
    Ok(answer)
}

/// Tells the node of jobs that nobody works on. One scheduled event tells of one batch.
pub(crate) async fn resubmit(app: &App) {
    if app.config.node.is_none() {
        return;
    }
    match app.database.ask(outbox::due(now())).await {
        Ok(jobs) => {
            for job in jobs {
                if !review_client::submit(&app.config, &job).await {
                    break;
                }
            }
        }
        Err(error) => console_error!("review.resubmit_failed: {error}"),
    }
}

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
