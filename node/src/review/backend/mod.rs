//! Runs the review model. [`Backend`] hides every detail of the runtime; only [`ort`] names it.

pub mod ort;

use crate::review::model::ReviewCalibration;
use sentinel_shared::review::Category;
use sentinel_shared::review::Score;
use std::sync::Arc;

/// One piece of a hunk in the model's form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// The token ids, at most as many as the model reads.
    pub ids: Vec<u32>,
    /// The positions of the marks of added lines, in order.
    pub added_at: Vec<usize>,
}

/// Sequences that are run together, padded to the longest.
#[derive(Debug)]
pub struct Batch {
    /// The sequences to score; there is at least one.
    pub rows: Vec<Arc<Sequence>>,
}

/// One session of a runtime: it runs one batch at a time.
pub trait Backend: Send {
    /// Runs the model and returns the logits of each row.
    ///
    /// # Errors
    /// The runtime failed. The batch may be tried again.
    fn run(&mut self, batch: &Batch) -> anyhow::Result<Vec<Logits>>;
}

/// Makes a session to replace one that panicked.
pub type MakeSession = Arc<dyn Fn() -> anyhow::Result<Box<dyn Backend>> + Send + Sync>;

/// The model's output for one sequence.
#[derive(Debug, Clone, PartialEq)]
pub struct Logits {
    /// The logit that something here is repaired later.
    pub needs_comment: f32,
    /// The logits of the severities, in the order of `Severity::ALL`.
    pub severity: [f32; 4],
    /// The logits of the categories, in the order of `Category::ALL`.
    pub category: [f32; 12],
    /// The logit at the mark of each added line.
    pub lines: Vec<f32>,
}

impl Batch {
    /// The length of the longest sequence.
    #[must_use]
    pub fn length(&self) -> usize {
        self.rows.iter().map(|row| row.ids.len()).max().unwrap_or(0)
    }

    /// The number of tokens that are not padding.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.rows.iter().map(|row| row.ids.len()).sum()
    }
}

impl Logits {
    /// Turns the logits into probabilities. The first is calibrated.
    #[must_use]
    pub fn score(&self, calibration: ReviewCalibration) -> Score {
        let needs_comment = 1.0 / (1.0 + (-(calibration.a * self.needs_comment + calibration.b)).exp());
        Score {
            needs_comment,
            severity: softmax(self.severity),
            category: softmax::<{ Category::ALL.len() }>(self.category),
            lines: self.lines.clone(),
        }
    }
}

fn softmax<const N: usize>(logits: [f32; N]) -> [f32; N] {
    let largest = logits.iter().copied().fold(f32::MIN, f32::max);
    let powers = logits.map(|logit| (logit - largest).exp());
    let sum: f32 = powers.iter().sum();
    powers.map(|power| power / sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logits_become_probabilities() {
        let logits = Logits {
            needs_comment: 0.0,
            severity: [0.0, 1.0, 0.0, 0.0],
            category: [3.0; 12],
            lines: vec![1.0],
        };
        let score = logits.score(ReviewCalibration { a: 2.0, b: 0.0 });
        assert!((score.needs_comment - 0.5).abs() < 1e-6);
        assert!((score.severity.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((score.category[3] - 1.0 / 12.0).abs() < 1e-6);
    }
}
