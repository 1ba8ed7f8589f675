//! Measures the distance between two histograms.

use statrs::function::gamma::gamma_ur;

/// The share that an empty bin counts as, because 0 has no logarithm.
const SHARE_FLOOR: f64 = 1e-4;

/// Population stability index of `counts` against `reference`, bin by bin; 0 when one of them is empty. Shares
/// under [`SHARE_FLOOR`] are raised to it, and then all are scaled to sum to 1.
#[must_use]
pub fn psi(reference: &[u64], counts: &[u64]) -> f64 {
    let (Some(expected), Some(actual)) = (shares(reference), shares(counts)) else { return 0.0 };
    expected.iter().zip(&actual).map(|(e, a)| (a - e) * (a / e).ln()).sum()
}

fn shares(counts: &[u64]) -> Option<Vec<f64>> {
    let total: u64 = counts.iter().sum();
    (total > 0).then(|| {
        let floored = counts.iter().map(|count| (*count as f64 / total as f64).max(SHARE_FLOOR));
        let sum: f64 = floored.clone().sum();
        floored.map(|share| share / sum).collect()
    })
}

/// Pearson's chi-square test of homogeneity of two rows of counts: statistic and p, without Yates' correction.
/// (0, 1) where there is nothing to compare.
#[must_use]
pub fn chi_square(reference: &[u64], counts: &[u64]) -> (f64, f64) {
    let (expected_n, actual_n) = (reference.iter().sum::<u64>() as f64, counts.iter().sum::<u64>() as f64);
    let columns: Vec<(f64, f64)> = reference
        .iter()
        .zip(counts)
        .map(|(r, c)| (*r as f64, *c as f64))
        .filter(|(r, c)| r + c > 0.0)
        .collect();
    if columns.len() < 2 || expected_n == 0.0 || actual_n == 0.0 {
        return (0.0, 1.0);
    }
    let total = expected_n + actual_n;
    let term = |observed: f64, row: f64, column: f64| {
        let expected = row * column / total;
        (observed - expected).powi(2) / expected
    };
    let statistic =
        columns.iter().map(|(r, c)| term(*r, expected_n, r + c) + term(*c, actual_n, r + c)).sum::<f64>();
    let freedom = (columns.len() - 1) as f64;
    // The upper tail of the chi-square distribution is the regularised upper incomplete gamma function.
    (statistic, if statistic > 0.0 { gamma_ur(freedom / 2.0, statistic / 2.0) } else { 1.0 })
}
