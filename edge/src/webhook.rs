//! One delivery, from bytes to a stored verdict.

use crate::app::{App, now};
use crate::evidence::Evidence;
use crate::{evidence, guard, models, respond, reviews, turso};
use sentinel_shared::access::Scope;
use sentinel_shared::artifact::Verdict;
use sentinel_shared::failure::FailureRecord;
use sentinel_shared::store::models::ActiveModel;
use sentinel_shared::store::{self, Accepted, Claimed, Finding};
use sentinel_shared::webhook::{Action, BODY_LIMIT_BYTES, Delivery, DeliveryKey, Headers};
use sentinel_shared::{Error, Result};
use serde_json::json;
use worker::{Context, Request, Response, console_error, console_log};

/// Takes one delivery.
///
/// 1. Read at most 2 MiB of body while it streams in, else 413.
/// 2. Check the signature on the raw bytes, else 401; 503 while no secret is configured.
/// 3. Parse and decide: 400, 415 or 422 for what can't be understood, 200 for what is not ours.
/// 4. Count it against its installation or repository, else 429.
/// 5. Record it under its key: 200 if it was done before, 503 if the store is away.
/// 6. Answer 202 and go on working; or, with `Prefer: wait`, work and answer 200 with the verdict.
///
/// A pull request or a command takes steps 4 to 6 in [`reviews`]: its work is a node's.
pub(crate) async fn receive(mut request: Request, app: &'static App, context: Context) -> Result<Response> {
    // (1) Read.
    let secrets = app.config.webhook_secrets()?;
    let body = guard::body(&mut request, BODY_LIMIT_BYTES).await?;
    // (2) Verify.
    let header = |name: &str| request.headers().get(name).ok().flatten();
    let verified = secrets
        .verify(header("x-hub-signature-256").as_deref().map(str::as_bytes), &body)
        .inspect_err(|_| app.refusals.count(app, &context))?;
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
        Action::Pong => return respond::json(200, &json!({ "msg": "pong" })),
        Action::Ignore(reason) => {
            return respond::json(200, &json!({ "status": "ignored", "reason": reason.label() }));
        }
        Action::Uninstall(installation) => return uninstall(app, installation).await,
        Action::Review(job) => {
            return reviews::accept(app, &context, &delivery.key, &delivery.event, *job).await;
        }
        Action::Command(request) => {
            return reviews::obey(app, &context, &delivery.key, &delivery.event, *request).await;
        }
        Action::Classify(record) => *record,
    };
    // (4) Limit.
    guard::delivery_within_rate(app, record.installation_id, &record.repository).await?;
    // (5) Record.
    let answers = turso::commit(app, &store::accept(&delivery.key, &delivery.event, &record, now())).await?;
    let (outcome, active) = store::accepted(&answers)?;
    match outcome {
        Accepted::Done => return respond::json(200, &json!({ "status": "duplicate" })),
        Accepted::Queued => return accepted(&delivery.key, &record),
        Accepted::New => {}
    }
    // (6) Work.
    if header("prefer").is_some_and(|prefer| prefer.split([',', ';']).any(|wish| wish.trim() == "wait")) {
        if classify(app, active.as_ref(), &delivery.key, &record, Attempt::Early).await?.is_none() {
            return accepted(&delivery.key, &record);
        }
        // Of two deliveries about one subject, the first verdict stays: what is answered is what is stored.
        let stored =
            turso::read(app, &[store::inference_of(Scope::All, &record.repository, &record.subject.key())])
                .await?;
        let inference = store::first_inference(&stored)?;
        return respond::json(200, &json!({ "status": "done", "inference": inference }));
    }
    let answer = accepted(&delivery.key, &record);
    context.wait_until(async move {
        work(app, active.as_ref(), &delivery.key, &record, Attempt::Early).await;
    });
    answer
}

/// A second delivery of the same finds nothing left to do.
async fn uninstall(app: &App, installation: u64) -> Result<Response> {
    let answers = turso::commit(app, &store::access::uninstall(installation, now())).await?;
    let [keys, jobs] = answers.as_slice() else { return Err(Error::StoreShape("uninstall")) };
    let ended =
        json!({ "status": "uninstalled", "keys_revoked": keys.affected, "jobs_ended": jobs.affected });
    respond::json(200, &ended)
}

/// Takes up the deliveries that were left half done. One scheduled event does at most one batch.
pub(crate) async fn sweep(app: &App) {
    let (claimed, active) = match turso::commit(app, &store::sweep(now(), app.config.retention_days))
        .await
        .and_then(|rows| store::claimed(&rows))
    {
        Ok(claimed) => claimed,
        Err(error) => return console_error!("sweep.failed: {error}"),
    };
    for Claimed { key, record, attempts } in claimed {
        let attempt = if attempts >= store::ATTEMPTS_MAX { Attempt::Last } else { Attempt::Early };
        work(app, active.as_ref(), &key, &record, attempt).await;
    }
}

/// Whether there is another try: the last one makes do with the evidence it can get.
#[derive(Clone, Copy, PartialEq)]
enum Attempt {
    Early,
    Last,
}

async fn work(
    app: &App,
    active: Option<&ActiveModel>,
    key: &DeliveryKey,
    record: &FailureRecord,
    attempt: Attempt,
) {
    match classify(app, active, key, record, attempt).await {
        Ok(Some(verdict)) => {
            console_log!(
                "delivery.done: {} {} is {}",
                record.repository,
                record.subject.key(),
                verdict.prediction.verdict()
            );
        }
        Ok(None) => console_log!("delivery.postponed: {}, GitHub did not answer", key.id),
        Err(error) => console_error!("delivery.failed: {}, left to the sweep: {error}", key.id),
    }
}

/// Finds out why the run failed and stores it; None when GitHub is away and there is another try.
async fn classify(
    app: &App,
    active: Option<&ActiveModel>,
    key: &DeliveryKey,
    record: &FailureRecord,
    attempt: Attempt,
) -> Result<Option<Verdict>> {
    let evidence = match evidence::gather(app, record).await {
        Ok(evidence) => evidence,
        Err(Error::GithubUnavailable(what)) if attempt != Attempt::Last => {
            console_error!("evidence.unavailable: {what}");
            return Ok(None);
        }
        Err(_) => Evidence::default(),
    };
    let model = models::serving(app, active).await?;
    let mut verdict = model.classify_record(record, evidence.job.as_ref(), &evidence.excerpt)?;
    if evidence.log_is_cut
        && let Some(line) = &mut verdict.explanation.line
    {
        line.number = 0;
    }
    let cells = model.drift_cells(&verdict);
    let finding = Finding {
        key,
        record,
        verdict: &verdict,
        evidence: evidence.kind(),
        job: evidence.job.as_ref().and_then(|job| job.job.as_deref()),
        step: evidence.job.as_ref().and_then(|job| job.step.as_deref()),
        model_version: &model.manifest.model_version,
        cells: &cells,
    };
    let mut finish = store::finish(finding, now());
    if app.config.publishes_verdicts {
        finish.0.push(store::reviews::tell_verdict(&record.repository, &record.subject.key(), now()));
    }
    turso::commit(app, &finish).await?;
    Ok(Some(verdict))
}

/// 202, and where the verdict will be.
fn accepted(key: &DeliveryKey, record: &FailureRecord) -> Result<Response> {
    let location =
        format!("/api/inference?repository={}&subject={}", record.repository, record.subject.key());
    let body = json!({ "status": "queued", "delivery": key.id, "repository": record.repository });
    let mut response = respond::json(202, &body)?;
    // A repository name that is no header value leaves the answer without a Location.
    let _ = response.headers_mut().set("location", &location);
    Ok(response)
}
