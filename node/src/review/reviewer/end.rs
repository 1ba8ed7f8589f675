//! How the work on a job ends, and what is written down about it.

use super::Reviewer;
use crate::database::now;
use crate::review::github::JobError;
use sentinel_shared::review::ReviewJob;
use sentinel_shared::store::jobs::{JobKind, JobStatus};
use sentinel_shared::store::leases::{self, Ending, Leased};
use sentinel_shared::store::{outbox, pauses};
use sentinel_shared::{Error, Result};
use std::collections::BTreeMap;
use std::time::Duration;
use tracing::{info, warn};

/// The longest pause between two tries of a job that failed through its own fault.
const RETRY_AT_MOST: Duration = Duration::from_secs(3600);

/// How a job's work ended.
pub(super) enum End {
    Done {
        url: String,
        posted: BTreeMap<&'static str, u32>,
    },
    /// GitHub was asked, and there is nothing to do.
    Skipped(&'static str),
    /// There is nothing to do, and GitHub was not asked.
    Needless(&'static str),
    /// The pull request has a newer commit. The value is the job for it.
    Superseded(Box<ReviewJob>),
    /// The pull request has a newer commit. Its job is queued already.
    Outdated,
    /// Another node has the job.
    Lost,
}

/// Stops the work on a job, because the job is done or because something went wrong.
pub(super) enum Stop {
    End(End),
    Error(JobError),
}

/// The result of the work on a job.
pub(super) type Outcome = std::result::Result<End, JobError>;

// === impl End ===

impl End {
    /// The row that is stored about the end of the job.
    fn ending<'e>(&'e self, none: &'e BTreeMap<&'static str, u32>) -> Ending<'e> {
        let ending = |status, reason| Ending { status, reason, review_url: None, posted: none };
        match self {
            Self::Done { url, posted } => {
                Ending { review_url: Some(url), posted, ..ending(JobStatus::Done, None) }
            }
            Self::Skipped(reason) | Self::Needless(reason) => ending(JobStatus::Skipped, Some(reason)),
            Self::Superseded(_) | Self::Outdated | Self::Lost => {
                ending(JobStatus::Superseded, Some("a newer commit was pushed"))
            }
        }
    }
}

// === impl Stop ===

impl Stop {
    pub(super) fn into_outcome(self) -> Outcome {
        match self {
            Self::End(end) => Ok(end),
            Self::Error(error) => Err(error),
        }
    }
}

impl From<End> for Stop {
    fn from(end: End) -> Self {
        Self::End(end)
    }
}

impl From<JobError> for Stop {
    fn from(error: JobError) -> Self {
        Self::Error(error)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error.into())
    }
}

/// Turns an error of our own side into an error of the job. The job is not to blame if the database is away or there is
/// too much work. It may be to blame if the database refuses a statement or the model fails.
impl From<Error> for JobError {
    fn from(error: Error) -> Self {
        let what = error.to_string();
        match error {
            Error::StoreUnavailable => {
                Self::Elsewhere { reason: None, what: "the store is unavailable".to_owned(), after: None }
            }
            Error::Overloaded { retry_after_seconds } => {
                let after = Some(Duration::from_secs(u64::from(retry_after_seconds)));
                Self::Elsewhere { reason: None, what, after }
            }
            _ => Self::Failed(what),
        }
    }
}

// === impl Reviewer ===

impl Reviewer {
    /// Writes down what came of a job that was taken at `taken_at`; its new status, None where another node has it.
    pub(super) async fn conclude(
        &self,
        job: &Leased,
        taken_at: i64,
        outcome: Outcome,
    ) -> Result<Option<JobStatus>> {
        let none = BTreeMap::new();
        let status = match &outcome {
            Ok(End::Lost) => None,
            Ok(end) => {
                if let End::Done { .. } = end {
                    self.metrics.e2e_latency.observe((now() - job.created_at).max(0) as f64);
                }
                if let End::Superseded(newer) = end {
                    // The event of the newer head may be lost, or have come before this one.
                    self.store.ask(outbox::enqueue(JobKind::Review, newer, now())).await?;
                }
                self.finish(job, taken_at, &end.ending(&none), &outcome).await?
            }
            Err(error @ JobError::Elsewhere { what, after, .. }) => {
                self.pause(job, taken_at, error, what, *after).await?
            }
            Err(JobError::Failed(what)) => self.retry(job, taken_at, what).await?,
            Err(error) => {
                let reason = Some(error.what());
                let failed = Ending { status: JobStatus::Failed, reason, review_url: None, posted: &none };
                self.finish(job, taken_at, &failed, &outcome).await?
            }
        };
        let label = status.map_or("lost", JobStatus::label);
        self.metrics.job_outcomes.with_label_values(&[label]).inc();
        match &outcome {
            Err(error) => warn!(key = job.key, outcome = label, "job.ended: {}", error.what()),
            Ok(_) => info!(key = job.key, outcome = label, "job.ended"),
        }
        Ok(status)
    }

    async fn finish(
        &self,
        job: &Leased,
        taken_at: i64,
        ending: &Ending<'_>,
        outcome: &Outcome,
    ) -> Result<Option<JobStatus>> {
        let close = if has_met_github(outcome) {
            let account = self.github.account(job.installation_id, None);
            pauses::close(self.github.identity(), &account, now())
        } else {
            self.end_probe(job, taken_at).map(|()| 0)
        };
        let finish = leases::finish(job.id, self.leases.owner(), ending, now());
        let (is_ours, closed) = self.store.ask(finish.and(close)).await?;
        if closed > 0 {
            info!("github.back: the jobs that waited go on");
        }
        Ok(is_ours.then_some(ending.status))
    }

    /// Puts a job back that failed through its own fault.
    async fn retry(&self, job: &Leased, taken_at: i64, what: &str) -> Result<Option<JobStatus>> {
        let tries = u32::try_from(job.attempts).unwrap_or(1).clamp(1, 8);
        let pause = (self.options.retry_after * (1 << (tries - 1))).min(RETRY_AT_MOST);
        let not_before = now() + seconds(pause);
        let retry = leases::retry(job.id, self.leases.owner(), what, not_before, now());
        self.store.ask(self.end_probe(job, taken_at).then(retry)).await
    }

    /// Puts a job back that is not to blame, and pauses its GitHub account if the trouble is the account's.
    async fn pause(
        &self,
        job: &Leased,
        taken_at: i64,
        error: &JobError,
        what: &str,
        after: Option<Duration>,
    ) -> Result<Option<JobStatus>> {
        let after = after.map_or(0, seconds);
        let pause = pauses::pause(job.id, self.leases.owner(), what, after, now());
        let breaker = self.breaker(&job.key, job.installation_id, error);
        self.store.ask(pause.with(breaker.unwrap_or_else(|| self.end_probe(job, taken_at)))).await
    }
}

/// Whether GitHub answered the job. If so, the breaker of the account is closed.
fn has_met_github(outcome: &Outcome) -> bool {
    match outcome {
        Ok(End::Lost | End::Needless(_)) => false,
        Ok(_) | Err(JobError::NotFound(_) | JobError::Unprocessable(_)) => true,
        Err(_) => false,
    }
}

pub(super) fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(0)
}
