//! Shortens very long lines: the beginning names the command, the end holds the error.

use super::{LINE_BYTES, LINE_CHARS};
use crate::redact::redact;

/// Bytes that are kept of each end of an over-long line.
const END_BYTES: usize = LINE_BYTES / 2;
/// Characters that are told of its end at most; its beginning has the others.
const END_CHARS: usize = LINE_CHARS / 2;
/// Where the middle was left out, in bytes that are looked at: no line holds one.
const CUT: u8 = b'\n';
/// The same, as it is told.
const CUT_TOLD: &str = " … ";

/// One line that arrives in pieces: all of it up to [`LINE_BYTES`], of a longer one both ends.
#[derive(Default)]
pub(super) struct Partial {
    bytes: Vec<u8>,
    len: usize,
}

// === impl Partial ===

impl Partial {
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn push(&mut self, piece: &[u8]) {
        self.len += piece.len();
        let room = LINE_BYTES.saturating_sub(self.bytes.len());
        let (fits, rest) = piece.split_at(piece.len().min(room));
        self.bytes.extend_from_slice(fits);
        self.bytes.extend_from_slice(&rest[rest.len().saturating_sub(END_BYTES)..]);
        // Dropping only now and then moves each byte a few times at most.
        if self.bytes.len() > 2 * LINE_BYTES {
            self.bytes.drain(END_BYTES..self.bytes.len() - END_BYTES);
        }
    }

    /// The line, in the form [`looked_at`] gives, and an empty buffer again.
    pub(super) fn take(&mut self) -> Vec<u8> {
        if self.len > LINE_BYTES {
            self.bytes = looked_at(&self.bytes);
        }
        self.len = 0;
        std::mem::take(&mut self.bytes)
    }

    /// Gives a buffer back to be used again.
    pub(super) fn reuse(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        self.bytes = buffer;
    }
}

/// Both ends of a line over [`LINE_BYTES`].
pub(super) fn looked_at(line: &[u8]) -> Vec<u8> {
    [&line[..END_BYTES], &[CUT], &line[line.len() - END_BYTES..]].concat()
}

/// The two ends of a line that was cut.
pub(super) fn ends(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(CUT, line)?;
    Some((&line[..at], &line[at + 1..]))
}

/// One text of both ends, at most [`LINE_CHARS`] long. A word that the cut goes through is left out: half a secret is
/// not recognised as one.
pub(super) fn told(beginning: &str, end: &str) -> String {
    let end = after_break(end);
    let end = redact(end);
    let skipped = end.chars().count().saturating_sub(END_CHARS);
    let end = match skipped {
        0 => end.as_ref(),
        _ => after_break(end.char_indices().nth(skipped).map_or("", |(at, _)| &end[at..])),
    };
    let cut = if end.is_empty() { "" } else { CUT_TOLD };
    let room = LINE_CHARS - end.chars().count() - cut.chars().count();
    let beginning: String = beginning.chars().take(room).collect();
    format!("{}{cut}{end}", beginning.trim_end())
}

/// What follows the first place where a word ends.
fn after_break(text: &str) -> &str {
    text.find(|char: char| char.is_whitespace() || ",;|{}()[]<>".contains(char)).map_or("", |at| {
        text[at..].trim_start_matches(|char: char| char.is_whitespace() || ",;|".contains(char))
    })
}
