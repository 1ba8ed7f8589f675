//! The waiting sequences: one line per caller, and the order in which the lines take turns.

use super::Item;
use std::collections::VecDeque;

/// The width of a step of lengths. Sequences in the same step go into one batch.
const LENGTH_STEP: usize = 32;
/// The largest number of sequences in one batch, however short they are.
const ROWS_MAX: usize = 64;

/// The lines in the order of their turns. No line is empty.
#[derive(Default)]
pub(super) struct Lines(VecDeque<Line>);

struct Line {
    caller: u64,
    items: VecDeque<Item>,
}

/// The sequences of the next batch.
pub(super) struct Chosen {
    /// Each sequence as (line, position in the line), in the order of turns.
    pub(super) at: Vec<(usize, usize)>,
    pub(super) tokens: usize,
    /// Whether another sequence would fit.
    pub(super) has_room: bool,
}

impl Lines {
    pub(super) fn push(&mut self, item: Item) {
        match self.0.iter_mut().find(|line| line.caller == item.caller) {
            Some(line) => line.items.push_back(item),
            None => self.0.push_back(Line { caller: item.caller, items: VecDeque::from([item]) }),
        }
    }

    /// The first sequence of the line whose turn it is.
    pub(super) fn first(&self) -> Option<&Item> {
        self.0.front()?.items.front()
    }

    /// Chooses the next batch: the line whose turn it is, and sequences of similar length, one of each line per round.
    pub(super) fn choose(&self, batch_tokens: usize) -> Chosen {
        let step = |item: &Item| item.encoded.ids.len().div_ceil(LENGTH_STEP);
        let mut chosen = Chosen { at: Vec::new(), tokens: 0, has_room: true };
        let Some(first) = self.first().map(step) else { return chosen };
        let length = first * LENGTH_STEP;
        let alike = |line: &Line| {
            let items = line.items.iter().enumerate();
            items.filter(|(_, item)| step(item) == first).map(|(at, _)| at).collect::<VecDeque<_>>()
        };
        let mut lines: Vec<_> = self.0.iter().map(alike).enumerate().collect();
        while !lines.is_empty() {
            lines.retain_mut(|(line, items)| {
                let Some(at) = items.pop_front() else { return false };
                let fits = chosen.at.is_empty() || chosen.tokens + length <= batch_tokens;
                if fits && chosen.at.len() < ROWS_MAX {
                    chosen.at.push((*line, at));
                    chosen.tokens += length;
                    return true;
                }
                chosen.has_room = false;
                false
            });
        }
        chosen
    }

    /// Removes these sequences in this order. The line of the first one had its turn and goes behind all others.
    pub(super) fn take(&mut self, at: &[(usize, usize)]) -> Vec<Item> {
        let mut order: Vec<usize> = (0..at.len()).collect();
        // From behind, so that the places before stay what they are.
        order.sort_by_key(|taken| std::cmp::Reverse(at[*taken]));
        let mut taken: Vec<(usize, Item)> = Vec::with_capacity(at.len());
        for place in order {
            let (line, item) = at[place];
            taken.extend(self.0[line].items.remove(item).map(|item| (place, item)));
        }
        taken.sort_by_key(|(place, _)| *place);
        self.0.rotate_left(1.min(self.0.len()));
        self.0.retain(|line| !line.items.is_empty());
        taken.into_iter().map(|(_, item)| item).collect()
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Item) -> bool) {
        self.0.iter_mut().for_each(|line| line.items.retain(&mut keep));
        self.0.retain(|line| !line.items.is_empty());
    }
}
