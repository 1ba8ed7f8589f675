//! One job, from the queue to GitHub, in steps that can be taken again.
//!
//! Here: the order of things and what each failure means for the job. A node may die between any two steps: what it
//! holds is a lease, what it found is stored before it is posted, and what it posted is found again by its hidden
//! marker. So a job is done at least once and posted at most once.

mod answers;
mod claim;
mod end;
mod explain;
mod hear;
mod lease;
mod outage;
mod post;
mod review;

pub use explain::Explainer;
pub use lease::Leases;

use crate::database::{Store, now};
use crate::operate::faults::{Step, reach};
use crate::operate::metrics::Metrics;
use crate::review::engine::Engine;
use crate::review::github::{Github, JobError};
use end::{End, Outcome, Stop};
use futures_util::FutureExt;
use sentinel_shared::Result;
use sentinel_shared::store::jobs::{JobKind, JobStatus};
use sentinel_shared::store::leases::{self, Leased};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

/// How verdicts on failed runs are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Verdicts {
    /// As a check run on the commit, which needs an App.
    CheckRun,
    /// As a comment on the pull request whose head the commit is.
    Comment,
}

/// The settings of a reviewer.
#[derive(Debug, Clone)]
pub struct ReviewerOptions {
    /// The pause before the second try. It doubles with each try.
    pub retry_after: Duration,
    /// How verdicts are published.
    pub verdicts: Verdicts,
    /// The address of the dashboard, for links to correct a verdict.
    pub dashboard_url: Option<String>,
}

/// Takes jobs and works on them.
pub struct Reviewer {
    /// The leases of the jobs that it holds.
    pub leases: Leases,
    /// The database with the queue of jobs.
    pub store: Arc<Store>,
    /// The client of GitHub.
    pub github: Github,
    /// The model that scores hunks.
    pub engine: Arc<Engine>,
    /// The source of longer explanations, if one is configured.
    pub explainer: Option<Explainer>,
    /// The metrics that each job updates.
    pub metrics: Arc<Metrics>,
    /// The settings of the reviewer.
    pub options: ReviewerOptions,
}

/// The result of one call of [`Reviewer::review_once`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Once {
    /// There was nothing to do.
    Idle,
    /// A job ended, or went back to the queue.
    Worked {
        /// The key of the job.
        key: String,
        /// The new status of the job; None if another node has it.
        status: Option<JobStatus>,
    },
}

impl Reviewer {
    /// Takes one job that is due and works on it.
    ///
    /// # Errors
    /// [`Error::StoreUnavailable`]: the database cannot be reached.
    pub async fn review_once(&self) -> Result<Once> {
        let taken_at = now();
        let claim = leases::claim(self.leases.owner(), self.github.identity(), taken_at);
        let Some(job) = self.store.ask(claim).await? else { return Ok(Once::Idle) };
        self.leases.hold(&job);
        self.metrics.active_workers.inc();
        let active = Active(&self.metrics);
        reach(Step::Claimed).await;
        let outcome = tokio::select! {
            () = self.keep_lease(&job) => Ok(End::Lost),
            outcome = AssertUnwindSafe(self.work(&job)).catch_unwind() => {
                outcome.unwrap_or_else(|_| Err(JobError::Failed("the node panicked over it".to_owned())))
            }
        };
        reach(Step::Ending).await;
        let status = self.conclude(&job, taken_at, outcome).await?;
        reach(Step::Ended).await;
        drop(active);
        self.leases.let_go(&job);
        Ok(Once::Worked { key: job.key, status })
    }

    async fn work(&self, job: &Leased) -> Outcome {
        let end = match job.kind {
            JobKind::Review => self.review(job).await,
            JobKind::Explain => self.explain(job).await,
            JobKind::Verdict => self.tell_verdict(job).await,
        };
        end.or_else(Stop::into_outcome)
    }
}

/// Counts a job as active while it lives.
struct Active<'a>(&'a Metrics);

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.active_workers.dec();
    }
}
