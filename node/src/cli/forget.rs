//! `sentinel forget`: deletes every row of one repository.

use crate::operate::worker_api::{Worker, url_encoded};
use anyhow::{Result, ensure};
use clap::Args;
use sentinel_shared::api::deliveries::Forgotten;
use sentinel_shared::text::{printed, printed_json};

/// Delete everything that is stored about one repository: verdicts, reviews, corrections, deliveries.
///
/// Requires an admin key. Counters and drift histograms name no repository and stay. Posts on GitHub stay too.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sentinel forget owner/name --yes")]
pub(super) struct Forget {
    /// The repository to forget, as `owner/name`.
    repository: String,
    #[command(flatten)]
    worker: Worker,
    /// Confirm the deletion, which cannot be undone.
    #[arg(long)]
    yes: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Forget {
    pub(super) fn run(self) -> Result<()> {
        ensure!(
            self.yes,
            "this deletes everything that is stored about {}; add --yes to confirm",
            self.repository
        );
        let erased: Forgotten =
            self.worker.delete(&format!("/api/repositories?name={}", url_encoded(&self.repository)))?;
        if self.json {
            stdout!("{}", printed_json(&serde_json::to_string_pretty(&erased)?));
        } else {
            stdout!("{} rows of {} deleted", erased.rows, printed(&self.repository));
        }
        Ok(())
    }
}
