//! One delivery, from its bytes to a stored verdict.

use crate::app::App;
use crate::clock::now;
use crate::evidence::Budget;
use crate::failed_run::{Outcome, Terms, is_cancelled, look_into, work};
use crate::guard::Visit;
use crate::{body, respond, reviews};
use sentinel_shared::Result;
use sentinel_shared::access::Scope;
use sentinel_shared::api::webhook::{DeliveryAnswer, KnownJob, Pong};
use sentinel_shared::failure::FailureRecord;
use sentinel_shared::store::deliveries::{self, Accepted, Claimed};
use sentinel_shared::store::{access, history, inferences};
use sentinel_shared::webhook::{
    Action, BODY_LIMIT_BYTES, Delivery, DeliveryKey, Headers, IgnoreReason, PassedRun,
};
use worker::Response;

/// Takes one delivery.
///
/// 1. Read at most 2 MiB of body while it streams in, else 413.
/// 2. Check the signature on the raw bytes, else 401; 503 while no secret is configured.
/// 3. Parse and decide: 400, 415 or 422 for what can't be understood, 200 for what is not ours.
/// 4. Count it against its installation or repository, else 429.
/// 5. Record it under its key: 200 if it was done before, 503 if the store is away.
/// 6. Answer 202 and go on working; or, with `Prefer: wait`, work and answer 200 with the verdict. While GitHub gives
///    nothing it is 202 as well: the sweep goes on. About a cancelled run there may be nothing to say, and then it is 200
///    with `ignored`.
///
/// A pull request or a command takes steps 4 to 6 in [`reviews`]: its work is a node's. A run that passed is remembered in
/// one step, and not in the ledger: telling it twice changes nothing.
pub(crate) async fn receive(Visit { mut request, app, context }: Visit) -> Result<Response> {
    // (1) Read.
    let secrets = app.config.webhook_secrets()?;
    let body = body::read(&mut request, BODY_LIMIT_BYTES).await?;
    // (2) Verify.
    let header = |name: &str| request.headers().get(name).ok().flatten();
    let verified = secrets
        .verify(header("x-hub-signature-256").as_deref().map(str::as_bytes), &body)
        .inspect_err(|_| app.refusals.count(&app.database, &context))?;
    // (3) Parse and decide.
    let delivery = Delivery::parse(
        Headers {
            event: header("x-github-event").as_deref(),
            delivery: header("x-github-delivery").as_deref(),
            hook: header("x-github-hook-id").as_deref(),
            content_type: header("content-type").as_deref(),
        },
        verified,
    )?;
    let record = match delivery.action {
        Action::Pong => return respond::json(200, &Pong { msg: "pong".into() }),
        Action::Ignore(reason) => return ignored(reason),
        Action::Uninstall(installation) => return uninstall(app, installation).await,
        Action::Review(job) => {
            return reviews::accept(app, &context, &delivery.key, &delivery.event, *job).await;
        }
        Action::Command(request) => {
            return reviews::obey(app, &context, &delivery.key, &delivery.event, *request).await;
        }
        Action::Passed(run) => return passed(app, &run).await,
        // Only GitHub tells why it was cancelled.
        Action::Classify(record) if is_cancelled(&record) && app.config.github_token.is_none() => {
            return ignored(IgnoreReason::NotFailed);
        }
        Action::Classify(record) => *record,
    };
    // (4) Limit.
    app.limits.delivery(record.installation_id, &record.repository).await?;
    // (5) Record.
    let accept = deliveries::accept(&delivery.key, &delivery.event, &record, now());
    let (recorded, active) = app.database.ask(accept).await?;
    match recorded.accepted {
        Accepted::Done => return respond::json(200, &DeliveryAnswer::Duplicate(KnownJob::default())),
        Accepted::Queued => return accepted(&delivery.key, &record),
        Accepted::New => {}
    }
    // (6) Work.
    let delivery = Claimed { key: delivery.key, record, received_at: now(), known: recorded.known };
    let terms = Terms { trouble: None, budget: Budget::WHOLE };
    if header("prefer").is_some_and(|prefer| prefer.split([',', ';']).any(|wish| wish.trim() == "wait")) {
        let Claimed { key, record, .. } = &delivery;
        match look_into(app, active.as_ref(), &delivery, terms).await?.outcome {
            Outcome::Told(_) => {}
            Outcome::Silent => return ignored(IgnoreReason::Cancelled),
            Outcome::Later => return accepted(key, record),
        }
        // Of two deliveries about one subject, the first verdict stays: what is answered is what is stored.
        let stored = inferences::of_subject(Scope::All, &record.repository, &record.subject.key());
        let inference = app.database.ask(stored).await?;
        return respond::json(200, &DeliveryAnswer::Done { inference: inference.into() });
    }
    let answer = accepted(&delivery.key, &delivery.record);
    context.wait_until(async move {
        work(app, active.as_ref(), &delivery, terms).await;
    });
    answer
}

fn ignored(reason: IgnoreReason) -> Result<Response> {
    respond::json(200, &DeliveryAnswer::Ignored { reason: reason.label().into() })
}

/// Remembers a run that passed: it ends the causes that were open on its branch.
async fn passed(app: &App, run: &PassedRun) -> Result<Response> {
    app.limits.delivery(run.installation_id, &run.repository).await?;
    app.database.ask(history::passed(run, now())).await?;
    respond::json(200, &DeliveryAnswer::Recorded { repository: run.repository.clone() })
}

/// Ends an installation. A second delivery of the same event finds nothing left to do.
async fn uninstall(app: &App, installation: u64) -> Result<Response> {
    let ended = app.database.ask(access::uninstall(installation, now())).await?;
    let (keys_revoked, jobs_ended) = (ended.keys_revoked, ended.jobs_ended);
    respond::json(200, &DeliveryAnswer::Uninstalled { keys_revoked, jobs_ended })
}

/// Answers 202 with the address of the verdict.
fn accepted(key: &DeliveryKey, record: &FailureRecord) -> Result<Response> {
    let subject = record.subject.key();
    let location =
        respond::address("/api/inference", &[("repository", &record.repository), ("subject", &subject)]);
    let queued = DeliveryAnswer::Queued {
        delivery: Some(key.id.clone()),
        job: None,
        repository: record.repository.clone(),
    };
    let mut response = respond::json(202, &queued)?;
    // An address is ASCII, so it is a header value.
    let _ = response.headers_mut().set("location", &location);
    Ok(response)
}
