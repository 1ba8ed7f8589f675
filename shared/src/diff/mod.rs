//! Unified diffs: files → hunks → lines, each with its exact place in the old and the new file.
//!
//! [`parse`] reads what `git diff` prints, [`parse_patch`] what GitHub's API calls a `patch`, and [`Hunk::split`] cuts
//! a hunk between lines. [`crate::review`] decides what is worth a comment. Nothing is copied: lines borrow from the
//! text. Format: <https://git-scm.com/docs/diff-format#generate_patch_text_with_p>.

mod parse;
mod path;
mod split;

pub use parse::{parse, parse_patch};
pub use split::Pieces;
use std::borrow::Cow;
use std::fmt;

/// One file of a diff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDiff<'a> {
    /// The path in the old tree; None for a new file.
    pub old_path: Option<Cow<'a, str>>,
    /// The path in the new tree; None for a removed file.
    pub new_path: Option<Cow<'a, str>>,
    /// Whether git says that the content is not text. Then there is no hunk.
    pub binary: bool,
    /// The hunks; empty for a pure rename, a mode change, an empty or a binary file.
    pub hunks: Vec<Hunk<'a>>,
}

/// A run of lines that changed, with its surroundings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk<'a> {
    /// The first line in the old file, counted from 1. If the hunk has no old line, the line before it.
    pub old_start: u32,
    /// The first line in the new file, counted from 1. If the hunk has no new line, the line before it.
    pub new_start: u32,
    /// The text after the second `@@`, which is git's guess of the enclosing function. It is not trimmed.
    pub section: &'a str,
    /// The lines in order; there is at least one.
    pub lines: Vec<Line<'a>>,
}

/// One line of a hunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Whether the line was added, removed or kept, and its numbers.
    pub place: Place,
    /// The text without its mark and line feed. A carriage return stays.
    pub text: &'a str,
    /// Whether the file ends here without a line feed.
    pub ends_file: bool,
}

/// Whether a line was added, removed or kept, and its numbers, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A line that is in both files.
    Context {
        /// In the old file.
        old: u32,
        /// In the new file.
        new: u32,
    },
    /// A line that is only in the new file.
    Added {
        /// In the new file.
        new: u32,
    },
    /// A line that is only in the old file.
    Removed {
        /// In the old file.
        old: u32,
    },
}

// === impl FileDiff ===

impl FileDiff<'_> {
    /// The path to show: the new one, or for a removed file the old one.
    #[must_use]
    pub fn path(&self) -> &str {
        self.new_path.as_deref().or(self.old_path.as_deref()).unwrap_or_default()
    }
}

// === impl Hunk ===

impl<'a> Hunk<'a> {
    /// The added lines and their numbers in the new file.
    pub fn added(&self) -> impl Iterator<Item = (u32, &Line<'a>)> {
        self.lines.iter().filter_map(|line| match line.place {
            Place::Added { new } => Some((new, line)),
            _ => None,
        })
    }

    /// How many lines the hunk has in the old and in the new file.
    #[must_use]
    pub fn lengths(&self) -> (u32, u32) {
        self.lines.iter().fold((0, 0), |(old, new), line| match line.place {
            Place::Context { .. } => (old + 1, new + 1),
            Place::Added { .. } => (old, new + 1),
            Place::Removed { .. } => (old + 1, new),
        })
    }
}

/// Prints the hunk as git does, with both lengths written out.
impl fmt::Display for Hunk<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (old_len, new_len) = self.lengths();
        writeln!(out, "@@ -{},{old_len} +{},{new_len} @@{}", self.old_start, self.new_start, self.section)?;
        for line in &self.lines {
            writeln!(out, "{}{}", line.mark(), line.text)?;
            if line.ends_file {
                writeln!(out, "\\ No newline at end of file")?;
            }
        }
        Ok(())
    }
}

// === impl Line ===

impl Line<'_> {
    /// The first character of such a line in a diff.
    #[must_use]
    pub fn mark(&self) -> char {
        match self.place {
            Place::Context { .. } => ' ',
            Place::Added { .. } => '+',
            Place::Removed { .. } => '-',
        }
    }
}

#[cfg(test)]
mod tests;
