//! `go test`, gotestsum and Ginkgo.

use crate::facts::found::{Source, Tests, Tool};
use crate::facts::line::{Line, between, count_before};

/// What earlier lines said.
#[derive(Debug, Default)]
pub(super) struct Go {
    /// Below `running tests:` of a run that took too long.
    is_in_running: bool,
}

impl Go {
    /// Whether the next line may name a test that was running.
    pub(super) fn is_open(&self) -> bool {
        self.is_in_running
    }

    /// `go test -timeout`: `panic: test timed out after 10m0s`, `running tests:`, then `TestName (10m0s)`.
    pub(super) fn read(&mut self, line: Line<'_>, tests: &mut Tests) {
        let text = line.trimmed;
        if self.is_in_running {
            match text.split_once(" (") {
                Some((name, time)) if line.indent() > 0 && time.ends_with("s)") => add(name, tests),
                _ if text.starts_with("goroutine ") => self.is_in_running = false,
                _ => {}
            }
        }
        if text == "running tests:" {
            self.is_in_running = true;
        } else {
            go(line, tests);
        }
    }
}

/// `go test` (<https://pkg.go.dev/cmd/go/internal/test>), also with `-json`
/// (<https://pkg.go.dev/cmd/test2json>), and gotestsum.
///
/// A test whose subtests are told is not told itself: it failed because of them.
fn go(line: Line<'_>, tests: &mut Tests) {
    let text = line.trimmed;
    if let Some(rest) = text.strip_prefix("--- FAIL: ") {
        add(rest.split(" (").next().unwrap_or(rest), tests);
    } else if let Some(rest) = text.strip_prefix("=== FAIL: ") {
        // gotestsum: `=== FAIL: pkg/path TestName (0.00s)`
        if let Some(name) = rest.split(' ').nth(1) {
            add(name, tests);
        }
    } else if text.starts_with("{\"") && text.contains("\"Action\":\"fail\"") {
        if let Some(name) = between(text, "\"Test\":\"", "\"") {
            add(name, tests);
        }
    } else if let Some(counts) = text.strip_prefix("DONE ") {
        if let Some(failed) = count_before(counts, " failure") {
            tests.summary(Tool::Go, failed);
        }
    } else if text.starts_with("[FAIL] ") || text.starts_with("[Fail] ") {
        ginkgo(text, tests);
    } else if text.starts_with("FAIL! -- ")
        && let Some(failed) = count_before(text, " Failed")
    {
        tests.summary(Tool::Go, failed);
    }
}

fn add(name: &str, tests: &mut Tests) {
    let name = name.trim();
    let is_name =
        name.starts_with(|first: char| first.is_alphabetic() || first == '_') && !name.contains(' ');
    if !is_name {
        return;
    }
    if let Some((parent, _)) = name.rsplit_once('/') {
        tests.forget(Tool::Go, parent);
    }
    tests.add(Tool::Go, Source::Report, name);
}

/// Ginkgo (<https://onsi.github.io/ginkgo/>): `[FAIL] suite [It] does something`.
fn ginkgo(text: &str, tests: &mut Tests) {
    let name = &text[7..];
    if name.contains(" [It] ") || name.contains("Each] ") {
        tests.add(Tool::Go, Source::Report, name);
    }
}
