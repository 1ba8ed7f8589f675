//! What `gh run view --log` and `--log-failed` write before each line: `job<TAB>step<TAB>`, and then the line with its
//! timestamp. <https://cli.github.com/manual/gh_run_view>

use super::{name, stamp};

/// What `gh` says where it does not know the step.
const UNKNOWN_STEP: &[u8] = b"UNKNOWN STEP";
/// The largest number of bytes of a job's or step's name that a prefix is looked for in. GitHub's own limit is lower.
const NAME_BYTES: usize = 1024;

/// The prefix of the last line.
#[derive(Default)]
pub(super) struct Prefix {
    /// The prefix as it was written, to recognise it again; empty if there was none.
    written: Vec<u8>,
    job: Option<String>,
    step: Option<String>,
}

// === impl Prefix ===

impl Prefix {
    /// What a file's name tells in place of a prefix.
    pub(super) fn of(job: Option<&str>, step: Option<&str>) -> Self {
        let name = |text: Option<&str>| text.and_then(|text| name(text.as_bytes()));
        Self { written: Vec::new(), job: name(job), step: name(step) }
    }

    pub(super) fn job(&self) -> Option<&str> {
        self.job.as_deref()
    }

    pub(super) fn step(&self) -> Option<&str> {
        self.step.as_deref()
    }

    /// The line without its prefix, and whether another job or step than before is named in it.
    pub(super) fn split<'a>(&mut self, line: &'a [u8]) -> (&'a [u8], bool) {
        if !self.written.is_empty()
            && let Some(rest) = line.strip_prefix(self.written.as_slice())
        {
            return (rest, false);
        }
        let Some((job, step)) = parts(line) else { return (line, false) };
        let len = job.len() + step.len() + 2;
        self.written = line[..len].to_vec();
        self.job = name(job);
        self.step = if step == UNKNOWN_STEP { None } else { name(step) };
        (&line[len..], true)
    }
}

/// Job and step of a line. Without a timestamp after them they are the program's own columns.
fn parts(line: &[u8]) -> Option<(&[u8], &[u8])> {
    // The lines of a raw log begin with the timestamp.
    if stamp::begins(line) {
        return None;
    }
    let job = field(line)?;
    let step = field(&line[job.len() + 1..])?;
    stamp::begins(&line[job.len() + step.len() + 2..]).then_some((job, step))
}

fn field(line: &[u8]) -> Option<&[u8]> {
    let end = memchr::memchr(b'\t', &line[..line.len().min(NAME_BYTES)])?;
    Some(&line[..end])
}
