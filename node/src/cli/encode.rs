//! `sentinel encode`: labelled hunks to the tokens the review model is trained on. The only place they are made.

use crate::dataset;
use crate::review_model::ReviewModel;
use crate::tokenizer::Encoder;
use anyhow::{Context, Result};
use clap::Args;
use sentinel_shared::diff::{Place, parse_patch};
use sentinel_shared::review::language::Language;
use sentinel_shared::review::{Category, Severity};
use serde::Deserialize;
use serde_json::json;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// Turn labelled hunks into the tokens the review model reads, one JSON line a piece.
///
/// Of each record only `hunk`, `path` and the language of the path become tokens. Labels are copied beside them.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sentinel encode --data train.jsonl.zst --out train.tokens.jsonl")]
pub(super) struct Encode {
    /// Labelled hunks: JSON lines, plain, .gz or .zst.
    #[arg(long)]
    data: PathBuf,
    /// A folder with another model, whose tokenizer is used.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Where to write.
    #[arg(long)]
    out: PathBuf,
}

/// What is read of a record: the model's input, and the labels that are copied.
#[derive(Deserialize)]
struct Record {
    hunk: String,
    path: String,
    repo: String,
    severity: String,
    category: String,
    #[serde(default)]
    lines: Vec<usize>,
    #[serde(default)]
    conf: u32,
}

impl Encode {
    pub(super) fn run(self) -> Result<()> {
        let encoder = Encoder::new(&ReviewModel::load(self.model.as_deref())?)?;
        let mut out = BufWriter::new(File::create(&self.out).context("creating the output")?);
        let (mut records, mut pieces, mut unread) = (0, 0, 0);
        for (at, record) in dataset::records::<Record>(&self.data)?.enumerate() {
            let record = record?;
            records += 1;
            let (Some(language), Ok(hunks)) = (Language::of_path(&record.path), parse_patch(&record.hunk))
            else {
                unread += 1;
                continue;
            };
            pieces += write(&mut out, &encoder, at, &record, language, &hunks)?;
        }
        out.flush()?;
        eprintln!("{records} records, {pieces} pieces, {unread} in no language the model knows or no hunk");
        Ok(())
    }
}

fn write(
    out: &mut impl Write,
    encoder: &Encoder,
    at: usize,
    record: &Record,
    language: Language,
    hunks: &[sentinel_shared::diff::Hunk<'_>],
) -> Result<usize> {
    let Some(hunk) = hunks.first() else { return Ok(0) };
    let severity = Severity::parse(&record.severity).map(|severity| severity as usize);
    let category = Category::parse(&record.category).map(|category| category as usize);
    let mut before = 0;
    let pieces = encoder.pieces(&record.path, language, hunk);
    for (number, (piece, encoded)) in pieces.iter().enumerate() {
        let inside = before..before + piece.lines.len();
        let repaired: Vec<bool> = inside
            .filter(|index| matches!(hunk.lines[*index].place, Place::Added { .. }))
            .map(|index| record.lines.contains(&index))
            .collect();
        before += piece.lines.len();
        let line = json!({
            "record": at, "piece": number, "of": pieces.len(), "repo": record.repo, "language": language.name(),
            "ids": encoded.ids, "added_at": encoded.added_at, "repaired": repaired,
            "severity": severity, "category": category, "conf": record.conf,
        });
        writeln!(out, "{line}")?;
    }
    Ok(pieces.len())
}
