//! One delivery, from its bytes to a stored verdict.

use crate::app::App;
use crate::clock::now;
use crate::evidence::{self, Budget, CALLS_MIN, Evidence, FailedJob};
use crate::guard::Visit;
use crate::{body, respond, reviews};
use futures_util::future::join_all;
use sentinel_shared::Result;
use sentinel_shared::access::Scope;
use sentinel_shared::api::webhook::{DeliveryAnswer, KnownJob, Pong};
use sentinel_shared::artifact::ModelBundle;
use sentinel_shared::classifier::Verdict;
use sentinel_shared::evidence::{LogPart, Note, Plan, Trouble};
use sentinel_shared::facts::Facts;
use sentinel_shared::failure::{Conclusion, FailureRecord};
use sentinel_shared::history::{Cause, Fault};
use sentinel_shared::store::deliveries::{self, Accepted, Claimed};
use sentinel_shared::store::history::{NewFailure, OtherJobs};
use sentinel_shared::store::inferences::{self, NewInference};
use sentinel_shared::store::models::ActiveModel;
use sentinel_shared::store::{Query, access, evidence as waiting, outbox};
use sentinel_shared::webhook::{Action, BODY_LIMIT_BYTES, Delivery, DeliveryKey, Headers, IgnoreReason};
use worker::{Response, console_error, console_log};

/// The number of deliveries that are worked on at once. A worker has six connections, and each delivery takes one at a
/// time.
const SWEEP_AT_ONCE: usize = 3;
/// The calls beside those to GitHub that one delivery of a sweep costs: storing its verdicts.
const STORE_CALLS: usize = 1;
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
///    nothing it is 202 as well: the sweep goes on. About a cancelled run there may be nothing to say, and then it is 200
///    with `ignored`.
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
    let (outcome, active) = app.database.ask(accept).await?;
    match outcome {
        Accepted::Done => return respond::json(200, &DeliveryAnswer::Duplicate(KnownJob::default())),
        Accepted::Queued => return accepted(&delivery.key, &record),
        Accepted::New => {}
    }
    // (6) Work.
    let delivery = Claimed { key: delivery.key, record, received_at: now() };
    let terms = Terms { trouble: None, budget: Budget::WHOLE };
    if header("prefer").is_some_and(|prefer| prefer.split([',', ';']).any(|wish| wish.trim() == "wait")) {
        let Claimed { key, record, .. } = &delivery;
        match classify(app, active.as_ref(), &delivery, terms).await?.outcome {
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

/// Ends an installation. A second delivery of the same event finds nothing left to do.
async fn uninstall(app: &App, installation: u64) -> Result<Response> {
    let ended = app.database.ask(access::uninstall(installation, now())).await?;
    let (keys_revoked, jobs_ended) = (ended.keys_revoked, ended.jobs_ended);
    respond::json(200, &DeliveryAnswer::Uninstalled { keys_revoked, jobs_ended })
}

/// Takes up the deliveries that wait or were left half done, as many as one scheduled event can do with `calls` calls, and
/// no more: what is taken up is leased, and must be done when the lease ends.
///
/// One goes ahead. Where GitHub gives it nothing, the others do not ask in this sweep, since calls while GitHub limits us
/// make it worse; they get their verdict without the log when they have waited for long enough. One that needs more calls
/// than are left is the first of the next sweep.
pub(crate) async fn sweep(app: &App, calls: usize) {
    let started = now();
    let (mut calls_left, mut trouble, mut count) = (calls, None, 1);
    let mut take_up = deliveries::sweep(count, started, app.config.retention_days);
    loop {
        // One call takes them up.
        let calls_each = calls_left.saturating_sub(1 + count * STORE_CALLS);
        let terms = Terms { trouble, budget: Budget::shared(calls_each, count) };
        let Some(done) = sweep_once(app, take_up, terms).await else { return };
        calls_left = calls_left.saturating_sub(done.calls);
        trouble = trouble.or(done.trouble);
        let cost = STORE_CALLS + if trouble.is_some() { 0 } else { CALLS_MIN };
        count = (calls_left.saturating_sub(1) / cost).min(SWEEP_AT_ONCE);
        if count == 0 || done.needs_more || now() - started >= SWEEP_SECONDS {
            return;
        }
        take_up = deliveries::take_up(count, now());
    }
}

type TakeUp = Query<(Vec<Claimed>, Option<ActiveModel>)>;

/// The terms on which a delivery is worked on.
#[derive(Clone, Copy)]
struct Terms {
    /// What another delivery has just met: then GitHub is not asked.
    trouble: Option<Trouble>,
    /// What its evidence may cost.
    budget: Budget,
}

/// Takes up some deliveries and works on them at once; None if there was nothing.
async fn sweep_once(app: &App, take_up: TakeUp, terms: Terms) -> Option<Done> {
    let (claimed, active) = match app.database.ask(take_up).await {
        Ok((claimed, active)) if !claimed.is_empty() => (claimed, active),
        Ok(_) => return None,
        Err(error) => {
            console_error!("sweep.failed: {error}");
            return None;
        }
    };
    let each = claimed.iter().map(|delivery| work(app, active.as_ref(), delivery, terms));
    let mut sum = Done { calls: 1, ..Done::default() };
    for done in join_all(each).await {
        sum.calls += done.calls;
        sum.trouble = sum.trouble.or(done.trouble);
        sum.needs_more |= done.needs_more;
    }
    Some(sum)
}

/// What became of a delivery.
#[derive(Default)]
enum Outcome {
    /// The verdict that it is told by.
    Told(Box<Verdict>),
    /// The run was cancelled, and there is nothing to say about it.
    Silent,
    /// There will be another try.
    #[default]
    Later,
}

/// The result of a delivery.
#[derive(Default)]
struct Done {
    outcome: Outcome,
    /// The reason why GitHub gave nothing.
    trouble: Option<Trouble>,
    /// Whether it was put back, because it needs more calls than there were.
    needs_more: bool,
    /// The number of calls to other servers.
    calls: usize,
}

async fn work(app: &App, active: Option<&ActiveModel>, delivery: &Claimed, terms: Terms) -> Done {
    let Claimed { key, record, .. } = delivery;
    match classify(app, active, delivery, terms).await {
        Ok(done) => {
            match (&done.outcome, done.trouble) {
                (Outcome::Told(verdict), _) => console_log!(
                    "delivery.done: {} {} is {}",
                    record.repository,
                    record.subject.key(),
                    verdict.prediction.verdict()
                ),
                (Outcome::Silent, _) => console_log!(
                    "delivery.done: {} {} was cancelled",
                    record.repository,
                    record.subject.key()
                ),
                (Outcome::Later, _) if done.needs_more => {
                    console_log!("delivery.postponed: {}, it needs a sweep of its own", key.id);
                }
                (Outcome::Later, trouble) => console_log!(
                    "delivery.postponed: {}, GitHub is {}",
                    key.id,
                    trouble.map_or("silent", Trouble::label)
                ),
            }
            done
        }
        Err(error) => {
            console_error!("delivery.failed: {}, left to the sweep: {error}", key.id);
            Done { calls: terms.budget.calls + STORE_CALLS, ..Done::default() }
        }
    }
}

/// Finds out why the run failed and stores it, or puts the delivery back while GitHub gives nothing.
async fn classify(app: &App, active: Option<&ActiveModel>, delivery: &Claimed, terms: Terms) -> Result<Done> {
    let Claimed { key, record, received_at } = delivery;
    let mut evidence = match terms.trouble {
        None => evidence::gather(&app.config, record, terms.budget).await,
        trouble => Evidence { trouble, ..Evidence::default() },
    };
    let (trouble, calls) = (evidence.trouble, evidence.calls + STORE_CALLS);
    if evidence.needs_more {
        app.database.ask(waiting::put_back(key)).await?;
        return Ok(Done { needs_more: true, calls, ..Done::default() });
    }
    let plan = trouble.map(|trouble| (trouble, trouble.plan(*received_at, now())));
    match plan {
        // Without GitHub nothing is known of a cancelled run.
        Some((trouble, Plan::Wait { at, tells })) if !tells || is_cancelled(record) => {
            app.database.ask(waiting::postpone(key, trouble, at, now())).await?;
            app.github.learn(Some(trouble));
            return Ok(Done { trouble: Some(trouble), calls, ..Done::default() });
        }
        Some((_, Plan::GiveUp)) => evidence.notes.push(Note::LogGivenUp),
        Some((_, Plan::Wait { .. })) | None => {}
    }
    if evidence.jobs.is_empty() && is_cancelled(record) {
        let mut end = deliveries::finish(key, now());
        if trouble.is_none() {
            end = end.with(waiting::end_trouble(now()));
        }
        app.database.ask(end).await?;
        app.github.learn(trouble);
        return Ok(Done { outcome: Outcome::Silent, trouble, calls, ..Done::default() });
    }
    let model = app.models.serve(&app.config, active).await?;
    let first = first_with_log(&mut evidence);
    let (verdict, notes) = (judge(&model, record, &first)?, notes_of(&evidence, &first));
    let cells = model.drift_cells(&verdict);
    let facts = Facts::of(first.excerpt.lines.iter().map(|line| line.text.as_str()));
    let next = model.next_step(&verdict, &facts);
    let cause = Cause::of(&verdict, &facts);
    let inference = NewInference {
        key,
        record,
        subject: &record.subject,
        verdict: &verdict,
        evidence: first.kind(),
        notes: &notes,
        job: first.job.job.as_deref(),
        step: first.job.step.as_deref(),
        model_version: &model.manifest.model_version,
        cells: &cells,
    };
    if let Some((trouble, Plan::Wait { at, .. })) = plan {
        app.database.ask(inferences::keep_meanwhile(inference, trouble, at, now())).await?;
        app.github.learn(Some(trouble));
        return Ok(Done { trouble: Some(trouble), calls, ..Done::default() });
    }
    let failure = NewFailure {
        job_id: first.job.job_id,
        failed_at: record.ended_at,
        seconds: record.duration_seconds().map(|seconds| seconds as u64),
        fault: Fault::of_verdict(&verdict, next.kind),
        cause: &cause,
        next: &next,
        facts: &facts,
        around: &[],
    };
    let others = OtherJobs { failed: evidence.failed, unread: evidence.unread(), passed: &evidence.passed };
    let mut finish = inferences::finish(&[(inference, failure)], others, now());
    if app.config.publishes_verdicts {
        finish = finish.with(outbox::tell_verdict(&record.repository, &record.subject.key(), now()));
    }
    if trouble.is_none() {
        finish = finish.with(waiting::end_trouble(now()));
    }
    app.database.ask(finish).await?;
    app.github.learn(trouble);
    Ok(Done { outcome: Outcome::Told(Box::new(verdict)), trouble, calls, ..Done::default() })
}

fn is_cancelled(record: &FailureRecord) -> bool {
    record.conclusion == Conclusion::Cancelled
}

/// The job that the run is told by: the first that has a log, or else the first.
fn first_with_log(evidence: &mut Evidence) -> FailedJob {
    let at = evidence.jobs.iter().position(|job| job.log.is_some()).unwrap_or(0);
    if at > 0 {
        evidence.notes.push(Note::LaterJob);
    }
    if evidence.jobs.is_empty() { FailedJob::untold() } else { evidence.jobs.swap_remove(at) }
}

/// The verdict on one job of the failed run.
fn judge(model: &ModelBundle, record: &FailureRecord, failed: &FailedJob) -> Result<Verdict> {
    let record = FailureRecord { conclusion: failed.conclusion(record.conclusion), ..record.clone() };
    let job = failed.job.job_id.map(|_| &failed.job);
    let mut verdict = model.classify_record(&record, job, &failed.excerpt)?;
    if failed.log != Some(LogPart::Whole)
        && let Some(line) = &mut verdict.explanation.line
    {
        line.number = 0;
    }
    if let Some(stopped) = &failed.stopped {
        verdict.state(stopped.by.class(), &stopped.sentence);
    }
    Ok(verdict)
}

/// What is to be known of the evidence of a run and of one of its jobs.
fn notes_of(evidence: &Evidence, failed: &FailedJob) -> Vec<Note> {
    let mut notes = evidence.notes.clone();
    notes.extend((failed.log == Some(LogPart::Beginning)).then_some(Note::LogBeginning));
    notes
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
