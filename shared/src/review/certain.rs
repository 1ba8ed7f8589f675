//! Deterministic checks. Their findings are certain, and so are their suggested repairs.
//!
//! There are few, on purpose. What a linter of the language finds better is left to the linter.

use super::language::Language;
use super::policy::Speech;
use super::{Category, Finding, Origin, Said, Severity};
use crate::diff::Hunk;
use serde::{Deserialize, Serialize};

/// A deterministic check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// A merge conflict that was committed.
    ConflictMarker,
    /// A test that keeps all others from running.
    FocusedTest,
    /// A call that stops the program in a debugger.
    Debugger,
    /// Blanks at the end of a line.
    TrailingBlank,
}

/// Runs the checks on the lines that a hunk adds.
pub fn findings<'a>(
    path: &'a str,
    language: Language,
    hunk: &'a Hunk<'_>,
) -> impl Iterator<Item = Finding> + 'a {
    hunk.added().filter_map(move |(line, added)| {
        let (check, suggestion) = find(language, added.text)?;
        let (severity, category) = check.weight();
        let said = Said { severity, category, confidence: 1.0, origin: Origin::Check(check), suggestion };
        Some(Finding::new(path, hunk, line, added.text, said))
    })
}

/// The check that `line` fails, and what the line should be.
fn find(language: Language, line: &str) -> Option<(Check, Option<String>)> {
    // Suggestions replace whole lines, and GitHub would write a line feed where the file has carriage returns.
    let fixable = !line.ends_with('\r');
    let line = line.trim_end_matches('\r');
    if ["<<<<<<< ", ">>>>>>> ", "||||||| "].iter().any(|marker| line.starts_with(marker)) {
        return Some((Check::ConflictMarker, None));
    }
    if is_debugger(language, line.trim()) {
        return Some((Check::Debugger, fixable.then(String::new)));
    }
    if let Some(unfocused) = without_focus(language, line) {
        return Some((Check::FocusedTest, fixable.then_some(unfocused)));
    }
    let trimmed = line.trim_end_matches([' ', '\t']);
    (trimmed.len() < line.len() && !trimmed.is_empty())
        .then(|| (Check::TrailingBlank, fixable.then(|| trimmed.to_owned())))
}

fn is_debugger(language: Language, statement: &str) -> bool {
    let statements: &[&str] = match language {
        Language::JavaScript | Language::TypeScript => &["debugger", "debugger;"],
        Language::Python => {
            &["breakpoint()", "pdb.set_trace()", "import pdb; pdb.set_trace()", "ipdb.set_trace()"]
        }
        Language::Ruby => &["binding.pry", "byebug", "binding.irb"],
        _ => &[],
    };
    statements.contains(&statement)
}

/// Returns the line without the focus of Jasmine, Jest, Mocha or Vitest, if it has one.
fn without_focus(language: Language, line: &str) -> Option<String> {
    if !matches!(language, Language::JavaScript | Language::TypeScript) {
        return None;
    }
    let indented = line.len() - line.trim_start().len();
    let (indent, code) = line.split_at(indented);
    let focused = [
        ("it.only(", "it("),
        ("test.only(", "test("),
        ("describe.only(", "describe("),
        ("fit(", "it("),
        ("fdescribe(", "describe("),
    ];
    focused.iter().find_map(|(with, without)| Some(format!("{indent}{without}{}", code.strip_prefix(with)?)))
}

/// The message of a comment about it.
#[must_use]
pub fn message(check: Check, speech: Speech) -> &'static str {
    match (speech, check) {
        (Speech::En, Check::ConflictMarker) => "A merge conflict was committed unresolved.",
        (Speech::En, Check::FocusedTest) => "This focus keeps every other test of the file from running.",
        (Speech::En, Check::Debugger) => "This stops in a debugger.",
        (Speech::En, Check::TrailingBlank) => "The line ends in blanks.",
        (Speech::De, Check::ConflictMarker) => "Ein Merge-Konflikt wurde ungelöst eingecheckt.",
        (Speech::De, Check::FocusedTest) => "Dieser Fokus hält jeden anderen Test der Datei an.",
        (Speech::De, Check::Debugger) => "Das hält in einem Debugger an.",
        (Speech::De, Check::TrailingBlank) => "Die Zeile endet mit Leerzeichen.",
    }
}

impl Check {
    fn weight(self) -> (Severity, Category) {
        match self {
            Self::ConflictMarker => (Severity::Critical, Category::Other),
            Self::FocusedTest => (Severity::Bug, Category::Testing),
            Self::Debugger => (Severity::Bug, Category::Other),
            Self::TrailingBlank => (Severity::Nit, Category::Style),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::parse_patch;

    #[test]
    fn each_check_finds_its_line_and_its_repair() {
        let cases = [
            (Language::Rust, "<<<<<<< HEAD", Some((Check::ConflictMarker, None))),
            (
                Language::TypeScript,
                "  it.only('x', () => {",
                Some((Check::FocusedTest, Some("  it('x', () => {"))),
            ),
            (Language::JavaScript, "  debugger;", Some((Check::Debugger, Some("")))),
            (Language::Python, "    breakpoint()", Some((Check::Debugger, Some("")))),
            (Language::Go, "\tx := 1 \t", Some((Check::TrailingBlank, Some("\tx := 1")))),
            (Language::Go, "\tx := 1 \r", Some((Check::TrailingBlank, None))),
            (Language::Rust, "    fit(model);", None),
            (Language::Python, "x = '<<<<<<< HEAD'", None),
            (Language::Go, "   ", None),
        ];
        for (language, line, expected) in cases {
            let expected = expected.map(|(check, fix)| (check, fix.map(str::to_owned)));
            assert_eq!(find(language, line), expected, "{line:?}");
        }
    }

    #[test]
    fn only_added_lines_are_checked() {
        let hunks = parse_patch("@@ -1,3 +1,3 @@\n debugger;\n-debugger;\n+debugger;\n x \n").unwrap();
        let found: Vec<u32> =
            findings("a.js", Language::JavaScript, &hunks[0]).map(|finding| finding.line).collect();
        assert_eq!(found, [2]);
    }
}
