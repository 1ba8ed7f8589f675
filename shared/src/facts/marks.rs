//! The cheap look at each line: which grammars are worth trying on it.

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use std::sync::LazyLock;

/// A family of grammars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Python,
    JavaScript,
    Playwright,
    Go,
    Rust,
    Jvm,
    Dotnet,
    Ruby,
    Php,
    Native,
    Dart,
    Swift,
    Elixir,
    /// Errors with a place: what is said about them.
    Places,
    /// The same: lines with a position.
    Positions,
    /// Stack frames.
    Frames,
    /// Exit codes, signals, statuses and times.
    Numbers,
    /// What is missing.
    Missing,
}

use Family::{
    Dart, Dotnet, Elixir, Frames, Go, JavaScript, Jvm, Missing, Native, Numbers, Php, Places, Playwright,
    Positions, Python, Ruby, Rust, Swift,
};

/// How a line begins, blanks aside, and who reads it. Those with the same first byte stand together.
const STARTS: [(&str, &[Family]); 79] = [
    ("\"", &[Places]),
    ("# ", &[JavaScript, Frames]),
    ("#0", &[Frames]),
    ("#1", &[Frames]),
    ("#2", &[Frames]),
    ("#3", &[Frames]),
    ("#4", &[Frames]),
    ("#5", &[Frames]),
    ("(fail)", &[JavaScript]),
    ("** (", &[Places]),
    ("---", &[Native, Go, Rust, Places]),
    ("--> ", &[Places]),
    ("/", &[Frames]),
    ("=== ", &[Go, Places]),
    (">> Issue", &[Places]),
    ("ABORT [", &[Rust]),
    ("DONE ", &[Go]),
    ("E ", &[Places, Missing]),
    ("ERROR ", &[Python]),
    ("ERROR:", &[Python]),
    ("Error ", &[Numbers]),
    ("Error : ", &[Dotnet]),
    ("Error:", &[Ruby]),
    ("Executed ", &[Swift]),
    ("FAIL ", &[Places]),
    ("FAILED (", &[Python]),
    ("FILE: ", &[Places]),
    ("File ", &[Frames]),
    ("KeyError", &[Missing]),
    ("Killed", &[Numbers]),
    ("LEAK-FAIL", &[Rust]),
    ("Line ", &[Places]),
    ("Location: ", &[Places]),
    ("Note", &[Places]),
    ("PASS ", &[Places]),
    ("SIG", &[Rust, Numbers]),
    ("Summary [", &[Rust]),
    ("TEST CASE:", &[Native]),
    ("TIMEOUT [", &[Rust]),
    ("TRY ", &[Rust]),
    ("Test Case '", &[Swift]),
    ("Test Count:", &[Dotnet]),
    ("Tests", &[JavaScript, Jvm, Php]),
    ("There w", &[Php]),
    ("Total tests:", &[Dotnet]),
    ("X ", &[Dotnet]),
    ("[ERROR]", &[Jvm, Places]),
    ("[error]", &[Jvm, Places]),
    ("[javac]", &[Places]),
    ("[junit]", &[Jvm]),
    ("[xUnit", &[Dotnet]),
    ("at ", &[Frames]),
    ("console.", &[Places]),
    ("e: ", &[Places]),
    ("error", &[Places]),
    ("fatal error", &[Places]),
    ("help", &[Places]),
    ("not ok ", &[JavaScript]),
    ("note", &[Places]),
    ("npm ", &[Numbers]),
    ("ok ", &[Places]),
    ("rspec ", &[Ruby]),
    ("running tests:", &[Go]),
    ("test cases:", &[Native]),
    ("{\"", &[Go]),
    ("\u{d7} ", &[JavaScript, Places]),
    ("\u{203a} ", &[Places]),
    ("\u{2139} ", &[JavaScript]),
    ("\u{2502}", &[Places]),
    ("\u{2514}", &[Places]),
    ("\u{256d}", &[Places]),
    ("\u{25cf} ", &[JavaScript, Places]),
    ("\u{2715} ", &[JavaScript]),
    ("\u{2716} ", &[JavaScript]),
    ("\u{2717} ", &[JavaScript, Swift]),
    ("\u{2718} ", &[Swift, Playwright, Places]),
    ("\u{274c} ", &[Dart, Places]),
    ("\u{276f} ", &[Frames]),
    ("\u{2a2f} ", &[Php]),
];

/// Who reads the items of a list, as in `3) text`.
const LISTS: [Family; 6] = [JavaScript, Playwright, Ruby, Php, Elixir, Dotnet];

/// Every runner, for the word that all of them use.
const RUNNERS: [Family; 13] =
    [Python, JavaScript, Playwright, Go, Rust, Jvm, Dotnet, Ruby, Php, Native, Dart, Swift, Elixir];

/// Words anywhere in a line, in any case, and who reads it. None is a part of another.
const WORDS: [(&str, &[Family]); 62] = [
    ("fail", &RUNNERS),
    ("error", &[Places, Native, Dotnet, Jvm, Python]),
    ("[e]", &[Dart]),
    ("cypress", &[JavaScript]),
    ("examples,", &[Ruby]),
    ("assertions", &[Ruby, Php]),
    ("exception", &[Places]),
    ("panic", &[Places, Numbers]),
    ("warning", &[Places]),
    ("undefined reference", &[Places]),
    (" line ", &[Positions, Frames]),
    (".dart ", &[Frames]),
    ("exit", &[Numbers]),
    ("non-zero", &[Numbers]),
    ("returned", &[Numbers]),
    ("signal", &[Numbers]),
    ("segmentation fault", &[Numbers]),
    ("core dumped", &[Numbers]),
    ("killed", &[Numbers]),
    ("http/", &[Numbers]),
    ("http 4", &[Numbers]),
    ("http 5", &[Numbers]),
    ("http e", &[Numbers]),
    ("http code", &[Numbers]),
    ("http response", &[Numbers]),
    ("status", &[Numbers]),
    ("timed", &[Numbers]),
    ("timeout", &[Numbers]),
    ("exceeded", &[Numbers]),
    ("within ", &[Numbers]),
    ("not found", &[Missing]),
    ("no such", &[Missing]),
    ("no module", &[Missing]),
    ("no match", &[Missing]),
    ("no available", &[Missing]),
    ("no installation candidate", &[Missing]),
    ("cannot find", &[Missing]),
    ("cannot load", &[Missing]),
    ("can't", &[Missing]),
    ("couldn't", &[Missing]),
    ("could not", &[Missing]),
    ("to resolve", &[Missing]),
    ("to select a version", &[Missing]),
    ("use of un", &[Missing]),
    ("unresolved import", &[Missing]),
    ("unable to", &[Missing]),
    ("denied", &[Missing]),
    ("not recognized", &[Missing]),
    ("not authorized", &[Missing]),
    ("not granted", &[Missing]),
    ("not accessible", &[Missing]),
    ("` permission", &[Missing]),
    ("missing", &[Missing]),
    ("required", &[Missing]),
    ("enoent", &[Missing]),
    ("is absent", &[Missing]),
    ("an existing", &[Missing]),
    ("manifest for ", &[Missing]),
    ("plugin [", &[Missing]),
    ("configuration file provided", &[Missing]),
    ("environment variable", &[Missing]),
    ("unbound variable", &[Missing]),
];

/// The marks, ready for use.
pub(super) struct Marks {
    /// For each first byte, the range of [`STARTS`] that begins with it.
    starts: [(u8, u8); 256],
    masks: Vec<u32>,
    words: Option<AhoCorasick>,
    word_masks: Vec<u32>,
    lists: u32,
}

/// Made once.
pub(super) static MARKS: LazyLock<Marks> = LazyLock::new(Marks::new);

// === impl Family ===

impl Family {
    /// Its bit in a set of families.
    pub(super) const fn bit(self) -> u32 {
        1 << self as u32
    }
}

fn mask(families: &[Family]) -> u32 {
    families.iter().fold(0, |mask, family| mask | family.bit())
}

// === impl Marks ===

impl Marks {
    fn new() -> Self {
        let mut starts = [(0, 0); 256];
        for (at, (start, _)) in STARTS.iter().enumerate() {
            let range = &mut starts[usize::from(start.as_bytes()[0])];
            let at = u8::try_from(at).unwrap_or(u8::MAX);
            *range = if range.1 == 0 { (at, at + 1) } else { (range.0, at + 1) };
        }
        let words = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::DFA))
            .build(WORDS.iter().map(|(word, _)| *word))
            .ok();
        Self {
            starts,
            masks: STARTS.iter().map(|(_, families)| mask(families)).collect(),
            words,
            word_masks: WORDS.iter().map(|(_, families)| mask(families)).collect(),
            lists: mask(&LISTS),
        }
    }

    /// The families that may have something to read in a line that has no blanks at its start.
    pub(super) fn of(&self, trimmed: &str) -> u32 {
        let bytes = trimmed.as_bytes();
        let Some(first) = bytes.first() else { return 0 };
        let (start, end) = self.starts[usize::from(*first)];
        let mut wanted = 0;
        let range = usize::from(start)..usize::from(end);
        for ((start, _), mask) in STARTS[range.clone()].iter().zip(&self.masks[range]) {
            if trimmed.starts_with(start) {
                wanted |= mask;
            }
        }
        if let Some(words) = &self.words {
            for found in words.find_iter(trimmed) {
                wanted |= self.word_masks[found.pattern().as_usize()];
            }
        }
        // A linter's code, as in `F401 [*] …`: its place is on the next line.
        if first.is_ascii_uppercase() && bytes.iter().skip(1).take(4).any(u8::is_ascii_digit) {
            wanted |= Family::Places.bit();
        }
        if first.is_ascii_digit() {
            wanted |= self.of_numbered(bytes);
        }
        if has_position(bytes) {
            wanted |= Family::Positions.bit() | Family::Frames.bit();
        }
        wanted
    }

    /// Lines that begin with a number: items of lists, rows of linters, and Dart's times.
    fn of_numbered(&self, bytes: &[u8]) -> u32 {
        match bytes.iter().find(|byte| !byte.is_ascii_digit()) {
            Some(b')') => self.lists,
            Some(b':') => Family::Places.bit() | Family::Dart.bit(),
            _ => 0,
        }
    }
}

/// Whether a line may hold `path:12`, `path(12` or `path:line 12`: the text before has an ending.
fn has_position(bytes: &[u8]) -> bool {
    memchr::memchr2_iter(b':', b'(', bytes).any(|at| {
        let is_number = match bytes.get(at + 1) {
            Some(b'0'..=b'9' | b'[' | b'(') => true,
            Some(b' ') => bytes.get(at + 2) == Some(&b'('),
            Some(b'l') => bytes[at + 1..].starts_with(b"line "),
            _ => false,
        };
        is_number && has_ending(&bytes[..at])
    })
}

/// Whether a text ends with `.ending`, or is a file without one.
fn has_ending(bytes: &[u8]) -> bool {
    let ending = bytes.iter().rev().take(11).position(|byte| !byte.is_ascii_alphanumeric());
    match ending {
        Some(length) => length > 0 && bytes[bytes.len() - 1 - length] == b'.' || bytes.ends_with(b"file"),
        None => bytes.ends_with(b"file"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_with_the_same_first_byte_stand_together() {
        let mut seen = Vec::new();
        for (start, _) in STARTS {
            let first = start.as_bytes()[0];
            if seen.last() != Some(&first) {
                assert!(!seen.contains(&first), "{start}");
                seen.push(first);
            }
        }
    }

    #[test]
    fn no_word_is_a_part_of_another() {
        for (at, (word, _)) in WORDS.iter().enumerate() {
            let is_part = |other: &(usize, &(&str, &[Family]))| other.0 != at && other.1.0.contains(word);
            assert_eq!(WORDS.iter().enumerate().find(is_part), None, "{word}");
        }
    }

    #[test]
    fn a_plain_line_wants_nobody() {
        assert_eq!(MARKS.of("Compiling serde v1.0.2"), 0);
        assert_eq!(MARKS.of(""), 0);
    }
}
