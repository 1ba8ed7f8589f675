//! CTest, Google Test, Catch2 and doctest.

use crate::facts::found::{Source, TEXT_MAX, Tests, Tool};
use crate::facts::line::{Line, count_before, number};

/// The shortest line of dashes that frames a test case of Catch2, whose lines are 79 long.
const RULE_BYTES: usize = 60;

/// What earlier lines said.
#[derive(Debug, Default)]
pub(super) struct Native {
    is_in_ctest_list: bool,
    catch2: Catch2,
}

/// Which part of Catch2's heading is read.
#[derive(Debug, Default)]
struct Catch2 {
    is_name_next: bool,
    name: String,
}

impl Native {
    /// Whether the next line may continue a record.
    pub(super) fn is_open(&self) -> bool {
        self.is_in_ctest_list || self.catch2.is_name_next
    }

    pub(super) fn read(&mut self, line: Line<'_>, tests: &mut Tests) {
        self.ctest(line, tests);
        self.catch2.read(line, tests);
        gtest(line.trimmed, tests);
    }

    /// CTest (<https://cmake.org/cmake/help/latest/manual/ctest.1.html>): `The following tests FAILED:`, then
    /// `  3 - name (Failed)`; before ` 3/10 Test  #3: name ....***Failed    0.01 sec`.
    fn ctest(&mut self, line: Line<'_>, tests: &mut Tests) {
        let text = line.trimmed;
        if text == "The following tests FAILED:" {
            self.is_in_ctest_list = true;
        } else if let Some((head, _)) = text.split_once("***") {
            if let Some((_, name)) = head.split_once("Test ").and_then(|(_, rest)| rest.split_once(": ")) {
                tests.add(Tool::Ctest, Source::Progress, name.trim_end_matches(['.', ' ']));
            }
        } else if text.contains("% tests passed, ") {
            self.is_in_ctest_list = false;
            if let Some(failed) =
                count_before(text, " tests failed").or_else(|| count_before(text, " test failed"))
            {
                tests.summary(Tool::Ctest, failed);
            }
        } else if self.is_in_ctest_list {
            match number(text)
                .and_then(|(_, rest)| rest.strip_prefix(" - "))
                .and_then(|rest| rest.rsplit_once(" ("))
            {
                Some((name, _)) => tests.add(Tool::Ctest, Source::Report, name),
                None if text.starts_with("Errors while running CTest") => self.is_in_ctest_list = false,
                None => {}
            }
        }
    }
}

/// Google Test (<https://google.github.io/googletest/>): `[  FAILED  ] Suite.Name (1 ms)`, with parameters
/// `[  FAILED  ] Suite.Name/0, where GetParam() = 3`, and ` 2 FAILED TESTS`.
fn gtest(text: &str, tests: &mut Tests) {
    if let Some(rest) = text.strip_prefix("[  FAILED  ] ") {
        let name = rest.split([',', ' ']).next().unwrap_or(rest);
        if name.contains('.') {
            tests.add(Tool::Gtest, Source::Report, name);
        }
    } else if let Some((failed, " FAILED TESTS" | " FAILED TEST")) = number(text) {
        tests.summary(Tool::Gtest, failed);
    }
}

// === impl Catch2 ===

impl Catch2 {
    /// Catch2 (<https://catch2-temp.readthedocs.io/en/latest/>): the test case between two lines of dashes, then
    /// `path:12: FAILED:`, and `test cases: 10 | 8 passed | 2 failed`. doctest begins with `TEST CASE:`.
    fn read(&mut self, line: Line<'_>, tests: &mut Tests) {
        let text = line.trimmed;
        if text.len() >= RULE_BYTES && text.bytes().all(|byte| byte == b'-') {
            // The second line of dashes follows the name of the case and of its sections.
            self.is_name_next = !self.is_name_next || self.name.is_empty();
            if self.is_name_next {
                self.name.clear();
            }
        } else if self.is_name_next {
            if self.name.is_empty() && line.indent() == 0 {
                self.name = text.chars().take(TEXT_MAX).collect();
            }
        } else if let Some(name) = text.strip_prefix("TEST CASE:") {
            self.name = name.trim().chars().take(TEXT_MAX).collect();
        } else if text.ends_with(": FAILED:")
            || text.contains(": ERROR: CHECK")
            || text.contains(": FATAL ERROR: REQUIRE")
        {
            tests.add(Tool::Catch2, Source::Report, &self.name);
        } else if (text.starts_with("test cases:") || text.starts_with("[doctest] test cases:"))
            && let Some(failed) = count_before(text, " failed").filter(|failed| *failed > 0)
        {
            tests.summary(Tool::Catch2, failed);
        }
    }
}
