//! Standard measures over scores and labels.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;

/// The area under the ROC curve: how often a positive scores above a negative, with ties counted half. 0.5 if one side
/// is empty.
#[must_use]
pub fn roc_auc(scored: &[(f64, bool)]) -> f64 {
    let positives = scored.iter().filter(|(_, positive)| *positive).count();
    let negatives = scored.len() - positives;
    if positives == 0 || negatives == 0 {
        return 0.5;
    }
    let (mut below, mut wins) = (0, 0.0);
    for tied in by_score(scored).rev() {
        let up = tied.iter().filter(|(_, positive)| *positive).count();
        let down = tied.len() - up;
        wins += up as f64 * (below as f64 + down as f64 / 2.0);
        below += down;
    }
    wins / (positives as f64 * negatives as f64)
}

/// Average precision: the area under the precision-recall curve without interpolation. Chance scores the share of
/// positives.
#[must_use]
pub fn average_precision(scored: &[(f64, bool)]) -> f64 {
    let positives = scored.iter().filter(|(_, positive)| *positive).count();
    let (mut seen, mut right, mut sum) = (0, 0, 0.0);
    for tied in by_score(scored) {
        let up = tied.iter().filter(|(_, positive)| *positive).count();
        seen += tied.len();
        right += up;
        sum += up as f64 * right as f64 / seen as f64;
    }
    if positives == 0 { 0.0 } else { sum / positives as f64 }
}

/// The share of positives among the `count` highest scores.
#[must_use]
pub fn precision_of_top(scored: &[(f64, bool)], count: usize) -> f64 {
    let top: Vec<bool> = by_score(scored).flatten().take(count).map(|(_, positive)| positive).collect();
    share(top.into_iter())
}

/// The mean of a class's F1 over the classes that occur among the labels.
#[must_use]
pub fn macro_f1<T: Ord + Copy>(pairs: &[(T, T)]) -> f64 {
    let mut classes: BTreeMap<T, [usize; 3]> = BTreeMap::new();
    for (label, predicted) in pairs {
        classes.entry(*label).or_default()[0] += 1;
        classes.entry(*predicted).or_default()[1] += 1;
        if label == predicted {
            classes.entry(*label).or_default()[2] += 1;
        }
    }
    let f1 = classes.values().filter(|[labels, ..]| *labels > 0);
    mean(f1.map(|[labels, predicted, right]| 2.0 * *right as f64 / (labels + predicted) as f64))
}

/// Expected calibration error over ten bins of equal width (Guo et al. 2017), and each bin's
/// `(mean probability, share of positives, count)`.
#[must_use]
pub fn calibration(scored: &[(f64, bool)]) -> (f64, Vec<(f64, f64, usize)>) {
    let mut bins = vec![Vec::new(); 10];
    for (probability, positive) in scored {
        bins[((probability * 10.0) as usize).min(9)].push((*probability, *positive));
    }
    let bins: Vec<_> = bins
        .iter()
        .map(|bin| {
            (
                mean(bin.iter().map(|(probability, _)| *probability)),
                share(bin.iter().map(|(_, p)| *p)),
                bin.len(),
            )
        })
        .collect();
    let gap = bins.iter().map(|(expected, seen, count)| (expected - seen).abs() * *count as f64);
    (gap.sum::<f64>() / scored.len().max(1) as f64, bins)
}

/// The middle 95 % of `measure` over `rounds` resamples with replacement (Efron 1979), from a fixed seed.
#[must_use]
pub fn bootstrap(scored: &[(f64, bool)], rounds: usize, measure: fn(&[(f64, bool)]) -> f64) -> [f64; 2] {
    let mut random = StdRng::seed_from_u64(42);
    let mut values: Vec<f64> = (0..rounds)
        .map(|_| {
            let sample: Vec<_> = scored.iter().map(|_| scored[random.random_range(..scored.len())]).collect();
            measure(&sample)
        })
        .collect();
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values.get((share * rounds as f64) as usize).copied().unwrap_or(f64::NAN);
    [at(0.025), at(0.975)]
}

/// The mean of the values; 0 if there are none.
#[must_use]
pub fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    if count == 0 { 0.0 } else { sum / count as f64 }
}

/// The share of values that are true.
#[must_use]
pub fn share(values: impl Iterator<Item = bool>) -> f64 {
    mean(values.map(f64::from))
}

/// Groups by score, from the highest down.
fn by_score(scored: &[(f64, bool)]) -> impl DoubleEndedIterator<Item = Vec<(f64, bool)>> {
    let mut sorted = scored.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let groups: Vec<_> = sorted.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()).map(<[_]>::to_vec).collect();
    groups.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores and labels of scikit-learn's own example, with a tie added.
    const SCORED: [(f64, bool); 5] = [(0.1, false), (0.4, false), (0.35, true), (0.8, true), (0.4, true)];

    #[test]
    fn areas_agree_with_scikit_learn() {
        assert!((roc_auc(&SCORED) - 0.75).abs() < 1e-12);
        assert!(
            (average_precision(&SCORED) - 0.805_555_555_555_556).abs() < 1e-9,
            "{}",
            average_precision(&SCORED)
        );
        assert!((macro_f1(&[(0, 0), (0, 1), (1, 1), (2, 1)]) - 0.388_888_888_888_889).abs() < 1e-9);
    }

    #[test]
    fn one_side_alone_is_chance() {
        assert!((roc_auc(&[(0.3, true), (0.1, true)]) - 0.5).abs() < 1e-12);
        assert!(average_precision(&[(0.3, false)]).abs() < 1e-12);
    }

    #[test]
    fn a_forecast_that_always_holds_has_no_calibration_error() {
        let half: Vec<_> = (0..100).map(|at| (0.5, at % 2 == 0)).collect();
        assert!(calibration(&half).0 < 1e-12);
        assert!(
            (calibration(&half.iter().map(|(_, p)| (0.9, *p)).collect::<Vec<_>>()).0 - 0.4).abs() < 1e-12
        );
    }

    #[test]
    fn the_interval_holds_the_value() {
        let scored: Vec<_> = (0..400).map(|at| (f64::from(at % 37), at % 3 == 0)).collect();
        let [low, high] = bootstrap(&scored, 100, roc_auc);
        assert!(low < roc_auc(&scored) && roc_auc(&scored) < high);
    }
}
