//! The text of a step: its beginning and its end, as it was pushed.

use std::ops::Range;

/// The bytes that are held of a step's beginning.
const HEAD_BYTES: usize = 32 << 10;
/// The bytes that are held of its end, where tools sum up: some 2,000 lines.
const TAIL_BYTES: usize = 160 << 10;

/// The lines of a step, bounded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StepText {
    /// Whole lines of the beginning, each with its line break.
    head: Vec<u8>,
    /// Whole lines of the end. It grows to twice its bound before its front is dropped, so that a byte is moved once.
    tail: Vec<u8>,
    /// The number of lines in `head`.
    head_lines: u64,
    /// The number of lines that were dropped between `head` and `tail`.
    dropped: u64,
}

// === impl StepText ===

impl StepText {
    /// Adds a line.
    pub(crate) fn push(&mut self, line: &[u8]) {
        if self.tail.is_empty() && self.head.len() + line.len() < HEAD_BYTES {
            self.head_lines += 1;
            append(&mut self.head, line);
            return;
        }
        append(&mut self.tail, line);
        if self.tail.len() > 2 * TAIL_BYTES {
            self.drop_front();
        }
    }

    /// The lines of the beginning.
    pub(crate) fn head(&self) -> impl Iterator<Item = &[u8]> {
        lines(&self.head)
    }

    /// The lines of the end.
    pub(crate) fn tail(&self) -> impl Iterator<Item = &[u8]> {
        lines(&self.tail)
    }

    /// The lines of the step, counted from 0, that are neither in the beginning nor in the end.
    pub(crate) fn gap(&self) -> Range<u64> {
        self.head_lines..self.head_lines + self.dropped
    }

    fn drop_front(&mut self) {
        let from = self.tail.len() - TAIL_BYTES;
        let end = memchr::memchr(b'\n', &self.tail[from..]).map_or(self.tail.len(), |at| from + at + 1);
        self.dropped += lines(&self.tail[..end]).count() as u64;
        self.tail.drain(..end);
    }
}

fn append(text: &mut Vec<u8>, line: &[u8]) {
    text.extend_from_slice(line);
    text.push(b'\n');
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.split(|byte| *byte == b'\n').take(if text.is_empty() { 0 } else { usize::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_step_is_held_whole() {
        let mut text = StepText::default();
        ["a", "", "b"].iter().for_each(|line| text.push(line.as_bytes()));
        assert_eq!(text.head().collect::<Vec<_>>(), [&b"a"[..], b"", b"b"]);
        assert_eq!((text.tail().count(), text.gap().is_empty()), (0, true));
    }

    #[test]
    fn of_a_long_step_the_beginning_and_the_end_are_held_and_the_gap_is_known() {
        let mut text = StepText::default();
        let count = 100_000u64;
        (0..count).for_each(|number| text.push(format!("line {number}").as_bytes()));
        assert!(text.head.len() <= HEAD_BYTES && text.tail.len() <= 2 * TAIL_BYTES);
        let head: Vec<&[u8]> = text.head().collect();
        let tail: Vec<&[u8]> = text.tail().collect();
        assert_eq!((head[0], tail[tail.len() - 1]), (&b"line 0"[..], &b"line 99999"[..]));
        let gap = text.gap();
        assert_eq!(head[head.len() - 1], format!("line {}", gap.start - 1).as_bytes());
        assert_eq!(tail[0], format!("line {}", gap.end).as_bytes());
        assert_eq!(head.len() as u64 + (gap.end - gap.start) + tail.len() as u64, count);
    }
}
