//! Logs that are not UTF-8. PowerShell's `>` writes UTF-16 with a byte order mark, as does `Out-File`:
//! <https://learn.microsoft.com/powershell/module/microsoft.powershell.core/about/about_character_encoding>.

/// The number of bytes that tell the encoding.
pub(super) const TELLING_BYTES: usize = 4;
/// The number of code units that are turned into UTF-8 at once: 2 KB stay in the fastest cache.
const UNITS: usize = 1024;

/// Turns the bytes of a stream into UTF-8, in pieces.
#[derive(Default)]
pub(super) enum Decoder {
    /// Too few bytes have come to tell.
    #[default]
    Starting,
    /// UTF-8, or another encoding in which ASCII is ASCII.
    Bytes,
    Utf16(Utf16),
}

/// UTF-16 on its way to UTF-8.
pub(super) struct Utf16 {
    big_endian: bool,
    /// The first byte of a code unit whose second is in the next piece.
    half: Option<u8>,
    /// The first half of a surrogate pair whose second is in the next piece.
    high: Option<u16>,
}

// === impl Decoder ===

impl Decoder {
    /// Tells the encoding from the first bytes of a stream, and how many of them are the mark of it.
    ///
    /// None if more bytes are needed. Without a mark, text whose every second byte is 0 is UTF-16 too.
    pub(super) fn of(start: &[u8], is_all: bool) -> Option<(Self, usize)> {
        if start.len() < TELLING_BYTES && !is_all {
            return None;
        }
        let utf16 = |big_endian| Self::Utf16(Utf16 { big_endian, half: None, high: None });
        Some(match start {
            [0xff, 0xfe, ..] => (utf16(false), 2),
            [0xfe, 0xff, ..] => (utf16(true), 2),
            [0xef, 0xbb, 0xbf, ..] => (Self::Bytes, 3),
            [1..=0x7f, 0, 1..=0x7f, 0, ..] => (utf16(false), 0),
            [0, 1..=0x7f, 0, 1..=0x7f, ..] => (utf16(true), 0),
            _ => (Self::Bytes, 0),
        })
    }
}

// === impl Utf16 ===

impl Utf16 {
    /// Hands the next piece on as UTF-8, part by part.
    pub(super) fn decode(&mut self, bytes: &[u8], sink: &mut dyn FnMut(&[u8])) {
        let mut bytes = bytes;
        let mut units = Vec::with_capacity(UNITS.min(bytes.len() / 2 + 2));
        if let (Some(first), Some((second, rest))) = (self.half, bytes.split_first()) {
            self.half = None;
            units.push(self.unit([first, *second]));
            bytes = rest;
        }
        let pairs = bytes.chunks_exact(2);
        if let [half] = pairs.remainder() {
            self.half = Some(*half);
        }
        for pair in pairs {
            units.push(self.unit([pair[0], pair[1]]));
            if units.len() == UNITS {
                self.flush(&mut units, sink);
            }
        }
        self.flush(&mut units, sink);
    }

    /// What is left at the end of the stream: half a character.
    pub(super) fn finish(&mut self, sink: &mut dyn FnMut(&[u8])) {
        if self.high.take().is_some() || self.half.take().is_some() {
            sink("\u{fffd}".as_bytes());
        }
    }

    fn unit(&self, pair: [u8; 2]) -> u16 {
        if self.big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
    }

    fn flush(&mut self, units: &mut Vec<u16>, sink: &mut dyn FnMut(&[u8])) {
        let before = self.high.take();
        if matches!(units.last(), Some(0xd800..=0xdbff)) {
            self.high = units.pop();
        }
        let decoded = char::decode_utf16(before.into_iter().chain(units.drain(..)));
        let text: String = decoded.map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
        sink(text.as_bytes());
    }
}
