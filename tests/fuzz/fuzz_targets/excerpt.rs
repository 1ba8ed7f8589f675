//! Logs: the excerpt is the same in whatever pieces the log arrives, and the model's text is ASCII without control
//! characters.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sentinel_shared::excerpt::{Excerpt, ExcerptFinder, mask};

fuzz_target!(|log: &[u8]| {
    let whole = Excerpt::of(log);
    let mut finder = ExcerptFinder::new();
    let piece = 1 + usize::from(log.first().copied().unwrap_or(0));
    log.chunks(piece).for_each(|bytes| finder.push(bytes));
    let in_pieces = finder.finish();
    assert_eq!(whole.text(), in_pieces.text());
    assert_eq!(whole.binary, in_pieces.binary);
    let masked = mask(&whole).text;
    assert!(masked.chars().all(|c| c.is_ascii() && (c == '\n' || !c.is_ascii_control())), "{masked:?}");
});
