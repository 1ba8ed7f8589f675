//! The candidate lines of one step: the lines that look like trouble, with the lines around them.

use super::clean;
use crate::cause::{KeptLine, KeptStep, StepText};
use regex::bytes::Regex;
use std::collections::VecDeque;
use std::sync::LazyLock;

/// Lines kept before a line that looks like trouble.
const CONTEXT_BEFORE: u64 = 3;
/// Lines kept after it.
const CONTEXT_AFTER: u64 = 4;
/// Lines kept before a reported `##[error]`: the cause stands above the exit code.
const ERROR_CONTEXT: u64 = 24;
/// Lines kept of the beginning of a step: its command.
const COMMAND_LINES: u64 = 3;
/// Candidates held of the beginning of a step's trouble: the first error is often the cause of the others.
const HEAD_LINES: usize = 64;
/// Candidates held of its end.
const TAIL_LINES: usize = 128;

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
#[derive(Default)]
pub(super) struct StepLines {
    lines: u64,
    head: Vec<KeptLine>,
    tail: VecDeque<KeptLine>,
    text: StepText,
    recent: VecDeque<(u64, Vec<u8>)>,
    /// The offset after the last kept line.
    kept_until: u64,
    context_until: u64,
    first_number: u64,
    errors: usize,
    has_exit: bool,
    signal: bool,
    in_group: bool,
    is_clean_up: bool,
}

impl StepLines {
    pub(super) fn has_error(&self) -> bool {
        self.errors > 0
    }

    pub(super) fn has_signal(&self) -> bool {
        self.signal
    }

    pub(super) fn push(&mut self, number: u64, line: &[u8]) {
        let offset = self.lines;
        self.lines += 1;
        if offset == 0 {
            self.first_number = number;
            self.is_clean_up = line.starts_with(b"Post job cleanup.");
            self.in_group = line.starts_with(b"##[group]Run ");
        } else if line.starts_with(b"##[endgroup]") {
            self.in_group = false;
        }
        self.text.push(line);
        let is_error = line.starts_with(b"##[error]");
        let is_signal = is_error || (!self.in_group && SIGNAL.is_match(line));
        if is_signal {
            self.signal = true;
            self.errors += usize::from(is_error);
            self.has_exit |= line.starts_with(b"##[error]Process completed with exit code");
            self.keep_recent(offset.saturating_sub(if is_error { ERROR_CONTEXT } else { CONTEXT_BEFORE }));
            self.keep(offset, number, line, true);
            self.context_until = offset + 1 + CONTEXT_AFTER;
        } else if offset < COMMAND_LINES || offset < self.context_until {
            self.keep(offset, number, line, false);
        } else {
            self.remember(number, line);
        }
    }

    /// What was kept. If nothing in the step looks like trouble, it is the step's end.
    pub(super) fn into_kept(mut self, name: Option<String>, index: u64) -> KeptStep {
        if !self.signal {
            self.keep_recent(0);
        }
        let mut lines = self.head;
        lines.extend(self.tail);
        KeptStep {
            name,
            lines,
            text: self.text,
            len: self.lines,
            errors: self.errors,
            has_exit: self.has_exit,
            is_clean_up: self.is_clean_up,
            index,
        }
    }

    fn keep_recent(&mut self, from: u64) {
        let recent = std::mem::take(&mut self.recent);
        for (number, line) in &recent {
            let offset = number - self.first_number;
            if offset >= from && offset >= self.kept_until {
                self.keep(offset, *number, line, false);
            }
        }
        self.recent = recent;
    }

    fn keep(&mut self, offset: u64, number: u64, line: &[u8], signal: bool) {
        if offset < self.kept_until {
            return;
        }
        self.kept_until = offset + 1;
        let line = KeptLine { number, offset, text: clean(line), signal, in_group: self.in_group };
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
