//! Lines that arrive in pieces or are very long: the beginning names the command, the end holds the error.

use super::LINE_BYTES;

/// The number of bytes that are kept of each end of a line that is too long.
const END_BYTES: usize = LINE_BYTES / 2;
/// Marks where the middle was left out. No line contains this byte.
const CUT: u8 = b'\n';

/// One line that arrives in pieces. Up to [`LINE_BYTES`] it is kept whole; of a longer line both ends are kept.
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

    /// The number of bytes that were pushed.
    pub(super) fn len(&self) -> usize {
        self.len
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
#[must_use]
pub fn ends(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(CUT, line)?;
    Some((&line[..at], &line[at + 1..]))
}
