//! Reports of tests: any bytes are read or refused, and what is read is bounded.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sentinel_shared::Error;
use sentinel_shared::facts::TEXT_MAX;
use sentinel_shared::junit::{CASES_MAX, Report};

fuzz_target!(|bytes: &[u8]| {
    let report = match Report::parse(bytes) {
        Ok(report) => report,
        Err(Error::ReportInvalid { line, reason }) => {
            assert!(line >= 1 && !reason.is_empty());
            return;
        }
        Err(other) => panic!("{other}"),
    };
    let counts = report.counts();
    let all = counts.passed + counts.passed_on_retry + counts.failed + counts.skipped;
    assert_eq!(all, report.tests.len() as u64);
    assert!(report.tests.len() <= CASES_MAX && counts.seconds >= 0.0);
    for test in &report.tests {
        assert!(!test.name.is_empty() && test.name.chars().count() <= TEXT_MAX, "{:?}", test.name);
    }
    assert!(report.tests.is_sorted_by(|a, b| a.name < b.name));
});
