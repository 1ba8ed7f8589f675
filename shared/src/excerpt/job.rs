//! The lines of one job: decides which step failed, and so which lines matter.

use super::choice::{Chosen, choose};
use super::step::StepLines;
use super::{Excerpt, JobLog};
use crate::cause::KeptStep;
use crate::log::{Format, LogLine, Outcome};
use std::collections::VecDeque;

/// The largest number of steps whose names are known at the end. Jobs have some twenty; the last ones are kept.
const STEPS: usize = 512;
/// Steps with a reported error that are held from the beginning of the job, and as many from its end.
const FAILED_STEPS: usize = 3;
/// Steps without one that are held from its end.
const QUIET_STEPS: usize = 2;

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
    step: Step,
    /// The number of steps that ended.
    step_index: u64,
    /// The first steps that reported an error: the root cause is rarely after them.
    failed: Vec<KeptStep>,
    /// The last ones, for errors that a job went on after.
    failed_last: VecDeque<KeptStep>,
    /// The last steps without a reported error in which something looks like trouble.
    before: VecDeque<KeptStep>,
    /// The last step in which nothing looks like trouble and its index, for logs that have no other.
    silent: Option<(Step, u64)>,
    /// The first line and the name of each step.
    steps: VecDeque<(u64, Option<String>)>,
    has_failed: bool,
    has_ended: bool,
    has_signal: bool,
}

/// A step with its candidate lines.
#[derive(Default)]
struct Step {
    name: Option<String>,
    lines: StepLines,
}

// === impl Step ===

impl Step {
    fn into_kept(self, index: u64) -> KeptStep {
        self.lines.into_kept(self.name, index)
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
        self.next_step(None);
        let kept = if binary { Vec::new() } else { self.candidates() };
        let Chosen { lines, causes, step, facts } = choose(&kept, self.step_index);
        let passed = self.has_passed() && (self.has_ended || !lines.iter().any(|line| hints(&line.text)));
        let excerpt = Excerpt { lines, causes, facts, log_lines: self.lines, log_bytes: self.bytes, binary };
        JobLog { name: self.name, step, excerpt, found: !passed, steps: self.steps.into() }
    }

    /// The kept lines of the steps that may have failed, and the number of steps.
    pub(super) fn into_candidates(mut self) -> (Vec<KeptStep>, u64) {
        self.next_step(None);
        (self.candidates(), self.step_index)
    }

    /// The kept lines of the steps that may have failed, in the order of the log.
    fn candidates(&mut self) -> Vec<KeptStep> {
        let mut kept = std::mem::take(&mut self.failed);
        kept.extend(self.failed_last.drain(..));
        if kept.last().is_none_or(|step| step.index + 1 < self.step_index) {
            kept.extend(self.before.drain(..));
        }
        if kept.is_empty()
            && let Some((silent, index)) = self.silent.take()
        {
            kept.push(silent.into_kept(index));
        }
        kept.sort_by_key(|step| step.index);
        kept
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
        let index = self.step_index;
        self.step_index += 1;
        self.has_signal |= ended.lines.has_signal();
        if ended.lines.has_error() && self.failed.len() < FAILED_STEPS {
            self.failed.push(ended.into_kept(index));
        } else if ended.lines.has_error() {
            keep_last(&mut self.failed_last, ended.into_kept(index), FAILED_STEPS);
        } else if ended.lines.has_signal() {
            keep_last(&mut self.before, ended.into_kept(index), QUIET_STEPS);
        } else {
            self.silent = Some((ended, index));
        }
    }
}

fn keep_last(steps: &mut VecDeque<KeptStep>, step: KeptStep, limit: usize) {
    if steps.len() == limit {
        steps.pop_front();
    }
    steps.push_back(step);
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
