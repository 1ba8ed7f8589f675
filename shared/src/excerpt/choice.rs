//! Chooses the lines of an excerpt: those that decided, with the lines around them.

use super::{CAUSES, EXCERPT_LINES, Line};
use crate::cause::{self, KeptStep};
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
    /// The index of the step that the likeliest cause is in.
    pub(super) step: Option<u64>,
}

/// Chooses at most [`EXCERPT_LINES`] of the `kept` lines of a job of `steps` steps.
pub(super) fn choose(kept: &[KeptStep], steps: u64) -> Chosen {
    let ranked = cause::rank(kept, steps);
    let Some(first) = ranked.first() else { return Chosen::default() };
    let mut chosen: BTreeSet<(usize, usize)> = BTreeSet::new();
    let add = |chosen: &mut BTreeSet<(usize, usize)>, step: usize, line: usize| {
        if chosen.len() < EXCERPT_LINES {
            chosen.insert((step, line));
        }
    };
    // The step's command and its end tell the tool and the code.
    let lines = &kept[first.step].lines;
    (0..lines.len().min(COMMAND_LINES)).for_each(|line| add(&mut chosen, first.step, line));
    if let Some(end) = lines.iter().rposition(|line| line.text.starts_with("##[error]")) {
        add(&mut chosen, first.step, end);
    }
    for (place, ranked) in ranked.iter().enumerate() {
        if chosen.len() >= EXCERPT_LINES {
            break;
        }
        let (before, after) = if place == 0 { AROUND_FIRST } else { AROUND_OTHERS };
        let lines = &kept[ranked.step].lines;
        let at = lines[ranked.line].offset;
        add(&mut chosen, ranked.step, ranked.line);
        for by in 1..=before.max(after) {
            if by <= after && lines.get(ranked.line + by).is_some_and(|line| line.offset == at + by as u64) {
                add(&mut chosen, ranked.step, ranked.line + by);
            }
            let line = ranked.line.checked_sub(by).filter(|_| by <= before);
            if let Some(line) = line.filter(|line| lines[*line].offset + by as u64 == at) {
                add(&mut chosen, ranked.step, line);
            }
        }
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
        step: Some(kept[first.step].index),
    }
}
