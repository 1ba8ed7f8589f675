//! ExUnit (<https://hexdocs.pm/ex_unit/ExUnit.CLIFormatter.html>).

use crate::facts::found::{Source, Tests, Tool};
use crate::facts::line::{Line, count_before, numbered};

/// `  1) test name (App.Test)`, and `3 tests, 1 failure`.
pub(super) fn read(line: Line<'_>, tests: &mut Tests) {
    let text = line.trimmed;
    if let Some(name) = numbered(text) {
        let is_test = ["test ", "doctest ", "property "].iter().any(|kind| name.starts_with(kind));
        let module = name.rsplit_once(" (").map_or("", |(_, module)| module);
        if is_test && name.ends_with(')') && module.starts_with(|first: char| first.is_ascii_uppercase()) {
            tests.add(Tool::Exunit, Source::Report, name);
        }
    } else if text.contains(" tests, ") || text.contains(" test, ") || text.contains(" doctest") {
        let is_summary = text.split(", ").all(|part| part.starts_with(|first: char| first.is_ascii_digit()));
        if is_summary
            && !text.contains("assertions")
            && let Some(failed) = count_before(text, " failure").filter(|failed| *failed > 0)
        {
            tests.summary(Tool::Exunit, failed);
        }
    }
}
