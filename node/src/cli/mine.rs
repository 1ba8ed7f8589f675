//! `sentinel mine`: makes labelled hunks from a team's own history.

use crate::learn::labelled_hunks::LabelledHunk;
use crate::learn::mine::{MineOptions, mine, split};
use anyhow::{Context, Result, ensure};
use clap::Args;
use sentinel_shared::text::printed_json;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Make training data from a repository's own history: which hunks were repaired later, how, and where.
///
/// Reads the mainline of HEAD with git and changes nothing. Writes train.jsonl, valid.jsonl and test.jsonl (split by
/// time) and recent.jsonl (repaired hunks that are too young to have harmless ones beside them). E-mail addresses are
/// replaced, and hunks with a key or token are left out. The files hold your code, so store them where your code may be
/// stored.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sentinel mine --repo . --out mined\n  sentinel eval review --data mined/test.jsonl"
)]
pub(super) struct Mine {
    /// A clone with its history.
    #[arg(long, default_value = ".")]
    repo: PathBuf,
    /// The folder to write into. It is created if it is missing.
    #[arg(long)]
    out: PathBuf,
    /// The name of the repository in the records [default: the folder's name].
    #[arg(long)]
    name: Option<String>,
    /// Read at most this many of the newest commits of the mainline.
    #[arg(long, default_value_t = 6000)]
    commits: usize,
    /// A hunk counts as harmless if nothing in it was repaired for this many days. A smaller number finds more hunks in
    /// a young repository, but more labels are wrong.
    #[arg(long, default_value_t = 730)]
    settled_days: u16,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Mine {
    pub(super) fn run(self) -> Result<()> {
        let whole = self.repo.canonicalize().with_context(|| format!("opening {}", self.repo.display()))?;
        let folder = whole.file_name().map(|name| name.to_string_lossy().into_owned());
        let options = MineOptions {
            name: self.name.or(folder).unwrap_or_else(|| "repository".to_owned()),
            commits: self.commits,
            settled_days: self.settled_days.into(),
        };
        let mined = mine(&self.repo, &options, |commits| stderr!("{commits} commits"))?;
        std::fs::create_dir_all(&self.out).with_context(|| format!("making {}", self.out.display()))?;
        let parts = split(&mined.records);
        let recent = mined.recent.iter().map(|(_, record)| record).collect();
        let files = ["train", "valid", "test", "recent"].into_iter().zip(parts.into_iter().chain([recent]));
        let mut counts = serde_json::Map::new();
        for (name, records) in files {
            write(&self.out.join(format!("{name}.jsonl")), &records)?;
            let mended = records.iter().filter(|record| record.severity != "none").count();
            counts.insert(name.to_owned(), serde_json::json!({"records": records.len(), "mended": mended}));
        }
        let report = serde_json::json!({
            "repo": options.name, "commits": mined.commits, "repairs": mined.repairs, "hunks": mined.hunks,
            "left_out_secret": mined.secret, "files_that_lost_step": mined.lost_step, "splits": counts,
        });
        if self.json {
            stdout!("{}", printed_json(&report.to_string()));
        } else {
            stdout!(
                "{} commits, {} of them repairs; {} hunks followed, {} left out for a secret",
                mined.commits,
                mined.repairs,
                mined.hunks,
                mined.secret
            );
            for (name, count) in &counts {
                stdout!("{name:<8}{:>7} hunks, {} of them mended", count["records"], count["mended"]);
            }
        }
        ensure!(
            !mined.records.is_empty(),
            "nothing to learn from: no hunk was followed for {} days; try fewer with --settled-days, or a clone with its whole history",
            self.settled_days
        );
        Ok(())
    }
}

fn write(path: &Path, records: &[&LabelledHunk]) -> Result<()> {
    let mut out = BufWriter::new(File::create(path).with_context(|| format!("creating {}", path.display()))?);
    for record in records {
        writeln!(out, "{}", serde_json::to_string(record)?)?;
    }
    out.flush().with_context(|| format!("writing {}", path.display()))
}
