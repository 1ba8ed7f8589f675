//! `cargo test` and cargo-nextest.

use crate::facts::found::{Source, Tests, Tool};
use crate::facts::line::{Line, count_before};

/// What earlier lines said.
#[derive(Debug, Default)]
pub(super) struct Rust {
    /// nextest lists the failures once more after its summary.
    is_after_summary: bool,
}

impl Rust {
    pub(super) fn read(&mut self, line: Line<'_>, tests: &mut Tests) {
        let text = line.trimmed;
        if text.starts_with("test ") {
            libtest(text, tests);
        } else if let Some(name) =
            text.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----"))
        {
            tests.add(Tool::Cargo, Source::Report, name);
        } else if text.starts_with("Summary [") && text.contains(" tests run:") {
            let counted =
                [" failed", " timed out", " exec failed"].iter().filter_map(|word| count_before(text, word));
            let failed = counted.fold(0, u32::saturating_add);
            if failed > 0 {
                tests.summary(Tool::Nextest, failed);
            }
            self.is_after_summary = true;
        } else if line.indent() > 0 {
            self.nextest(text, tests);
        }
    }

    /// cargo-nextest (<https://nexte.st/docs/reporting/>): `FAIL [   0.004s] (1/9) package::binary module::test`, after a
    /// second try `TRY 2 FAIL [...`.
    fn nextest(&self, text: &str, tests: &mut Tests) {
        let status = match text.strip_prefix("TRY ") {
            Some(rest) => rest.split_once(' ').map_or(rest, |(_, status)| status),
            None => text,
        };
        let is_failure = ["FAIL [", "TIMEOUT [", "ABORT [", "FAIL + LEAK [", "LEAK-FAIL ["]
            .iter()
            .any(|word| status.starts_with(word))
            || status.starts_with("SIG") && status.contains(" [");
        if !is_failure {
            return;
        }
        let Some((_, name)) = status.split_once("s] ") else { return };
        let name = name.trim_start();
        let name = match name.split_once(") ") {
            Some((at, name)) if at.starts_with('(') => name.trim_start(),
            _ => name,
        };
        let source = if self.is_after_summary { Source::Report } else { Source::Progress };
        if name.contains(' ') {
            tests.add(Tool::Nextest, source, name);
        }
    }
}

/// libtest (<https://doc.rust-lang.org/rustc/tests/index.html>): `test module::name ... FAILED`, and
/// `test result: FAILED. 3 passed; 1 failed; …`.
fn libtest(text: &str, tests: &mut Tests) {
    if text.starts_with("test result: FAILED") {
        if let Some(failed) = count_before(text, " failed") {
            tests.summary(Tool::Cargo, failed);
        }
    } else if let Some(name) = text[5..].strip_suffix(" ... FAILED") {
        let name = name.strip_suffix(" - should panic").unwrap_or(name);
        tests.add(Tool::Cargo, Source::Report, name);
    }
}
