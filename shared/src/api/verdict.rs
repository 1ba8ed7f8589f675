//! A verdict as programs see it, whether it is stored or not.

use crate::classifier::{RankedClass, Term, Verdict};
use crate::excerpt::Line;
use serde::Serialize;

/// The answer of `POST /api/classify`. The command, the WebAssembly package and assistants give the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PublicVerdict<'a> {
    /// The class, or `Unknown`.
    pub prediction: &'static str,
    /// The confidence of the most likely class, from 0 to 1.
    pub confidence: f32,
    /// The three most likely classes.
    pub top: Vec<RankedClass>,
    /// The terms that decided, the strongest first.
    pub terms: &'a [Term],
    /// The log line that decided, if there is a log.
    pub line: Option<&'a Line>,
    /// The version of the model.
    pub model_version: &'a str,
    /// The calibrated probability of each class, in the order of [`crate::failure::FailureClass::ALL`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probabilities: Option<[f32; 10]>,
}

impl<'a> PublicVerdict<'a> {
    /// Shows `verdict` of the model with this version, without the probabilities.
    #[must_use]
    pub fn of(verdict: &'a Verdict, model_version: &'a str) -> Self {
        Self {
            prediction: verdict.prediction.verdict(),
            confidence: verdict.prediction.confidence,
            top: verdict.prediction.top_three(),
            terms: &verdict.explanation.terms,
            line: verdict.explanation.line.as_ref(),
            model_version,
            probabilities: None,
        }
    }
}
