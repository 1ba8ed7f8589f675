//! Runs a loaded model: telemetry → features → prediction → explanation.

use super::ModelBundle;
use crate::Result;
use crate::classifier::{Explanation, Verdict};
use crate::excerpt::Excerpt;
use crate::failure::FailureRecord;
use crate::features::{FeatureVector, JobEvidence, Telemetry};

impl ModelBundle {
    /// The verdict on a delivered failure.
    ///
    /// # Errors
    /// As [`Classifier::predict`].
    pub fn classify_record(
        &self,
        record: &FailureRecord,
        job: Option<&JobEvidence>,
        excerpt: &Excerpt,
    ) -> Result<Verdict> {
        self.classify(Telemetry::of_record(record, job, excerpt, &self.patterns), excerpt)
    }

    /// The verdict on a log alone.
    ///
    /// # Errors
    /// As [`Classifier::predict`].
    pub fn classify_log(&self, excerpt: &Excerpt, step: Option<&str>, job: Option<&str>) -> Result<Verdict> {
        self.classify(Telemetry::of_log(excerpt, step, job, &self.patterns), excerpt)
    }

    /// The verdict on one message and what else its sender knows of the run; `record`'s text is the message's.
    ///
    /// # Errors
    /// As [`Classifier::predict`].
    pub fn classify_message(&self, message: &Excerpt, record: Telemetry) -> Result<Verdict> {
        let text = Telemetry::of_log(message, None, None, &self.patterns).text;
        self.classify(Telemetry { text, ..record }, message)
    }

    /// The verdict on telemetry, with `excerpt` to point into.
    ///
    /// # Errors
    /// As [`Classifier::predict`].
    pub fn classify(&self, telemetry: Telemetry, excerpt: &Excerpt) -> Result<Verdict> {
        let features: FeatureVector = self.pipeline.transform(&telemetry);
        let prediction = self.classifier.predict(&features)?;
        let explanation = Explanation::of(
            &prediction,
            &features,
            excerpt,
            &self.classifier,
            &self.pipeline,
            &self.patterns,
        );
        Ok(Verdict { prediction, explanation, telemetry })
    }
}
