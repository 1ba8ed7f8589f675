//! Finds the few dozen lines of a job log that say why it failed. The log may have any size and arrives in pieces.
//!
//! [`crate::log`] reads lines and steps; `job` decides which of them matter. [`Jobs`] does so for each job of a stream.
//! [`mask`] turns the kept lines into text for the features.
//!
//! Memory is bounded whatever is pushed: at most [`LINE_BYTES`] of a line are looked at; some 200 candidates and some 350 KB of
//! text are held for each of at most ten steps of a job.

mod choice;
mod job;
mod jobs;
mod joined;
mod mask;
mod stem;
mod step;

pub use crate::log::LINE_BYTES;
pub use jobs::{JOBS_MAX, JobLog, Jobs};
pub use mask::{CAUSE_PREFIX, ERROR_PREFIX, Masked, mask, mask_line, mask_words_of};

pub use stem::stem;

use crate::cause::KeptStep;
use crate::facts::Facts;
use crate::log::{self, Reader};
use crate::redact::redact;
use crate::text;
use job::JobLines;
use serde::{Deserialize, Serialize};

/// The largest number of lines in an excerpt. It is five screens, as much as a person would read, and the model was
/// trained with it.
pub const EXCERPT_LINES: usize = 80;
/// The largest number of characters of one line that are kept.
pub const LINE_CHARS: usize = 400;

/// The largest number of lines that are named as likely causes.
pub const CAUSES: usize = 5;

/// The number of lines that are told before and after the deciding line.
const AROUND: usize = 2;
/// How far from it they may be. An excerpt leaves lines out, and what is far says nothing about it.
const NEAR: u64 = 8;

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The number of the line, counted from 1 as editors and GitHub do; 0 if the beginning of the log was not read.
    pub number: u64,
    /// The text without timestamp and terminal codes.
    pub text: String,
}

/// The lines of a log that matter.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Excerpt {
    /// The lines in the order of the log, at most [`EXCERPT_LINES`].
    pub lines: Vec<Line>,
    /// The numbers of the lines that are likeliest the cause, likeliest first; at most [`CAUSES`].
    #[serde(default)]
    pub causes: Vec<u64>,
    /// What the step of the likeliest cause states: failing tests, places in the code, codes and names.
    #[serde(default)]
    pub facts: Facts,
    /// The number of lines in the log.
    pub log_lines: u64,
    /// The number of bytes in the log.
    pub log_bytes: u64,
    /// Whether the log holds bytes that no text has. Then no line is kept.
    pub binary: bool,
}

/// Finds the excerpt of one log, pushed in pieces of any size. If it holds several jobs, they count as one.
#[derive(Default)]
pub struct ExcerptFinder {
    reader: Reader,
    log_bytes: u64,
    job: JobLines,
}

// === impl Excerpt ===

impl Excerpt {
    /// The excerpt of a whole log in memory.
    #[must_use]
    pub fn of(log: &[u8]) -> Self {
        let mut finder = ExcerptFinder::new();
        finder.push(log);
        finder.finish()
    }

    /// The lines that are likeliest the cause, likeliest first.
    pub fn likeliest(&self) -> impl Iterator<Item = &Line> {
        self.causes.iter().filter_map(|number| self.lines.iter().find(|line| line.number == *number))
    }

    /// The `deciding` line and those around it, without secrets.
    #[must_use]
    pub fn around(&self, deciding: Option<&Line>) -> Vec<Line> {
        let Some(deciding) = deciding else { return Vec::new() };
        let tells = |line: &&Line| !matches!(line.text.trim(), "" | "##[endgroup]");
        let telling: Vec<&Line> = self.lines.iter().filter(tells).collect();
        let Some(at) = telling.iter().position(|line| line.number == deciding.number) else {
            return vec![deciding.clone()];
        };
        let lines = &telling[at.saturating_sub(AROUND)..(at + AROUND + 1).min(telling.len())];
        let shown =
            |line: &&Line| Line { number: line.number, text: text::line(&redact(&line.text)).into_owned() };
        let near = lines.iter().filter(|line| line.number.abs_diff(deciding.number) <= NEAR);
        near.map(shown).collect()
    }

    /// The kept lines, joined.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(self.lines.iter().map(|line| line.text.len() + 1).sum());
        for line in &self.lines {
            text.push_str(&line.text);
            text.push('\n');
        }
        text
    }
}

// === impl ExcerptFinder ===

impl ExcerptFinder {
    /// A finder that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next piece of the log.
    pub fn push(&mut self, bytes: &[u8]) {
        self.log_bytes += bytes.len() as u64;
        let Self { reader, job, .. } = self;
        reader.push(bytes, &mut |line| job.line(&line));
    }

    /// The excerpt of everything that was pushed.
    #[must_use]
    pub fn finish(self) -> Excerpt {
        let Self { reader, log_bytes, mut job } = self;
        reader.finish(&mut |line| job.line(&line));
        Excerpt { log_bytes, ..job.finish().excerpt }
    }
}

/// The candidates of one job's log and the number of its steps, for training the scorer of lines. `job` chooses one job
/// of a stream of several.
#[must_use]
pub fn candidates(log: &[u8], job: Option<&str>) -> (Vec<KeptStep>, u64) {
    let mut reader = Reader::new();
    let mut lines = JobLines::default();
    let mut sink = |line: log::LogLine<'_>| {
        if job.is_none() || line.job == job {
            lines.line(&line);
        }
    };
    reader.push(log, &mut sink);
    reader.finish(&mut sink);
    lines.into_candidates()
}

/// The text of a line as a person would see it: without terminal codes.
fn clean(raw: &[u8]) -> String {
    match log::ends(raw) {
        Some((beginning, end)) => joined::joined(&visible(beginning, LINE_CHARS), &visible(end, LINE_BYTES)),
        None => visible(raw, LINE_CHARS),
    }
}

/// At most `limit` visible characters of the line.
fn visible(raw: &[u8], limit: usize) -> String {
    let text = String::from_utf8_lossy(raw);
    let mut cleaned = String::with_capacity(text.len().min(limit));
    let mut chars = text.chars();
    let mut kept = 0;
    while let Some(char) = chars.next() {
        match char {
            '\u{1b}' => skip_escape(&mut chars),
            char if char.is_control() && char != '\t' => {}
            char => {
                cleaned.push(char);
                kept += 1;
                if kept == limit {
                    break;
                }
            }
        }
    }
    cleaned.truncate(cleaned.trim_end().len());
    cleaned
}

/// ECMA-48: `ESC [ … final byte`; `ESC ] … BEL` for a title, and `ESC _ … BEL` for a program such as Buildkite's.
fn skip_escape(chars: &mut std::str::Chars<'_>) {
    match chars.next() {
        Some('[') => drop(chars.find(|char| ('\u{40}'..='\u{7e}').contains(char))),
        Some(']' | '_') => drop(chars.find(|char| *char == '\u{7}')),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noise(lines: usize) -> String {
        (0..lines).map(|n| format!("2026-01-01T00:00:00.0000000Z compiling unit {n}\n")).collect()
    }

    #[test]
    fn a_short_log_is_kept_whole_without_timestamps_and_colours() {
        let log = b"2026-01-01T00:00:00.1234567Z \x1b[31merror\x1b[0m: no\r\nplain\n";
        let texts: Vec<_> = Excerpt::of(log).lines.into_iter().map(|line| (line.number, line.text)).collect();
        assert_eq!(texts, [(1, "error: no".to_owned()), (2, "plain".to_owned())]);
    }

    #[test]
    fn of_a_failed_step_the_command_the_end_and_the_lines_around_the_cause_are_kept() {
        let mut log = "##[group]Run build\nnoise\n".to_owned() + &"noise\n".repeat(200);
        log += "##[group]Run test\nfirst\nsecond\n";
        log += &"quiet\n".repeat(40);
        log += "error: it broke\n##[error]Process completed with exit code 3.\nPost job cleanup.\nbye\n";
        let excerpt = Excerpt::of(log.as_bytes());
        let texts: Vec<_> = excerpt.lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!((texts[0], excerpt.lines[0].number), ("##[group]Run test", 203));
        assert!(
            texts.ends_with(&["error: it broke", "##[error]Process completed with exit code 3."]),
            "{texts:?}"
        );
        assert!(!texts.contains(&"noise") && !texts.contains(&"bye"), "{texts:?}");
        assert_eq!(excerpt.causes.first(), Some(&246), "{:?}", excerpt.causes);
    }

    #[test]
    fn lines_of_other_steps_move_neither_the_excerpt_nor_the_cause() {
        let failed = "##[group]Run make\nmake\n##[endgroup]\nld: symbol not found\n##[error]Process completed with exit code 2.\n";
        let texts = |lines: usize| {
            let step = format!("##[group]Run setup\n##[endgroup]\n{}", noise(lines));
            let excerpt =
                Excerpt::of(format!("{step}{failed}Post job cleanup.\n{}", noise(lines)).as_bytes());
            let cause = excerpt.likeliest().next().map(|line| line.text.clone());
            (excerpt.lines.into_iter().map(|line| line.text).collect::<Vec<_>>(), cause)
        };
        let alone = texts(0);
        assert_eq!(alone.1.as_deref(), Some("ld: symbol not found"));
        for lines in [300, 30_000] {
            assert_eq!(texts(lines), alone);
        }
    }

    #[test]
    fn the_failed_steps_error_is_kept_and_the_clean_up_after_it_is_not() {
        let log = format!(
            "{}##[group]Run make\nmake\n##[endgroup]\n{}ld: symbol not found\n##[error]Process completed with exit code 2.\n\
             Post job cleanup.\n{}",
            noise(500),
            noise(300),
            noise(200)
        );
        let excerpt = Excerpt::of(log.as_bytes());
        let text = excerpt.text();
        assert!(text.contains("ld: symbol not found"), "{text}");
        assert!(excerpt.lines.len() <= EXCERPT_LINES);
        assert_eq!(excerpt.lines.last().unwrap().text, "##[error]Process completed with exit code 2.");
    }

    #[test]
    fn a_progress_bar_leaves_its_last_state() {
        assert_eq!(Excerpt::of(b"10%\r50%\r100% done\r\n").lines[0].text, "100% done");
    }

    #[test]
    fn a_binary_log_is_named_and_gives_no_lines() {
        let excerpt = Excerpt::of(&[0u8, 159, 146, 150].repeat(1000));
        assert!(excerpt.binary);
        assert!(excerpt.lines.is_empty());
    }

    #[test]
    fn one_endless_line_is_cut_and_counted() {
        let mut finder = ExcerptFinder::new();
        for _ in 0..1000 {
            finder.push(&[b'x'; 1000]);
        }
        let excerpt = finder.finish();
        assert_eq!((excerpt.log_lines, excerpt.log_bytes), (1, 1_000_000));
        assert_eq!(excerpt.lines[0].text.len(), LINE_CHARS);
    }

    #[test]
    fn what_ends_a_line_of_over_four_kilobytes_is_seen() {
        let command = format!("cc -c a.c {}", "-I/usr/include ".repeat(1000));
        for size in [1, 1000, 1 << 20] {
            let log = format!(
                "{}##[group]Run make\n##[endgroup]\n{command}: fatal error: no such file\n{}",
                noise(200),
                noise(200)
            );
            let mut finder = ExcerptFinder::new();
            log.as_bytes().chunks(size).for_each(|piece| finder.push(piece));
            let excerpt = finder.finish();
            let line =
                excerpt.lines.iter().find(|line| line.text.starts_with("cc -c a.c -I/usr")).expect("kept");
            assert!(line.text.ends_with("-I/usr/include : fatal error: no such file"), "{}", line.text);
            assert!(line.text.contains(" … ") && line.text.chars().count() <= LINE_CHARS, "{}", line.text);
        }
    }

    #[test]
    fn a_word_that_the_cut_goes_through_is_not_told_in_half() {
        // Half a secret is not recognised as one.
        let line = format!("login {} refused", "c2VjcmV0".repeat(1000));
        assert_eq!(Excerpt::of(line.as_bytes()).lines[0].text.rsplit(" … ").next(), Some("refused"));
        let unbroken = "c2VjcmV0".repeat(1000);
        assert_eq!(Excerpt::of(unbroken.as_bytes()).lines[0].text, unbroken[..LINE_CHARS]);
    }

    #[test]
    fn a_long_progress_bar_leaves_its_last_state() {
        let bar: String = (0..2000).map(|n| format!("{n} of 2000\r")).collect();
        assert_eq!(
            Excerpt::of(format!("{bar}error: it broke\n").as_bytes()).lines[0].text,
            "error: it broke"
        );
    }

    proptest! {
        #[test]
        fn the_pieces_a_log_arrives_in_do_not_matter(
            log in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'e'), Just(b'r'), Just(b'o'), any::<u8>()], 0..4000),
            long in 0usize..20_000,
            size in 1usize..700,
        ) {
            // Lines of any length, with something to tell their parts by.
            let line: Vec<u8> = (0..long).map(|n| b"abc de: "[n * n % 8]).collect();
            let log = [log.as_slice(), &line, b"\n", &log].concat();
            let mut finder = ExcerptFinder::new();
            log.chunks(size).for_each(|piece| finder.push(piece));
            prop_assert_eq!(finder.finish(), Excerpt::of(&log));
        }

        #[test]
        fn an_excerpt_is_bounded_and_in_order(log in proptest::collection::vec("(error|ok|##\\[error\\]x|##\\[group\\]Run y| *)", 0..400)) {
            let excerpt = Excerpt::of(log.join("\n").as_bytes());
            prop_assert!(excerpt.lines.len() <= EXCERPT_LINES);
            prop_assert!(excerpt.lines.windows(2).all(|pair| pair[0].number < pair[1].number));
        }
    }
}
