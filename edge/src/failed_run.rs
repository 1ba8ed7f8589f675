//! One failed run, from its delivery to the stored verdicts on its failed jobs.

use crate::app::App;
use crate::clock::now;
use crate::evidence::{self, Budget, Evidence, FailedJob, RETRY_CALLS, Related};
use crate::retry;
use sentinel_shared::Result;
use sentinel_shared::access::Scope;
use sentinel_shared::artifact::ModelBundle;
use sentinel_shared::classifier::Verdict;
use sentinel_shared::evidence::{LogPart, Note, Plan, Trouble};
use sentinel_shared::excerpt::Line;
use sentinel_shared::failure::{Conclusion, FailureRecord, Subject};
use sentinel_shared::github::annotation::StoppedBy;
use sentinel_shared::history::{
    self, Cause, Fallen, Fault, KnownIssue, KnownIssues, RetryWish, Said, is_vague,
};
use sentinel_shared::kind::NextStep;
use sentinel_shared::policy::RetryOn;
use sentinel_shared::store::deliveries::{self, Claimed};
use sentinel_shared::store::history::known::{self, TRIED_IN_DELIVERY_MAX};
use sentinel_shared::store::history::{NewFailure, OtherJobs, retries};
use sentinel_shared::store::inferences::{self, NewInference};
use sentinel_shared::store::models::ActiveModel;
use sentinel_shared::store::{Query, evidence as waiting, outbox};
use sentinel_shared::webhook::DeliveryKey;
use worker::{console_error, console_log};

/// The calls beside those to GitHub that one delivery of a sweep costs: storing its verdicts.
pub(crate) const STORE_CALLS: usize = 1;

/// The terms on which a delivery is worked on.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    /// What another delivery has just met: then GitHub is not asked.
    pub(crate) trouble: Option<Trouble>,
    /// What its evidence may cost.
    pub(crate) budget: Budget,
}

/// What became of a delivery.
#[derive(Default)]
pub(crate) enum Outcome {
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
pub(crate) struct Done {
    pub(crate) outcome: Outcome,
    /// The reason why GitHub gave nothing.
    pub(crate) trouble: Option<Trouble>,
    /// Whether it was put back, because it needs more calls than there were.
    pub(crate) needs_more: bool,
    /// The number of calls to other servers.
    pub(crate) calls: usize,
}

/// A failed job with its verdict and everything that is remembered of it.
struct Judged {
    failed: FailedJob,
    /// The record as this job has it: with its conclusion and its page on GitHub.
    record: FailureRecord,
    subject: Subject,
    verdict: Verdict,
    notes: Vec<Note>,
    cells: Vec<(String, u32)>,
    next: NextStep,
    cause: Cause,
    around: Vec<Line>,
    said: Said,
    known: Option<KnownIssue>,
    remarks: Vec<String>,
    related: Related,
}

/// Looks into a failed run, and says in the log what became of it.
pub(crate) async fn work(app: &App, active: Option<&ActiveModel>, delivery: &Claimed, terms: Terms) -> Done {
    let Claimed { key, record, .. } = delivery;
    match look_into(app, active, delivery, terms).await {
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
pub(crate) async fn look_into(
    app: &App,
    active: Option<&ActiveModel>,
    delivery: &Claimed,
    terms: Terms,
) -> Result<Done> {
    let Claimed { key, record, received_at, .. } = delivery;
    let mut evidence = match terms.trouble {
        None => evidence::gather(&app.config, record, terms.budget).await,
        trouble => Evidence { trouble, ..Evidence::default() },
    };
    let (trouble, mut calls) = (evidence.trouble, evidence.calls + STORE_CALLS);
    let done = |outcome, calls| Done { outcome, trouble, calls, needs_more: false };
    if evidence.needs_more {
        app.database.ask(waiting::put_back(key)).await?;
        return Ok(Done { needs_more: true, ..done(Outcome::Later, calls) });
    }
    let plan = trouble.map(|trouble| (trouble, trouble.plan(*received_at, now())));
    match plan {
        // Without GitHub nothing is known of a cancelled run.
        Some((trouble, Plan::Wait { at, tells })) if !tells || is_cancelled(record) => {
            app.database.ask(waiting::postpone(key, trouble, at, now())).await?;
            app.github.learn(Some(trouble));
            return Ok(done(Outcome::Later, calls));
        }
        Some((_, Plan::GiveUp)) => evidence.notes.push(Note::LogGivenUp),
        Some((_, Plan::Wait { .. })) | None => {}
    }
    let mut wish = None;
    let (finish, outcome) = if evidence.jobs.is_empty() && is_cancelled(record) {
        (deliveries::finish(key, now()), Outcome::Silent)
    } else {
        let model = app.models.serve(&app.config, active).await?;
        let (mut headline, mut others) = judge(&model, record, &mut evidence)?;
        calls += recognize(app, delivery, &mut evidence, &mut headline, &mut others).await?;
        let related = evidence.around.relating(record);
        for job in std::iter::once(&mut headline).chain(&mut others) {
            job.related = related(&job.failed.excerpt.facts);
        }
        let version = &model.manifest.model_version;
        if let Some((trouble, Plan::Wait { at, .. })) = plan {
            let meanwhile = headline.inference(key, version);
            app.database.ask(inferences::keep_meanwhile(meanwhile, trouble, at, now())).await?;
            app.github.learn(Some(trouble));
            return Ok(done(Outcome::Later, calls));
        }
        let mut finish = finish(key, version, &headline, &others, &evidence);
        if app.config.publishes_verdicts {
            finish = finish.with(outbox::tell_verdict(&record.repository, &record.subject.key(), now()));
        }
        if calls + RETRY_CALLS <= terms.budget.calls + STORE_CALLS {
            wish = headline.retry_wish(record.conclusion, &others, &evidence, now() - received_at);
        }
        (finish, Outcome::Told(Box::new(headline.verdict)))
    };
    let ended = if trouble.is_none() { waiting::end_trouble(now()) } else { Query::nothing() };
    let claim = match wish {
        Some(wish) => retries::claim(record, wish, now()),
        None => Query::nothing().map(|()| false),
    };
    let claimed = app.database.ask(finish.with(ended).then(claim)).await?;
    app.github.learn(trouble);
    if claimed {
        retry::ask(app, record).await;
        calls += RETRY_CALLS;
    }
    Ok(done(outcome, calls))
}

pub(crate) fn is_cancelled(record: &FailureRecord) -> bool {
    record.conclusion == Conclusion::Cancelled
}

/// Judges every failed job. The first of the result is the job that the run is told by.
fn judge(
    model: &ModelBundle,
    record: &FailureRecord,
    evidence: &mut Evidence,
) -> Result<(Judged, Vec<Judged>)> {
    let mut jobs = std::mem::take(&mut evidence.jobs);
    if jobs.is_empty() {
        jobs.push(FailedJob::untold());
    }
    let judged: Result<Vec<Judged>> =
        jobs.into_iter().map(|failed| Judged::of(model, record, failed)).collect();
    let mut judged = judged?;
    let at = headline(&judged);
    let without_log = |job: &Judged| !job.has_lines();
    let mut notes = evidence.notes.clone();
    notes.extend(judged[..at].iter().any(without_log).then_some(Note::LaterJob));
    let mut headline = judged.remove(at);
    headline.notes.extend(notes);
    headline.subject = record.subject.clone();
    headline.record.html_url.clone_from(&record.html_url);
    Ok((headline, judged))
}

/// Finds the known issue of each failed job. An entry of the policy file is tried on the stored lines first, and does not
/// count if it is too wide. Answers the number of calls that were made.
async fn recognize(
    app: &App,
    delivery: &Claimed,
    evidence: &mut Evidence,
    headline: &mut Judged,
    others: &mut [Judged],
) -> Result<usize> {
    let mut issues = KnownIssues::of(std::mem::take(&mut evidence.policy.known), delivery.known.clone());
    headline.remarks.clone_from(&evidence.policy.mistakes);
    let said: Vec<Said> =
        std::iter::once(&*headline).chain(others.iter()).map(|job| job.said.clone()).collect();
    let mut calls = 0;
    if issues.needs_trial(&said) {
        let FailureRecord { repository, installation_id, .. } = &delivery.record;
        let tried = known::tried_on(Scope::from(*installation_id), repository, TRIED_IN_DELIVERY_MAX, now());
        headline.remarks.extend(issues.try_on(&app.database.ask(tried).await?, &said));
        calls = 1;
    }
    for job in std::iter::once(headline).chain(others) {
        job.known = issues.first(&job.said).cloned();
    }
    Ok(calls)
}

/// The index of the job that the run is told by. A job of which nothing was read is chosen only if there is no other.
fn headline(judged: &[Judged]) -> usize {
    let read: Vec<usize> = (0..judged.len()).filter(|at| judged[*at].has_lines()).collect();
    let choice: Vec<usize> = if read.is_empty() { (0..judged.len()).collect() } else { read };
    let failed: Vec<history::FailedJob<'_>> = choice.iter().map(|at| judged[*at].of_history()).collect();
    history::headline(&failed).map_or(0, |at| choice[at])
}

/// Stores all verdicts of a delivery and closes it.
fn finish(
    key: &DeliveryKey,
    version: &str,
    headline: &Judged,
    others: &[Judged],
    evidence: &Evidence,
) -> Query<()> {
    let all = std::iter::once(headline).chain(others);
    let pull = evidence.around.pull;
    let rows: Vec<_> = all.map(|job| (job.inference(key, version), job.failure(pull))).collect();
    let looked_into = rows.len();
    let failed = evidence.failed.max(looked_into);
    let jobs = OtherJobs { failed, unread: failed - looked_into, passed: &evidence.passed };
    inferences::finish(&rows, jobs, now())
}

// === impl Judged ===

impl Judged {
    /// The verdict on one job of the failed run.
    fn of(model: &ModelBundle, record: &FailureRecord, failed: FailedJob) -> Result<Self> {
        let conclusion = failed.conclusion(record.conclusion);
        let html_url = failed.job.html_url.clone().or_else(|| record.html_url.clone());
        let record = FailureRecord { conclusion, html_url, ..record.clone() };
        let job = failed.job.job_id.map(|_| &failed.job);
        let mut verdict = model.classify_record(&record, job, &failed.excerpt)?;
        let mut around = failed.excerpt.around(verdict.explanation.line.as_ref());
        if failed.log != Some(LogPart::Whole) {
            let lines = verdict.explanation.line.iter_mut().chain(&mut around);
            lines.for_each(|line| line.number = 0);
        }
        if let Some(stopped) = &failed.stopped {
            verdict.state(stopped.by.class(), &stopped.sentence);
        }
        let facts = &failed.excerpt.facts;
        let (next, cause) = (model.next_step(&verdict, facts), Cause::of(&verdict, facts));
        let notes =
            if failed.log == Some(LogPart::Beginning) { vec![Note::LogBeginning] } else { Vec::new() };
        let (run_id, run_attempt) = record.subject.run();
        let subject = match failed.job.job_id {
            Some(job_id) => Subject::Job { job_id, run_id, run_attempt },
            None => record.subject.clone(),
        };
        let cells = model.drift_cells(&verdict);
        let said = Said::of(verdict.explanation.line.as_ref(), &around, facts, &cause);
        let (known, remarks) = (None, Vec::new());
        Ok(Self {
            failed,
            record,
            subject,
            verdict,
            notes,
            cells,
            next,
            cause,
            around,
            said,
            known,
            remarks,
            related: Related::default(),
        })
    }

    /// The wish to try the run again that this job tells.
    fn retry_wish(
        &self,
        conclusion: Conclusion,
        others: &[Self],
        evidence: &Evidence,
        age_seconds: i64,
    ) -> Option<RetryWish> {
        let faults: Vec<Fault> = std::iter::once(self).chain(others).map(Self::fault).collect();
        let stopped = self.failed.stopped.as_ref();
        history::retry_wish(&Fallen {
            subject: &self.subject,
            conclusion,
            lost_runner: stopped.is_some_and(|stopped| stopped.by == StoppedBy::RunnerLoss),
            age_seconds,
            class: self.verdict.prediction.class,
            kind: self.next.kind,
            faults: &faults,
            unread: evidence.failed.saturating_sub(faults.len()),
            vague: is_vague(&self.cause.line, &self.cause.tests),
            known: self.known.as_ref().is_some_and(|known| known.retry),
            on_flaky: evidence.policy.retries(RetryOn::Flaky),
            on_infra: evidence.policy.retries(RetryOn::Infra),
        })
    }

    fn fault(&self) -> Fault {
        Fault::of_verdict(&self.verdict, self.next.kind)
    }

    /// Whether GitHub told anything that the verdict could be made from.
    fn has_lines(&self) -> bool {
        self.failed.log.is_some() || !self.failed.excerpt.lines.is_empty()
    }

    fn of_history(&self) -> history::FailedJob<'_> {
        history::FailedJob {
            name: self.failed.job.job.as_deref(),
            started_at: self.failed.started_at,
            ended_at: self.failed.ended_at,
            verdict: &self.verdict,
        }
    }

    fn inference<'a>(&'a self, key: &'a DeliveryKey, model_version: &'a str) -> NewInference<'a> {
        NewInference {
            key,
            record: &self.record,
            subject: &self.subject,
            verdict: &self.verdict,
            evidence: self.failed.kind(),
            notes: &self.notes,
            job: self.failed.job.job.as_deref(),
            step: self.failed.job.step.as_deref(),
            model_version,
            cells: &self.cells,
        }
    }

    fn failure(&self, pull: Option<u64>) -> NewFailure<'_> {
        let FailedJob { job, started_at, ended_at, .. } = &self.failed;
        let seconds = match (started_at, ended_at) {
            (Some(start), Some(end)) => u64::try_from(end - start).ok(),
            // Without the job's times those of the delivery are the best that is known.
            _ => self.record.duration_seconds().map(|seconds| seconds as u64),
        };
        NewFailure {
            job_id: job.job_id,
            failed_at: ended_at.or(self.record.ended_at),
            seconds,
            fault: self.fault(),
            cause: &self.cause,
            next: &self.next,
            facts: &self.failed.excerpt.facts,
            around: &self.around,
            known: self.known.as_ref(),
            remarks: &self.remarks,
            pull,
            change: self.related.change.as_ref(),
            owners: &self.related.owners,
        }
    }
}
