//! Labelled CI failures, one JSON object per line, and the telemetry that the model reads from each.

use anyhow::{Context, Result};
use sentinel_shared::excerpt::{Excerpt, Jobs};
use sentinel_shared::failure::FailureClass;
use sentinel_shared::features::{Patterns, Telemetry};
use sentinel_shared::log::{LogLine, Reader};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// One labelled failure. Fields that tell the label (`tool`, `note`) are not read.
#[derive(Debug, Clone, Deserialize)]
pub struct LabelledRun {
    /// The record's id, unique in its file.
    pub id: String,
    /// The cause that a careful maintainer would name.
    pub label: FailureClass,
    /// A second cause that could be defended.
    #[serde(default)]
    pub alt_label: Option<FailureClass>,
    /// The log, or the part of it that was kept.
    #[serde(default)]
    pub excerpt: String,
    /// The whole log, where it is known. It is read instead of the excerpt, because that is what a worker reads.
    #[serde(default)]
    pub full_log: Option<String>,
    /// The line that a maintainer would point at, as the log has it.
    #[serde(default)]
    pub cause_line: Option<String>,
    /// Lines that would do equally well.
    #[serde(default)]
    pub also_cause_lines: Vec<String>,
    /// The telemetry that a worker stored instead of a log. Its text is masked already.
    #[serde(default)]
    pub telemetry: Option<Telemetry>,
    /// The name of the failed step.
    #[serde(default)]
    pub step_name: Option<String>,
    /// The name of the failed job.
    #[serde(default)]
    pub job_name: Option<String>,
    /// The repository as `owner/name`.
    #[serde(default)]
    pub repo: Option<String>,
    /// The source of the record; used in reports, never as an input.
    #[serde(default)]
    pub origin: Option<String>,
    /// The seconds that the job took.
    #[serde(default)]
    pub job_duration_s: Option<f64>,
    /// The attempt that failed, counted from 1.
    #[serde(default)]
    pub attempt: Option<f64>,
}

impl LabelledRun {
    /// The text of the log: the whole log, or the part of it that was kept.
    #[must_use]
    pub fn log(&self) -> &str {
        self.full_log.as_deref().unwrap_or(&self.excerpt)
    }

    /// The excerpt of the record's log. Of a log of several jobs, it is that of the record's job.
    #[must_use]
    pub fn lines(&self) -> Excerpt {
        excerpt_of(self.log().as_bytes(), self.job_name.as_deref())
    }

    /// The name of the record's job, if its log has lines of it.
    #[must_use]
    pub fn job_in_log(&self) -> Option<&str> {
        let name = self.job_name.as_deref()?;
        Jobs::of(self.log().as_bytes()).iter().any(|job| job.name.as_deref() == Some(name)).then_some(name)
    }

    /// The lines of the record's job, without timestamps and without what `gh` writes before them.
    #[must_use]
    pub fn job_text(&self) -> Vec<String> {
        let job = self.job_in_log();
        let mut lines = Vec::new();
        let mut reader = Reader::new();
        let mut sink = |line: LogLine<'_>| {
            if job.is_none() || line.job == job {
                lines.push(String::from_utf8_lossy(line.text).into_owned());
            }
        };
        reader.push(self.log().as_bytes(), &mut sink);
        reader.finish(&mut sink);
        lines
    }

    /// The model's input for this record.
    #[must_use]
    pub fn telemetry(&self, patterns: &Patterns) -> Telemetry {
        if let Some(stored) = &self.telemetry {
            return stored.clone();
        }
        let mut telemetry =
            Telemetry::of_log(&self.lines(), self.step_name.as_deref(), self.job_name.as_deref(), patterns);
        let duration = match telemetry.categories.failure_stage.as_str() {
            "test" => &mut telemetry.test_duration_sec,
            "deploy" => &mut telemetry.deploy_duration_sec,
            _ => &mut telemetry.build_duration_sec,
        };
        *duration = self.job_duration_s;
        telemetry.retry_count = self.attempt.map(|attempt| (attempt - 1.0).max(0.0));
        telemetry.repository = self.repo.clone().unwrap_or_default();
        telemetry
    }
}

/// The excerpt of the job called `job` of a log, or else of the first one that failed.
pub(super) fn excerpt_of(log: &[u8], job: Option<&str>) -> Excerpt {
    let mut jobs = Jobs::of(log);
    let named = jobs.iter().position(|known| known.name.is_some() && known.name.as_deref() == job);
    let at = named.or_else(|| jobs.iter().position(|known| known.found)).unwrap_or(0);
    if jobs.is_empty() { Excerpt::default() } else { jobs.swap_remove(at).excerpt }
}

/// Reads labelled failures.
///
/// # Errors
/// The file cannot be read, or a line is not a record; the error names both.
pub fn read(path: &Path) -> Result<Vec<LabelledRun>> {
    let records: Vec<LabelledRun> = records(path)?.collect::<Result<_>>()?;
    anyhow::ensure!(!records.is_empty(), "{} has no record", path.display());
    Ok(records)
}

/// Reads a file of JSON lines record by record: plain, gzip or zstd (by content, not by name).
///
/// # Errors
/// The file cannot be opened. An item is an error if its line is not a record; the error names file and line.
pub fn records<T: DeserializeOwned>(path: &Path) -> Result<impl Iterator<Item = Result<T>> + use<'_, T>> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut file = BufReader::new(file);
    let plain: Box<dyn Read> = match file.fill_buf().context("reading")? {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(file)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::Decoder::with_buffer(file).context("reading")?),
        _ => Box::new(file),
    };
    let record = |(number, line): (usize, std::io::Result<String>)| {
        let line = match line.with_context(|| format!("reading {}", path.display())) {
            Ok(line) if line.trim().is_empty() => return None,
            Ok(line) => line,
            Err(error) => return Some(Err(error)),
        };
        let place = || format!("{}, line {}", path.display(), number + 1);
        Some(serde_json::from_str(&line).with_context(place))
    };
    Ok(BufReader::new(plain).lines().enumerate().filter_map(record))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_telemetry_is_taken_as_it_is() {
        let line =
            r#"{"id":"inference-7","label":"Timeout","telemetry":{"text":"err_sig_dns","retry_count":1.0}}"#;
        let record: LabelledRun = serde_json::from_str(line).unwrap();
        let telemetry = record.telemetry(&Patterns::compile(Vec::new()).unwrap());
        assert_eq!((telemetry.text.as_str(), telemetry.retry_count), ("err_sig_dns", Some(1.0)));
    }
}
