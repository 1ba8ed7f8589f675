//! An account of GitHub that has trouble: its breaker is opened for all nodes.

use super::Reviewer;
use super::end::seconds;
use crate::database::now;
use crate::review::github::JobError;
use sentinel_shared::Result;
use sentinel_shared::store::Query;
use sentinel_shared::store::leases::Leased;
use sentinel_shared::store::pauses::{self, Reason};
use tracing::{error, info, warn};

impl Reviewer {
    /// The statements that open the breaker of the account that met `error`, if the error is the account's.
    pub(super) fn breaker(
        &self,
        job: &str,
        installation: Option<u64>,
        error: &JobError,
    ) -> Option<Query<()>> {
        let JobError::Elsewhere { reason: Some(reason), what, after } = error else { return None };
        let account = self.github.account(installation, Some(*reason));
        if let Some(to_do) = reason.to_do() {
            error!(account, "github.refuses_us: {}: {to_do}", reason.meaning());
        }
        let after = after.map_or(0, seconds);
        let outage = pauses::Outage { account: &account, reason: *reason, what, after, job };
        Some(pauses::open(self.github.identity(), &outage, now()))
    }

    /// What lets the next job of the account through its breaker, where this one was let through and showed nothing of GitHub.
    pub(super) fn end_probe(&self, job: &Leased, taken_at: i64) -> Query<()> {
        let account = self.github.account(job.installation_id, None);
        pauses::end_probe(self.github.identity(), &account, taken_at, now())
    }

    /// Opens the breaker of the account that met `error` outside of a job.
    pub(crate) async fn note(&self, installation: Option<u64>, error: &JobError) {
        let Some(breaker) = self.breaker("", installation, error) else { return };
        if self.store.ask(breaker).await.is_err() {
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
        let breaker = match &outcome {
            Ok(()) => Some(pauses::close_refused(identity, now())),
            Err(error) if matches!(error.reason(), Some(Reason::TokenRefused | Reason::KeyRefused)) => {
                self.breaker("", None, error)
            }
            Err(error) => {
                warn!("github.not_met: {}", error.what());
                None
            }
        };
        let revive = pauses::revive(identity, None, now());
        let jobs = self.store.ask(revive.with(breaker.unwrap_or_else(Query::nothing))).await?;
        if jobs > 0 {
            info!(jobs, "jobs.revived: an outage had ended them");
        }
        Ok(())
    }
}
