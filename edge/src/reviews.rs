//! Turns a pull request's delivery into a stored job, and notifies a node.
//!
//! The database is the outbox. A job is stored before GitHub is answered. The node is notified afterwards, and again by
//! the scheduled sweep for as long as nobody has taken the job. Nodes that pull need no notification.

use crate::app::App;
use crate::clock::now;
use crate::{evidence, respond, review_client};
use sentinel_shared::Result;
use sentinel_shared::api::webhook::{DeliveryAnswer, KnownJob};
use sentinel_shared::review::ReviewJob;
use sentinel_shared::review::command::Command;
use sentinel_shared::store::jobs::{JobKind, JobStatus};
use sentinel_shared::store::outbox;
use sentinel_shared::webhook::{CommandRequest, DeliveryKey};
use worker::{Context, Response, console_error};

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

/// The seconds after which one scheduled event tells of no further job, because deliveries wait for their turn.
const RESUBMIT_SECONDS: i64 = 10;

/// Tells the node of jobs that nobody works on, and answers how many calls that took. One scheduled event tells of one
/// batch.
pub(crate) async fn resubmit(app: &App) -> usize {
    if app.config.node.is_none() {
        return 0;
    }
    let (started, mut calls) = (now(), 1);
    match app.database.ask(outbox::due(started)).await {
        Ok(jobs) => {
            for job in jobs {
                calls += 1;
                if !review_client::submit(&app.config, &job).await || now() - started >= RESUBMIT_SECONDS {
                    break;
                }
            }
        }
        Err(error) => console_error!("review.resubmit_failed: {error}"),
    }
    calls
}
