//! `sentinel jobs`: shows the queue and retries jobs that were given up.

use crate::database::{Store, now};
use crate::operate::hidden::Hidden;
use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use sentinel_shared::access::Scope;
use sentinel_shared::store::jobs::{JobKind, JobStatus};
use sentinel_shared::store::queue::{self, JobRow};
use sentinel_shared::text::{printed, printed_json};
use serde_json::json;

/// List the jobs of pull requests and of verdicts told on GitHub, and retry dead ones.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  sentinel jobs list\n  sentinel jobs dead --json\n  \
    sentinel jobs retry owner/name#7@0a1b2c…\n  sentinel jobs retry --dead")]
pub(super) struct Jobs {
    #[command(subcommand)]
    action: JobsAction,
    /// The address of the database.
    #[arg(long, env = "TURSO_DATABASE_URL", global = true)]
    database_url: Option<String>,
    /// The token for the database.
    #[arg(long, env = "TURSO_AUTH_TOKEN", hide_env_values = true, global = true)]
    database_token: Option<Hidden>,
    /// Print one JSON document.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum JobsAction {
    /// Show the latest jobs.
    List {
        /// Show only jobs with this status: queued, running, done, skipped, failed, dead or superseded.
        #[arg(long)]
        status: Option<String>,
        /// Show only jobs of these kinds: review, explain, verdict. Several are separated by commas.
        #[arg(long, value_delimiter = ',')]
        kind: Vec<String>,
        /// How many jobs to show.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Show the jobs that were given up, after three failures of their own or after three days of waiting.
    Dead,
    /// Queue a job again that ended without a review.
    Retry {
        /// The key of the job, as `sentinel jobs list` shows it.
        #[arg(required_unless_present = "dead")]
        key: Option<String>,
        /// Retry all dead jobs.
        #[arg(long, conflicts_with = "key")]
        dead: bool,
    },
}

impl Jobs {
    pub(super) fn run(self) -> Result<()> {
        let url =
            self.database_url.as_deref().context("TURSO_DATABASE_URL is not set: give --database-url")?;
        let token = self.database_token.as_ref().and_then(Hidden::secret);
        let store = Store::new(crate::operate::http::client().build()?, url, token);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            match &self.action {
                JobsAction::List { status, kind, limit } => {
                    let status =
                        status.as_deref().map(|label| JobStatus::parse(label).context("no such status"));
                    let kinds: Result<Vec<_>> =
                        kind.iter().map(|label| JobKind::parse(label).context("no such kind")).collect();
                    self.list(&store, status.transpose()?, &kinds?, *limit).await
                }
                JobsAction::Dead => self.list(&store, Some(JobStatus::Dead), &[], 1000).await,
                JobsAction::Retry { key, .. } => {
                    let queued = store.ask(queue::revive(Scope::All, key.as_deref(), now())).await?;
                    if self.json {
                        stdout!("{}", json!({ "queued": queued }));
                    } else {
                        stdout!("{queued} job(s) queued");
                    }
                    ensure!(
                        queued > 0 || key.is_none(),
                        "no job of this key ended without a review: `sentinel jobs list` shows the keys"
                    );
                    Ok(())
                }
            }
        })
    }

    async fn list(
        &self,
        store: &Store,
        status: Option<JobStatus>,
        kinds: &[JobKind],
        limit: u32,
    ) -> Result<()> {
        let rows = store.ask(queue::list(Scope::All, status, kinds, limit)).await?;
        if self.json {
            stdout!("{}", printed_json(&format!("{:#}", json!(rows))));
            return Ok(());
        }
        for row @ JobRow { key, status, attempts, created_at, error, review_url, .. } in &rows {
            let note = error.as_ref().or(review_url.as_ref()).map(String::as_str).unwrap_or_default();
            let (status, key, note) = (status.label(), printed(key), printed(note));
            stdout!("{status:<10} {created_at}  {key}  tries {attempts}  {}{note}", waiting(row));
        }
        stdout!("{} job(s)", rows.len());
        Ok(())
    }
}

/// The reason why a job waits, and until when.
fn waiting(row: &JobRow) -> String {
    let Some(wait) = &row.wait else { return String::new() };
    match (wait.reason, &row.error) {
        (Some(reason), _) => {
            let to_do = reason.to_do().map_or_else(String::new, |to_do| format!(": {to_do}"));
            format!("waits until {}, {}{to_do}; ", wait.until, reason.meaning())
        }
        (None, Some(_)) => format!("waits until {}; ", wait.until),
        (None, None) => String::new(),
    }
}
