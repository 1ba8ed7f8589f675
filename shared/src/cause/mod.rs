//! Ranks the lines of a failed job by how likely a maintainer would point at each as the cause.
//!
//! [`signs`] turns a line into numbers; a small forest, learned from whole logs whose cause lines were labelled by
//! reading, scores them. Only lines that were kept as candidates are scored, so the cost does not grow with the log.

mod signs;
mod step_text;

pub use signs::{SIGNS, names};
pub use step_text::StepText;

use crate::classifier::Forest;
use crate::{Error, Result};
use signs::StepPlace;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::{LazyLock, OnceLock};

/// The learned scorer, written by `python -m sentinel_training lines`.
static SHIPPED: LazyLock<Option<Forest>> = LazyLock::new(|| scorer(include_bytes!("cause.forest")).ok());
/// The scorer that training set for this process; see [`use_scorer`].
static TRAINED: OnceLock<Forest> = OnceLock::new();

/// Ranks with another scorer from now on, in this process: training ranks the lines of a record with a scorer that has
/// not seen the record. Only the first call counts.
///
/// # Errors
/// [`Error::ModelInvalid`] for bytes that are no forest of one class over [`SIGNS`] columns.
pub fn use_scorer(bytes: &[u8]) -> Result<()> {
    let _ = TRAINED.set(scorer(bytes)?);
    Ok(())
}

fn scorer(bytes: &[u8]) -> Result<Forest> {
    let forest = Forest::from_bytes(bytes)?;
    if forest.features() != SIGNS || forest.classes() != 1 {
        return Err(Error::ModelInvalid(format!("a scorer of lines reads {SIGNS} columns")));
    }
    Ok(forest)
}

/// A line that was kept as a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptLine {
    /// The number of the line in the log.
    pub number: u64,
    /// Lines of its step before it.
    pub offset: u64,
    /// The text without timestamp and terminal codes.
    pub text: String,
    /// Whether a word in it announces an error.
    pub signal: bool,
    /// Whether the line is in the group with the step's command and settings.
    pub in_group: bool,
}

/// The kept lines of one step.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeptStep {
    /// The name of the step, if the log holds it.
    pub name: Option<String>,
    /// The lines in the order of the log.
    pub lines: Vec<KeptLine>,
    /// The beginning and the end of the step.
    pub text: StepText,
    /// The number of lines of the step.
    pub len: u64,
    /// The number of errors that the step reported.
    pub errors: usize,
    /// Whether the runner says that the step's process ended with an error.
    pub has_exit: bool,
    /// Whether the step cleans up after the job.
    pub is_clean_up: bool,
    /// Which step of the job it is.
    pub index: u64,
}

/// A line with its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// The step's place in the slice that was ranked.
    pub step: usize,
    /// The line's place in its step.
    pub line: usize,
    /// The score; only its order means something.
    pub score: f32,
}

/// The numbers of every kept line, with its step's and its own place. `steps` is the number of steps of the job.
pub fn rows(kept: &[KeptStep], steps: u64) -> impl Iterator<Item = (usize, usize, [f32; SIGNS])> {
    let shapes = |step: &KeptStep| step.lines.iter().map(|line| shape(&line.text)).collect();
    let shapes: Vec<Vec<u64>> = kept.iter().map(shapes).collect();
    let mut counts: HashMap<u64, usize> = HashMap::new();
    shapes.iter().flatten().for_each(|shape| *counts.entry(*shape).or_default() += 1);
    let with_errors: Vec<bool> = kept.iter().map(|step| step.errors > 0).collect();
    let job_has_error = with_errors.contains(&true);
    kept.iter().enumerate().flat_map(move |(at, step)| {
        let count = |range: &[bool]| range.iter().filter(|has| **has).count();
        let place = StepPlace {
            errors_before: count(&with_errors[..at]),
            errors_after: count(&with_errors[at + 1..]),
            steps_after: steps.saturating_sub(step.index + 1),
            job_has_error,
        };
        let row = |(line, shape): (usize, &u64)| (at, line, signs::row(step, line, place, counts[shape]));
        shapes[at].iter().enumerate().map(row).collect::<Vec<_>>()
    })
}

/// What a line of a step after the first one whose process failed loses: after that, only steps run that are always run,
/// such as uploads of reports, unless the job goes on after errors. Of 387 whole logs, out of fold, the cause was first in
/// 75.2 % with it and in 73.9 % without.
const AFTER_FAILURE: f32 = 1.5;

/// The kept lines, likeliest cause first; of two equal ones the earlier first.
#[must_use]
pub fn rank(kept: &[KeptStep], steps: u64) -> Vec<Ranked> {
    let Some(scorer) = TRAINED.get().or(SHIPPED.as_ref()) else { return Vec::new() };
    let failed = kept.iter().position(|step| step.has_exit);
    let mut ranked: Vec<Ranked> = rows(kept, steps)
        .map(|(step, line, row)| {
            let lost = if failed.is_some_and(|failed| step > failed) { AFTER_FAILURE } else { 0.0 };
            Ranked { step, line, score: scorer.class_score(&row, 0) as f32 - lost }
        })
        .collect();
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score));
    ranked
}

/// Equal for lines that differ in numbers only.
fn shape(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.split(|char: char| char.is_ascii_digit() || char.is_ascii_whitespace())
        .for_each(|part| hasher.write(part.as_bytes()));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_scorer_reads_the_numbers_of_a_line_and_another_is_refused() {
        assert!(SHIPPED.is_some());
        let narrower = Forest::new(1, 1, &[(0, crate::classifier::forest::Tree::Leaf(0.5))]).unwrap();
        assert!(scorer(&narrower.to_bytes()).is_err());
    }
}
