//! Gathers the evidence of one delivery.

use super::budget::{ANNOTATED_JOBS_MAX, Budget, DEADLINE, LOG_CALLS, RETRY_CALLS};
use super::change::Surroundings;
use super::log::{self, Spare};
use super::{change, paths, policy};
use crate::config::Config;
use crate::github::{Github, Stop, away};
use futures_util::future::{Either, join, select};
use futures_util::{StreamExt, TryStreamExt, stream};
use sentinel_shared::evidence::{JOB_PAGES, LOGS_MAX, LogPart, Note, Trouble};
use sentinel_shared::excerpt::Excerpt;
use sentinel_shared::failure::{Conclusion, FailureRecord, Subject, bounded};
use sentinel_shared::features::JobEvidence;
use sentinel_shared::github::annotation::{Annotation, Stopped, StoppedBy, error_lines};
use sentinel_shared::github::jobs::{RunJobs, ended_at, started_at};
use sentinel_shared::github::{JobsPage, WorkflowJob};
use sentinel_shared::policy::FailurePolicy;
use sentinel_shared::store::inferences::EvidenceKind;
use std::pin::pin;
use worker::Delay;

/// What GitHub tells about a delivery.
#[derive(Default)]
pub(crate) struct Evidence {
    /// The failed jobs that were looked into. Those whose end is known come first, in its order.
    pub(crate) jobs: Vec<FailedJob>,
    /// The number of failed jobs, with those that were not looked into.
    pub(crate) failed: usize,
    /// Names of jobs that passed.
    pub(crate) passed: Vec<String>,
    pub(crate) notes: Vec<Note>,
    /// What the team wants for its failed runs.
    pub(crate) policy: FailurePolicy,
    /// What the failed jobs can be related to.
    pub(crate) around: Surroundings,
    /// The reason why there is no more now, if there may be more later.
    pub(crate) trouble: Option<Trouble>,
    /// Whether the run needs more calls than its share of the event. Then nothing was looked into.
    pub(crate) needs_more: bool,
    /// The number of calls that were made.
    pub(crate) calls: usize,
}

/// One failed job, or one that was stopped from outside.
pub(crate) struct FailedJob {
    pub(crate) job: JobEvidence,
    /// When it started, in Unix seconds.
    pub(crate) started_at: Option<i64>,
    /// When it ended, in Unix seconds.
    pub(crate) ended_at: Option<i64>,
    /// What stopped it; None if it failed by itself.
    pub(crate) stopped: Option<Stopped>,
    pub(crate) excerpt: Excerpt,
    /// The part of the log that the excerpt is from; None without a log.
    pub(crate) log: Option<LogPart>,
}

/// A job to be looked into.
struct Suspect {
    job: WorkflowJob,
    stopped: Option<Stopped>,
}

// === impl Evidence ===

impl Evidence {
    /// The number of failed jobs that were not looked into.
    pub(crate) fn unread(&self) -> usize {
        self.failed.saturating_sub(self.jobs.len())
    }

    fn note(&mut self, note: Note) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

// === impl FailedJob ===

impl FailedJob {
    /// The failure without anything that GitHub tells.
    pub(crate) fn untold() -> Self {
        Self {
            job: JobEvidence::default(),
            started_at: None,
            ended_at: None,
            stopped: None,
            excerpt: Excerpt::default(),
            log: None,
        }
    }

    pub(crate) fn kind(&self) -> EvidenceKind {
        match (self.log, self.job.job_id) {
            (Some(_), _) => EvidenceKind::Log,
            (None, Some(_)) => EvidenceKind::Job,
            (None, None) => EvidenceKind::Payload,
        }
    }

    /// The conclusion by which the job is judged, in a run of the conclusion `of_run`. The model knows no cancelled ones.
    pub(crate) fn conclusion(&self, of_run: Conclusion) -> Conclusion {
        match (self.stopped.as_ref().map(|stopped| stopped.by), of_run) {
            (Some(StoppedBy::TimeLimit), _) => Conclusion::TimedOut,
            (_, Conclusion::Cancelled) => Conclusion::Failure,
            (_, conclusion) => conclusion,
        }
    }
}

/// Gathers the evidence that GitHub gives now. It is no trouble if there is none (no token, no such job, no log).
pub(crate) async fn gather(config: &Config, record: &FailureRecord, budget: Budget) -> Evidence {
    let mut evidence = Evidence::default();
    let Some(github) = Github::of(config, budget.calls) else { return evidence };
    let gathered = gather_with(&github, record, budget, &mut evidence);
    let ended = match select(pin!(gathered), Delay::from(DEADLINE)).await {
        Either::Left((ended, _)) => ended,
        Either::Right(_) => Err(away("no answer in time")),
    };
    evidence.calls = github.calls();
    match ended {
        Ok(()) if evidence.unread() > 0 => evidence.note(Note::JobsUnread),
        Ok(()) => {}
        Err(Stop::Trouble(trouble)) => evidence.trouble = Some(trouble),
        Err(Stop::CallsSpent) if budget.is_shared => evidence.needs_more = true,
        Err(Stop::CallsSpent) => evidence.note(Note::JobsUnread),
    }
    evidence
}

async fn gather_with(
    github: &Github<'_>,
    record: &FailureRecord,
    budget: Budget,
    evidence: &mut Evidence,
) -> Result<(), Stop> {
    let repository = &record.repository;
    let RunJobs { mut failed, cancelled, passed, .. } = jobs_of(github, record, evidence).await?;
    evidence.passed = passed;
    evidence.failed = failed.len();
    failed.truncate(LOGS_MAX);
    let needed = failed.len() * LOG_CALLS;
    if !github.may_call(needed) {
        return Err(Stop::CallsSpent);
    }
    let spare = Spare::of(github.calls_left().saturating_sub(needed + RETRY_CALLS));
    let stopped = stopped_jobs(github, repository, cancelled, budget, &spare).await?;
    evidence.failed += stopped.len();
    let mut suspects: Vec<Suspect> = failed.into_iter().map(|job| Suspect { job, stopped: None }).collect();
    suspects.extend(stopped);
    // What failed because a job was stopped ended after it.
    suspects.sort_by_key(|suspect| ended_at(&suspect.job).unwrap_or(i64::MAX));
    suspects.truncate(LOGS_MAX);
    let policy = policy::read(github, record, &spare);
    let looks = suspects.iter().map(|suspect| look_at(github, repository, suspect, &spare));
    // In order, so that what was read before a trouble is a beginning of the list.
    let mut looks = stream::iter(looks).buffered(budget.at_once);
    let jobs = &mut evidence.jobs;
    let looked = async {
        while let Some(job) = looks.try_next().await? {
            jobs.push(job);
        }
        Ok::<(), Stop>(())
    };
    let (policy, looked) = join(policy, looked).await;
    match policy {
        Ok(policy) => evidence.policy = policy,
        Err(()) => evidence.note(Note::PolicyUnread),
    }
    if !evidence.policy.mistakes.is_empty() {
        evidence.note(Note::PolicyInvalid);
    }
    looked?;
    let facts = evidence.jobs.iter().map(|job| &job.excerpt.facts);
    evidence.around = change::read(github, record, facts, &spare).await;
    if evidence.around.is_cut {
        evidence.note(Note::ChangeUnread);
    }
    Ok(())
}

/// The jobs that a delivery is about: the one of its job, or those of its run's attempt.
async fn jobs_of(
    github: &Github<'_>,
    record: &FailureRecord,
    evidence: &mut Evidence,
) -> Result<RunJobs, Stop> {
    let repository = &record.repository;
    let mut jobs = RunJobs::default();
    let (run_id, run_attempt) = match record.subject {
        Subject::Job { job_id, .. } => {
            let job: Option<WorkflowJob> = github.json(&paths::job(repository, job_id)).await?;
            // It is looked into because its delivery says that it failed.
            jobs.failed.extend(job);
            return Ok(jobs);
        }
        Subject::Run { run_id, run_attempt } => (run_id, run_attempt),
    };
    for page in 1..=JOB_PAGES {
        let path = paths::jobs(repository, run_id, run_attempt, page);
        let Some(page): Option<JobsPage> = github.json(&path).await? else { break };
        if page.total_count > u64::from(JOB_PAGES) * 100 {
            evidence.note(Note::JobsCut);
        }
        if !jobs.push(page) {
            break;
        }
    }
    Ok(jobs.in_order())
}

/// Those of the cancelled jobs that met a limit or lost their runner, and not a person, a newer push or a failed sibling. As
/// many are asked about as there are calls to spare.
async fn stopped_jobs(
    github: &Github<'_>,
    repository: &str,
    cancelled: Vec<WorkflowJob>,
    budget: Budget,
    spare: &Spare,
) -> Result<Vec<Suspect>, Stop> {
    let asked = ANNOTATED_JOBS_MAX.min(spare.left() / (1 + LOG_CALLS));
    let ask = |job: WorkflowJob| async move {
        let stopped = match job.id.filter(|_| spare.take(1)) {
            Some(id) => Stopped::of(&annotations(github, repository, id).await?),
            None => None,
        };
        let suspect = stopped.filter(|_| spare.take(LOG_CALLS));
        Ok(suspect.map(|stopped| Suspect { job, stopped: Some(stopped) }))
    };
    let asks = stream::iter(cancelled.into_iter().take(asked).map(ask)).buffered(budget.at_once);
    let asked: Vec<Option<Suspect>> = asks.try_collect().await?;
    Ok(asked.into_iter().flatten().collect())
}

/// Reads the log of a job, or, where a failed job has none, its annotations.
async fn look_at(
    github: &Github<'_>,
    repository: &str,
    Suspect { job, stopped }: &Suspect,
    spare: &Spare,
) -> Result<FailedJob, Stop> {
    let mut told = stopped.as_ref().map(Stopped::line).unwrap_or_default();
    let mut looked = FailedJob {
        job: JobEvidence::of(job),
        started_at: started_at(job),
        ended_at: ended_at(job),
        stopped: stopped.clone(),
        ..FailedJob::untold()
    };
    if stopped.is_some() {
        looked.job.step = job.stopped_step().and_then(|step| step.name.as_deref()).map(bounded);
    }
    let Some(id) = job.id else { return Ok(looked) };
    if let Some((excerpt, part)) = log::read(github, repository, id, &told, spare).await? {
        (looked.excerpt, looked.log) = (excerpt, Some(part));
        return Ok(looked);
    }
    if told.is_empty() && spare.take(1) {
        let annotations = annotations(github, repository, id).await?;
        looked.stopped = Stopped::of(&annotations);
        told = error_lines(&annotations);
    }
    looked.excerpt = Excerpt::of(told.as_bytes());
    Ok(looked)
}

/// What is annotated at the check run of a job. Nothing where the token may not read it.
async fn annotations(github: &Github<'_>, repository: &str, job_id: u64) -> Result<Vec<Annotation>, Stop> {
    Ok(github.json(&paths::annotations(repository, job_id)).await?.unwrap_or_default())
}
