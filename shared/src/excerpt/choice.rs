//! Chooses the lines of an excerpt: those that decided, with the lines around them.

use super::{CAUSES, EXCERPT_LINES, Line, clean};
use crate::cause::{self, KeptStep};
use crate::facts::{FactFinder, Facts};
use std::collections::BTreeSet;

/// Lines shown before and after the likeliest cause.
const AROUND_FIRST: (usize, usize) = (8, 10);
/// Lines shown before and after each further one.
const AROUND_OTHERS: (usize, usize) = (2, 3);
/// Lines of the step's beginning: its command.
const COMMAND_LINES: usize = 2;

/// The chosen lines of a job.
#[derive(Default)]
pub(super) struct Chosen {
    pub(super) lines: Vec<Line>,
    /// The numbers of the likeliest causes, likeliest first.
    pub(super) causes: Vec<u64>,
    /// The name of the step that the likeliest cause is in, if the log holds it.
    pub(super) step: Option<String>,
    /// What that step states.
    pub(super) facts: Facts,
}

/// Chooses at most [`EXCERPT_LINES`] of the `kept` lines of a job of `steps` steps.
pub(super) fn choose(kept: &[KeptStep], steps: u64) -> Chosen {
    let ranked = cause::rank(kept, steps);
    let Some(first) = ranked.first() else { return Chosen::default() };
    let step = &kept[first.step];
    // The step's command and its end tell the tool and the code.
    let command = 0..step.lines.len().min(COMMAND_LINES);
    let end = step.lines.iter().rposition(|line| line.text.starts_with("##[error]"));
    let ends = command.chain(end).map(|line| (first.step, line));
    let windows = ranked.iter().enumerate().flat_map(|(place, ranked)| {
        let around = if place == 0 { AROUND_FIRST } else { AROUND_OTHERS };
        window(&kept[ranked.step], ranked.line, around).map(|line| (ranked.step, line))
    });
    let mut chosen: BTreeSet<(usize, usize)> = BTreeSet::new();
    for line in ends.chain(windows) {
        if chosen.len() == EXCERPT_LINES {
            break;
        }
        chosen.insert(line);
    }
    let line = |(step, line): &(usize, usize)| {
        let kept = &kept[*step].lines[*line];
        Line { number: kept.number, text: kept.text.clone() }
    };
    Chosen {
        lines: chosen.iter().map(line).collect(),
        causes: ranked
            .iter()
            .take(CAUSES)
            .map(|ranked| kept[ranked.step].lines[ranked.line].number)
            .collect(),
        step: step.name.clone(),
        facts: facts(step),
    }
}

/// What a step states, without its command and settings. Of the lines between its beginning and its end, only the
/// candidates are read.
fn facts(step: &KeptStep) -> Facts {
    let mut finder = FactFinder::new();
    let mut in_group = false;
    let mut read = |number: usize, line: &[u8]| {
        if number == 0 {
            in_group = line.starts_with(b"##[group]Run ");
        } else if line.starts_with(b"##[endgroup]") {
            in_group = false;
        }
        if !in_group {
            finder.push(&clean(line));
        }
    };
    step.text.head().enumerate().for_each(|(number, line)| read(number, line));
    let gap = step.text.gap();
    let between = step.lines.iter().filter(|line| gap.contains(&line.offset));
    between.for_each(|line| read(usize::MAX, line.text.as_bytes()));
    step.text.tail().for_each(|line| read(usize::MAX, line));
    finder.finish()
}

/// The places of the line at `at` and of those around it that follow each other in the log, the nearest first.
fn window(step: &KeptStep, at: usize, (before, after): (usize, usize)) -> impl Iterator<Item = usize> {
    let offset = step.lines[at].offset;
    let is_next = move |line: &usize, by: usize| {
        step.lines.get(*line).is_some_and(|line| line.offset.abs_diff(offset) == by as u64)
    };
    let around = (1..=before.max(after)).flat_map(move |by| {
        let below = Some(at + by).filter(|line| by <= after && is_next(line, by));
        let above = at.checked_sub(by).filter(|line| by <= before && is_next(line, by));
        below.into_iter().chain(above)
    });
    std::iter::once(at).chain(around)
}
