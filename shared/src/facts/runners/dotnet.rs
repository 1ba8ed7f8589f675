//! `dotnet test` (VSTest and Microsoft.Testing.Platform), xUnit and NUnit.

use crate::facts::found::{Source, Tests, Tool};
use crate::facts::line::{Line, between, count_after, numbered};

/// `dotnet test` (<https://learn.microsoft.com/dotnet/core/tools/dotnet-test>): `  Failed Name [12 ms]`, with
/// Microsoft.Testing.Platform `failed Name (12ms)`, and xUnit's own `[xUnit.net 00:00:01.23]     Name [FAIL]`.
pub(super) fn dotnet(line: Line<'_>, tests: &mut Tests) {
    let text = line.trimmed;
    if text.starts_with("Failed!") {
        if let Some(failed) = count_after(text, "Failed:").filter(|failed| *failed > 0) {
            tests.summary(Tool::Dotnet, failed);
        }
    } else if text.starts_with("Total tests: ") || text.starts_with("Test summary: ") {
        let failed = count_after(text, "Failed: ").or_else(|| count_after(text, "failed: "));
        if let Some(failed) = failed.filter(|failed| *failed > 0) {
            tests.summary(Tool::Dotnet, failed);
        }
    } else if let Some(name) = text.strip_prefix("Failed ").and_then(without_time) {
        tests.add(Tool::Dotnet, Source::Report, name);
    } else if let Some(name) = text.strip_prefix("X ").filter(|_| line.indent() > 0).and_then(without_time) {
        tests.add(Tool::Dotnet, Source::Report, name);
    } else if let Some((name, time)) = text.strip_prefix("failed ").and_then(|rest| rest.rsplit_once(" (")) {
        if time.ends_with("s)") && name.contains('.') {
            tests.add(Tool::Dotnet, Source::Report, name);
        }
    } else if let Some(name) = text.strip_suffix(" [FAIL]") {
        if let Some((_, name)) = name.strip_prefix("[xUnit.net ").and_then(|rest| rest.split_once(']')) {
            tests.add(Tool::Dotnet, Source::Progress, name);
        }
    } else if let Some(name) = between(text, "error TESTERROR: ", "): ") {
        let name = name.rsplit_once(" (").map_or(name, |(name, _)| name);
        tests.add(Tool::Dotnet, Source::Report, name);
    }
}

/// The name before `[12 ms]`.
fn without_time(text: &str) -> Option<&str> {
    let (name, time) = text.rsplit_once(" [")?;
    time.ends_with("s]").then_some(name).filter(|name| !name.is_empty())
}

/// NUnit's console (<https://docs.nunit.org/articles/nunit/running-tests/Console-Runner.html>): `1) Failed : Name`.
pub(super) fn nunit(line: Line<'_>, tests: &mut Tests) {
    let text = line.trimmed;
    if let Some(name) = numbered(text).and_then(|rest| {
        ["Failed : ", "Error : ", "Invalid : "].iter().find_map(|result| rest.strip_prefix(result))
    }) {
        tests.add(Tool::Nunit, Source::Report, name);
    } else if text.starts_with("Test Count: ")
        && let Some(failed) = count_after(text, "Failed: ").filter(|failed| *failed > 0)
    {
        tests.summary(Tool::Nunit, failed);
    }
}
