//! Jest, Vitest, Mocha, Cypress, node:test, other TAP producers, and Bun.

use crate::facts::found::{Source, TEXT_MAX, Tests, Tool};
use crate::facts::line::{Line, count_before, number};
use crate::facts::paths::is_source;

/// The deepest nesting of suites that a name tells.
const TITLES_MAX: usize = 12;

/// Jest's headings that name no test.
const NO_TESTS: [&str; 6] = [
    "Console",
    "Cannot log after",
    "Deprecation Warning",
    "Validation",
    "Process from",
    "Multiple configs found",
];

/// What the tools' earlier lines said.
#[derive(Debug, Default)]
pub(super) struct JavaScript {
    /// The file of Jest's last `FAIL`.
    file: String,
    /// Suites without a single test result, which Jest's count of tests leaves out.
    broken_suites: u32,
    mocha: Mocha,
    /// Inside of `✖ failing tests:`.
    is_in_node_report: bool,
    /// node:test names its subtests before their result; other producers of TAP do not.
    is_node_tap: bool,
    /// The last failure of TAP, which may turn out to be that of a suite.
    last_not_ok: String,
}

/// The list of failures that Mocha's reporters write (<https://mochajs.org/#spec>). Cypress uses it.
#[derive(Debug, Default)]
struct Mocha {
    is_cypress: bool,
    left: u32,
    is_in_item: bool,
    /// The titles of the failure that is read, and how far the last was indented.
    titles: Vec<String>,
    indent: usize,
}

impl JavaScript {
    /// Whether the next line may continue a record.
    pub(super) fn is_open(&self) -> bool {
        self.mocha.left > 0
    }

    pub(super) fn read(&mut self, line: Line<'_>, tests: &mut Tests) {
        let text = line.trimmed;
        if self.is_open() {
            self.mocha.read(line, tests);
        }
        if !self.mocha.is_cypress && (text.contains("Cypress:") || text.contains("cypress run")) {
            self.mocha.is_cypress = true;
        }
        match text.as_bytes() {
            [b'F', b'A', b'I', b'L', b' ', ..] => self.failed_file(text[5..].trim(), tests),
            [b'T', b'e', b's', b't', ..] => self.summary(text, tests),
            [b'n' | b'#', ..] => self.tap(text, tests),
            [b'f', ..] if text.starts_with("failureType: 'subtestsFailed'") => {
                tests.forget(if self.is_node_tap { Tool::NodeTest } else { Tool::Tap }, &self.last_not_ok);
            }
            [b'(', ..] => bun(text, tests),
            [b'0'..=b'9', ..] => self.counted(text, tests),
            _ => self.signed(line, tests),
        }
    }

    /// Jest (<https://jestjs.io/docs/cli>) and Vitest (<https://vitest.dev/guide/reporters>) begin alike.
    fn failed_file(&mut self, rest: &str, tests: &mut Tests) {
        let of_vitest = rest.contains(" > ") || rest.ends_with(" ]");
        if of_vitest {
            let name = match rest.rsplit_once(" [ ") {
                Some((file, _)) if rest.ends_with(" ]") => file.trim_end(),
                _ => rest,
            };
            if name.split(" > ").next().is_some_and(|file| file.split(' ').any(is_source)) {
                tests.add(Tool::Vitest, Source::Report, name);
            }
            return;
        }
        if let Some(file) = rest.split(' ').rfind(|word| is_source(word)) {
            file.clone_into(&mut self.file);
        }
    }

    fn summary(&mut self, text: &str, tests: &mut Tests) {
        if let Some(counts) = text.strip_prefix("Tests:") {
            // Jest's line ends with the total; PHP's tools begin alike.
            if counts.ends_with(" total") {
                let failed = count_before(counts, " failed").unwrap_or(0).saturating_add(self.broken_suites);
                if failed > 0 {
                    tests.summary(Tool::Jest, failed);
                }
                self.broken_suites = 0;
            }
        } else if let Some(counts) = text.strip_prefix("Tests ")
            && counts.ends_with(')')
            && let Some(failed) = count_before(counts, " failed")
        {
            tests.summary(Tool::Vitest, failed);
        }
    }

    /// TAP (<https://testanything.org/tap-version-14-specification.html>), as node:test writes it too.
    fn tap(&mut self, text: &str, tests: &mut Tests) {
        let tool = if self.is_node_tap { Tool::NodeTest } else { Tool::Tap };
        if let Some(rest) = text.strip_prefix("not ok ") {
            let Some((_, name)) = number(rest) else { return };
            let name = name.trim_start().strip_prefix("- ").unwrap_or(name).trim();
            let directive = name.rsplit_once(" # ").map(|(_, directive)| directive.to_ascii_uppercase());
            if directive.is_some_and(|word| word.starts_with("TODO") || word.starts_with("SKIP")) {
                return;
            }
            tests.add(tool, Source::Report, name);
            name.clone_into(&mut self.last_not_ok);
        } else if text.starts_with("# Subtest: ") {
            self.is_node_tap = true;
        } else if let Some(failed) = text.strip_prefix("# fail ").and_then(|rest| number(rest.trim_start()))
            && failed.0 > 0
        {
            tests.summary(tool, failed.0);
        }
    }

    fn counted(&mut self, text: &str, tests: &mut Tests) {
        let Some((count, rest)) = number(text) else { return };
        match rest {
            " failing" if count > 0 => {
                let tool = if self.mocha.is_cypress { Tool::Cypress } else { Tool::Mocha };
                tests.summary(tool, count);
                self.mocha = Mocha { left: count, is_cypress: self.mocha.is_cypress, ..Mocha::default() };
            }
            " fail" if count > 0 => tests.summary(Tool::Bun, count),
            _ => {}
        }
    }

    /// Lines that begin with a sign.
    fn signed(&mut self, line: Line<'_>, tests: &mut Tests) {
        let text = line.trimmed;
        if let Some(name) = text.strip_prefix("● ") {
            if name == "Test suite failed to run" {
                if !self.file.is_empty() {
                    tests.add(Tool::Jest, Source::Report, &self.file);
                    self.broken_suites += 1;
                }
            } else if line.indent() <= 2 && !NO_TESTS.iter().any(|heading| name.starts_with(heading)) {
                tests.add(Tool::Jest, Source::Report, name);
            }
        } else if let Some(name) = text.strip_prefix("✕ ") {
            tests.add(Tool::Jest, Source::Progress, without_time(name).0);
        } else if let Some(name) = text.strip_prefix("× ") {
            // pip and others draw the same sign: a test has a suite or a time.
            let is_time = |c: char| c.is_ascii_digit() || matches!(c, 'm' | 's' | ' ');
            let untimed = name.trim_end_matches(is_time);
            let has_time =
                name.ends_with('s') && name[untimed.len()..].bytes().any(|byte| byte.is_ascii_digit());
            if has_time || name.contains(" > ") {
                tests.add(Tool::Vitest, Source::Progress, if has_time { untimed } else { name });
            }
        } else if let Some(name) = text.strip_prefix("✖ ") {
            if name == "failing tests:" {
                self.is_in_node_report = true;
            } else if let (name, true) = without_time(name) {
                let source = if self.is_in_node_report { Source::Report } else { Source::Progress };
                tests.add(Tool::NodeTest, source, name);
            }
        } else if let Some((failed, _)) = text.strip_prefix("ℹ fail ").and_then(number)
            && failed > 0
        {
            tests.summary(Tool::NodeTest, failed);
        }
    }
}

// === impl Mocha ===

impl Mocha {
    fn read(&mut self, line: Line<'_>, tests: &mut Tests) {
        let (text, indent) = (line.trimmed, line.indent());
        let item =
            number(text).and_then(|(_, rest)| rest.strip_prefix(')')).filter(|_| (1..=4).contains(&indent));
        let title = match item {
            Some(first) => {
                self.titles.clear();
                self.is_in_item = true;
                first.trim()
            }
            // A title stands further in than the one before.
            None if self.is_in_item && indent > self.indent && self.titles.len() < TITLES_MAX => text,
            None => return,
        };
        self.indent = indent;
        let (title, is_last) = title.strip_suffix(':').map_or((title, false), |title| (title, true));
        if !title.is_empty() {
            self.titles.push(title.chars().take(TEXT_MAX).collect());
        }
        if is_last {
            let tool = if self.is_cypress { Tool::Cypress } else { Tool::Mocha };
            tests.add(tool, Source::Report, &self.titles.join(" › "));
            self.titles.clear();
            self.is_in_item = false;
            self.left -= 1;
        }
    }
}

/// Bun (<https://bun.com/docs/test>): `(fail) suite > name [1.23ms]`.
fn bun(text: &str, tests: &mut Tests) {
    if let Some(name) = text.strip_prefix("(fail) ") {
        let name = match name.rsplit_once(" [") {
            Some((name, time)) if time.ends_with("s]") => name,
            _ => name,
        };
        tests.add(Tool::Bun, Source::Report, name);
    }
}

/// The name before `(12 ms)` or `(1.234ms)`, and whether there was a time.
fn without_time(text: &str) -> (&str, bool) {
    match text.rsplit_once(" (") {
        Some((name, time)) if time.ends_with("s)") && time.starts_with(|c: char| c.is_ascii_digit()) => {
            (name, true)
        }
        _ => (text, false),
    }
}
