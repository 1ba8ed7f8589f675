//! `sentinel failures known`: a team's known issues.

use crate::operate::worker_api::{Worker, url_encoded};
use anyhow::Result;
use clap::{Args, Subcommand};
use sentinel_shared::api::failures::{KnownAnswer, KnownList, KnownRequest};
use sentinel_shared::history::NewKnown;
use sentinel_shared::store::history::known::KnownRow;
use sentinel_shared::text::{printed, printed_json};

#[derive(Debug, Subcommand)]
pub(super) enum Known {
    /// List the known issues of a repository. Those of its policy file are in the file.
    List {
        #[command(flatten)]
        worker: Worker,
        /// The repository, as `owner/name`.
        #[arg(long)]
        repository: String,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Try a pattern on the lines of the last 30 days, and keep it unless it is too wide.
    Add(Add),
    /// Remove a known issue.
    Remove {
        #[command(flatten)]
        worker: Worker,
        /// The id, which is the first column of `sentinel failures known list`.
        id: i64,
    },
}

#[derive(Debug, Args)]
pub(super) struct Add {
    #[command(flatten)]
    worker: Worker,
    /// The repository, as `owner/name`.
    #[arg(long)]
    repository: String,
    /// A text that a line or the name of a failing test contains.
    #[arg(long, required_unless_present = "regex", conflicts_with = "regex")]
    text: Option<String>,
    /// A regular expression that occurs in a line or the name of a failing test.
    #[arg(long)]
    regex: Option<String>,
    /// What to do.
    #[arg(long)]
    advice: String,
    /// A page that says more, over https.
    #[arg(long)]
    link: Option<String>,
    /// Try a run that fails with it again, once for each commit.
    #[arg(long)]
    retry: bool,
    /// Only say how many causes it claims.
    #[arg(long)]
    dry_run: bool,
}

impl Known {
    pub(super) fn run(self) -> Result<()> {
        match self {
            Self::List { worker, repository, json } => {
                let path = format!("/api/known?repository={}", url_encoded(&repository));
                let list: KnownList = worker.get(&path)?;
                if json {
                    stdout!("{}", printed_json(&serde_json::to_string_pretty(&list)?));
                    return Ok(());
                }
                let KnownList { known } = list;
                known.iter().for_each(|row| stdout!("{}", one_line(row)));
                if known.is_empty() {
                    stdout!("no known issues");
                }
                Ok(())
            }
            Self::Add(add) => add.run(),
            Self::Remove { worker, id } => {
                let removed: KnownRow = worker.delete(&format!("/api/known?id={id}"))?;
                stdout!("removed: {}", one_line(&removed));
                Ok(())
            }
        }
    }
}

impl Add {
    fn run(self) -> Result<()> {
        let Self { worker, repository, text, regex, advice, link, retry, dry_run } = self;
        let issue = NewKnown { text, regex, advice: Some(advice), link, retry };
        let answer: KnownAnswer = worker.post("/api/known", &KnownRequest { repository, dry_run, issue })?;
        let trial = answer.trial;
        stdout!("claims {} of the {} causes of the last 30 days", trial.claims, trial.of);
        if let Some(why) = answer.too_wide {
            stdout!("it would be refused, {why}");
        }
        if let Some(row) = answer.known {
            stdout!("kept: {}", one_line(&row));
        }
        Ok(())
    }
}

fn one_line(row: &KnownRow) -> String {
    let KnownRow { id, pattern, is_regex, advice, retry, .. } = row;
    let kind = if *is_regex { "regex" } else { "text" };
    let again = if *retry { ", tried again" } else { "" };
    format!("{id:>6}  {kind:<5}  {}: {}{again}", printed(pattern), printed(advice))
}
