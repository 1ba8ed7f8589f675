//! Playwright Test (<https://playwright.dev/docs/test-reporters>).

use crate::facts::found::{Source, Tests, Tool};
use crate::facts::line::{Line, number, numbered};

/// Which list at the end of the report is read.
#[derive(Debug, Default, PartialEq, Eq)]
enum List {
    #[default]
    None,
    Failed,
    /// Tests that failed, were tried again, and passed.
    Flaky,
}

/// What earlier lines said.
#[derive(Debug, Default)]
pub(super) struct Playwright {
    list: List,
}

impl Playwright {
    /// Whether the next line may be one of a list.
    pub(super) fn is_open(&self) -> bool {
        self.list != List::None
    }

    pub(super) fn read(&mut self, line: Line<'_>, tests: &mut Tests) {
        let text = line.trimmed;
        if let Some((count, rest)) = number(text)
            && line.indent() == 2
        {
            // `  1 failed`, `  2 flaky`, `  5 passed (42.0s)`
            self.list = match rest {
                " failed" | " interrupted" if count > 0 => {
                    tests.summary(Tool::Playwright, count);
                    List::Failed
                }
                " flaky" => List::Flaky,
                _ => List::None,
            };
        } else if line.indent() == 4 && self.is_open() && is_test(text) {
            let name = name(text);
            if self.list == List::Failed {
                tests.add(Tool::Playwright, Source::Report, name);
            } else {
                tests.forget(Tool::Playwright, name);
            }
        }
        if let Some(rest) = numbered(text).filter(|rest| is_test(rest)) {
            tests.add(Tool::Playwright, Source::Heading, name(rest));
        }
    }
}

/// `[chromium] › tests/a.spec.ts:12:5 › suite › name`; without projects there is no bracket.
fn is_test(text: &str) -> bool {
    let places = [".ts:", ".tsx:", ".js:", ".mjs:", ".jsx:", ".feature:"];
    (text.starts_with('[') || text.contains(" › ")) && places.iter().any(|ending| text.contains(ending))
}

/// The name without the line that fills the row, and without the number of the try.
fn name(text: &str) -> &str {
    text.trim_end_matches(['─', '=', ' '])
}
