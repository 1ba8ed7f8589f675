//! scikit-learn's `StandardScaler` over the six numeric features. A missing measurement stays missing.

use serde::{Deserialize, Serialize};

/// The numeric features in column order. Durations are in seconds. Labelled records use the same names.
pub const NUMERICS: [&str; 6] = [
    "build_duration_sec",
    "test_duration_sec",
    "deploy_duration_sec",
    "cpu_usage_pct",
    "memory_usage_mb",
    "retry_count",
];

/// The fitted parameters of scikit-learn's `StandardScaler`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scaler {
    /// scikit-learn's `mean_`, one value for each numeric feature.
    pub mean: [f64; 6],
    /// `scale_`, never 0 (scikit-learn writes 1 for a constant column).
    pub scale: [f64; 6],
}

impl Scaler {
    pub(super) fn transform(&self, numerics: &[Option<f64>; 6], columns: &mut [f32]) {
        for (index, column) in columns.iter_mut().enumerate() {
            *column =
                numerics[index].map_or(f32::NAN, |x| ((x - self.mean[index]) / self.scale[index]) as f32);
        }
    }
}
