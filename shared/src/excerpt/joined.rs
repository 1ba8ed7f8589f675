//! Makes one text of the two ends of a very long line.

use super::LINE_CHARS;
use crate::redact::redact;

/// The largest number of characters from the end of the line. The beginning gets the others.
const END_CHARS: usize = LINE_CHARS / 2;
/// Marks in the text of an excerpt where the middle was left out.
const CUT_SHOWN: &str = " … ";

/// Joins both ends into one text of at most [`LINE_CHARS`] characters. Words at the cut are left out, because half a
/// secret would not be recognised as a secret.
pub(super) fn joined(beginning: &str, end: &str) -> String {
    let end = after_break(end);
    let end = redact(end);
    let skipped = end.chars().count().saturating_sub(END_CHARS);
    let end = match skipped {
        0 => end.as_ref(),
        _ => after_break(end.char_indices().nth(skipped).map_or("", |(at, _)| &end[at..])),
    };
    let cut = if end.is_empty() { "" } else { CUT_SHOWN };
    let room = LINE_CHARS - end.chars().count() - cut.chars().count();
    let beginning: String = beginning.chars().take(room).collect();
    format!("{}{cut}{end}", beginning.trim_end())
}

/// The text after the first end of a word.
fn after_break(text: &str) -> &str {
    text.find(|char: char| char.is_whitespace() || ",;|{}()[]<>".contains(char)).map_or("", |at| {
        text[at..].trim_start_matches(|char: char| char.is_whitespace() || ",;|".contains(char))
    })
}
