//! Scores the facts of whole logs: the failing tests and the places in the code, beside those that a reader found.

use crate::learn::labelled_runs::excerpt_of;
use anyhow::{Context, Result};
use sentinel_shared::facts::{Facts, PLACES_MAX, TESTS_MAX};
use sentinel_shared::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// How a name begins of which only the digest may be copied.
const DIGEST: &str = "sha256:";
/// The bytes of a digest that are kept.
const DIGEST_BYTES: usize = 8;
/// What tools write between the parts of a test's name, also where a console garbled it.
const BORDERS: [&str; 5] = ["›", "ΓÇ║", "??", ">", "::"];

/// What a reader found in the log of one failed job. A name is a text, or, where the licence of the log allows no copies,
/// `sha256:` and the beginning of its digest.
#[derive(Debug, Clone, Deserialize)]
pub struct LabelledFacts {
    /// The git blob of the log: it is read from the file of this name with the ending `.log`.
    pub blob: String,
    /// The job, where the log holds several.
    #[serde(default)]
    pub job_name: Option<String>,
    /// The tool that reported the failure; `none` if none did.
    pub tool: String,
    /// The failing tests, at most 50.
    pub tests: Vec<String>,
    /// How many tests failed in all.
    pub tests_total: u32,
    /// The places of the errors, each as `path:line`.
    pub places: Vec<String>,
    /// Names and places that may be told too, such as further frames of the repository.
    #[serde(default)]
    pub allowed: Vec<String>,
}

/// How well the facts of some logs were found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct FactScore {
    /// The logs that were tried.
    pub logs: usize,
    /// Of how many of them the number of failing tests was right.
    pub totals_right: usize,
    /// Tests that a reader found, and how many of them were found.
    pub tests: usize,
    /// Tests found of these.
    pub tests_found: usize,
    /// Tests found that a reader did not find.
    pub tests_wrong: usize,
    /// Places that a reader found; of each log as many as are told.
    pub places: usize,
    /// Places found of these.
    pub places_found: usize,
    /// Places found that a reader did not find.
    pub places_wrong: usize,
}

/// The scores by tool, and of all logs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FactsReport {
    /// The score of each tool's logs.
    pub tools: BTreeMap<String, FactScore>,
    /// The score of all logs.
    pub all: FactScore,
}

// === impl FactsReport ===

impl FactsReport {
    /// Reads the logs in `folder` and scores what is found in them.
    ///
    /// # Errors
    /// A log cannot be read.
    pub fn of(labels: &[LabelledFacts], folder: &Path) -> Result<Self> {
        let mut report = Self::default();
        for label in labels {
            let path = folder.join(&label.blob).with_extension("log");
            let log = std::fs::read(&path).with_context(|| {
                format!("reading {}; `git cat-file blob {}` prints it", path.display(), label.blob)
            })?;
            let score = label.score(&excerpt_of(&log, label.job_name.as_deref()).facts);
            report.all.add(score);
            report.tools.entry(label.tool.clone()).or_default().add(score);
        }
        Ok(report)
    }

    /// The report as a Markdown table. Tools whose logs have neither tests nor places share a row.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = String::from(
            "| tool | logs | tests | found | wrong | number right | places | found | wrong |\n|---|---|---|---|---|---|---|---|---|\n",
        );
        let mut others = FactScore::default();
        for (tool, score) in &self.tools {
            if score.tests + score.places == 0 {
                others.add(*score);
            } else {
                score.row(tool, &mut table);
            }
        }
        others.row("without tests and places", &mut table);
        self.all.row("**all**", &mut table);
        table
    }
}

// === impl FactScore ===

impl FactScore {
    fn add(&mut self, other: Self) {
        self.logs += other.logs;
        self.totals_right += other.totals_right;
        self.tests += other.tests;
        self.tests_found += other.tests_found;
        self.tests_wrong += other.tests_wrong;
        self.places += other.places;
        self.places_found += other.places_found;
        self.places_wrong += other.places_wrong;
    }

    fn row(&self, name: &str, table: &mut String) {
        let Self { logs, totals_right, tests, tests_found, tests_wrong, places, places_found, places_wrong } =
            self;
        let _ = writeln!(
            table,
            "| {name} | {logs} | {tests} | {tests_found} | {tests_wrong} | {totals_right} | {places} | {places_found} | {places_wrong} |"
        );
    }
}

// === impl LabelledFacts ===

impl LabelledFacts {
    fn score(&self, facts: &Facts) -> FactScore {
        let tests: Vec<String> = facts.failing_tests.iter().map(|test| of_test(&test.name)).collect();
        let places: Vec<String> =
            facts.places.iter().map(|place| format!("{}:{}", place.path, place.line)).collect();
        let is_test = |label: &str, found: &str| matches(&of_test(label), found);
        let is_place = matches;
        let found = |labels: &[String], found: &[String], is: &dyn Fn(&str, &str) -> bool| {
            labels.iter().filter(|label| found.iter().any(|found| is(label, found))).count()
        };
        let wrong = |labels: &[String], found: &[String], is: &dyn Fn(&str, &str) -> bool| {
            let is_told = |found: &&String| labels.iter().chain(&self.allowed).any(|label| is(label, found));
            found.iter().filter(|found| !is_told(found)).count()
        };
        FactScore {
            logs: 1,
            totals_right: usize::from(facts.failing_tests_total == self.tests_total),
            tests: self.tests.len().min(TESTS_MAX),
            tests_found: found(&self.tests, &tests, &is_test).min(TESTS_MAX),
            tests_wrong: wrong(&self.tests, &tests, &is_test),
            places: self.places.len().min(PLACES_MAX),
            places_found: found(&self.places, &places, &is_place).min(PLACES_MAX),
            places_wrong: wrong(&self.places, &places, &is_place),
        }
    }
}

/// A test's name with the same border between all of its parts.
fn of_test(name: &str) -> String {
    let mut name = name.to_owned();
    for border in BORDERS {
        name = name.replace(border, " > ");
    }
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a name that was found is the one of a label, or one of them ends with the other at a border between parts: a
/// reader and a tool may see more or less of a path.
fn matches(label: &str, found: &str) -> bool {
    let ends = |long: &str, short: &str| {
        long.strip_suffix(short).is_some_and(|rest| rest.is_empty() || rest.ends_with([' ', '/']))
    };
    let Some(digest) = label.strip_prefix(DIGEST) else { return ends(label, found) || ends(found, label) };
    let parts = found.match_indices([' ', '/']).map(|(at, _)| &found[at + 1..]);
    std::iter::once(found).chain(parts).any(|name| self::digest(name) == digest)
}

fn digest(name: &str) -> String {
    hex::encode(&Sha256::digest(name.as_bytes())[..DIGEST_BYTES])
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "##[group]Run pytest\npytest\n##[endgroup]\n=== FAILURES ===\n\
                       src/a.py:7: AssertionError\n=== short test summary info ===\n\
                       FAILED tests/t.py::One::two - assert 1 == 2\nFAILED tests/t.py::three - x\n\
                       === 2 failed in 0.1s ===\n##[error]Process completed with exit code 1.\n";

    fn labelled(tests: &[&str], places: &[&str], allowed: &[&str]) -> FactScore {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let label = LabelledFacts {
            blob: "b".to_owned(),
            job_name: None,
            tool: "pytest".to_owned(),
            tests: texts(tests),
            tests_total: 2,
            places: texts(places),
            allowed: texts(allowed),
        };
        label.score(&excerpt_of(LOG.as_bytes(), None).facts)
    }

    #[test]
    fn what_a_reader_found_is_found_by_its_name_by_its_end_and_by_its_digest() {
        let digest = format!("{DIGEST}{}", digest("t.py > three"));
        let score = labelled(&["backend/tests/t.py::One::two", &digest], &["app/src/a.py:7"], &[]);
        let all = FactScore {
            logs: 1,
            totals_right: 1,
            tests: 2,
            tests_found: 2,
            places: 1,
            places_found: 1,
            ..FactScore::default()
        };
        assert_eq!(score, all);
        let elsewhere =
            labelled(&["ests/t.py::One::two", "tests/t.py::One::twos"], &["rc/a.py:7", "a.py:8"], &[]);
        assert_eq!((elsewhere.tests_found, elsewhere.places_found), (0, 0));
    }

    #[test]
    fn what_no_reader_found_is_wrong_unless_it_is_allowed() {
        let score = labelled(&["tests/t.py::One::two"], &[], &[]);
        assert_eq!((score.tests_found, score.tests_wrong, score.places_wrong), (1, 1, 1));
        let score = labelled(&["tests/t.py::One::two"], &["a.py:8"], &["tests/t.py::three", "src/a.py:7"]);
        assert_eq!((score.tests_wrong, score.places_found, score.places_wrong), (0, 0, 0));
    }
}
