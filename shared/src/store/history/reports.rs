//! Writes reports of tests, which tell how often a test passes.
//!
//! A report is one round trip of eight statements, whatever it holds. A test has a row only once it failed, and its runs are
//! counted in one row a day, so that a report whose tests never failed writes one row. Sending a report again changes
//! nothing: its row says whether it is counted.

use super::super::query::{Query, Value};
use super::super::{DAY_SECONDS, json_of, number, scope_param, statement, text};
use crate::access::Scope;
use crate::junit::{Counts, Outcome, Report};
use crate::{Error, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The days for which reports are kept, and whose runs make the rate of a test. A test that was mended a month ago is not
/// flaky any more.
pub const RATE_DAYS: i64 = 30;
/// The number of reports that one sweep deletes: a day of them in three sweeps, of a team that sends one a minute.
const FORGET_LIMIT: i64 = 500;
/// The largest number of tests of one report that get a row because they failed. Where more fail at once, it is one cause.
pub const FAILED_MAX: usize = 500;
/// The largest number of failing tests that are told of one report.
pub const TOLD_MAX: i64 = 100;
/// The number of bytes of a report's SHA-256 that tell it from others of its job.
const DIGEST_BYTES: usize = 16;

/// A report that arrived, and what it is about.
#[derive(Clone, Copy)]
pub struct NewReport<'a> {
    /// The repository as `owner/name`.
    pub repository: &'a str,
    /// GitHub's id of the run.
    pub run_id: u64,
    /// The attempt of the run, from 1.
    pub run_attempt: u32,
    /// The job whose tests it tells.
    pub job: &'a str,
    /// The branch; empty if it is not known.
    pub branch: &'a str,
    /// The commit; empty if it is not known, and then no other attempt of it is known either.
    pub head_sha: &'a str,
    /// The bytes of the report.
    pub body: &'a [u8],
    /// What they say.
    pub report: &'a Report,
}

/// A test of a report that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedTest {
    /// The name that its runner gives it in a log.
    pub name: String,
    /// How it ended: `failed` or `passed_on_retry`.
    pub outcome: Outcome,
    /// Whether it is called flaky, for what it did before or in this report.
    pub flaky: bool,
}

/// What a report was stored as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Whether it is new.
    pub is_new: bool,
    /// The tests that failed in it, those first that failed for good; at most [`TOLD_MAX`].
    pub tests: Vec<ReportedTest>,
}

// `?1` to `?5` of each statement are the key of the report.
macro_rules! this_report {
    () => {
        "(SELECT id FROM reports WHERE repository = ?1 AND run_id = ?2 AND run_attempt = ?3 AND job = ?4 AND digest = ?5)"
    };
    (uncounted) => {
        "(SELECT id FROM reports WHERE repository = ?1 AND run_id = ?2 AND run_attempt = ?3 AND job = ?4 AND digest = ?5
    AND counted = 0)"
    };
}

// The installation is the one whose webhooks tell of the repository. A key of an installation writes to no other's.
const INSERT_REPORT: &str = "-- insert_report
INSERT INTO reports (repository, run_id, run_attempt, job, digest, branch, head_sha, installation_id, passed,
  passed_on_retry, failed, skipped, seconds, received_at)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, known.installation_id, ?8, ?9, ?10, ?11, ?12, ?13 FROM (SELECT COALESCE(
  (SELECT installation_id FROM runs WHERE repository = ?1 ORDER BY run_id DESC, run_attempt DESC LIMIT 1),
  (SELECT installation_id FROM failures WHERE repository = ?1 ORDER BY run_id DESC, run_attempt DESC LIMIT 1)
) AS installation_id) AS known
WHERE ?14 IS NULL OR known.installation_id = ?14
ON CONFLICT (repository, run_id, run_attempt, job, digest) DO NOTHING";

const INSERT_TESTS: &str = concat!(
    "-- insert_reported_tests
INSERT INTO tests (repository, installation_id, name, first_at, last_at)
SELECT reports.repository, reports.installation_id, value, received_at, received_at FROM reports, json_each(?6)
WHERE reports.id = ",
    this_report!(uncounted),
    "
ON CONFLICT (repository, name) DO UPDATE SET last_at = MAX(last_at, excluded.last_at),
  installation_id = COALESCE(installation_id, excluded.installation_id)"
);

// Of all tests that ran, those with a row. The names are looked up in the index, one after another.
const INSERT_REPORT_TESTS: &str = concat!(
    "-- insert_report_tests
INSERT INTO report_tests (report_id, test_id, outcome)
SELECT reports.id, tests.id, ran.value FROM reports CROSS JOIN json_each(?6) AS ran
CROSS JOIN tests ON tests.repository = reports.repository AND tests.name = ran.key
WHERE reports.id = ",
    this_report!(uncounted),
    "
ON CONFLICT (report_id, test_id) DO NOTHING"
);

const COUNT_RUNS: &str = concat!(
    "-- count_test_runs
INSERT INTO test_days (test_id, day, runs, failures)
SELECT test_id, ?6, 1, outcome <> 0 FROM report_tests WHERE report_id = ",
    this_report!(uncounted),
    "
ON CONFLICT (test_id, day) DO UPDATE SET runs = runs + 1, failures = failures + excluded.failures"
);

const FORGET_DAYS: &str = concat!(
    "-- forget_test_days
DELETE FROM test_days WHERE day <= ?6 AND test_id IN (SELECT test_id FROM report_tests WHERE report_id = ",
    this_report!(uncounted),
    ")"
);

// What failed in another attempt on the commit, and passes now.
const PASS_TESTS: &str = concat!(
    "-- pass_reported_tests
UPDATE report_tests SET outcome = 3
WHERE outcome = 2 AND report_id IN (SELECT other.id FROM reports AS this JOIN reports AS other
    ON other.repository = this.repository AND other.head_sha = this.head_sha AND other.job = this.job
    AND (other.run_id, other.run_attempt) <> (this.run_id, this.run_attempt)
    WHERE this.head_sha <> '' AND this.id = ",
    this_report!(uncounted),
    ")
  AND test_id IN (SELECT passed.test_id FROM report_tests AS passed WHERE passed.outcome IN (0, 1) AND passed.report_id = ",
    this_report!(uncounted),
    ")"
);

const DROP_PASSED: &str = concat!(
    "-- drop_passed_tests
DELETE FROM report_tests WHERE outcome = 0 AND report_id = ",
    this_report!(uncounted)
);

const CLOSE: &str = "-- close_report
UPDATE reports SET counted = 1
WHERE repository = ?1 AND run_id = ?2 AND run_attempt = ?3 AND job = ?4 AND digest = ?5 AND counted = 0";

const FORGET: &str = "-- forget_reports_of_last_month
DELETE FROM reports WHERE id IN (SELECT id FROM reports WHERE received_at < ?1 ORDER BY received_at LIMIT ?2)";

const REPORT: &str = concat!("-- report\nSELECT id FROM reports WHERE id = ", this_report!());

const FAILED_IN_REPORT: &str = concat!(
    "-- failed_in_report
SELECT tests.name, CASE report_tests.outcome WHEN 1 THEN 'passed_on_retry' ELSE 'failed' END AS outcome, ",
    super::flaky_test_when!(),
    " AS flaky
FROM report_tests JOIN tests ON tests.id = report_tests.test_id
WHERE report_tests.outcome <> 0 AND report_tests.report_id = ",
    this_report!(),
    "
ORDER BY report_tests.outcome = 1, tests.name LIMIT ?6"
);

#[derive(Deserialize)]
struct Id {
    #[expect(dead_code, reason = "it is enough that there is one")]
    id: i64,
}

/// Stores a report, and counts its tests if it is new. [`Error::RepositoryUnknown`] if `scope` is an installation that has
/// no run of the repository.
pub fn record(scope: Scope, new: &NewReport<'_>, now: i64) -> Query<Stored> {
    let write = |sql, more: Vec<Value>| {
        let mut statement = statement(sql, new.key());
        statement.args.extend(more);
        Query::writing(statement)
    };
    let failed: Vec<&str> = [Outcome::Failed, Outcome::PassedOnRetry]
        .into_iter()
        .flat_map(|outcome| new.report.names(outcome))
        .take(FAILED_MAX)
        .collect();
    let day = now.div_euclid(DAY_SECONDS);
    let names = |names: String| vec![Value::Text(names)];
    let inserted = write(INSERT_REPORT, new.row(scope, now)).affected();
    let counted = write(INSERT_TESTS, names(json_of(&failed)))
        .done()
        .with(write(INSERT_REPORT_TESTS, names(new.ran())).done())
        .with(write(COUNT_RUNS, vec![Value::Integer(day)]).done())
        .with(write(FORGET_DAYS, vec![Value::Integer(day - RATE_DAYS)]).done())
        .with(write(PASS_TESTS, Vec::new()).done())
        .with(write(DROP_PASSED, Vec::new()).done())
        .with(write(CLOSE, Vec::new()).done());
    let known = write(REPORT, Vec::new()).first::<Id>();
    let told = write(FAILED_IN_REPORT, vec![Value::Integer(TOLD_MAX)]).rows();
    inserted.with(counted).and(known).and(told).try_map(|((inserted, known), tests)| match known {
        Some(_) => Ok(Stored { is_new: inserted > 0, tests }),
        None => Err(Error::RepositoryUnknown),
    })
}

/// Forgets reports that are older than [`RATE_DAYS`], and tests that nothing else knows.
pub fn forget(now: i64) -> Query<()> {
    let args = [Value::Integer(now - RATE_DAYS * DAY_SECONDS), Value::Integer(FORGET_LIMIT)];
    Query::writing(statement(FORGET, args)).done()
}

// === impl NewReport ===

impl NewReport<'_> {
    fn key(&self) -> [Value; 5] {
        let digest = Sha256::digest(self.body);
        [
            text(self.repository),
            number(self.run_id),
            Value::Integer(i64::from(self.run_attempt)),
            text(self.job),
            Value::Text(hex::encode(&digest[..DIGEST_BYTES])),
        ]
    }

    fn row(&self, scope: Scope, now: i64) -> Vec<Value> {
        let Counts { passed, passed_on_retry, failed, skipped, seconds } = self.report.counts();
        vec![
            text(self.branch),
            text(self.head_sha),
            number(passed),
            number(passed_on_retry),
            number(failed),
            number(skipped),
            Value::Real(seconds),
            Value::Integer(now),
            scope_param(scope),
        ]
    }

    /// JSON: the tests that ran, each with its outcome as `report_tests` has it.
    fn ran(&self) -> String {
        let code = |outcome| match outcome {
            Outcome::Passed => Some(0),
            Outcome::PassedOnRetry => Some(1),
            Outcome::Failed => Some(2),
            Outcome::Skipped => None,
        };
        let tests = &self.report.tests;
        let ran: BTreeMap<&str, u8> =
            tests.iter().filter_map(|test| Some((test.name.as_str(), code(test.outcome)?))).collect();
        json_of(&ran)
    }
}
