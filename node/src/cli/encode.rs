//! `sentinel encode`: turns labelled hunks into the tokens that the review model is trained on. Tokens are made nowhere
//! else.

use crate::learn::evaluation::controls::bag;
use crate::learn::labelled_hunks::{Input, LabelledHunk};
use crate::learn::labelled_runs;
use crate::learn::near_duplicates::Seen;
use crate::review::model::ReviewModel;
use crate::review::tokenizer::Encoder;
use anyhow::{Context, Result};
use clap::Args;
use sentinel_shared::diff::Place;
use serde_json::json;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Turn labelled hunks into the tokens that the review model reads, one JSON line per piece.
///
/// Only `hunk`, `path` and the language of the path become tokens. Labels are copied beside them.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sentinel encode --data train.jsonl.zst --apart-from test.jsonl.zst --out train.tokens.jsonl"
)]
pub(super) struct Encode {
    /// The labelled hunks: JSON lines, plain, .gz or .zst.
    #[arg(long)]
    data: PathBuf,
    /// Leave out hunks that are nearly the same as one in this file, such as the evaluation set.
    #[arg(long, value_name = "FILE")]
    apart_from: Vec<PathBuf>,
    /// The folder of another model, whose tokenizer is used.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Also write the input of the controls: the hashed bag of words and the number of added lines.
    #[arg(long)]
    bag: bool,
    /// The file to write.
    #[arg(long)]
    out: PathBuf,
}

impl Encode {
    pub(super) fn run(self) -> Result<()> {
        // What ends early must not look like all there is.
        let unfinished = self.out.with_extension("unfinished");
        self.encode(&unfinished).inspect_err(|_| {
            let _ = std::fs::remove_file(&unfinished);
        })?;
        std::fs::rename(&unfinished, &self.out).with_context(|| format!("writing {}", self.out.display()))
    }

    fn encode(&self, out: &Path) -> Result<()> {
        let encoder = Encoder::new(&ReviewModel::load(self.model.as_deref())?)?;
        let mut out =
            BufWriter::new(File::create(out).with_context(|| format!("creating {}", out.display()))?);
        let seen = self.seen()?;
        let (mut records, mut pieces, mut unread, mut near) = (0, 0, 0, 0);
        for (at, record) in labelled_runs::records::<LabelledHunk>(&self.data)?.enumerate() {
            let record = record?;
            records += 1;
            let place = || format!("{}, record {}", self.data.display(), at + 1);
            match record.input().with_context(place)? {
                Some(input) if seen.has_near(&input.hunk) => near += 1,
                Some(input) => pieces += self.write(&mut out, &encoder, at, &record, &input)?,
                None => unread += 1,
            }
        }
        out.flush()?;
        stderr!("{records} records, {pieces} pieces, {unread} in no language the model knows");
        if !self.apart_from.is_empty() {
            stderr!("{near} left out: nearly the same is in what they are kept apart from");
        }
        Ok(())
    }

    fn seen(&self) -> Result<Seen> {
        let mut seen = Seen::default();
        for file in &self.apart_from {
            for record in labelled_runs::records::<LabelledHunk>(file)? {
                if let Some(input) = record?.input().with_context(|| file.display().to_string())? {
                    seen.insert(&input.hunk);
                }
            }
        }
        Ok(seen)
    }

    fn write(
        &self,
        out: &mut impl Write,
        encoder: &Encoder,
        at: usize,
        record: &LabelledHunk,
        input: &Input<'_>,
    ) -> Result<usize> {
        let repair = record.repair()?;
        let mut before = 0;
        let mut count = 0;
        let pieces = encoder.pieces(input.path, input.language, &input.hunk);
        for (number, (piece, encoded)) in pieces.enumerate() {
            let inside = before..before + piece.lines.len();
            let repaired: Vec<bool> = inside
                .filter(|index| matches!(input.hunk.lines[*index].place, Place::Added { .. }))
                .map(|index| record.lines.contains(&index))
                .collect();
            before += piece.lines.len();
            let mut line = json!({
                "record": at, "piece": number, "repo": record.repo, "language": input.language.name(),
                "ids": encoded.ids, "added_at": encoded.added_at, "repaired": repaired,
                "severity": repair.map(|repair| repair.severity as usize),
                "category": repair.map(|repair| repair.category as usize), "conf": record.conf,
            });
            if self.bag && number == 0 {
                let bag = bag(input);
                line["bag"] = json!([bag.keys().collect::<Vec<_>>(), bag.values().collect::<Vec<_>>()]);
                line["added"] = json!(input.hunk.added().count());
            }
            writeln!(out, "{line}")?;
            count += 1;
        }
        Ok(count)
    }
}
