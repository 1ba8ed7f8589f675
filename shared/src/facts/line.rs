//! A line as the grammars read it, and the small parsers that they share.

/// The longest part of a line that is read, in bytes. No format that is known here writes more before what is of interest.
const LINE_BYTES_MAX: usize = 2048;

/// A line without what runners and task runners write in front of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// The line without its prefix and without blanks at the end.
    pub(super) text: &'a str,
    /// The same without blanks at the start.
    pub(super) trimmed: &'a str,
}

impl<'a> Line<'a> {
    /// Reads a line.
    pub(super) fn of(line: &'a str) -> Self {
        let mut cut = line;
        if line.len() > LINE_BYTES_MAX {
            cut = &line[..line.floor_char_boundary(LINE_BYTES_MAX)];
            // The last word may be a part of a secret.
            cut = &cut[..cut.rfind(' ').unwrap_or(0)];
        }
        let text = without_prefix(trim_end(cut));
        Self { text, trimmed: trim_start(text) }
    }

    /// Whether the failing tests are told from here on: pytest's `=== FAILURES ===` and `=== ERRORS ===`, Vitest's
    /// `⎯⎯ Failed Tests 4 ⎯⎯` and `⎯⎯ Failed Suites 1 ⎯⎯`.
    pub(super) fn heads_failures(self) -> bool {
        let has = |titles: [&str; 2]| titles.iter().any(|title| self.trimmed.contains(title));
        match self.trimmed.chars().next() {
            Some('=') => has(["= FAILURES =", "= ERRORS ="]),
            Some('⎯') => has(["⎯ Failed Tests ", "⎯ Failed Suites "]),
            _ => false,
        }
    }

    /// The number of bytes of blanks at the start.
    pub(super) fn indent(self) -> usize {
        self.text.len() - self.trimmed.len()
    }
}

/// Removes what is written before a tool's own line: GitHub's `##[error]` and `##[group]`
/// (<https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands>), BuildKit's `#12 3.456 `, the
/// task of Turborepo and pnpm (`web:test: `, `packages/web test: `), and the service of Docker Compose (`web-1  | `).
fn without_prefix(line: &str) -> &str {
    match line.as_bytes() {
        [b'#', b'#', b'[', ..] => {
            let end = line.find(']').map_or(0, |end| end + 1);
            // A command that closes or hides something says nothing itself.
            &line[end..]
        }
        [b'#', b'0'..=b'9', ..] => of_buildkit(line).unwrap_or(line),
        [b'a'..=b'z' | b'A'..=b'Z' | b'@', ..] => of_task(line).unwrap_or(line),
        _ => line,
    }
}

fn of_buildkit(line: &str) -> Option<&str> {
    let (_, rest) = number(&line[1..])?;
    let (_, rest) = number(rest.strip_prefix(' ')?)?;
    let (_, rest) = number(rest.strip_prefix('.')?)?;
    Some(rest.strip_prefix(' ').unwrap_or(rest))
}

fn of_task(line: &str) -> Option<&str> {
    let space = memchr::memchr(b' ', line.as_bytes())?;
    let (word, rest) = (&line[..space], &line[space + 1..]);
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/' | b'.' | b'@'))
    };
    if let Some(word) = word.strip_suffix(':') {
        let (package, task) = word.split_once(':')?;
        let is_task = task.starts_with(|first: char| first.is_ascii_lowercase())
            && task.split(':').all(|part| is_name(part) && !part.contains('/'));
        return (is_name(package) && is_task).then_some(rest);
    }
    if word.contains('/') && is_name(word) && !word.contains('.') {
        let (task, rest) = rest.split_once(": ").or_else(|| rest.strip_suffix(':').map(|task| (task, "")))?;
        return ["test", "build", "lint", "check", "typecheck"]
            .iter()
            .any(|name| task.strip_prefix(name).is_some_and(|more| more.is_empty() || more.starts_with(':')))
            .then_some(rest);
    }
    let (service, instance) = word.rsplit_once(['-', '_'])?;
    let rest = rest.trim_start().strip_prefix("| ")?;
    (is_name(service) && instance.bytes().all(|byte| byte.is_ascii_digit())).then_some(rest)
}

fn trim_end(text: &str) -> &str {
    text.trim_end_matches([' ', '\t', '\r', '\n'])
}

fn trim_start(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

/// The number at the start of a text, and what follows it. Numbers that need more than 32 bits are none.
pub(super) fn number(text: &str) -> Option<(u32, &str)> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

/// The first of some texts that a text begins with. A look at the first byte comes before the comparison.
pub(super) fn start_of(text: &str, starts: &[&'static str]) -> Option<&'static str> {
    let first = text.as_bytes().first()?;
    starts.iter().find(|start| start.as_bytes().first() == Some(first) && text.starts_with(**start)).copied()
}

/// The number that stands right before `word` in a list such as `2 failed, 3 passed`.
pub(super) fn count_before(text: &str, word: &str) -> Option<u32> {
    let at = text.find(word)?;
    let before = text[..at].trim_end();
    let start = before.bytes().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |end| end + 1);
    before[start..].parse().ok()
}

/// The number that stands after `label`, blanks aside.
pub(super) fn count_after(text: &str, label: &str) -> Option<u32> {
    let at = text.find(label)?;
    number(text[at + label.len()..].trim_start()).map(|(count, _)| count)
}

/// The text between `open` and the next `close`.
pub(super) fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let at = text.find(open)? + open.len();
    let end = text[at..].find(close)?;
    Some(&text[at..at + end])
}

/// The item of a numbered list: `3) text`.
pub(super) fn numbered(text: &str) -> Option<&str> {
    let (_, rest) = number(text)?;
    rest.strip_prefix(") ").map(str::trim)
}
