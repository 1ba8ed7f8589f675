//! RSpec, minitest and test-unit.

use crate::facts::found::{Source, Tests, Tool};
use crate::facts::line::{Line, count_before, numbered};

/// What earlier lines said.
#[derive(Debug, Default)]
pub(super) struct Ruby {
    /// The next line names a failure of minitest.
    is_failure: bool,
    /// Inside of RSpec's `Failures:`.
    is_in_failures: bool,
}

impl Ruby {
    /// Whether the next line may name a failure.
    pub(super) fn is_open(&self) -> bool {
        self.is_failure
    }

    pub(super) fn read(&mut self, line: Line<'_>, tests: &mut Tests) {
        self.rspec(line, tests);
        self.minitest(line, tests);
    }

    /// RSpec (<https://rspec.info/features/3-13/rspec-core/formatters/>): `rspec ./spec/a_spec.rb:12 # name` in the list
    /// of failed examples, and `  1) name` before.
    fn rspec(&mut self, line: Line<'_>, tests: &mut Tests) {
        let text = line.trimmed;
        if let Some(rest) = text.strip_prefix("rspec ") {
            if let Some((place, name)) = rest.split_once(" # ")
                && place.contains("_spec.rb")
            {
                tests.add(Tool::Rspec, Source::Report, name);
            }
        } else if text == "Failures:" {
            self.is_in_failures = true;
        } else if text.contains(" examples, ") || text.contains(" example, ") {
            self.is_in_failures = false;
            let failed = count_before(text, " failure").unwrap_or(0);
            let failed = failed.saturating_add(count_before(text, " error").unwrap_or(0));
            if failed > 0 {
                tests.summary(Tool::Rspec, failed);
            }
        } else if self.is_in_failures
            && line.indent() == 2
            && let Some(name) = numbered(text)
        {
            tests.add(Tool::Rspec, Source::Heading, name);
        }
    }

    /// minitest (<https://docs.seattlerb.org/minitest/>): `  1) Failure:` or, in Rails, `Failure:`, and then
    /// `AppTest#test_name [test/app_test.rb:12]:`. test-unit: `Failure: test_name(AppTest)`.
    fn minitest(&mut self, line: Line<'_>, tests: &mut Tests) {
        let text = line.trimmed;
        let head = numbered(text).unwrap_or(text);
        if matches!(head, "Failure:" | "Error:") {
            self.is_failure = true;
        } else if let Some(name) = head.strip_prefix("Failure: ").or_else(|| head.strip_prefix("Error: ")) {
            if let Some((test, class)) = name.split_once('(')
                && test.starts_with("test")
                && let Some((class, _)) = class.split_once(')')
            {
                tests.add(Tool::Minitest, Source::Report, &format!("{class}#{test}"));
            }
        } else if self.is_failure && text.contains('#') {
            let name = text.split([' ', '[']).next().unwrap_or(text).trim_end_matches(':');
            let is_name = name.split_once('#').is_some_and(|(class, test)| {
                class.starts_with(|first: char| first.is_ascii_uppercase()) && !test.is_empty()
            });
            if is_name {
                self.is_failure = false;
                tests.add(Tool::Minitest, Source::Report, name);
            }
        } else if text.contains(" assertions, ") && (text.contains(" runs, ") || text.contains(" tests, ")) {
            let failed = count_before(text, " failures").unwrap_or(0);
            let failed = failed.saturating_add(count_before(text, " errors").unwrap_or(0));
            if failed > 0 {
                tests.summary(Tool::Minitest, failed);
            }
        } else if let Some((name, result)) = text.rsplit_once(" = ")
            && (result == "F" || result == "E")
            && let Some((name, _)) = name.rsplit_once(" = ")
        {
            // With `--verbose`: `AppTest#test_name = 0.01 s = F`
            tests.add(Tool::Minitest, Source::Progress, name);
        }
    }
}
