//! Quotes strangers' text inside our Markdown, so that people can read it and it has no effect.

use crate::diff::{Hunk, Place};
use crate::redact::redact;
use crate::text;

/// The number of lines shown before and after the line of a finding.
const AROUND: usize = 3;
/// The longest quoted line; longer ones are cut.
const QUOTE_MAX_CHARS: usize = 240;

/// A line as a reader sees it, cut if it is long.
#[must_use]
pub fn visible(line: &str) -> String {
    let line = text::line(line);
    match line.char_indices().nth(QUOTE_MAX_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.into_owned(),
    }
}

/// The lines of `hunk` around the added line `line`, as a diff shows them, without secrets.
#[must_use]
pub fn around(hunk: &Hunk<'_>, line: u32) -> String {
    let at = hunk.lines.iter().position(|each| matches!(each.place, Place::Added { new } if new == line));
    let at = at.unwrap_or(0);
    let shown = hunk.lines[at.saturating_sub(AROUND)..].iter().take(AROUND.min(at) + 1 + AROUND);
    let marked = shown.map(|each| {
        let mark = match each.place {
            Place::Added { .. } => '+',
            Place::Removed { .. } => '-',
            Place::Context { .. } => ' ',
        };
        format!("{mark}{}", visible(&redact(each.text)))
    });
    marked.collect::<Vec<_>>().join("\n")
}

/// A fenced block that `line` can't end.
#[must_use]
pub fn fenced(info: &str, line: &str) -> String {
    let line = visible(line);
    let fence = "`".repeat(longest_run(&line).max(2) + 1);
    format!("{fence}{info}\n{line}\n{fence}")
}

/// A code span that `text` can't end (<https://spec.commonmark.org/0.31.2/#code-spans>).
#[must_use]
pub fn code(text: &str) -> String {
    let text = visible(text);
    let ticks = "`".repeat(longest_run(&text) + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') || text.is_empty() { " " } else { "" };
    format!("{ticks}{pad}{text}{pad}{ticks}")
}

fn longest_run(text: &str) -> usize {
    text.split(|character| character != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_hides_is_spelt_out() {
        assert_eq!(visible(&format!("a\u{202e}{}", "x".repeat(300))).chars().count(), QUOTE_MAX_CHARS + 1);
        assert_eq!(code("a\u{202e}b\n"), "`a\\u{202e}b`");
        assert_eq!(code("a``b"), "```a``b```");
        assert_eq!(code("`"), "`` ` ``");
    }

    proptest! {
        #[test]
        fn no_line_ends_its_own_fence(line in "[`~a<>!@\n-]{0,40}") {
            let block = fenced("", &line);
            let fence = block.split('\n').next().unwrap();
            let inside = &block[fence.len() + 1..block.len() - fence.len() - 1];
            prop_assert!(!inside.contains(fence));
        }
    }
}
