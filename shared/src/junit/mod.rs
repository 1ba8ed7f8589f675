//! Reports of tests in JUnit's XML, the one format that nearly every test runner can write.
//!
//! # In scope
//!
//! [`Report::parse`] reads a report: which tests ran, how each ended, and how long it took. `reader` walks through the XML,
//! and `names` gives each test the name that [`crate::facts`] gives it where it fails in a log of its tool, so that both are
//! one test. There is no standard: the elements are those of Jenkins' schema
//! (<https://github.com/jenkinsci/xunit-plugin/blob/master/src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd/junit-10.xsd>)
//! and of Surefire's, which adds tests that were tried again
//! (<https://maven.apache.org/surefire/maven-surefire-plugin/xsd/surefire-test-report.xsd>).
//!
//! # Out of scope
//!
//! What tests print, and why they failed: logs have both. Reports are from outside, so everything is bounded, and what can
//! make a small file enormous, a DTD or an entity of one's own, is refused.

mod names;
mod reader;
#[cfg(test)]
mod tests;

pub use reader::{ATTRIBUTES_MAX, CASES_MAX, DEPTH_MAX, Outcome};

use crate::{Error, Result, facts};
use reader::Case;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The largest report in bytes. A runner writes about 150 bytes for a test that passed, so this is more than
/// 10,000 tests.
pub const REPORT_LIMIT_BYTES: usize = 2 * 1024 * 1024;

/// The largest number of bytes of all names together: of [`CASES_MAX`] tests, 75 for each. They are sent to the database in
/// one request, whose JSON may spell a character with four.
pub const NAMES_BYTES_MAX: usize = 1_500_000;

/// What a report says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// Its tests, sorted by name. Test cases that have the same name are one test.
    pub tests: Vec<TestResult>,
}

/// How a test ended.
#[derive(Debug, Clone, PartialEq)]
pub struct TestResult {
    /// The name as its tool writes it where the test fails in a log, at most [`facts::TEXT_MAX`] characters, without
    /// secrets.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it ran, in seconds; all tries together.
    pub seconds: f64,
}

/// How many tests of a report ended how.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// The number of tests that passed at once.
    pub passed: u64,
    /// The number of tests that passed when they were tried again.
    pub passed_on_retry: u64,
    /// The number of tests that failed.
    pub failed: u64,
    /// The number of tests that did not run.
    pub skipped: u64,
    /// How long all tests ran, in seconds.
    pub seconds: f64,
}

// === impl Report ===

impl Report {
    /// Reads a report. Several reports one after another, as `cat` joins them, are read as one.
    ///
    /// Test cases of the same name in one suite are tries of one test, the last of which counts: Gradle writes them so. In
    /// different suites they are different tests of which only the worst is told.
    ///
    /// # Errors
    /// [`Error::ReportInvalid`] with the line, if the bytes are no XML in UTF-8 or no report of JUnit's form, if there is a
    /// DTD or an entity other than the five of XML, or if a bound of this module is exceeded.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut tests: BTreeMap<String, TestResult> = BTreeMap::new();
        let mut names_bytes = 0;
        for Case { name, outcome, seconds } in reader::cases(bytes)? {
            let name = facts::test_name(&name);
            match tests.get_mut(&name) {
                Some(test) => {
                    test.outcome = test.outcome.max(outcome);
                    test.seconds += seconds;
                }
                None => {
                    names_bytes += name.len();
                    tests.insert(name.clone(), TestResult { name, outcome, seconds });
                }
            }
        }
        if names_bytes > NAMES_BYTES_MAX {
            let reason = format!(
                "the names of its tests have more than {NAMES_BYTES_MAX} bytes; send several reports"
            );
            return Err(Error::ReportInvalid { line: 1, reason });
        }
        Ok(Self { tests: tests.into_values().collect() })
    }

    /// How many tests ended how.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for test in &self.tests {
            *match test.outcome {
                Outcome::Passed => &mut counts.passed,
                Outcome::PassedOnRetry => &mut counts.passed_on_retry,
                Outcome::Failed => &mut counts.failed,
                Outcome::Skipped => &mut counts.skipped,
            } += 1;
            counts.seconds += test.seconds;
        }
        counts
    }

    /// The names of the tests that ended so.
    pub fn names(&self, outcome: Outcome) -> impl Iterator<Item = &str> {
        self.tests.iter().filter(move |test| test.outcome == outcome).map(|test| test.name.as_str())
    }
}
