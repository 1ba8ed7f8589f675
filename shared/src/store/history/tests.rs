//! Reads tests that failed, how often they passed when they were tried again, and how often they ran.

use super::super::query::{Query, Value};
use super::super::{DAY_SECONDS, column, optional, scope_param, statement};
use super::reports::RATE_DAYS;
use crate::access::Scope;
use crate::history::{Rate, rate};
use serde::{Deserialize, Serialize};

/// The largest number of tests of one list.
pub const TESTS_LIMIT: u32 = 100;

/// A test that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestRow {
    /// The id of the row.
    pub id: i64,
    /// The repository as `owner/name`.
    pub repository: String,
    /// The name that its runner gives it.
    pub name: String,
    /// The number of jobs in which it failed, as webhooks tell.
    pub failures: u64,
    /// How many of these jobs passed when they were tried again on the same commit.
    pub passed: u64,
    /// The number of reports in which it failed, and passed when it was tried again: in the same report, or in another attempt
    /// on the same commit.
    #[serde(default)]
    pub retried: u64,
    /// The number of reports of the last 30 days in which it ran, from the first on in which it failed.
    #[serde(default)]
    pub runs: u64,
    /// In how many of these it failed, at first or for good.
    #[serde(default)]
    pub failed_runs: u64,
    /// The share `failed_runs / runs`; None without a report, since webhooks do not tell how often it passes.
    #[serde(default)]
    pub rate: Option<Rate>,
    /// Where the numbers are from.
    #[serde(default)]
    pub from: RateSource,
    /// When it failed first, as RFC 3339.
    #[serde(deserialize_with = "column::time")]
    pub first_at: String,
    /// When it failed last, as RFC 3339.
    #[serde(deserialize_with = "column::time")]
    pub last_at: String,
    /// Whether it is called flaky: it passed on retry in a report, or [`crate::history::is_flaky`] says so of its jobs.
    pub flaky: bool,
}

/// Where the numbers of a test are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RateSource {
    /// From reports: how often it ran is known.
    Reports,
    /// From webhooks alone: only its failures are known.
    #[default]
    Webhooks,
}

/// Which tests a list has.
#[derive(Debug, Clone, Copy, Default)]
pub struct TestFilter<'a> {
    /// Only those of this repository.
    pub repository: Option<&'a str>,
    /// Only those that are called flaky.
    pub flaky: bool,
}

/// A list of tests, those first that passed most often when they were tried again.
macro_rules! select_tests {
    ($name:literal, $where:literal) => {
        concat!(
            "-- ",
            $name,
            "
SELECT id, repository, name, failures, passed, retried, first_at, last_at, ",
            super::flaky_test_when!(),
            " AS flaky,
  (SELECT COALESCE(SUM(runs), 0) FROM test_days WHERE test_id = tests.id AND day > ?5) AS runs,
  (SELECT COALESCE(SUM(test_days.failures), 0) FROM test_days WHERE test_id = tests.id AND day > ?5) AS failed_runs
FROM tests
WHERE ",
            $where,
            // What never passed on retry is not flaky: so the list of flaky tests ends where these begin.
            " AND passed + retried >= ?3 AND (?3 = 0 OR ",
            super::flaky_test_when!(),
            ")
ORDER BY passed + retried DESC, last_at DESC LIMIT ?4"
        )
    };
}

const TESTS: &str = select_tests!("tests", "(?1 IS NULL OR installation_id = ?1) AND ?2 IS NULL");
const TESTS_OF_REPOSITORY: &str =
    select_tests!("tests_of_repository", "repository = ?2 AND (?1 IS NULL OR installation_id = ?1)");

/// The tests that failed, at most `limit`.
pub fn tests(scope: Scope, filter: TestFilter<'_>, limit: u32, now: i64) -> Query<Vec<TestRow>> {
    let sql = if filter.repository.is_some() { TESTS_OF_REPOSITORY } else { TESTS };
    let args = [
        scope_param(scope),
        optional(filter.repository),
        Value::Integer(i64::from(filter.flaky)),
        Value::Integer(i64::from(limit.min(TESTS_LIMIT))),
        Value::Integer(now.div_euclid(DAY_SECONDS) - RATE_DAYS),
    ];
    Query::reading(statement(sql, args)).rows().map(|mut tests: Vec<TestRow>| {
        for test in &mut tests {
            test.rate = rate(test.failed_runs, test.runs);
            test.from = if test.runs > 0 { RateSource::Reports } else { RateSource::Webhooks };
        }
        tests
    })
}
