//! Measures whether incoming runs still look like the training data.
//!
//! Each inference falls into one cell of every feature's histogram ([`Baseline::cells`]). The store adds cells up, so a
//! window is a sum of counts and never a read of old rows. [`DriftReport::of`] compares a window with the baseline that
//! ships with the model: numbers by the population stability index over fixed bins, categories by a chi-square test.
//! [`crate::dashboard`] decides what to do about it.

mod baseline;
mod heatmap;
mod report;
mod statistics;
#[cfg(test)]
mod tests;
mod window;

pub use baseline::{Baseline, Bins, Reference};
pub use heatmap::{Heatmap, HeatmapColumn};
pub use report::{
    DriftLevel, DriftReport, FeatureDrift, P_MODERATE, P_SEVERE, PSI_MODERATE, PSI_SEVERE, WINDOW_MIN,
};
pub use statistics::{chi_square, psi};
pub use window::{BLOCK, WINDOW_BLOCKS, Window};
