//! Reads the log of a CI job as people have it: a stream of bytes becomes jobs, steps and lines.
//!
//! What is not the program's own text is taken off: byte order marks, timestamps, the job and the step that
//! `gh run view --log` writes before each line, the codes of folds, and the earlier states of a progress bar. The
//! format is known from the marks that only one system writes (see `marker`). `gh` writes a prefix before every line,
//! so that one stream can hold several jobs.
//!
//! Which lines matter is not decided here; see [`crate::excerpt`].
//!
//! Memory is bounded whatever is pushed: at most [`LINE_BYTES`] of a line and [`NAME_CHARS`] of a name are held.

pub mod archive;
mod encoding;
mod long;
mod marker;
mod prefix;
mod stamp;

pub use long::ends;

use encoding::{Decoder, TELLING_BYTES};
use long::Partial;
use marker::Marker;
use prefix::Prefix;

/// The largest number of bytes of one line that are looked at. Of a longer line both ends are looked at, not the
/// middle.
pub const LINE_BYTES: usize = 4096;
/// The largest number of characters of a job's or step's name that are kept.
pub const NAME_CHARS: usize = 200;

/// The system that wrote a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Nothing in the log told so far.
    #[default]
    Plain,
    /// GitHub Actions, and what copies it (Gitea, Forgejo).
    Actions,
    /// Azure Pipelines.
    Azure,
    /// GitLab CI.
    GitLab,
    /// Jenkins.
    Jenkins,
    /// CircleCI.
    CircleCi,
    /// Buildkite.
    Buildkite,
    /// Travis CI.
    Travis,
}

/// How a job ended, where the log says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The line reports a failure. In GitHub Actions it may be that of a step with `continue-on-error`.
    Failed,
    /// The line is written at the end of a job. If no line reported a failure, the job had none.
    Ended,
}

/// One line of a log.
#[derive(Debug, Clone, Copy)]
pub struct LogLine<'a> {
    /// The name of the job, if the log holds it.
    pub job: Option<&'a str>,
    /// The name of the step that the line belongs to, if the log holds it. In a raw log of GitHub Actions it is the
    /// command, as in `Run npm ci`.
    pub step: Option<&'a str>,
    /// Whether the line begins a step. The parts of a composite action count as steps.
    pub starts_step: bool,
    /// The number of the line in the stream, from 1.
    pub number: u64,
    /// The text without prefix and timestamp, after the last carriage return. Of a line over [`LINE_BYTES`] both ends;
    /// see [`ends`]. Terminal codes are still in it.
    pub text: &'a [u8],
    /// The timestamp as the log has it.
    pub stamp: Option<&'a [u8]>,
    /// What the line says about the end of the job.
    pub outcome: Option<Outcome>,
    /// The system that wrote the log, as far as it is known by now.
    pub format: Format,
    /// The number of bytes that the line takes in the stream, as UTF-8 and with its line feed.
    pub len: u64,
}

/// Reads one log, pushed in pieces of any size.
#[derive(Default)]
pub struct Reader {
    decoder: Decoder,
    /// The first bytes of the stream, until they tell the encoding.
    first: Vec<u8>,
    partial: Partial,
    state: State,
}

/// Where in the log the next line is.
#[derive(Default)]
struct State {
    number: u64,
    format: Format,
    prefix: Prefix,
    /// The name of the step, from the lines that begin steps.
    step: Option<String>,
    /// The next line names the step.
    names_step: bool,
    /// The next line begins a part of the log.
    begins: bool,
}

// === impl Reader ===

impl Reader {
    /// A reader that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a part that has a file of its own, as each job and step has in the archives of GitHub: what is pushed next
    /// belongs to this job and step.
    pub fn begin(&mut self, job: Option<&str>, step: Option<&str>, sink: &mut dyn FnMut(LogLine<'_>)) {
        self.end(sink);
        self.decoder = Decoder::Starting;
        self.state.begin(job, step);
    }

    /// Reads the next piece of the log and hands on every line that ends in it.
    pub fn push(&mut self, bytes: &[u8], sink: &mut dyn FnMut(LogLine<'_>)) {
        let mut rest = bytes;
        if matches!(self.decoder, Decoder::Starting) {
            let (start, after) = bytes.split_at(bytes.len().min(TELLING_BYTES - self.first.len()));
            self.first.extend_from_slice(start);
            self.start(false, sink);
            rest = after;
        }
        self.decode(rest, sink);
    }

    /// Hands on the last line, if no line feed ended it.
    pub fn finish(mut self, sink: &mut dyn FnMut(LogLine<'_>)) {
        self.end(sink);
    }

    fn end(&mut self, sink: &mut dyn FnMut(LogLine<'_>)) {
        if matches!(self.decoder, Decoder::Starting) {
            self.start(true, sink);
        }
        let Self { decoder, partial, state, .. } = self;
        if let Decoder::Utf16(utf16) = decoder {
            utf16.finish(&mut |text| partial.push(text));
        }
        if !partial.is_empty() {
            let len = partial.len() as u64;
            state.line(&partial.take(), len, sink);
        }
    }

    fn start(&mut self, is_all: bool, sink: &mut dyn FnMut(LogLine<'_>)) {
        if let Some((decoder, mark)) = Decoder::of(&self.first, is_all) {
            self.decoder = decoder;
            let start = std::mem::take(&mut self.first);
            self.decode(&start[mark..], sink);
        }
    }

    fn decode(&mut self, bytes: &[u8], sink: &mut dyn FnMut(LogLine<'_>)) {
        let Self { decoder, partial, state, .. } = self;
        match decoder {
            Decoder::Utf16(utf16) => utf16.decode(bytes, &mut |text| lines(text, partial, state, sink)),
            Decoder::Starting | Decoder::Bytes => lines(bytes, partial, state, sink),
        }
    }
}

fn lines(bytes: &[u8], partial: &mut Partial, state: &mut State, sink: &mut dyn FnMut(LogLine<'_>)) {
    let mut rest = bytes;
    while let Some(end) = memchr::memchr(b'\n', rest) {
        let (line, after) = (&rest[..end], &rest[end + 1..]);
        if !partial.is_empty() {
            partial.push(line);
            let len = partial.len() as u64 + 1;
            let whole = partial.take();
            state.line(&whole, len, sink);
            partial.reuse(whole);
        } else if line.len() <= LINE_BYTES {
            state.line(line, line.len() as u64 + 1, sink);
        } else {
            state.line(&long::looked_at(line), line.len() as u64 + 1, sink);
        }
        rest = after;
    }
    partial.push(rest);
}

// === impl State ===

impl State {
    fn begin(&mut self, job: Option<&str>, step: Option<&str>) {
        self.prefix = Prefix::of(job, step);
        self.step = None;
        self.names_step = false;
        self.begins = true;
    }

    fn line(&mut self, raw: &[u8], len: u64, sink: &mut dyn FnMut(LogLine<'_>)) {
        self.number += 1;
        let (line, changed) = self.prefix.split(raw);
        if changed {
            self.format = Format::Actions;
            self.step = None;
        }
        let (stamp, text) = stamp::split(line, self.format);
        let text = without_ends(text);
        let (marker, text) = marker::split(text, &mut self.format);
        let text = last_state(text);
        let mut starts_step = changed | std::mem::take(&mut self.begins);
        match marker {
            Some(Marker::Start(step)) => {
                starts_step = true;
                self.names_step = step.is_empty();
                self.step = name(step);
            }
            Some(Marker::End) => self.step = None,
            // CircleCI shows the command below the shell that runs it.
            None if self.names_step => {
                self.names_step = false;
                self.step = name(text);
            }
            None => {}
        }
        sink(LogLine {
            job: self.prefix.job(),
            step: self.prefix.step().or(self.step.as_deref()),
            starts_step,
            number: self.number,
            text,
            stamp,
            outcome: marker::outcome(text, self.format),
            format: self.format,
            len,
        });
    }
}

/// The carriage returns at the end belong to the end of the line.
fn without_ends(mut text: &[u8]) -> &[u8] {
    while let Some(rest) = text.strip_suffix(b"\r") {
        text = rest;
    }
    text
}

/// A terminal writes over a line after a carriage return: a progress bar leaves its last state.
fn last_state(text: &[u8]) -> &[u8] {
    memchr::memrchr(b'\r', text).map_or(text, |at| &text[at + 1..])
}

/// A name as a person may read it; none if it is empty.
fn name(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let name: String = text.trim().chars().filter(|char| !char.is_control()).take(NAME_CHARS).collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests;
