//! Leases: a job is this node's for a minute at a time, and for longer only while the node says so.

use super::Reviewer;
use crate::database::now;
use sentinel_shared::Result;
use sentinel_shared::store::leases::{self, LEASE_SECONDS, Leased, Renewed};
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tracing::warn;

/// The name under which this node holds leases, and the jobs that it holds now.
pub struct Leases {
    owner: String,
    /// The row ids of the jobs that are held.
    held: Mutex<HashSet<i64>>,
}

// === impl Leases ===

impl Leases {
    /// Starts without leases. All leases are taken under this name, which no other node may have.
    #[must_use]
    pub fn of(owner: String) -> Self {
        Self { owner, held: Mutex::default() }
    }

    pub(super) fn owner(&self) -> &str {
        &self.owner
    }

    pub(super) fn hold(&self, job: &Leased) {
        self.held().insert(job.id);
    }

    pub(super) fn let_go(&self, job: &Leased) {
        self.held().remove(&job.id);
    }

    fn held(&self) -> MutexGuard<'_, HashSet<i64>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Reviewer ===

impl Reviewer {
    /// Renews a lease again and again. Ends only when another node has the job.
    pub(super) async fn keep_lease(&self, job: &Leased) {
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

    pub(super) async fn renew(&self, job: &Leased) -> Result<Renewed> {
        self.store.ask(leases::renew(job.id, self.leases.owner(), now())).await
    }

    /// Gives back the jobs whose work was cut off, because the node stops. Another node may continue at once.
    pub async fn release_held(&self) {
        let held: Vec<i64> = self.leases.held().drain().collect();
        for id in held {
            if self.store.ask(leases::release(id, self.leases.owner(), now())).await.is_err() {
                warn!("job.not_released: its lease ends in at most {LEASE_SECONDS} s");
            }
        }
    }
}
