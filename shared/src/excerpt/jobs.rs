//! The jobs of one stream, each with its own excerpt.

use super::Excerpt;
use super::job::JobLines;
use crate::log::{LogLine, Reader};

/// The largest number of jobs of one stream. A matrix of GitHub Actions may have 256, but few of them fail for a reason
/// of their own. A job without a failure gives its place to a later one.
pub const JOBS_MAX: usize = 64;

/// One job of a log.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JobLog {
    /// The name of the job, if the log holds it.
    pub name: Option<String>,
    /// The name of the step that the excerpt is of, if the log holds it.
    pub step: Option<String>,
    /// The lines that matter; their numbers are those of the stream.
    pub excerpt: Excerpt,
    /// Whether anything says that the job failed. False only if the log ends as that of a job without a failure does, or
    /// if no line hints at one.
    pub found: bool,
    /// The first line and the name of each step, in order; bounded.
    pub steps: Vec<(u64, Option<String>)>,
}

/// Finds the excerpt of every job of one stream, pushed in pieces of any size.
#[derive(Default)]
pub struct Jobs {
    reader: Reader,
    held: Held,
}

#[derive(Default)]
struct Held {
    jobs: Vec<JobLines>,
    /// The job of the last line.
    current: usize,
    /// Jobs that had no place; the last one of them is being read.
    left_out: usize,
    skipped: Option<String>,
}

// === impl JobLog ===

impl JobLog {
    /// The name of the step that the line with this number belongs to.
    #[must_use]
    pub fn step_at(&self, number: u64) -> Option<&str> {
        let after = self.steps.partition_point(|(first, _)| *first <= number);
        self.steps.get(after.checked_sub(1)?)?.1.as_deref()
    }

    /// The jobs called `asked`, if there are several and one is asked for.
    ///
    /// # Errors
    /// A sentence that names the jobs there are.
    pub fn select(jobs: Vec<Self>, asked: Option<&str>) -> Result<Vec<Self>, String> {
        let Some(asked) = asked.filter(|_| jobs.len() > 1) else { return Ok(jobs) };
        let (found, others): (Vec<_>, Vec<_>) =
            jobs.into_iter().partition(|job| job.name.as_deref() == Some(asked));
        if found.is_empty() {
            let names: Vec<_> = others.iter().filter_map(|job| job.name.as_deref()).collect();
            return Err(format!("no job is called {asked}; there are: {}", names.join(", ")));
        }
        Ok(found)
    }

    /// Why the jobs of a stream are no log, if they are none.
    #[must_use]
    pub fn problem(jobs: &[Self]) -> Option<&'static str> {
        if jobs.iter().any(|job| job.excerpt.binary) {
            return Some("this is not a text log");
        }
        (!jobs.iter().any(Self::says_something)).then_some("this is empty")
    }

    /// Whether the log has a line with anything in it.
    #[must_use]
    pub fn says_something(&self) -> bool {
        self.excerpt.lines.iter().any(|line| !line.text.trim().is_empty())
    }
}

// === impl Jobs ===

impl Jobs {
    /// A finder that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The jobs of a whole log in memory.
    #[must_use]
    pub fn of(log: &[u8]) -> Vec<JobLog> {
        let mut jobs = Self::new();
        jobs.push(log);
        jobs.finish()
    }

    /// Begins a file that holds one job or one step; see [`Reader::begin`].
    pub fn begin(&mut self, job: Option<&str>, step: Option<&str>) {
        let Self { reader, held } = self;
        reader.begin(job, step, &mut |line| held.line(&line));
    }

    /// Reads the next piece of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        let Self { reader, held } = self;
        reader.push(bytes, &mut |line| held.line(&line));
    }

    /// The jobs in the order of the stream; at most [`JOBS_MAX`]. None if the stream holds no line.
    #[must_use]
    pub fn finish(self) -> Vec<JobLog> {
        let Self { reader, mut held } = self;
        reader.finish(&mut |line| held.line(&line));
        held.jobs.into_iter().map(JobLines::finish).collect()
    }

    /// The number of jobs so far that had no place.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.held.left_out
    }
}

// === impl Held ===

impl Held {
    fn line(&mut self, line: &LogLine<'_>) {
        let is_current = self.jobs.get(self.current).is_some_and(|job| job.name() == line.job);
        if !is_current && !self.find(line.job) {
            return;
        }
        self.jobs[self.current].line(line);
    }

    /// Makes `name` the current job; false if it has no place.
    fn find(&mut self, name: Option<&str>) -> bool {
        if self.skipped.is_some() && self.skipped.as_deref() == name {
            return false;
        }
        if let Some(at) = self.jobs.iter().position(|job| job.name() == name) {
            self.current = at;
            return true;
        }
        if self.jobs.len() == JOBS_MAX {
            self.left_out += 1;
            let Some(passed) = self.jobs.iter().position(JobLines::has_passed) else {
                self.skipped = name.map(str::to_owned);
                return false;
            };
            self.jobs.remove(passed);
        }
        self.jobs.push(JobLines::new(name));
        self.current = self.jobs.len() - 1;
        true
    }
}

#[cfg(test)]
mod tests;
