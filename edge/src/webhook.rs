//! One delivery, from its bytes to a stored verdict.

use crate::app::App;
use crate::clock::now;
use crate::evidence::{self, Evidence};
use crate::guard::Visit;
use crate::{body, respond, reviews};
use futures_util::future::join_all;
use sentinel_shared::Result;
use sentinel_shared::access::Scope;
use sentinel_shared::api::webhook::{DeliveryAnswer, KnownJob, Pong};
use sentinel_shared::classifier::Verdict;
use sentinel_shared::evidence::{LogPart, Note, Plan, Trouble};
use sentinel_shared::failure::{Conclusion, FailureRecord};
use sentinel_shared::store::deliveries::{self, Accepted, Claimed};
use sentinel_shared::store::inferences::{self, NewInference};
use sentinel_shared::store::models::ActiveModel;
use sentinel_shared::store::{Query, access, evidence as waiting, outbox};
use sentinel_shared::webhook::{Action, BODY_LIMIT_BYTES, Delivery, DeliveryKey, Headers, IgnoreReason};
use worker::{Response, console_error, console_log};

/// The largest number of calls to other servers that one sweep makes. A free account's worker may make 50 an event
/// (<https://developers.cloudflare.com/workers/platform/limits/#subrequests>); the others are for the node and the
/// models.
const SWEEP_CALLS: usize = 40;
/// The number of deliveries that are worked on at once. A worker has six connections, and each delivery takes one at a
/// time.
const SWEEP_AT_ONCE: usize = 3;
/// The largest number of calls for one delivery: its evidence, and storing its verdict.
const DELIVERY_CALLS: usize = evidence::CALLS_MAX + 1;
/// The seconds after which a sweep takes up no more, so that it is over when the next one begins.
const SWEEP_SECONDS: i64 = 25;

/// Takes one delivery.
///
/// 1. Read at most 2 MiB of body while it streams in, else 413.
/// 2. Check the signature on the raw bytes, else 401; 503 while no secret is configured.
/// 3. Parse and decide: 400, 415 or 422 for what can't be understood, 200 for what is not ours.
/// 4. Count it against its installation or repository, else 429.
/// 5. Record it under its key: 200 if it was done before, 503 if the store is away.
/// 6. Answer 202 and go on working; or, with `Prefer: wait`, work and answer 200 with the verdict. While GitHub gives
///    nothing it is 202 as well: the sweep goes on.
///
/// A pull request or a command takes steps 4 to 6 in [`reviews`]: its work is a node's.
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
        Action::Passed(_) => return ignored(IgnoreReason::NotFailed),
        Action::Classify(record) if record.conclusion == Conclusion::Cancelled => {
            return ignored(IgnoreReason::NotFailed);
        }
        Action::Classify(record) => *record,
    };
    // (4) Limit.
    app.limits.delivery(record.installation_id, &record.repository).await?;
    // (5) Record.
    let accept = deliveries::accept(&delivery.key, &delivery.event, &record, now());
    let (outcome, active) = app.database.ask(accept).await?;
    match outcome {
        Accepted::Done => return respond::json(200, &DeliveryAnswer::Duplicate(KnownJob::default())),
        Accepted::Queued => return accepted(&delivery.key, &record),
        Accepted::New => {}
    }
    // (6) Work.
    let delivery = Claimed { key: delivery.key, record, received_at: now() };
    if header("prefer").is_some_and(|prefer| prefer.split([',', ';']).any(|wish| wish.trim() == "wait")) {
        let Claimed { key, record, .. } = &delivery;
        if classify(app, active.as_ref(), &delivery, None).await?.verdict.is_none() {
            return accepted(key, record);
        }
        // Of two deliveries about one subject, the first verdict stays: what is answered is what is stored.
        let stored = inferences::of_subject(Scope::All, &record.repository, &record.subject.key());
        let inference = app.database.ask(stored).await?;
        return respond::json(200, &DeliveryAnswer::Done { inference: inference.into() });
    }
    let answer = accepted(&delivery.key, &delivery.record);
    context.wait_until(async move {
        work(app, active.as_ref(), &delivery, None).await;
    });
    answer
}

fn ignored(reason: IgnoreReason) -> Result<Response> {
    respond::json(200, &DeliveryAnswer::Ignored { reason: reason.label().into() })
}

/// Ends an installation. A second delivery of the same event finds nothing left to do.
async fn uninstall(app: &App, installation: u64) -> Result<Response> {
    let ended = app.database.ask(access::uninstall(installation, now())).await?;
    let (keys_revoked, jobs_ended) = (ended.keys_revoked, ended.jobs_ended);
    respond::json(200, &DeliveryAnswer::Uninstalled { keys_revoked, jobs_ended })
}

/// Takes up the deliveries that wait or were left half done, as many as one scheduled event can do, and no more: what is
/// taken up is leased, and must be done when the lease ends.
///
/// One goes ahead. Where GitHub gives it nothing, the others do not ask in this sweep, since calls while GitHub limits us
/// make it worse; they get their verdict without the log when they have waited for long enough.
pub(crate) async fn sweep(app: &App) {
    let started = now();
    let (mut calls_left, mut trouble) = (SWEEP_CALLS, None);
    let mut take_up = deliveries::sweep(1, started, app.config.retention_days);
    while let Some(done) = sweep_once(app, take_up, trouble).await {
        calls_left = calls_left.saturating_sub(done.calls);
        trouble = trouble.or(done.trouble);
        let cost = if trouble.is_some() { 1 } else { DELIVERY_CALLS };
        // One call takes them up.
        let count = (calls_left.saturating_sub(1) / cost).min(SWEEP_AT_ONCE);
        if count == 0 || now() - started >= SWEEP_SECONDS {
            return;
        }
        take_up = deliveries::take_up(count, now());
    }
}

type TakeUp = Query<(Vec<Claimed>, Option<ActiveModel>)>;

/// Takes up some deliveries and works on them at once; None if there was nothing.
async fn sweep_once(app: &App, take_up: TakeUp, trouble: Option<Trouble>) -> Option<Done> {
    let (claimed, active) = match app.database.ask(take_up).await {
        Ok((claimed, active)) if !claimed.is_empty() => (claimed, active),
        Ok(_) => return None,
        Err(error) => {
            console_error!("sweep.failed: {error}");
            return None;
        }
    };
    let each = claimed.iter().map(|delivery| work(app, active.as_ref(), delivery, trouble));
    let mut sum = Done { calls: 1, ..Done::default() };
    for done in join_all(each).await {
        sum.calls += done.calls;
        sum.trouble = sum.trouble.or(done.trouble);
    }
    Some(sum)
}

/// The result of a delivery.
#[derive(Default)]
struct Done {
    /// The verdict; None while GitHub gives nothing and there will be another try.
    verdict: Option<Verdict>,
    /// The reason why GitHub gave nothing.
    trouble: Option<Trouble>,
    /// The number of calls to other servers.
    calls: usize,
}

async fn work(app: &App, active: Option<&ActiveModel>, delivery: &Claimed, trouble: Option<Trouble>) -> Done {
    let Claimed { key, record, .. } = delivery;
    match classify(app, active, delivery, trouble).await {
        Ok(done) => {
            match (&done.verdict, done.trouble) {
                (Some(verdict), _) => console_log!(
                    "delivery.done: {} {} is {}",
                    record.repository,
                    record.subject.key(),
                    verdict.prediction.verdict()
                ),
                (None, trouble) => console_log!(
                    "delivery.postponed: {}, GitHub is {}",
                    key.id,
                    trouble.map_or("silent", Trouble::label)
                ),
            }
            done
        }
        Err(error) => {
            console_error!("delivery.failed: {}, left to the sweep: {error}", key.id);
            Done { calls: DELIVERY_CALLS, ..Done::default() }
        }
    }
}

/// Finds out why the run failed and stores it, or puts the delivery back while GitHub gives nothing. If another
/// delivery has just met `trouble`, GitHub is not asked.
async fn classify(
    app: &App,
    active: Option<&ActiveModel>,
    delivery: &Claimed,
    trouble: Option<Trouble>,
) -> Result<Done> {
    let Claimed { key, record, received_at } = delivery;
    let mut evidence = match trouble {
        None => evidence::gather(&app.config, record).await,
        Some(_) => Evidence { trouble, ..Evidence::default() },
    };
    let (trouble, calls) = (evidence.trouble, evidence.calls + 1);
    let plan = trouble.map(|trouble| (trouble, trouble.plan(*received_at, now())));
    match plan {
        Some((trouble, Plan::Wait { at, tells: false })) => {
            app.database.ask(waiting::postpone(key, trouble, at, now())).await?;
            app.github.learn(Some(trouble));
            return Ok(Done { verdict: None, trouble: Some(trouble), calls });
        }
        Some((_, Plan::GiveUp)) => evidence.notes.push(Note::LogGivenUp),
        Some((_, Plan::Wait { tells: true, .. })) | None => {}
    }
    let model = app.models.serve(&app.config, active).await?;
    let mut verdict = model.classify_record(record, evidence.job.as_ref(), &evidence.excerpt)?;
    if evidence.log != Some(LogPart::Whole)
        && let Some(line) = &mut verdict.explanation.line
    {
        line.number = 0;
    }
    let cells = model.drift_cells(&verdict);
    let inference = NewInference {
        key,
        record,
        verdict: &verdict,
        evidence: evidence.kind(),
        notes: &evidence.notes,
        job: evidence.job.as_ref().and_then(|job| job.job.as_deref()),
        step: evidence.job.as_ref().and_then(|job| job.step.as_deref()),
        model_version: &model.manifest.model_version,
        cells: &cells,
    };
    if let Some((trouble, Plan::Wait { at, .. })) = plan {
        app.database.ask(inferences::keep_meanwhile(inference, trouble, at, now())).await?;
        app.github.learn(Some(trouble));
        return Ok(Done { verdict: None, trouble: Some(trouble), calls });
    }
    let mut finish = inferences::finish(inference, now());
    if app.config.publishes_verdicts {
        finish = finish.with(outbox::tell_verdict(&record.repository, &record.subject.key(), now()));
    }
    if trouble.is_none() {
        finish = finish.with(waiting::end_trouble(now()));
    }
    app.database.ask(finish).await?;
    app.github.learn(trouble);
    Ok(Done { verdict: Some(verdict), trouble, calls })
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
