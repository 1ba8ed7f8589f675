//! The overview: the health badge, totals and drift.

use crate::api::models::Registry;
use crate::artifact::Manifest;
use crate::classifier::Calibration;
use crate::drift::{DriftReport, FeatureDrift};
use crate::github::rfc3339;
use crate::store::inferences::Totals;
use crate::store::models::{Activation, ModelRow};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The number of latest inferences that the health badge looks at.
pub const WINDOW: u32 = 100;
/// If the mean confidence over the window is below this, the badge says that the model needs retraining.
const CONFIDENCE_FLOOR: f64 = 0.45;

/// The answer of `GET /api/dashboard`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dashboard {
    /// The badge, and what it is made from.
    pub health: ModelHealth,
    /// One row per feature; empty until there are enough inferences to compare.
    pub drift_heatmap: Vec<FeatureDrift>,
    /// The version of the model that serves.
    pub model_version: String,
    /// The temperature and the thresholds of that model.
    pub calibration: Calibration,
    /// The number of rows of feedback.
    pub feedback_count: u64,
    /// The number of all inferences.
    pub inference_count: u64,
    /// The number of deliveries that wait.
    pub deliveries_queued: u64,
    /// The number of deliveries that were given up.
    pub deliveries_failed: u64,
}

/// The health badge of the model that serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelHealth {
    /// A coloured dot.
    pub badge: Cow<'static, str>,
    /// `Healthy`, `Drift Detected` or `Training Required`.
    pub label: Cow<'static, str>,
    /// The colour of the badge, in CSS.
    pub color: Cow<'static, str>,
    /// Whether the model should be trained again.
    pub retrain_suggested: bool,
    /// The number of features with severe drift.
    pub features_drifted: usize,
    /// The number of features that were compared.
    pub total_features: usize,
    /// When drift was computed, as RFC 3339; None if there are too few inferences.
    pub last_drift_check: Option<String>,
}

impl Dashboard {
    /// Builds the overview from `totals`, the drift `report` and the manifest of the serving model.
    #[must_use]
    pub fn new(totals: &Totals, report: DriftReport, manifest: &Manifest, now: i64) -> Self {
        Self {
            health: ModelHealth::of(totals, &report, now),
            drift_heatmap: report.features,
            model_version: manifest.model_version.clone(),
            calibration: manifest.calibration,
            feedback_count: totals.feedback,
            inference_count: totals.inferences,
            deliveries_queued: totals.queued,
            deliveries_failed: totals.failed,
        }
    }
}

impl ModelHealth {
    fn of(totals: &Totals, report: &DriftReport, now: i64) -> Self {
        let (retrain, drifted) = (needs_retraining(totals, report), report.drifted());
        let (badge, label, color) = match (retrain, drifted) {
            (true, _) => ("🔴", "Training Required", "#ef4444"),
            (false, 0) => ("🟢", "Healthy", "#22c55e"),
            (false, _) => ("🟡", "Drift Detected", "#eab308"),
        };
        let compared = !report.features.is_empty();
        Self {
            badge: badge.into(),
            label: label.into(),
            color: color.into(),
            retrain_suggested: retrain,
            features_drifted: drifted,
            total_features: report.features.len(),
            last_drift_check: compared.then(|| rfc3339(now)),
        }
    }
}

impl Registry {
    /// Lists the known models and the one that serves.
    #[must_use]
    pub fn new(
        totals: &Totals,
        report: &DriftReport,
        serving: &Manifest,
        models: Vec<ModelRow>,
        activations: Vec<Activation>,
    ) -> Self {
        Self {
            latest: serving.model_version.clone(),
            retrain_suggested: needs_retraining(totals, report),
            serving: serving.clone(),
            models,
            activations,
        }
    }
}

/// Whether to retrain: a numeric feature has drifted severely, or the confidence over a full window is low. A moved
/// category or class mix deserves a look, but is no reason to retrain.
fn needs_retraining(totals: &Totals, report: &DriftReport) -> bool {
    let doubt = totals.recent >= u64::from(WINDOW)
        && totals.recent_confidence.is_some_and(|mean| mean < CONFIDENCE_FLOOR);
    doubt || report.features.iter().any(|feature| feature.is_drifted && feature.p_value.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::{Baseline, Bins, Reference, Window};

    fn badge(recent: u64, confidence: f64) -> Cow<'static, str> {
        let totals = Totals { recent, recent_confidence: Some(confidence), ..Totals::default() };
        ModelHealth::of(&totals, &DriftReport::of(&Baseline::default(), &Window::default()), 0).label
    }

    #[test]
    fn the_badge_asks_for_training_only_after_a_full_window_of_doubt() {
        assert_eq!(badge(100, 0.44), "Training Required");
        assert_eq!(badge(100, 0.45), "Healthy");
        assert_eq!(badge(99, 0.10), "Healthy");
    }

    #[test]
    fn a_category_that_moved_is_drift_and_a_number_that_moved_is_retraining() {
        let label = |bins: Bins| {
            let reference = Reference { feature: "x".into(), bins, counts: vec![100, 100] };
            let mut window = Window::default();
            (0..150).for_each(|_| window.add([("x".to_owned(), 1)]));
            let report = DriftReport::of(&Baseline { features: vec![reference] }, &window);
            ModelHealth::of(&Totals::default(), &report, 0).label
        };
        assert_eq!(label(Bins::Levels(vec!["a".into()])), "Drift Detected");
        assert_eq!(label(Bins::Edges(vec![0.5])), "Training Required");
    }
}
