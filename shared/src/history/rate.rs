//! How often a test fails, from reports that tell its passes too.

use serde::{Deserialize, Serialize};

/// The share of runs that failed, with Wilson's interval at 95 %: with few runs, it is wide.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// The share of runs that failed, from 0 to 1.
    pub share: f64,
    /// The lower bound of the true share.
    pub low: f64,
    /// The upper bound of the true share.
    pub high: f64,
}

/// The quantile of the normal distribution for 95 %.
const Z: f64 = 1.96;

/// The rate of so many failures in `runs`; None without a run. Source: Wilson, "Probable inference, the law of succession,
/// and statistical inference" (1927).
#[must_use]
pub fn rate(failures: u64, runs: u64) -> Option<Rate> {
    if runs == 0 {
        return None;
    }
    let (failures, n) = (failures.min(runs) as f64, runs as f64);
    let share = failures / n;
    let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let bound = |half: f64| ((share + Z * Z / (2.0 * n) + half) / (1.0 + Z * Z / n)).clamp(0.0, 1.0);
    Some(Rate { share, low: bound(-half), high: bound(half) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::is_flaky;
    use proptest::prelude::*;

    #[test]
    fn a_rate_has_the_interval_of_wilson() {
        assert_eq!(rate(0, 0), None);
        for (failures, runs, low, high) in
            [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0)]
        {
            let rate = rate(failures, runs).unwrap();
            assert!((rate.low - low).abs() < 5e-4 && (rate.high - high).abs() < 5e-4, "{rate:?}");
        }
    }

    proptest! {
        #[test]
        fn the_interval_holds_the_share_and_narrows_with_runs(failures in 0..1000_u64, more in 0..1000_u64) {
            let runs = failures + more;
            prop_assume!(runs > 0);
            let few = rate(failures, runs).unwrap();
            let many = rate(10 * failures, 10 * runs).unwrap();
            let holds = |rate: Rate| 0.0 <= rate.low && rate.low <= rate.share + 1e-12 && rate.share <= rate.high + 1e-12;
            prop_assert!(holds(few) && holds(many) && few.high <= 1.0);
            prop_assert!(many.high - many.low < few.high - few.low);
            prop_assume!((few.low - 0.2).abs() > 1e-9 && runs >= 3);
            prop_assert_eq!(is_flaky(runs, failures), few.low >= 0.2);
        }
    }
}
