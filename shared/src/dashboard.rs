//! What the dashboard reads: one JSON document made from stored totals and the model's manifest.

use crate::artifact::Manifest;
use crate::classifier::Calibration;
use crate::store::Totals;
use serde::Serialize;
use serde_json::Value as Json;

/// Inferences the badge looks back on; the predecessor's `RETRAIN_THRESHOLD`.
pub const WINDOW: u32 = 100;
/// Mean confidence under which a model needs retraining; the predecessor's bound.
const CONFIDENCE_FLOOR: f64 = 0.45;

/// `GET /api/dashboard`.
#[derive(Debug, Serialize)]
pub struct Dashboard {
    health: Health,
    /// One row a feature; empty until there are enough rows to compare.
    drift_heatmap: Vec<Json>,
    model_version: String,
    calibration: Calibration,
    feedback_count: u64,
    inference_count: u64,
    deliveries_queued: u64,
    deliveries_failed: u64,
}

#[derive(Debug, Serialize)]
struct Health {
    badge: &'static str,
    label: &'static str,
    color: &'static str,
    retrain_suggested: bool,
    features_drifted: u32,
    total_features: u32,
    last_drift_check: Option<String>,
}

/// `GET /api/drift`.
#[derive(Debug, Serialize)]
pub struct Drift {
    status: &'static str,
    sample_size: u64,
    required: u32,
    features: Vec<Json>,
}

/// `GET /api/registry`.
#[derive(Debug, Serialize)]
pub struct Registry<'a> {
    latest: &'a str,
    retrain_suggested: bool,
    models: [&'a Manifest; 1],
}

impl Dashboard {
    /// The overview over `totals`, with the model in use.
    #[must_use]
    pub fn new(totals: &Totals, manifest: &Manifest) -> Self {
        Self {
            health: Health::of(totals),
            drift_heatmap: Vec::new(),
            model_version: manifest.model_version.clone(),
            calibration: manifest.calibration,
            feedback_count: 0,
            inference_count: totals.inferences,
            deliveries_queued: totals.queued,
            deliveries_failed: totals.failed,
        }
    }
}

impl Health {
    fn of(totals: &Totals) -> Self {
        let retrain = needs_retraining(totals);
        let (badge, label, color) =
            if retrain { ("🔴", "Training Required", "#ef4444") } else { ("🟢", "Healthy", "#22c55e") };
        Self {
            badge,
            label,
            color,
            retrain_suggested: retrain,
            features_drifted: 0,
            total_features: 0,
            last_drift_check: None,
        }
    }
}

impl Drift {
    /// The drift report over `totals`: rows are counted, and compared once a baseline is stored with the model.
    #[must_use]
    pub fn new(totals: &Totals) -> Self {
        Self {
            status: "insufficient_data",
            sample_size: totals.recent,
            required: WINDOW,
            features: Vec::new(),
        }
    }
}

impl<'a> Registry<'a> {
    /// The models that are known: the one in use.
    #[must_use]
    pub fn new(totals: &Totals, manifest: &'a Manifest) -> Self {
        Self {
            latest: &manifest.model_version,
            retrain_suggested: needs_retraining(totals),
            models: [manifest],
        }
    }
}

/// Only a full window says anything about the model.
fn needs_retraining(totals: &Totals) -> bool {
    totals.recent >= u64::from(WINDOW) && totals.recent_confidence.is_some_and(|mean| mean < CONFIDENCE_FLOOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn badge(recent: u64, confidence: f64) -> &'static str {
        Health::of(&Totals { recent, recent_confidence: Some(confidence), ..Totals::default() }).label
    }

    #[test]
    fn the_badge_asks_for_training_only_after_a_full_window_of_doubt() {
        assert_eq!(badge(100, 0.44), "Training Required");
        assert_eq!(badge(100, 0.45), "Healthy");
        assert_eq!(badge(99, 0.10), "Healthy");
    }
}
