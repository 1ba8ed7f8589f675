//! Cutting a hunk that is too long for the model, between lines.

use super::{Hunk, Line, Place};

impl<'a> Hunk<'a> {
    /// Cuts the hunk on line borders into pieces whose lines cost at most `budget` together. Each piece is a hunk
    /// of its own with the right numbers; together they have every line once, in order. A line that costs more
    /// than the budget alone is a piece alone.
    #[must_use]
    pub fn split(&self, budget: usize, mut cost: impl FnMut(&Line<'a>) -> usize) -> Vec<Hunk<'a>> {
        let mut pieces: Vec<Hunk<'a>> = Vec::new();
        let mut spent = 0;
        let (mut old, mut new) = self.before();
        for line in &self.lines {
            let cost = cost(line);
            if pieces.is_empty() || spent + cost > budget {
                pieces.push(Hunk {
                    old_start: old,
                    new_start: new,
                    section: self.section,
                    lines: Vec::new(),
                });
                spent = 0;
            }
            spent += cost;
            if let Some(piece) = pieces.last_mut() {
                piece.lines.push(*line);
            }
            match line.place {
                Place::Context { old: at_old, new: at_new } => (old, new) = (at_old, at_new),
                Place::Added { new: at } => new = at,
                Place::Removed { old: at } => old = at,
            }
        }
        for piece in &mut pieces {
            let (old_len, new_len) = piece.lengths();
            // So far the line before; a side that has lines begins one later.
            piece.old_start += u32::from(old_len > 0);
            piece.new_start += u32::from(new_len > 0);
        }
        pieces
    }

    /// The last line numbers before the hunk.
    fn before(&self) -> (u32, u32) {
        let (old_len, new_len) = self.lengths();
        let before = |start: u32, len: u32| if len > 0 { start.saturating_sub(1) } else { start };
        (before(self.old_start, old_len), before(self.new_start, new_len))
    }
}
