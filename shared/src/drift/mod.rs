//! Whether what arrives still looks like what the model was fitted on.
//!
//! Each inference falls into one cell of every feature's histogram ([`Baseline::cells`]); the store adds cells
//! up, so a window is a sum of counts and never a read of old rows. [`Report::of`] compares a window with the
//! baseline that ships with the model: numbers by the population stability index over fixed bins, categories
//! by a chi-square test. Not here: what to do about it ([`crate::dashboard`]).

mod baseline;
mod heatmap;
mod report;
mod statistics;
#[cfg(test)]
mod tests;
mod window;

pub use baseline::{Baseline, Bins, Reference};
pub use heatmap::{Column, Heatmap};
pub use report::{
    DriftLevel, FeatureDrift, P_MODERATE, P_SEVERE, PSI_MODERATE, PSI_SEVERE, Report, WINDOW_MIN,
};
pub use statistics::{chi_square, psi};
pub use window::{BLOCK, WINDOW_BLOCKS, Window};
