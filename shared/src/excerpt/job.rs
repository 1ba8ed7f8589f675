//! The lines of one job: decides which step failed, and so which lines matter.

use super::step::StepLines;
use super::{EXCERPT_LINES, Excerpt, JobLog, Line, clean};
use crate::log::{Format, LogLine, Outcome};
use std::collections::VecDeque;

/// The largest number of steps whose names are known at the end. Jobs have some twenty; the last ones are kept.
const STEPS: usize = 512;

/// What hints at a failure without any of the words that announce one, in lower case.
const HINTS: [&str; 24] = [
    "bad",
    "cancel",
    "conflict",
    "crash",
    "dumped",
    "err!",
    "errno",
    "exceed",
    "exit",
    "fault",
    "kill",
    "limit",
    "not allowed",
    "not ok",
    "oom",
    "reject",
    "rolled back",
    "sigabrt",
    "sigkill",
    "sigsegv",
    "stopped",
    "terminated",
    "unauthorized",
    "unavailable",
];

/// Chooses the lines of one job that matter.
#[derive(Default)]
pub(super) struct JobLines {
    name: Option<String>,
    lines: u64,
    bytes: u64,
    nul_bytes: u64,
    opening: Vec<Line>,
    step: Step,
    /// The first step that reported an error, with its end: the root cause is rarely after it.
    failed: Option<Step>,
    /// The step before the current one, for logs that end in quiet clean-up.
    before: Option<Step>,
    /// The first line and the name of each step.
    steps: VecDeque<(u64, Option<String>)>,
    has_failed: bool,
    has_ended: bool,
    has_signal: bool,
}

/// A step with its candidate lines.
struct Step {
    name: Option<String>,
    lines: StepLines,
}

// === impl Step ===

impl Default for Step {
    fn default() -> Self {
        Self { name: None, lines: StepLines::new() }
    }
}

// === impl JobLines ===

impl JobLines {
    pub(super) fn new(name: Option<&str>) -> Self {
        Self { name: name.map(str::to_owned), ..Self::default() }
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(super) fn line(&mut self, line: &LogLine<'_>) {
        self.lines += 1;
        self.bytes += line.len;
        if memchr::memchr(0, line.text).is_some() {
            self.nul_bytes += line.text.iter().filter(|byte| **byte == 0).count() as u64;
        }
        if self.opening.len() < EXCERPT_LINES {
            self.opening.push(Line { number: line.number, text: clean(line.text) });
        }
        match line.outcome {
            Some(Outcome::Failed) => self.has_failed = true,
            Some(Outcome::Ended) => self.has_ended = true,
            None => {}
        }
        if line.starts_step && reports_errors(line.format) {
            self.next_step(line.step);
        }
        let named = self.steps.back().and_then(|(_, name)| name.as_deref());
        if line.step != named {
            self.name_step(line);
        }
        self.step.lines.push(line.number, line.text);
    }

    /// Whether nothing in the log says that the job failed.
    pub(super) fn has_passed(&self) -> bool {
        !self.has_failed && (self.has_ended || !(self.has_signal || self.step.lines.has_signal()))
    }

    pub(super) fn finish(mut self) -> JobLog {
        // A text log has no NUL bytes; a few may come from a program's output.
        let binary = self.nul_bytes * 100 > self.bytes;
        let Step { name: step, lines } = self.chosen_step();
        let lines = match () {
            () if binary => Vec::new(),
            () if self.lines as usize <= EXCERPT_LINES => std::mem::take(&mut self.opening),
            () => lines.into_lines(),
        };
        let passed = self.has_passed() && (self.has_ended || !lines.iter().any(|line| hints(&line.text)));
        let excerpt = Excerpt { lines, log_lines: self.lines, log_bytes: self.bytes, binary };
        JobLog { name: self.name, step, excerpt, found: !passed, steps: self.steps.into() }
    }

    fn name_step(&mut self, line: &LogLine<'_>) {
        if self.steps.len() == STEPS {
            self.steps.pop_front();
        }
        self.steps.push_back((line.number, line.step.map(str::to_owned)));
    }

    fn next_step(&mut self, name: Option<&str>) {
        let next = Step { name: name.map(str::to_owned), ..Step::default() };
        let ended = std::mem::replace(&mut self.step, next);
        self.has_signal |= ended.lines.has_signal();
        if ended.lines.has_error() && self.failed.is_none() {
            self.failed = Some(ended);
        } else if ended.lines.has_signal() {
            self.before = Some(ended);
        }
    }

    fn chosen_step(&mut self) -> Step {
        let last = std::mem::take(&mut self.step);
        self.has_signal |= last.lines.has_signal();
        match self.failed.take() {
            Some(failed) => failed,
            None if last.lines.has_error() => last,
            None => match self.before.take() {
                Some(before) if !last.lines.has_signal() => before,
                _ => last,
            },
        }
    }
}

/// Whether the step that failed says `##[error]`. Elsewhere only the end of the job says so, in another step than the
/// cause, so the job is taken as one step.
fn reports_errors(format: Format) -> bool {
    matches!(format, Format::Plain | Format::Actions | Format::Azure)
}

fn hints(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    HINTS.iter().any(|hint| line.contains(hint))
}
