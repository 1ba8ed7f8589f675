//! Compares a window with the baseline, feature by feature.

use super::baseline::{Baseline, Bins, Reference};
use super::statistics::{chi_square, psi};
use super::window::Window;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The number of inferences below which there is no result.
pub const WINDOW_MIN: u64 = 100;
/// PSI from which a feature counts as moved. 0.1 and 0.2 are the usual bounds.
pub const PSI_MODERATE: f64 = 0.1;
/// PSI from which a feature has another distribution than in training.
pub const PSI_SEVERE: f64 = 0.2;
/// Below this p-value of the chi-square test a category counts as moved. Holm's correction over the categories is applied
/// first.
pub const P_MODERATE: f64 = 0.05;
/// Below this p-value a category has another distribution than in training.
pub const P_SEVERE: f64 = 0.001;

/// How far a feature has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftLevel {
    /// There are too few measured values.
    InsufficientData,
    /// The feature looks as in training.
    Stable,
    /// The feature moved and deserves a look.
    Moderate,
    /// The feature has another distribution than in training.
    Severe,
}

/// One row of the heatmap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureDrift {
    /// The name of the feature.
    pub feature: String,
    /// The statistic that was used: `psi` or `chi_square`.
    pub method: Cow<'static, str>,
    /// The PSI, or the statistic of the chi-square test.
    pub score: f64,
    /// The p-value of the test, after Holm's correction.
    pub p_value: Option<f64>,
    /// The meaning of the score.
    pub severity: DriftLevel,
    /// Whether the drift of this feature is severe.
    pub is_drifted: bool,
    /// The number of measured values in the window.
    pub sample_size: u64,
}

/// The comparison of a window with the baseline. The badge, `/api/drift` and the heatmap all show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriftReport {
    /// `insufficient_data`, `Healthy`, `Drift Detected`.
    pub status: Cow<'static, str>,
    /// The number of inferences in the window.
    pub sample_size: u64,
    /// The number of inferences that a report needs: [`WINDOW_MIN`].
    pub required: u64,
    /// The source of the baseline: `training`, the records that the model was trained on.
    pub baseline_source: Cow<'static, str>,
    /// The features of the baseline, one row each.
    pub features: Vec<FeatureDrift>,
}

impl DriftReport {
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
        Self {
            status: status.into(),
            sample_size: window.n,
            required: WINDOW_MIN,
            baseline_source: "training".into(),
            features,
        }
    }

    /// The number of features with severe drift.
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
        method: method.into(),
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

/// Corrects p-values for several tests (Holm 1979): the smallest one must meet the strictest bound.
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
