//! Turns 884 numbers into a verdict: a class with a calibrated confidence and the reasons for it, or `Unknown`.
//!
//! This file calibrates and abstains. `plan` runs the flat forest under tract, [`forest`] walks the trees, and
//! [`explain`](mod@explain) finds the terms and the log line that decided. [`crate::artifact`] reads model files, and
//! `translate` (native only) turns ONNX into a forest.

pub mod explain;
pub mod forest;
#[cfg(feature = "tract")]
mod op;
#[cfg(feature = "tract")]
mod plan;
#[cfg(feature = "onnx")]
pub mod translate;
mod verdict;
mod words;

pub use explain::{Explanation, Term};
pub use forest::Forest;
pub use verdict::Verdict;
pub use words::words;

use crate::failure::FailureClass;
#[cfg(feature = "tract")]
use crate::features::FeatureVector;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Turns scores into a verdict. The values are chosen on validation data and stored in the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Scores are divided by this before the softmax (Guo et al. 2017, temperature scaling).
    pub temperature: f32,
    /// Below this confidence the verdict is `Unknown`.
    pub abstain_below: f32,
    /// The same threshold for each class, in the order of [`FailureClass::ALL`]. A class that is often wrong gets a
    /// higher one.
    #[serde(default)]
    pub class_abstain_below: [f32; 10],
}

/// What the model says about one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Calibrated probabilities in the order of [`FailureClass::ALL`].
    pub probabilities: [f32; 10],
    /// The most likely class, whether or not it is confident enough.
    pub class: FailureClass,
    /// The calibrated probability of [`Self::class`].
    pub confidence: f32,
    /// Whether the confidence is under the threshold, so that the verdict is `Unknown`.
    pub abstained: bool,
}

/// A class and its probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RankedClass {
    /// The class that has this rank.
    pub class: FailureClass,
    /// The calibrated probability of the class.
    pub confidence: f32,
}

/// The verdict of a model that abstains.
pub const UNKNOWN: &str = "Unknown";

/// A model ready to run.
#[derive(Clone)]
pub struct Classifier {
    #[cfg(feature = "tract")]
    plan: plan::Plan,
    forest: Arc<Forest>,
    calibration: Calibration,
}

// === impl Classifier ===

impl Classifier {
    /// Plans `forest` under `calibration`.
    ///
    /// # Errors
    /// [`Error::ModelInvalid`] for a temperature that is not positive, or a graph that tract refuses.
    pub fn new(forest: Forest, calibration: Calibration) -> Result<Self> {
        if !(calibration.temperature > 0.0 && calibration.temperature.is_finite()) {
            return Err(Error::ModelInvalid(format!("temperature {}", calibration.temperature)));
        }
        let mut thresholds = calibration.class_abstain_below.iter().chain([&calibration.abstain_below]);
        if let Some(threshold) = thresholds.find(|share| !(0.0..=1.0).contains(*share)) {
            return Err(Error::ModelInvalid(format!("a threshold of {threshold} is no share")));
        }
        let forest = Arc::new(forest);
        Ok(Self {
            #[cfg(feature = "tract")]
            plan: plan::Plan::new(Arc::clone(&forest), calibration.temperature)?,
            forest,
            calibration,
        })
    }

    /// Predicts one row.
    ///
    /// # Errors
    /// [`Error::ModelInvalid`] if tract refuses to run, which a planned model does not.
    #[cfg(feature = "tract")]
    pub fn predict(&self, features: &FeatureVector) -> Result<Prediction> {
        let probabilities = self.plan.run(features.values(), 1)?;
        Ok(self.judge(probabilities.as_slice().try_into().expect("one row has ten probabilities")))
    }

    #[cfg(feature = "tract")]
    fn judge(&self, probabilities: [f32; 10]) -> Prediction {
        let best = (0..10).rev().max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b])).unwrap_or(0);
        let confidence = probabilities[best];
        Prediction {
            probabilities,
            class: FailureClass::ALL[best],
            confidence,
            abstained: confidence
                < self.calibration.abstain_below.max(self.calibration.class_abstain_below[best]),
        }
    }

    /// The forest, for attribution and for measuring it by itself.
    #[must_use]
    pub fn forest(&self) -> &Forest {
        &self.forest
    }

    /// The calibration of this classifier.
    #[must_use]
    pub fn calibration(&self) -> Calibration {
        self.calibration
    }
}

// === impl Prediction ===

impl Prediction {
    /// The class's name, or `Unknown`.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        if self.abstained { UNKNOWN } else { self.class.name() }
    }

    /// The three most likely classes, in the form of every answer and every row.
    #[must_use]
    pub fn top_three(&self) -> Vec<RankedClass> {
        self.top(3).into_iter().map(|(class, confidence)| RankedClass { class, confidence }).collect()
    }

    /// The `n` most likely classes, best first.
    #[must_use]
    pub fn top(&self, n: usize) -> Vec<(FailureClass, f32)> {
        let mut ranked: Vec<_> = FailureClass::ALL.into_iter().zip(self.probabilities).collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        ranked.truncate(n);
        ranked
    }
}
