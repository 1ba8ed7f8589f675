//! One job, from the queue to GitHub, in steps that can be taken again.
//!
//! Here: the order of things and what each failure means for the job. A node may die between any two steps: what it
//! holds is a lease, what it found is stored before it is posted, and what it posted is found again by its hidden
//! marker. So a job is done at least once and posted at most once.

mod answers;
mod explain;
mod hear;
mod post;

pub use explain::Explainer;

use crate::engine::Engine;
use crate::faults::{Step, reach};
use crate::github::{Access, Github, PullFile, Trouble};
use crate::metrics::Metrics;
use crate::policy;
use crate::store::{Store, now};
use futures_util::FutureExt;
use sentinel_shared::github::PullRequest;
use sentinel_shared::review::plan::{ChangedFile, Plan};
use sentinel_shared::review::policy::Policy;
use sentinel_shared::review::render;
use sentinel_shared::review::{ReviewJob, policy as rules};
use sentinel_shared::store::pauses::{self, Reason};
use sentinel_shared::store::reviews::{
    self, Ending, JobKind, JobStatus, LEASE_SECONDS, Leased, Renewed, ReviewResult,
};
use sentinel_shared::store::{Statement, Transaction};
use sentinel_shared::{Error, Result};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tracing::{error, info, warn};

/// The most time one job may take; what is not reviewed by then is skipped, and the summary says so.
const JOB_TIME: Duration = Duration::from_secs(600);
/// Of that, what is kept for posting.
const POSTING_TIME: Duration = Duration::from_secs(120);
/// The longest pause between two tries of a job that failed by itself.
const RETRY_AT_MOST: Duration = Duration::from_secs(3600);

/// How verdicts on failed runs are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Verdicts {
    /// As a check run on the commit; needs an App.
    CheckRun,
    /// As a comment on the pull request whose head the commit is.
    Comment,
}

/// What a reviewer may be told.
#[derive(Debug, Clone)]
pub struct Options {
    /// The pause before the second try; it doubles.
    pub retry_after: Duration,
    /// How verdicts are told.
    pub verdicts: Verdicts,
    /// The dashboard, for correction links.
    pub dashboard_url: Option<String>,
}

/// Takes jobs and does them.
pub struct Reviewer {
    /// Who holds the leases.
    pub owner: String,
    /// The queue.
    pub store: Arc<Store>,
    /// Where reviews go.
    pub github: Github,
    /// The model.
    pub engine: Arc<Engine>,
    /// For longer explanations, where one is configured.
    pub explainer: Option<Explainer>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// See [`Options`].
    pub options: Options,
    /// The rows of the jobs that are held right now.
    pub held: Mutex<HashSet<i64>>,
}

/// What one call of [`Reviewer::review_once`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Once {
    /// There was nothing to do.
    Idle,
    /// A job ended, or went back to the queue.
    Worked {
        /// Its key.
        key: String,
        /// How it stands; None where another node has it.
        status: Option<JobStatus>,
    },
}

/// How a job's work ended.
enum End {
    Done {
        url: String,
        posted: BTreeMap<&'static str, u32>,
    },
    /// GitHub was asked, and what it said leaves nothing to do.
    Skipped(&'static str),
    /// There is nothing to do, and GitHub was not asked.
    Needless(&'static str),
    Superseded(Box<ReviewJob>),
    Outdated,
    Lost,
}

/// Whether GitHub answered a job with something else than trouble: then its account's breaker is closed.
#[derive(Clone, Copy, PartialEq)]
enum GithubSeen {
    Yes,
    No,
}

impl Reviewer {
    /// Takes one job that is due and does it.
    ///
    /// # Errors
    /// [`Error::StoreUnavailable`]: the queue can't be reached.
    pub async fn review_once(&self) -> Result<Once> {
        let claim = reviews::claim(&self.owner, self.github.identity(), now());
        let answers = self.store.commit(&claim).await?;
        let Some(job) = reviews::claimed(&answers)? else { return Ok(Once::Idle) };
        self.hold(job.id);
        self.metrics.active_workers.inc();
        let active = Active(&self.metrics);
        reach(Step::Claimed).await;
        let end = tokio::select! {
            () = self.keep_lease(&job) => Ok(End::Lost),
            end = AssertUnwindSafe(self.work(&job)).catch_unwind() => {
                end.unwrap_or_else(|_| Err(Trouble::Failed("the node panicked over it".to_owned())))
            }
        };
        reach(Step::Ending).await;
        let status = self.conclude(&job, end).await?;
        reach(Step::Ended).await;
        drop(active);
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&job.id);
        Ok(Once::Worked { key: job.key, status })
    }

    async fn work(&self, job: &Leased) -> std::result::Result<End, Trouble> {
        match job.kind {
            JobKind::Review => self.review(job).await,
            JobKind::Explain => self.explain(job).await,
            JobKind::Verdict => self.tell_verdict(job).await,
        }
    }

    /// Reviews a pull request.
    ///
    /// 1. Ask what it is now: closed, a draft, or ahead of the job?
    /// 2. Read the policy on its base.
    /// 3. Read its files.
    /// 4. Read what we said before, so that nothing is said twice.
    /// 5. Score its hunks and choose; store the result.
    /// 6. Post it, in [`post`].
    async fn review(&self, job: &Leased) -> std::result::Result<End, Trouble> {
        let deadline = Instant::now() + JOB_TIME - POSTING_TIME;
        // (1)
        let access = self.github.access(&job.repository, job.installation_id).await?;
        let pull = access.pull(job.number).await?;
        reach(Step::PullRead).await;
        if pull.state.as_deref() != Some("open") {
            return Ok(End::Skipped("the pull request is closed"));
        }
        if job.head_sha.as_ref().is_some_and(|asked| *asked != pull.head.sha) {
            return Ok(superseded(job, pull));
        }
        // (2)
        let policy = self.policy(&access, &pull.base.sha).await?;
        reach(Step::PolicyRead).await;
        if !policy.enabled {
            return Ok(End::Skipped("the policy says no reviews"));
        }
        if pull.draft && !policy.drafts {
            return Ok(End::Skipped("the pull request is a draft"));
        }
        let head = pull.head.sha;
        // (3)
        let files = access.files(job.number).await?;
        reach(Step::FilesRead).await;
        // (4) and (5)
        let kept = job.result.as_ref().filter(|result| result.head_sha == head).cloned();
        let result = match kept {
            Some(result) => result,
            None => {
                let result =
                    self.score(job, &access, &policy, &files, &head, pull.changed_files, deadline).await?;
                let keep = reviews::keep_result(job.id, &self.owner, &result);
                self.store.commit(&keep).await.map_err(away)?;
                result
            }
        };
        reach(Step::ResultKept).await;
        // (6)
        self.post(job, &access, &policy, &files, &result).await
    }

    #[expect(clippy::too_many_arguments, reason = "one call; a struct for it would say the same names twice")]
    async fn score(
        &self,
        job: &Leased,
        access: &Access<'_>,
        policy: &Policy,
        files: &[PullFile],
        head: &str,
        changed_files: u64,
        deadline: Instant,
    ) -> std::result::Result<ReviewResult, Trouble> {
        let said: BTreeSet<String> = access
            .own_comments(job.number)
            .await?
            .iter()
            // What is outdated is not on the page any more: it may be said again.
            .filter(|comment| comment.line.is_some())
            .filter_map(|comment| render::fingerprint_in(comment.body.as_deref()?).map(str::to_owned))
            .collect();
        reach(Step::CommentsRead).await;
        let changed = files.iter().map(|file| {
            ChangedFile::of_github(&file.filename, &file.status, file.changes, file.patch.as_deref())
        });
        let unlisted = usize::try_from(changed_files).unwrap_or(0).saturating_sub(files.len());
        let plan = Plan::new(changed.collect(), unlisted, policy);
        let result = self.engine.review(head, &plan, policy, &said, deadline).await.map_err(away)?;
        reach(Step::Scored).await;
        Ok(result)
    }

    /// The policy on the base; a file that can't be followed is a reason to stop, not to guess.
    async fn policy(&self, access: &Access<'_>, base: &str) -> std::result::Result<Policy, Trouble> {
        match access.text_file(rules::PATH, base).await? {
            None => Ok(Policy::default()),
            Some(yaml) => policy::parse(&yaml).map_err(|error| Trouble::Refused(error.to_string())),
        }
    }

    /// Ends only when another node has the job.
    async fn keep_lease(&self, job: &Leased) {
        let renew_every = Duration::from_secs(LEASE_SECONDS as u64 / 4);
        let mut renewed_at = Instant::now();
        loop {
            tokio::time::sleep(renew_every).await;
            match self.renew(job).await {
                Ok(Renewed::Lost) => return,
                Ok(_) => renewed_at = Instant::now(),
                // Without the store nobody else can take it either, until the lease ends.
                Err(_) if renewed_at.elapsed() < Duration::from_secs(LEASE_SECONDS as u64) - renew_every => {}
                Err(_) => return,
            }
        }
    }

    async fn renew(&self, job: &Leased) -> Result<Renewed> {
        reviews::renewed(&self.store.commit(&reviews::renew(job.id, &self.owner, now())).await?)
    }

    /// Writes down how a job ended; its new status, None where another node has it.
    async fn conclude(
        &self,
        job: &Leased,
        end: std::result::Result<End, Trouble>,
    ) -> Result<Option<JobStatus>> {
        let none = BTreeMap::new();
        // Whatever GitHub said, it is there.
        let github = match &end {
            Ok(End::Lost | End::Needless(_)) => GithubSeen::No,
            Ok(_) | Err(Trouble::NotFound(_) | Trouble::Unprocessable(_)) => GithubSeen::Yes,
            Err(_) => GithubSeen::No,
        };
        let ending = |status, reason| Ending { status, reason, review_url: None, posted: &none };
        let status = match &end {
            Ok(End::Lost) => None,
            Ok(End::Done { url, posted }) => {
                let done = Ending { status: JobStatus::Done, reason: None, review_url: Some(url), posted };
                self.metrics.e2e_latency.observe((now() - job.created_at).max(0) as f64);
                self.finish(job, &done, github).await?
            }
            Ok(End::Skipped(reason) | End::Needless(reason)) => {
                self.finish(job, &ending(JobStatus::Skipped, Some(reason)), github).await?
            }
            Ok(End::Outdated) => {
                self.finish(job, &ending(JobStatus::Superseded, Some("a newer commit was pushed")), github)
                    .await?
            }
            Ok(End::Superseded(newer)) => {
                // The event of the newer head may be lost, or have come before this one.
                self.store.commit(&reviews::enqueue(JobKind::Review, newer, now())).await?;
                self.finish(job, &ending(JobStatus::Superseded, Some("a newer commit was pushed")), github)
                    .await?
            }
            Err(trouble @ Trouble::Elsewhere { what, after, .. }) => {
                self.pause(job, trouble, what, *after).await?
            }
            Err(Trouble::Failed(what)) => self.retry(job, what).await?,
            Err(trouble) => {
                self.finish(job, &ending(JobStatus::Failed, Some(trouble.what())), github).await?
            }
        };
        let outcome = status.map_or("lost", JobStatus::label);
        self.metrics.job_outcomes.with_label_values(&[outcome]).inc();
        match &end {
            Err(trouble) => warn!(key = job.key, outcome, "job.ended: {}", trouble.what()),
            Ok(_) => info!(key = job.key, outcome, "job.ended"),
        }
        Ok(status)
    }

    async fn finish(
        &self,
        job: &Leased,
        ending: &Ending<'_>,
        github: GithubSeen,
    ) -> Result<Option<JobStatus>> {
        let mut transaction = reviews::finish(job.id, &self.owner, ending, now());
        if github == GithubSeen::Yes {
            let account = self.github.account(job.installation_id, None);
            transaction.0.extend(pauses::close(self.github.identity(), &account, now()));
        }
        let answers = self.store.commit(&transaction).await?;
        if github == GithubSeen::Yes && answers.last().is_some_and(|closed| closed.affected > 0) {
            info!("github.back: the jobs that waited go on");
        }
        Ok(answers.first().is_some_and(|rows| rows.affected > 0).then_some(ending.status))
    }

    /// Puts a job back that failed by itself.
    async fn retry(&self, job: &Leased, what: &str) -> Result<Option<JobStatus>> {
        let tries = u32::try_from(job.attempts).unwrap_or(1).clamp(1, 8);
        let pause = (self.options.retry_after * (1 << (tries - 1))).min(RETRY_AT_MOST);
        let not_before = now() + seconds(pause);
        let answers =
            self.store.commit(&reviews::retry(job.id, &self.owner, what, not_before, now())).await?;
        reviews::retried(&answers)
    }

    /// Puts a job back that is not to blame, and pauses its account on GitHub where that is what has trouble.
    async fn pause(
        &self,
        job: &Leased,
        trouble: &Trouble,
        what: &str,
        after: Option<Duration>,
    ) -> Result<Option<JobStatus>> {
        let mut transaction = pauses::pause(job.id, &self.owner, what, after.map_or(0, seconds), now());
        transaction.0.extend(self.breaker(&job.key, job.installation_id, trouble));
        pauses::paused(&self.store.commit(&transaction).await?)
    }

    /// What opens the breaker of the account that met `trouble`, if the trouble is the account's.
    fn breaker(&self, job: &str, installation: Option<u64>, trouble: &Trouble) -> Option<Statement> {
        let Trouble::Elsewhere { reason: Some(reason), what, after } = trouble else { return None };
        let account = self.github.account(installation, Some(*reason));
        if let Some(to_do) = reason.to_do() {
            error!(account, "github.refuses_us: {}: {to_do}", reason.meaning());
        }
        let after = after.map_or(0, seconds);
        let trouble = pauses::Trouble { account: &account, reason: *reason, what, after, job };
        Some(pauses::open(self.github.identity(), &trouble, now()))
    }

    /// Opens the breaker of the account that met `trouble` outside of a job.
    pub(crate) async fn note(&self, installation: Option<u64>, trouble: &Trouble) {
        let Some(breaker) = self.breaker("", installation, trouble) else { return };
        if self.store.commit(&Transaction(vec![breaker])).await.is_err() {
            warn!("breaker.not_stored: the next job meets the same");
        }
    }

    /// Once, when a node starts: asks GitHub whether it accepts us, which a new token or key was given for, and queues
    /// what an earlier version ended because GitHub was away.
    ///
    /// # Errors
    /// [`Error::StoreUnavailable`].
    pub async fn introduce_once(&self) -> Result<()> {
        let identity = self.github.identity();
        let outcome = self.github.introduce().await;
        let mut statements = vec![pauses::revive(identity, None, now())];
        match &outcome {
            Ok(()) => statements.extend(pauses::close_refused(identity, now())),
            Err(trouble) if matches!(trouble.reason(), Some(Reason::TokenRefused | Reason::KeyRefused)) => {
                statements.extend(self.breaker("", None, trouble));
            }
            Err(trouble) => warn!("github.not_met: {}", trouble.what()),
        }
        let answers = self.store.commit(&Transaction(statements)).await?;
        let jobs = answers.first().map_or(0, |revived| revived.affected);
        if jobs > 0 {
            info!(jobs, "jobs.revived: an outage had ended them");
        }
        Ok(())
    }

    fn hold(&self, id: i64) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }

    /// Gives back the jobs whose work was cut off: the node goes down, and another may go on at once.
    pub async fn release_held(&self) {
        let held: Vec<i64> = self.held.lock().unwrap_or_else(PoisonError::into_inner).drain().collect();
        for id in held {
            if self.store.commit(&reviews::release(id, &self.owner, now())).await.is_err() {
                warn!("job.not_released: its lease ends in at most {LEASE_SECONDS} s");
            }
        }
    }
}

/// The end of a job whose pull request has moved on, and the job that takes its place.
fn superseded(job: &Leased, pull: PullRequest) -> End {
    End::Superseded(Box::new(ReviewJob {
        key: ReviewJob::key_of(&job.repository, job.number, &pull.head.sha),
        repository: job.repository.clone(),
        number: job.number,
        base_sha: Some(pull.base.sha),
        head_sha: Some(pull.head.sha),
        installation_id: job.installation_id,
    }))
}

/// Counts a job as worked on, for as long as it is.
struct Active<'a>(&'a Metrics);

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.active_workers.dec();
    }
}

/// What our own side does not give: where the store is away or there is too much work, the job is not to blame; what the
/// store refuses and where the model fails, it may be.
#[expect(clippy::needless_pass_by_value, reason = "it is mapped over results")]
fn away(error: Error) -> Trouble {
    let what = error.to_string();
    match error {
        Error::StoreUnavailable => {
            Trouble::Elsewhere { reason: None, what: "the store is unavailable".to_owned(), after: None }
        }
        Error::Overloaded { retry_after_seconds } => {
            let after = Some(Duration::from_secs(u64::from(retry_after_seconds)));
            Trouble::Elsewhere { reason: None, what, after }
        }
        _ => Trouble::Failed(what),
    }
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(0)
}
