//! Whether a failure is called flaky.

/// The fewest failures from which something is called flaky. Two of two can be chance.
pub const FLAKY_FAILURES_MIN: u64 = 3;

/// Whether a failure, or a test, that failed so often is flaky, of which `passed` failures passed on retry.
///
/// It is, from [`FLAKY_FAILURES_MIN`] failures on, if the lower bound of Wilson's interval at 95 % of the share
/// `passed / failures` is at least one fifth: it then goes away by itself too often to be blamed on a change. A failure
/// that nobody tried again counts as one that did not pass, because webhooks do not tell the two apart.
///
/// The bound `b` is met if `(p - b)² n ≥ z² b (1 - b)` with `p > b`. With `b` = 1/5 and `z` = 1.96 that is
/// `(5 passed - n)² ≥ 15.3664 n`, in whole numbers, so that SQL can say the same. Source: Wilson, "Probable inference, the
/// law of succession, and statistical inference" (1927).
#[must_use]
pub fn is_flaky(failures: u64, passed: u64) -> bool {
    let (failures, passed) = (u128::from(failures), u128::from(passed.min(failures)));
    let Some(over) = (5 * passed).checked_sub(failures) else { return false };
    failures >= u128::from(FLAKY_FAILURES_MIN)
        && over.saturating_mul(over).saturating_mul(10_000) >= 153_664 * failures
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_nearly_always_passes_on_retry_is_flaky_and_what_seldom_does_is_not() {
        for (failures, passed) in [(3, 2), (3, 3), (4, 3), (5, 3), (6, 5), (10, 5), (100, 30)] {
            assert!(is_flaky(failures, passed), "{passed} of {failures}");
        }
        for (failures, passed) in [(3, 1), (4, 2), (5, 2), (10, 4), (100, 20), (14, 0)] {
            assert!(!is_flaky(failures, passed), "{passed} of {failures}");
        }
    }

    #[test]
    fn under_three_failures_nothing_is_called_flaky() {
        assert!(!is_flaky(0, 0) && !is_flaky(1, 1) && !is_flaky(2, 2));
    }

    proptest! {
        #[test]
        fn the_rule_in_whole_numbers_is_wilsons_lower_bound(failures in 3..5000_u64, share in 0.0..=1.0_f64) {
            let passed = (failures as f64 * share).round() as u64;
            let (n, p, z) = (failures as f64, passed as f64 / failures as f64, 1.96_f64);
            let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
            let bound = (p + z * z / (2.0 * n) - half) / (1.0 + z * z / n);
            prop_assume!((bound - 0.2).abs() > 1e-9);
            prop_assert_eq!(is_flaky(failures, passed), bound >= 0.2);
        }

        #[test]
        fn any_counts_are_judged_without_overflow(failures: u64, passed: u64) {
            let _ = is_flaky(failures, passed);
        }

        #[test]
        fn one_more_that_passed_never_makes_it_less_flaky(failures in 0..1000_u64, passed in 0..1000_u64) {
            prop_assert!(!is_flaky(failures, passed) || is_flaky(failures, passed + 1));
        }
    }
}
