//! A verdict: what the model says about one run, why, and from which measurements.

use super::{Explanation, Prediction};
use crate::features::Telemetry;

/// A prediction with its reasons.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The class, the confidence and the three most likely classes.
    pub prediction: Prediction,
    /// The terms and the log line that decided it.
    pub explanation: Explanation,
    /// The measurements that it was made from.
    pub telemetry: Telemetry,
}
