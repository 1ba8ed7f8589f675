//! Reads tests that failed, and how often they passed when they were tried again.

use super::super::query::{Query, Value};
use super::super::{column, optional, scope_param, statement};
use crate::access::Scope;
use serde::{Deserialize, Serialize};

/// The largest number of tests of one list.
pub const TESTS_LIMIT: u32 = 100;

/// A test that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestRow {
    /// The id of the row.
    pub id: i64,
    /// The repository as `owner/name`.
    pub repository: String,
    /// The name that its runner gives it.
    pub name: String,
    /// The number of jobs in which it failed.
    pub failures: u64,
    /// How many of these jobs passed when they were tried again on the same commit.
    pub passed: u64,
    /// When it failed first, as RFC 3339.
    #[serde(deserialize_with = "column::time")]
    pub first_at: String,
    /// When it failed last, as RFC 3339.
    #[serde(deserialize_with = "column::time")]
    pub last_at: String,
    /// Whether it is called flaky; see [`crate::history::is_flaky`].
    pub flaky: bool,
}

/// A list of tests, those first that passed most often when they were tried again.
macro_rules! select_tests {
    ($name:literal, $where:literal) => {
        concat!(
            "-- ",
            $name,
            "
SELECT id, repository, name, failures, passed, first_at, last_at, ",
            super::flaky_when!("failures"),
            " AS flaky FROM tests
WHERE ",
            $where,
            " AND (?3 = 0 OR ",
            super::flaky_when!("failures"),
            ")
ORDER BY passed DESC, last_at DESC LIMIT ?4"
        )
    };
}

const TESTS: &str = select_tests!("tests", "(?1 IS NULL OR installation_id = ?1) AND ?2 IS NULL");
const TESTS_OF_REPOSITORY: &str =
    select_tests!("tests_of_repository", "repository = ?2 AND (?1 IS NULL OR installation_id = ?1)");

/// The tests that failed, of one repository or of all, at most `limit`; only flaky ones if asked.
pub fn tests(scope: Scope, repository: Option<&str>, flaky: bool, limit: u32) -> Query<Vec<TestRow>> {
    let sql = if repository.is_some() { TESTS_OF_REPOSITORY } else { TESTS };
    let limit = Value::Integer(i64::from(limit.min(TESTS_LIMIT)));
    let args = [scope_param(scope), optional(repository), Value::Integer(i64::from(flaky)), limit];
    Query::reading(statement(sql, args)).rows()
}
