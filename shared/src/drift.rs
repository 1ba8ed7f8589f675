//! Whether what arrives still looks like what the model was fitted on.
//!
//! Each inference falls into one cell of every feature's histogram ([`Baseline::cells`]); the store adds cells
//! up, so a window is a sum of counts and never a read of old rows. [`Report::of`] compares a window with the
//! baseline that ships with the model: numbers by the population stability index over fixed bins, categories
//! by a chi-square test. Not here: what to do about it ([`crate::dashboard`]).

use crate::classifier::Verdict;
use crate::features::{NUMERICS, Tfidf};
use crate::github::rfc3339;
use serde::{Deserialize, Serialize};
use statrs::function::gamma::gamma_ur;
use std::collections::BTreeMap;

/// Inferences below which nothing is said.
pub const WINDOW_MIN: u64 = 100;
/// Inferences of one stored block of counts.
pub const BLOCK: i64 = 50;
/// Blocks a window is made of; the last one is still filling.
pub const WINDOW_BLOCKS: i64 = 4;
/// PSI from which a feature counts as moved. 0.1 and 0.2 are the usual bounds.
pub const PSI_MODERATE: f64 = 0.1;
/// PSI from which a feature has another distribution than in training.
pub const PSI_SEVERE: f64 = 0.2;
/// Below this p-value of the chi-square test a category counts as moved. Holm's correction over the categories is applied
/// first.
pub const P_MODERATE: f64 = 0.05;
/// Below this p-value a category has another distribution than in training.
pub const P_SEVERE: f64 = 0.001;
/// The share that an empty bin counts as, because 0 has no logarithm.
const SHARE_FLOOR: f64 = 1e-4;

/// What each feature looked like when the model was fitted: `drift.json` of a model.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Baseline {
    /// In the order of the report.
    pub features: Vec<Reference>,
}

/// One feature's histogram.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// A numeric's or category's name, `text_terms`, `text_unknown_share`, `confidence` or `prediction`.
    pub feature: String,
    /// How a value finds its bin.
    #[serde(flatten)]
    pub bins: Bins,
    /// Records of each bin at fitting.
    pub counts: Vec<u64>,
}

/// The bins of one feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bins {
    /// Inner edges, rising: a value is in bin `i` when `i` edges are at most it. Both ends are open.
    Edges(Vec<f64>),
    /// Names; the last bin is for every other one.
    Levels(Vec<String>),
}

/// Counts of a window, by feature and bin. Windows of disjoint inferences add up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Window {
    /// Inferences.
    pub n: u64,
    counts: BTreeMap<(String, u32), u64>,
}

/// How far a feature has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftLevel {
    /// Too few measured values to say.
    InsufficientData,
    /// As when the model was fitted.
    Stable,
    /// Worth a look.
    Moderate,
    /// Another distribution.
    Severe,
}

/// One row of the heatmap.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeatureDrift {
    /// Which.
    pub feature: String,
    /// `psi` or `chi_square`.
    pub method: &'static str,
    /// The index, or the test's statistic.
    pub score: f64,
    /// Of the test, after Holm's correction.
    pub p_value: Option<f64>,
    /// What the score means.
    pub severity: DriftLevel,
    /// Severe.
    pub is_drifted: bool,
    /// Values that were measured in the window.
    pub sample_size: u64,
}

/// The window against the baseline. The badge, `/api/drift` and the heatmap all read this.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// `insufficient_data`, `Healthy`, `Drift Detected`.
    pub status: &'static str,
    /// Inferences of the window.
    pub sample_size: u64,
    /// [`WINDOW_MIN`].
    pub required: u64,
    /// `training`: the records the model was fitted on.
    pub baseline_source: &'static str,
    /// One a feature of the baseline.
    pub features: Vec<FeatureDrift>,
}

/// Windows of the past beside each other, the oldest first, with the counts behind each cell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Heatmap {
    /// Whose bins these are.
    pub model_version: String,
    /// What the windows are compared with.
    pub reference: Vec<Reference>,
    /// One a column.
    pub windows: Vec<Column>,
}

/// One window of the heatmap.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Column {
    /// When its first inference was made, RFC 3339.
    pub from: Option<String>,
    /// And its last.
    pub to: Option<String>,
    /// Its comparison; without features where there are too few inferences.
    pub report: Report,
    /// Inferences in each bin of each feature, in the reference's order.
    pub counts: Vec<Vec<u64>>,
}

// === impl Heatmap ===

impl Heatmap {
    /// The heatmap of `windows`, each with the Unix seconds of its first and last inference, by how many windows ago.
    #[must_use]
    pub fn new(
        baseline: &Baseline,
        windows: &BTreeMap<u32, Window>,
        times: &BTreeMap<u32, (i64, i64)>,
        model_version: &str,
    ) -> Self {
        let column = |(ago, window): (&u32, &Window)| Column {
            from: times.get(ago).map(|(first, _)| rfc3339(*first)),
            to: times.get(ago).map(|(_, last)| rfc3339(*last)),
            report: Report::of(baseline, window),
            counts: baseline.features.iter().map(|reference| window.of(reference)).collect(),
        };
        Self {
            model_version: model_version.to_owned(),
            reference: baseline.features.clone(),
            windows: windows.iter().rev().map(column).collect(),
        }
    }
}

// === impl Baseline ===

impl Baseline {
    /// The cell of each feature that `verdict` has a value of.
    #[must_use]
    pub fn cells(&self, verdict: &Verdict, tfidf: &Tfidf) -> Vec<(String, u32)> {
        let (terms, unknown_share) = tfidf.coverage(&verdict.telemetry.text);
        let numerics = verdict.telemetry.numerics();
        let value = |feature: &str| match feature {
            "text_terms" => Some(terms as f64),
            "text_unknown_share" => Some(unknown_share),
            "confidence" => Some(f64::from(verdict.prediction.confidence)),
            name => NUMERICS.iter().position(|numeric| *numeric == name).and_then(|at| numerics[at]),
        };
        let level = |feature: &str| match feature {
            "prediction" => Some(verdict.prediction.verdict()),
            name => verdict.telemetry.categories.level(name).filter(|level| !level.is_empty()),
        };
        let cell = |reference: &Reference| {
            let bin = match &reference.bins {
                Bins::Edges(edges) => bin_of(edges, value(&reference.feature)?),
                Bins::Levels(levels) => level_of(levels, level(&reference.feature)?),
            };
            Some((reference.feature.clone(), bin))
        };
        self.features.iter().filter_map(cell).collect()
    }
}

impl Reference {
    fn size(&self) -> usize {
        match &self.bins {
            Bins::Edges(edges) => edges.len() + 1,
            Bins::Levels(levels) => levels.len() + 1,
        }
    }
}

fn bin_of(edges: &[f64], value: f64) -> u32 {
    edges.iter().filter(|edge| **edge <= value).count() as u32
}

fn level_of(levels: &[String], level: &str) -> u32 {
    levels.iter().position(|known| known == level).unwrap_or(levels.len()) as u32
}

// === impl Window ===

impl Window {
    /// Counts one inference's cells.
    pub fn add(&mut self, cells: impl IntoIterator<Item = (String, u32)>) {
        self.n += 1;
        for (feature, bin) in cells {
            self.count(feature, bin, 1);
        }
    }

    /// Adds `count` values to one cell, as the store has summed them.
    pub fn count(&mut self, feature: String, bin: u32, count: u64) {
        *self.counts.entry((feature, bin)).or_insert(0) += count;
    }

    /// Adds a window of other inferences.
    pub fn merge(&mut self, other: &Self) {
        self.n += other.n;
        for ((feature, bin), count) in &other.counts {
            self.count(feature.clone(), *bin, *count);
        }
    }

    fn of(&self, reference: &Reference) -> Vec<u64> {
        let count = |bin| self.counts.get(&(reference.feature.clone(), bin)).copied().unwrap_or(0);
        (0..reference.size() as u32).map(count).collect()
    }
}

// === impl Report ===

impl Report {
    /// Compares `window` with `baseline`.
    #[must_use]
    pub fn of(baseline: &Baseline, window: &Window) -> Self {
        let mut features: Vec<FeatureDrift> =
            baseline.features.iter().map(|reference| compare(reference, &window.of(reference))).collect();
        correct_by_holm(&mut features);
        for feature in &mut features {
            feature.severity = level(feature);
            feature.is_drifted = feature.severity == DriftLevel::Severe;
        }
        let status = match () {
            () if window.n < WINDOW_MIN => "insufficient_data",
            () if features.iter().any(|feature| feature.is_drifted) => "Drift Detected",
            () => "Healthy",
        };
        let features = if window.n < WINDOW_MIN { Vec::new() } else { features };
        Self { status, sample_size: window.n, required: WINDOW_MIN, baseline_source: "training", features }
    }

    /// Features that have drifted.
    #[must_use]
    pub fn drifted(&self) -> usize {
        self.features.iter().filter(|feature| feature.is_drifted).count()
    }
}

fn compare(reference: &Reference, counts: &[u64]) -> FeatureDrift {
    let (method, score, p_value) = match reference.bins {
        Bins::Edges(_) => ("psi", psi(&reference.counts, counts), None),
        Bins::Levels(_) => {
            let (statistic, p) = chi_square(&reference.counts, counts);
            ("chi_square", statistic, Some(p))
        }
    };
    FeatureDrift {
        feature: reference.feature.clone(),
        method,
        score,
        p_value,
        severity: DriftLevel::Stable,
        is_drifted: false,
        sample_size: counts.iter().sum(),
    }
}

fn level(feature: &FeatureDrift) -> DriftLevel {
    let (moderate, severe) = match feature.p_value {
        None => (feature.score >= PSI_MODERATE, feature.score >= PSI_SEVERE),
        Some(p) => (p < P_MODERATE, p < P_SEVERE),
    };
    match () {
        () if feature.sample_size < WINDOW_MIN => DriftLevel::InsufficientData,
        () if severe => DriftLevel::Severe,
        () if moderate => DriftLevel::Moderate,
        () => DriftLevel::Stable,
    }
}

/// Holm (1979): of several tests, the smallest p is held to the strictest bound.
fn correct_by_holm(features: &mut [FeatureDrift]) {
    let mut tested: Vec<&mut FeatureDrift> =
        features.iter_mut().filter(|feature| feature.p_value.is_some()).collect();
    tested.sort_by(|a, b| a.p_value.unwrap_or(1.0).total_cmp(&b.p_value.unwrap_or(1.0)));
    let count = tested.len();
    let mut largest: f64 = 0.0;
    for (rank, feature) in tested.into_iter().enumerate() {
        let corrected = (feature.p_value.unwrap_or(1.0) * (count - rank) as f64).min(1.0);
        largest = largest.max(corrected);
        feature.p_value = Some(largest);
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counts() -> impl Strategy<Value = Vec<u64>> {
        proptest::collection::vec(0u64..200, 6)
    }

    /// A small deterministic generator (Knuth's MMIX constants), so that a failure repeats.
    struct Lcg(u64);

    impl Lcg {
        fn share(&mut self) -> f64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 11) as f64 / (1u64 << 53) as f64
        }

        fn draw(&mut self, counts: &[u64]) -> u32 {
            let mut left = self.share() * counts.iter().sum::<u64>() as f64;
            for (bin, count) in (0u32..).zip(counts) {
                left -= *count as f64;
                if left < 0.0 {
                    return bin;
                }
            }
            counts.len() as u32 - 1
        }
    }

    /// The baseline of the shipped model.
    fn shipped() -> Baseline {
        serde_json::from_str(include_str!("../../models/failure/drift.json")).unwrap()
    }

    /// `n` inferences drawn from the baseline, with `shift` bins added to the feature called `moved`.
    fn window(baseline: &Baseline, random: &mut Lcg, n: u64, moved: &str, shift: u32) -> Window {
        let mut window = Window::default();
        for _ in 0..n {
            window.add(baseline.features.iter().map(|reference| {
                let added = if reference.feature == moved { shift } else { 0 };
                let bin = (random.draw(&reference.counts) + added).min(reference.size() as u32 - 1);
                (reference.feature.clone(), bin)
            }));
        }
        window
    }

    #[test]
    fn twenty_unshifted_windows_raise_no_flag_and_a_shift_is_seen_within_two_hundred() {
        let (baseline, mut random) = (shipped(), Lcg(42));
        for _ in 0..20 {
            let report = Report::of(&baseline, &window(&baseline, &mut random, 200, "", 0));
            assert_eq!((report.status, report.drifted()), ("Healthy", 0), "{report:?}");
        }
        for reference in &baseline.features {
            let report = Report::of(&baseline, &window(&baseline, &mut random, 200, &reference.feature, 2));
            let row = report.features.iter().find(|row| row.feature == reference.feature).unwrap();
            assert!(row.is_drifted, "{row:?}");
            assert_eq!(report.status, "Drift Detected");
        }
    }

    #[test]
    fn a_short_window_says_nothing() {
        let baseline = shipped();
        let report = Report::of(&baseline, &window(&baseline, &mut Lcg(1), WINDOW_MIN - 1, "confidence", 3));
        assert_eq!((report.status, report.features.len()), ("insufficient_data", 0));
    }

    #[test]
    fn the_statistics_are_the_references() {
        #[derive(Deserialize)]
        struct Case {
            reference: Vec<u64>,
            counts: Vec<u64>,
            psi: f64,
            chi_square: f64,
            p: f64,
        }
        let cases = include_str!("../../tests/fixtures/golden/drift.jsonl");
        for line in cases.lines() {
            let case: Case = serde_json::from_str(line).unwrap();
            let (statistic, p) = chi_square(&case.reference, &case.counts);
            assert!((psi(&case.reference, &case.counts) - case.psi).abs() < 1e-9, "{line}");
            assert!((statistic - case.chi_square).abs() < 1e-9 * case.chi_square.max(1.0), "{line}");
            assert!((p - case.p).abs() < 1e-9, "{p} {line}");
        }
        assert!(cases.lines().count() >= 20);
    }

    proptest! {
        #[test]
        fn the_index_is_never_negative_and_zero_between_equals(a in counts(), b in counts()) {
            prop_assert!(psi(&a, &b) >= 0.0);
            prop_assert!(psi(&a, &a).abs() < 1e-12);
            let (statistic, p) = chi_square(&a, &b);
            prop_assert!(statistic >= 0.0 && (0.0..=1.0).contains(&p));
            prop_assert!(chi_square(&a, &a).0.abs() < 1e-9);
        }

        #[test]
        fn windows_add_up_in_any_order(n in 1u64..60, m in 1u64..60, seed: u64) {
            let (baseline, mut random) = (shipped(), Lcg(seed));
            let (a, b) = (window(&baseline, &mut random, n, "", 0), window(&baseline, &mut random, m, "", 0));
            let (mut ab, mut ba) = (a.clone(), b.clone());
            ab.merge(&b);
            ba.merge(&a);
            prop_assert_eq!(&ab, &ba);
            prop_assert_eq!(ab.n, n + m);
        }
    }
}
