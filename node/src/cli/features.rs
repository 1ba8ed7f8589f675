//! `sentinel features`: turns labelled records into the features that training reads. Features are computed nowhere
//! else.

use crate::learn::failure_model;
use crate::learn::labelled_runs::{self, LabelledRun};
use anyhow::{Context, Result};
use clap::Args;
use sentinel_shared::features::{Patterns, Pipeline, WIDTH};
use sentinel_shared::{cause, excerpt};
use serde_json::json;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Turn labelled records into telemetry or into the 884-column matrix.
///
/// Without `--fitted`, writes one JSON line per record: its telemetry, with the masked text from which the vocabulary
/// is chosen. With `--fitted`, writes a NumPy file of float32 with one row per record, in the order of the records.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  sentinel features --data train.jsonl --out telemetry.jsonl\n  \
                        sentinel features --data train.jsonl --fitted features.json --out matrix.npy")]
pub(super) struct Features {
    /// The labelled records: JSON lines, plain or gzip.
    #[arg(long)]
    data: PathBuf,
    /// The patterns.toml to use instead of the embedded one.
    #[arg(long)]
    patterns: Option<PathBuf>,
    /// The features.json with the fitted transformers; makes the matrix.
    #[arg(long)]
    fitted: Option<PathBuf>,
    /// Write the candidate lines of each log instead: a matrix with one row per line (as `--out`), and beside it, with
    /// the ending `.jsonl`, the record, the number and the text of each line.
    #[arg(long, conflicts_with = "fitted")]
    lines: bool,
    /// Rank the lines of each log with this scorer instead of the embedded one: training ranks the lines of a record with
    /// a scorer that has not seen the record.
    #[arg(long)]
    scorer: Option<PathBuf>,
    /// The file to write.
    #[arg(long)]
    out: PathBuf,
}

impl Features {
    pub(super) fn run(self) -> Result<()> {
        if let Some(path) = &self.scorer {
            let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
            cause::use_scorer(&bytes).with_context(|| path.display().to_string())?;
        }
        let records = labelled_runs::read(&self.data)?;
        if self.lines {
            return self.write_lines(&records);
        }
        let patterns = match &self.patterns {
            Some(path) => {
                let text =
                    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
                Patterns::parse_toml(&text)?
            }
            None => failure_model::load(None)?.patterns,
        };
        let mut out = created(&self.out)?;
        match &self.fitted {
            None => {
                for record in &records {
                    let telemetry = record.telemetry(&patterns);
                    writeln!(out, "{}", json!({ "id": record.id, "telemetry": telemetry }))?;
                }
            }
            Some(path) => {
                let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
                let pipeline: Pipeline = serde_json::from_slice(&bytes).context("the fitted transformers")?;
                pipeline.validate()?;
                write_npy_header(&mut out, records.len(), WIDTH)?;
                for record in &records {
                    for value in pipeline.transform(&record.telemetry(&patterns)).values() {
                        out.write_all(&value.to_le_bytes())?;
                    }
                }
            }
        }
        out.flush()?;
        stderr!("{} records written to {}", records.len(), self.out.display());
        Ok(())
    }

    fn write_lines(&self, records: &[LabelledRun]) -> Result<()> {
        let mut rows = Vec::new();
        let beside = self.out.with_extension("jsonl");
        let mut texts = created(&beside)?;
        for record in records {
            let (kept, steps) = excerpt::candidates(record.log().as_bytes(), record.job_in_log());
            for (step, line, row) in cause::rows(&kept, steps) {
                let line = &kept[step].lines[line];
                writeln!(
                    texts,
                    "{}",
                    json!({ "id": record.id, "number": line.number, "text": line.text, "step": step })
                )?;
                rows.push(row);
            }
        }
        texts.flush()?;
        let mut out = created(&self.out)?;
        write_npy_header(&mut out, rows.len(), cause::SIGNS)?;
        for value in rows.iter().flatten() {
            out.write_all(&value.to_le_bytes())?;
        }
        out.flush()?;
        stderr!("{} lines of {} records written to {}", rows.len(), records.len(), self.out.display());
        Ok(())
    }
}

fn created(path: &Path) -> Result<BufWriter<File>> {
    let file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
    Ok(BufWriter::new(file))
}

/// The header of NumPy's format 1.0 (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>).
fn write_npy_header(out: &mut impl Write, rows: usize, columns: usize) -> std::io::Result<()> {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    let unpadded = 10 + header.len() + 1;
    header.push_str(&" ".repeat(unpadded.next_multiple_of(64) - unpadded));
    header.push('\n');
    out.write_all(b"\x93NUMPY\x01\x00")?;
    out.write_all(&(header.len() as u16).to_le_bytes())?;
    out.write_all(header.as_bytes())
}
