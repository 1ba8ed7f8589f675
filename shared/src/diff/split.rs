//! Cuts a hunk that is too long for the model, between lines.

use super::{Hunk, Line, Place};

/// The pieces of a hunk, made one by one: see [`Hunk::pieces`].
pub struct Pieces<'h, 'a, T, F> {
    hunk: &'h Hunk<'a>,
    budget: usize,
    read: F,
    /// The next line that was not read yet.
    next: usize,
    /// What `read` made of the last line, if the line did not fit into its piece.
    ahead: Option<(usize, T)>,
    /// The last line numbers before the next piece.
    old: u32,
    new: u32,
}

impl<'a> Hunk<'a> {
    /// Cuts the hunk between lines into pieces whose lines cost at most `budget` together. Each piece is a hunk with
    /// the right line numbers, and together they have every line once, in order. A line that costs more than the budget
    /// is a piece by itself.
    #[must_use]
    pub fn split(&self, budget: usize, mut cost: impl FnMut(&Line<'a>) -> usize) -> Vec<Hunk<'a>> {
        self.pieces(budget, |line| (cost(line), ())).map(|(piece, _)| piece).collect()
    }

    /// Like [`Self::split`], but one piece at a time, so that a caller who stops early does not pay for the rest.
    /// `read` sees each line once and returns its cost, and a value that comes with the line's piece.
    pub fn pieces<T, F>(&self, budget: usize, read: F) -> Pieces<'_, 'a, T, F>
    where
        F: FnMut(&Line<'a>) -> (usize, T),
    {
        let (old, new) = self.before();
        Pieces { hunk: self, budget, read, next: 0, ahead: None, old, new }
    }

    /// The last line numbers before the hunk.
    fn before(&self) -> (u32, u32) {
        let (old_len, new_len) = self.lengths();
        let before = |start: u32, len: u32| if len > 0 { start.saturating_sub(1) } else { start };
        (before(self.old_start, old_len), before(self.new_start, new_len))
    }
}

impl<'a, T, F> Iterator for Pieces<'_, 'a, T, F>
where
    F: FnMut(&Line<'a>) -> (usize, T),
{
    type Item = (Hunk<'a>, Vec<T>);

    fn next(&mut self) -> Option<Self::Item> {
        let (old_start, new_start, section) = (self.old, self.new, self.hunk.section);
        let mut piece = Hunk { old_start, new_start, section, lines: Vec::new() };
        let (mut all, mut spent) = (Vec::new(), 0);
        while let Some(line) = self.hunk.lines.get(self.next) {
            let (cost, made) = self.ahead.take().unwrap_or_else(|| (self.read)(line));
            if !piece.lines.is_empty() && spent + cost > self.budget {
                self.ahead = Some((cost, made));
                break;
            }
            spent += cost;
            self.next += 1;
            piece.lines.push(*line);
            all.push(made);
            match line.place {
                Place::Context { old, new } => (self.old, self.new) = (old, new),
                Place::Added { new } => self.new = new,
                Place::Removed { old } => self.old = old,
            }
        }
        let (old_len, new_len) = piece.lengths();
        // So far the line before; a side that has lines begins one later.
        piece.old_start += u32::from(old_len > 0);
        piece.new_start += u32::from(new_len > 0);
        (!piece.lines.is_empty()).then_some((piece, all))
    }
}
