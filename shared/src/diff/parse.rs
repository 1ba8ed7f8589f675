//! Parses the text of a diff into files, hunks and lines.

use super::path::{of_header, path, without_prefix};
use super::{FileDiff, Hunk, Line, Place};
use crate::{Error, Result};

/// The largest line number that is accepted. A header with a larger one is a mistake or an attack.
const LINE_MAX: u32 = 1 << 30;

/// Parses a whole diff, as `git diff` or `diff -u` prints it. What stands before the first file (a commit
/// message) is skipped.
///
/// # Errors
/// [`Error::DiffInvalid`] with the line: a combined diff, a hunk whose lines don't match its header, a hunk
/// without a file.
pub fn parse(text: &str) -> Result<Vec<FileDiff<'_>>> {
    let mut lines = Lines::of(text);
    let mut files = Vec::new();
    let mut file: Option<FileDiff<'_>> = None;
    while let Some(line) = lines.next() {
        if let Some(header) = line.strip_prefix("diff --git ") {
            files.extend(file.take());
            file = Some(header_of(header, &mut lines));
        } else if line.starts_with("diff --cc ")
            || line.starts_with("diff --combined ")
            || line.starts_with("@@@ ")
        {
            return Err(
                lines.invalid("a combined diff (of a merge) has no exact lines; diff against one parent")
            );
        } else if line.starts_with("--- ") && lines.peek().is_some_and(|next| next.starts_with("+++ ")) {
            // Right after a git header these are its own; otherwise a plain diff's next file begins.
            let (old, new) = (line, lines.next().unwrap_or_default());
            if !file.as_ref().is_some_and(|file| file.hunks.is_empty() && !file.binary) {
                files.extend(file.take());
            }
            let file = file.get_or_insert(EMPTY);
            file.old_path = path(&old[4..]).map(without_prefix);
            file.new_path = path(&new[4..]).map(without_prefix);
        } else if line.starts_with("@@ ") {
            let hunk = hunk(line, &mut lines)?;
            file.as_mut().ok_or_else(|| lines.invalid("a hunk without a file before it"))?.hunks.push(hunk);
        } else if let Some(file) = &mut file {
            file.binary |= line.starts_with("Binary files ") || line == "GIT binary patch";
        }
    }
    files.extend(file);
    Ok(files)
}

/// Parses hunks alone: a file's `patch` in GitHub's API.
///
/// # Errors
/// [`Error::DiffInvalid`] with the line.
pub fn parse_patch(text: &str) -> Result<Vec<Hunk<'_>>> {
    let mut lines = Lines::of(text);
    let mut hunks = Vec::new();
    while let Some(line) = lines.next() {
        if line.starts_with("@@ ") {
            hunks.push(hunk(line, &mut lines)?);
        } else if !line.trim().is_empty() {
            return Err(lines.invalid("a patch begins with a hunk's @@ line"));
        }
    }
    Ok(hunks)
}

const EMPTY: FileDiff<'static> =
    FileDiff { old_path: None, new_path: None, binary: false, hunks: Vec::new() };

/// The extended header of one file, up to its `---` line or its end.
fn header_of<'a>(header: &'a str, lines: &mut Lines<'a>) -> FileDiff<'a> {
    let (old, new) = of_header(header);
    let mut file = FileDiff { old_path: old.map(without_prefix), new_path: new.map(without_prefix), ..EMPTY };
    while let Some(line) = lines.peek() {
        let extended = ["index ", "old mode ", "new mode ", "similarity ", "dissimilarity "];
        if line.starts_with("new file mode ") {
            file.old_path = None;
        } else if line.starts_with("deleted file mode ") {
            file.new_path = None;
        } else if let Some(from) =
            line.strip_prefix("rename from ").or_else(|| line.strip_prefix("copy from "))
        {
            file.old_path = path(from);
        } else if let Some(to) = line.strip_prefix("rename to ").or_else(|| line.strip_prefix("copy to ")) {
            file.new_path = path(to);
        } else if !extended.iter().any(|prefix| line.starts_with(prefix)) {
            break;
        }
        lines.next();
    }
    file
}

fn hunk<'a>(header: &'a str, lines: &mut Lines<'a>) -> Result<Hunk<'a>> {
    let Some(Range { old_start, mut old_left, new_start, mut new_left, section }) = range(header) else {
        return Err(lines.invalid("a hunk's header is not @@ -line,count +line,count @@"));
    };
    // Where a side has no line, the header names the line before.
    let mut old = if old_left == 0 { old_start + 1 } else { old_start };
    let mut new = if new_left == 0 { new_start + 1 } else { new_start };
    let mut hunk = Hunk { old_start, new_start, section, lines: Vec::new() };
    while old_left > 0 || new_left > 0 {
        let Some(line) = lines.next() else { return Err(lines.invalid("the diff ends inside a hunk")) };
        let (place, text) = match line.as_bytes().first() {
            Some(b'+') if new_left > 0 => (Place::Added { new }, &line[1..]),
            Some(b'-') if old_left > 0 => (Place::Removed { old }, &line[1..]),
            Some(b' ') if old_left > 0 && new_left > 0 => (Place::Context { old, new }, &line[1..]),
            // Editors and mailers strip the blank of an empty context line.
            None | Some(b'\r') if old_left > 0 && new_left > 0 => (Place::Context { old, new }, line),
            Some(b'\\') => {
                hunk.ends_file();
                continue;
            }
            _ => return Err(lines.invalid("a hunk has other lines than its header counts")),
        };
        if !matches!(place, Place::Removed { .. }) {
            (new, new_left) = (new + 1, new_left - 1);
        }
        if !matches!(place, Place::Added { .. }) {
            (old, old_left) = (old + 1, old_left - 1);
        }
        hunk.lines.push(Line { place, text, ends_file: false });
    }
    if lines.peek().is_some_and(|line| line.starts_with('\\')) {
        lines.next();
        hunk.ends_file();
    }
    if hunk.lines.is_empty() {
        return Err(lines.invalid("a hunk without lines"));
    }
    Ok(hunk)
}

impl Hunk<'_> {
    fn ends_file(&mut self) {
        if let Some(line) = self.lines.last_mut() {
            line.ends_file = true;
        }
    }
}

struct Range<'a> {
    old_start: u32,
    old_left: u32,
    new_start: u32,
    new_left: u32,
    section: &'a str,
}

/// Parses a header such as `@@ -12,3 +14 @@ fn main()`.
fn range(header: &str) -> Option<Range<'_>> {
    let (ranges, section) = header.strip_prefix("@@ -")?.split_once(" @@")?;
    let (old, new) = ranges.split_once(" +")?;
    let side = |text: &str| {
        let (start, count) = text.split_once(',').unwrap_or((text, "1"));
        let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number < LINE_MAX);
        Some((number(start)?, number(count)?))
    };
    let ((old_start, old_left), (new_start, new_left)) = (side(old)?, side(new)?);
    // Lines count from 1; a side without lines may begin at 0.
    if (old_start == 0 && old_left > 0) || (new_start == 0 && new_left > 0) {
        return None;
    }
    Some(Range { old_start, old_left, new_start, new_left, section })
}

/// Lines with their numbers, and a look at the next line.
struct Lines<'a> {
    rest: std::str::Split<'a, char>,
    ahead: Option<&'a str>,
    number: usize,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        // The last line feed ends the last line; it does not begin another.
        let mut rest = text.strip_suffix('\n').unwrap_or(text).split('\n');
        let ahead = rest.next().filter(|_| !text.is_empty());
        Self { rest, ahead, number: 0 }
    }

    fn next(&mut self) -> Option<&'a str> {
        let line = self.ahead.take()?;
        self.ahead = self.rest.next();
        self.number += 1;
        Some(line)
    }

    fn peek(&self) -> Option<&'a str> {
        self.ahead
    }

    fn invalid(&self, reason: &'static str) -> Error {
        Error::DiffInvalid { line: self.number, reason }
    }
}
