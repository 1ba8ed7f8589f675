//! The figures of the memory of failures for `/metrics`.

use super::super::query::{Query, Value};
use super::super::statement;
use super::runs;
use crate::access::Scope;
use serde::Deserialize;

/// How things stand, over all repositories.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gauges {
    /// The number of causes that are open.
    pub causes_open: u64,
    /// The number of tests that are called flaky.
    pub flaky_tests: u64,
    /// The median of the seconds that default branches stayed red of late; None if none went green.
    pub median_seconds_to_green: Option<u64>,
}

const COUNTS: &str = concat!(
    "-- failure_gauges
SELECT (SELECT COUNT(*) FROM causes WHERE ",
    super::open_when!(),
    ") AS causes_open,
  (SELECT COUNT(*) FROM tests WHERE passed + retried > 0 AND ",
    super::flaky_test_when!(),
    ") AS flaky_tests"
);

#[derive(Deserialize)]
struct Counts {
    causes_open: u64,
    flaky_tests: u64,
}

/// The figures at `now`.
pub fn gauges(now: i64) -> Query<Gauges> {
    let counts = Query::reading(statement(COUNTS, [Value::Integer(now)])).only();
    counts.and(runs::median_to_green(Scope::All, now)).map(|(counts, median): (Counts, _)| Gauges {
        causes_open: counts.causes_open,
        flaky_tests: counts.flaky_tests,
        median_seconds_to_green: median,
    })
}
