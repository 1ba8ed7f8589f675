//! A claimed job: what every step of it needs.

use super::Reviewer;
use super::end::{End, Stop};
use crate::operate::faults::{Step, reach};
use crate::review::github::{Access, Turn};
use sentinel_shared::store::leases::{Leased, Renewed};

/// A job that this node has claimed, and GitHub as the job's account sees it.
pub(super) struct Claim<'a> {
    pub(super) reviewer: &'a Reviewer,
    pub(super) job: &'a Leased,
    pub(super) access: Access<'a>,
}

impl<'a> Claim<'a> {
    pub(super) async fn of(reviewer: &'a Reviewer, job: &'a Leased) -> Result<Self, Stop> {
        let access = reviewer.github.access(&job.repository, job.installation_id).await?;
        Ok(Self { reviewer, job, access })
    }

    /// Waits for our turn to write. Waiting for it takes time, so the lease is renewed after it: the job stops here if
    /// it is another node's by now, or about a commit that is not the newest any more.
    pub(super) async fn turn(&self) -> Result<Turn, Stop> {
        let turn = self.access.turn().await?;
        reach(Step::WriteAllowed).await;
        let renewed = self.reviewer.renew(self.job).await?;
        reach(Step::LeaseRenewed).await;
        match renewed {
            Renewed::Held => Ok(turn),
            Renewed::Outdated => Err(Stop::End(End::Outdated)),
            Renewed::Lost => Err(Stop::End(End::Lost)),
        }
    }
}
