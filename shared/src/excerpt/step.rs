//! The candidate lines of one step: the lines that look like trouble, with the lines around them.

use super::{EXCERPT_LINES, HEAD_LINES, Line, TAIL_LINES, clean};
use regex::bytes::Regex;
use std::collections::VecDeque;
use std::sync::LazyLock;

/// Lines kept before a line that looks like trouble.
const CONTEXT_BEFORE: u64 = 3;
/// Lines kept after it.
const CONTEXT_AFTER: u64 = 4;
/// Lines kept before a reported `##[error]`: the cause stands above the exit code.
const ERROR_CONTEXT: u64 = 24;
/// The number of lines of an excerpt that come from the first trouble in the step. The others come from the last.
const FIRST_SHARE: usize = 28;

/// Words that announce an error. A line without any of them is only context.
static SIGNAL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        "(?i-u)error|fail|fatal|panic|exception|traceback|denied|refused|forbidden|timed? ?out|cannot|can't|\
         could not|unable to|not found|no such|not exist|killed|abort|undefined|unresolved|missing|invalid|\
         vulnerab|cve-[0-9]|exit code|exit status|exited with|out of memory|no space left|✗|✕|✖|❌",
    )
    .expect("the signal pattern is constant")
});

/// Candidate lines of one step, bounded.
pub(super) struct StepLines {
    /// The first [`EXCERPT_LINES`] of the step, whatever they say. A short step is kept whole, as a short log is.
    opening: Vec<Line>,
    lines: usize,
    head: Vec<Line>,
    tail: VecDeque<Line>,
    recent: VecDeque<(u64, Vec<u8>)>,
    kept_until: u64,
    context_until: u64,
    error: bool,
    signal: bool,
}

impl StepLines {
    pub(super) fn new() -> Self {
        Self {
            opening: Vec::new(),
            lines: 0,
            head: Vec::new(),
            tail: VecDeque::new(),
            recent: VecDeque::with_capacity(ERROR_CONTEXT as usize),
            kept_until: 0,
            context_until: 0,
            error: false,
            signal: false,
        }
    }

    pub(super) fn has_error(&self) -> bool {
        self.error
    }

    pub(super) fn has_signal(&self) -> bool {
        self.signal
    }

    pub(super) fn push(&mut self, number: u64, line: &[u8]) {
        self.lines += 1;
        if self.opening.len() < EXCERPT_LINES {
            self.opening.push(Line { number, text: clean(line) });
        }
        let is_error = line.starts_with(b"##[error]");
        if is_error || SIGNAL.is_match(line) {
            self.signal = true;
            self.error |= is_error;
            self.keep_recent(number.saturating_sub(if is_error { ERROR_CONTEXT } else { CONTEXT_BEFORE }));
            self.keep(number, line);
            self.context_until = number + CONTEXT_AFTER;
        } else if number <= self.context_until && !self.error {
            self.keep(number, line);
        } else {
            self.remember(number, line);
        }
    }

    /// At most [`EXCERPT_LINES`]. A short step is kept whole. Of a longer one the first and the last trouble are kept,
    /// because the middle of a flood repeats itself.
    pub(super) fn into_lines(mut self) -> Vec<Line> {
        if self.lines <= EXCERPT_LINES {
            return self.opening;
        }
        if !self.error {
            self.keep_recent(0);
        }
        let mut lines = self.head;
        lines.extend(self.tail);
        if lines.len() > EXCERPT_LINES {
            let last = lines.split_off(lines.len() - (EXCERPT_LINES - FIRST_SHARE));
            lines.truncate(FIRST_SHARE);
            lines.extend(last);
        }
        lines
    }

    fn keep_recent(&mut self, from: u64) {
        let recent = std::mem::take(&mut self.recent);
        for (number, line) in &recent {
            if *number >= from && *number > self.kept_until {
                self.keep(*number, line);
            }
        }
        self.recent = recent;
    }

    fn keep(&mut self, number: u64, line: &[u8]) {
        if number <= self.kept_until {
            return;
        }
        self.kept_until = number;
        let line = Line { number, text: clean(line) };
        if self.head.len() < HEAD_LINES {
            self.head.push(line);
            return;
        }
        if self.tail.len() == TAIL_LINES {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }

    /// Keeps the line in a ring. The buffers are reused, because most lines of a log pass through here.
    fn remember(&mut self, number: u64, line: &[u8]) {
        let mut slot = if self.recent.len() == ERROR_CONTEXT as usize {
            self.recent.pop_front().expect("the ring is full").1
        } else {
            Vec::with_capacity(128)
        };
        slot.clear();
        slot.extend_from_slice(line);
        self.recent.push_back((number, slot));
    }
}
