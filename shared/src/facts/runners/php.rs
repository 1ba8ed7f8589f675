//! PHPUnit and Pest.

use crate::facts::found::{Source, Tests, Tool};
use crate::facts::line::{Line, count_after, count_before, numbered};

/// What earlier lines said.
#[derive(Debug, Default)]
pub(super) struct Php {
    /// Inside of a list of tests that are risky, skipped or incomplete.
    is_in_other_list: bool,
    /// Pest told the result of a class.
    is_pest: bool,
}

impl Php {
    pub(super) fn read(&mut self, line: Line<'_>, tests: &mut Tests) {
        self.phpunit(line, tests);
        self.pest(line, tests);
    }

    /// PHPUnit (<https://docs.phpunit.de/en/12.0/textui.html>): `There was 1 failure:`, then
    /// `1) App\Tests\AppTest::testName with data set #0`, and `Tests: 3, Assertions: 4, Failures: 1.`
    fn phpunit(&mut self, line: Line<'_>, tests: &mut Tests) {
        let text = line.trimmed;
        if text.starts_with("There was ") || text.starts_with("There were ") {
            self.is_in_other_list = !(text.contains(" failure") || text.contains(" error"));
        } else if let Some(name) = numbered(text) {
            let (class, _) = name.split_once(' ').unwrap_or((name, ""));
            if !self.is_in_other_list && line.indent() == 0 && class.contains("::") && !class.contains('.') {
                tests.add(Tool::Phpunit, Source::Report, name);
            }
        } else if text.starts_with("Tests: ") && text.contains("Assertions: ") {
            let counted = ["Errors: ", "Failures: "].iter().filter_map(|label| count_after(text, label));
            let failed = counted.fold(0, u32::saturating_add);
            if failed > 0 {
                tests.summary(Tool::Phpunit, failed);
            }
        }
    }

    /// Pest (<https://pestphp.com/docs>): `   FAIL  Tests\Unit\AppTest`, `  ⨯ it works`, and then
    /// `   FAILED  Tests\Unit\AppTest > it works`.
    fn pest(&mut self, line: Line<'_>, tests: &mut Tests) {
        let text = line.trimmed;
        if let Some(name) = text.strip_prefix("FAILED  ") {
            if name.contains('\\') && name.contains(" > ") {
                let name = name.split("  ").next().unwrap_or(name);
                tests.add(Tool::Pest, Source::Report, name);
            }
        } else if let Some(class) = text.strip_prefix("FAIL  ") {
            self.is_pest |= class.contains('\\');
        } else if let Some(name) = text.strip_prefix("⨯ ").filter(|_| self.is_pest) {
            let name = name.split("  ").next().unwrap_or(name);
            tests.add(Tool::Pest, Source::Progress, name);
        } else if text.starts_with("Tests:")
            && text.ends_with(" assertions)")
            && let Some(failed) = count_before(text, " failed")
        {
            tests.summary(Tool::Pest, failed);
        }
    }
}
