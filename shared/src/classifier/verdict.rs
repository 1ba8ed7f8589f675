//! A verdict: what the model says about one run, why, and from which measurements.

use super::{Explanation, Prediction};
use crate::excerpt::Line;
use crate::failure::FailureClass;
use crate::features::Telemetry;
use crate::redact::redact;
use crate::text;

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

// === impl Verdict ===

impl Verdict {
    /// Takes the class from the platform, which states the reason in `sentence`: that is no opinion of the model. The
    /// sentence is in no log, so its line has no number.
    pub fn state(&mut self, class: FailureClass, sentence: &str) {
        if self.prediction.class != class {
            // They speak for another class.
            self.explanation.terms.clear();
        }
        let mut probabilities = [0.0; 10];
        probabilities[class.index()] = 1.0;
        self.prediction = Prediction { probabilities, class, confidence: 1.0, abstained: false };
        self.explanation.line = Some(Line { number: 0, text: text::line(&redact(sentence)).into_owned() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classifier::Term;

    #[test]
    fn what_the_platform_states_is_no_opinion_of_the_model() {
        let mut verdict = Verdict {
            prediction: Prediction {
                probabilities: [0.1; 10],
                class: FailureClass::Resource,
                confidence: 0.1,
                abstained: true,
            },
            explanation: Explanation { terms: vec![Term { term: "runner".into(), drop: 1.0 }], line: None },
            telemetry: Telemetry::default(),
        };
        verdict.state(FailureClass::Timeout, "The job has exceeded the maximum execution time of 6h0m0s");
        assert_eq!((verdict.prediction.verdict(), verdict.prediction.confidence), ("Timeout", 1.0));
        assert_eq!(verdict.prediction.top(1), [(FailureClass::Timeout, 1.0)]);
        assert_eq!(verdict.explanation.line.as_ref().map(|line| line.number), Some(0));
        assert!(verdict.explanation.terms.is_empty());
    }
}
