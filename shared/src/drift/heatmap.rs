//! The drift of several past windows side by side.

use super::baseline::{Baseline, Reference};
use super::report::DriftReport;
use super::window::Window;
use crate::github::rfc3339;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Past windows side by side, the oldest first, with the counts behind each cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heatmap {
    /// The model that the bins belong to.
    pub model_version: String,
    /// The baseline that the windows are compared with.
    pub reference: Vec<Reference>,
    /// The windows, one for each column of the heatmap.
    pub windows: Vec<HeatmapColumn>,
}

/// One window of the heatmap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeatmapColumn {
    /// When the first inference of the window was made, as RFC 3339.
    pub from: Option<String>,
    /// When the last inference of the window was made, as RFC 3339.
    pub to: Option<String>,
    /// The comparison with the baseline. It has no features if there are too few inferences.
    pub report: DriftReport,
    /// The number of inferences in each bin of each feature, in the reference's order.
    pub counts: Vec<Vec<u64>>,
}

impl Heatmap {
    /// The heatmap of `windows`, each with the Unix seconds of its first and last inference, by how many windows ago.
    #[must_use]
    pub fn new(
        baseline: &Baseline,
        windows: &BTreeMap<u32, Window>,
        times: &BTreeMap<u32, (i64, i64)>,
        model_version: &str,
    ) -> Self {
        let column = |(ago, window): (&u32, &Window)| HeatmapColumn {
            from: times.get(ago).map(|(first, _)| rfc3339(*first)),
            to: times.get(ago).map(|(_, last)| rfc3339(*last)),
            report: DriftReport::of(baseline, window),
            counts: baseline.features.iter().map(|reference| window.of(reference)).collect(),
        };
        Self {
            model_version: model_version.to_owned(),
            reference: baseline.features.clone(),
            windows: windows.iter().rev().map(column).collect(),
        }
    }
}
