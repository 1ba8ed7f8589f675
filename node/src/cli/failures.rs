//! `sentinel failures`: what failures have in common, as the worker remembers it.

use super::known::Known;
use crate::operate::failure_text;
use crate::operate::worker_api::{Worker, url_encoded};
use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use sentinel_shared::api::failures::{CauseDetail, Causes};
use sentinel_shared::text::printed_json;

/// Show what failed, grouped by cause: how often, where, and whether it still happens.
///
/// A cause is what failures of one repository have in common: the same deciding line, or the same failing tests. It is open
/// until every branch on which it occurred has been green again.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  sentinel failures list --state open --repository owner/name\n  \
    sentinel failures list --flaky\n  sentinel failures list --search timeout\n  sentinel failures show 42\n  \
    sentinel failures show 42 --json")]
pub(super) struct Failures {
    #[command(subcommand)]
    action: FailuresAction,
}

#[derive(Debug, Subcommand)]
enum FailuresAction {
    /// List causes, the last seen first.
    List(List),
    /// Show one cause: its past, failing tests, places, what to do, branches and last failures.
    Show {
        /// The id of the cause, which is the first column of `sentinel failures list`.
        id: i64,
        #[command(flatten)]
        worker: Worker,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// List, add and remove a team's known issues.
    #[command(subcommand)]
    Known(Known),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    worker: Worker,
    /// Only causes of this repository, as `owner/name`.
    #[arg(long)]
    repository: Option<String>,
    /// Only causes that occurred on this branch.
    #[arg(long)]
    branch: Option<String>,
    /// Only causes of this class, for example "Test Failure".
    #[arg(long)]
    class: Option<String>,
    /// Only causes that still occur, or only those that are over.
    #[arg(long)]
    state: Option<State>,
    /// Only causes whose failures often pass when they are tried again.
    #[arg(long)]
    flaky: bool,
    /// Only causes that failed a run of this person, by the login on GitHub.
    #[arg(long)]
    author: Option<String>,
    /// Only causes whose deciding line or tests have all of these words, or words that begin with them.
    #[arg(long)]
    search: Option<String>,
    /// Continue the list after the cause with this id, which ended the page before.
    #[arg(long)]
    before: Option<i64>,
    /// How many causes to list.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100))]
    limit: u32,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    Open,
    Fixed,
}

impl Failures {
    pub(super) fn run(self) -> Result<()> {
        match self.action {
            FailuresAction::List(list) => list.run(),
            FailuresAction::Known(known) => known.run(),
            FailuresAction::Show { id, worker, json } => {
                let detail: CauseDetail = worker.get(&format!("/api/cause?id={id}"))?;
                if json {
                    stdout!("{}", printed_json(&serde_json::to_string_pretty(&detail)?));
                } else {
                    stdout!("{}", failure_text::cause(&detail).trim_end());
                }
                Ok(())
            }
        }
    }
}

impl List {
    fn run(&self) -> Result<()> {
        let page: Causes = self.worker.get(&self.path())?;
        if self.json {
            stdout!("{}", printed_json(&serde_json::to_string_pretty(&page)?));
            return Ok(());
        }
        if page.causes.is_empty() {
            stdout!("no causes");
            return Ok(());
        }
        stdout!("{}", failure_text::list(&page.causes).trim_end_matches('\n'));
        if let Some(next) = page.next {
            stdout!("there may be more: add --before {next}");
        }
        Ok(())
    }

    fn path(&self) -> String {
        let state = self.state.map(|state| match state {
            State::Open => "open".to_owned(),
            State::Fixed => "fixed".to_owned(),
        });
        let before = self.before.map(|id| id.to_string());
        let flaky = self.flaky.then(|| "true".to_owned());
        let asked = [
            ("repository", &self.repository),
            ("branch", &self.branch),
            ("class", &self.class),
            ("state", &state),
            ("flaky", &flaky),
            ("author", &self.author),
            ("q", &self.search),
            ("before", &before),
        ];
        let wanted = asked.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        let filters: String = wanted.map(|(name, value)| format!("&{name}={}", url_encoded(value))).collect();
        format!("/api/causes?limit={}{filters}", self.limit)
    }
}
