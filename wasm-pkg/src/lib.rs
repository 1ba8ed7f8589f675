//! Sentinel's decisions for JavaScript: classify a job log or a record, cut an excerpt, check a diff, check a webhook
//! signature.
//!
//! Every function is one call into `sentinel_shared`. Errors become strings and answers become JSON text. `npm/` makes
//! a package with types from it.

use sentinel_shared::artifact::ModelBundle;
use sentinel_shared::diff;
use sentinel_shared::excerpt::Excerpt;
use sentinel_shared::features::{FeatureVector, Telemetry};
use sentinel_shared::review::certain;
use sentinel_shared::review::plan::{ChangedFile, Plan, Planned};
use sentinel_shared::review::policy::Policy;
use sentinel_shared::signature::{Secret, WebhookSecrets};
use serde_json::json;
use wasm_bindgen::prelude::*;

/// Runs when the module is loaded.
#[wasm_bindgen(start)]
pub fn start() {
    sentinel_shared::wasm::construct_statics();
}

/// The classifier over one compiled model bundle.
#[wasm_bindgen]
pub struct FailureClassifier {
    inner: ModelBundle,
}

#[wasm_bindgen]
impl FailureClassifier {
    /// Loads a compiled bundle. Throws if it was cut, changed or made for another version.
    #[wasm_bindgen(constructor)]
    pub fn new(bundle: &[u8]) -> Result<FailureClassifier, JsError> {
        Ok(Self { inner: ModelBundle::from_bytes(bundle)? })
    }

    /// The manifest of the model, as JSON text.
    pub fn manifest(&self) -> String {
        json!(self.inner.manifest).to_string()
    }

    /// Classifies a job log. Returns verdict, confidence, top three, terms and line as JSON text.
    #[wasm_bindgen(js_name = classifyLog)]
    #[expect(clippy::needless_pass_by_value, reason = "wasm-bindgen hands optional strings over by value")]
    pub fn classify_log(
        &self,
        log: &str,
        step: Option<String>,
        job: Option<String>,
    ) -> Result<String, JsError> {
        let excerpt = text(log)?;
        let verdict = self.inner.classify_log(&excerpt, step.as_deref(), job.as_deref())?;
        Ok(self.inner.public_json(&verdict).to_string())
    }

    /// Classifies a message and a record of its run, given as JSON text. Returns the same.
    #[wasm_bindgen(js_name = classifyRecord)]
    pub fn classify_record(&self, message: &str, record: &str) -> Result<String, JsError> {
        let record: Telemetry = serde_json::from_str(record)?;
        let verdict = self.inner.classify_message(&text(message)?, record)?;
        Ok(self.inner.public_json(&verdict).to_string())
    }

    /// The ten probabilities of an 884-number feature vector, in class order.
    pub fn predict(&self, features: Vec<f32>) -> Result<Vec<f32>, JsError> {
        let features = FeatureVector::new(features)?;
        Ok(self.inner.classifier.predict(&features)?.probabilities.to_vec())
    }
}

/// The lines of a job log that matter.
#[wasm_bindgen]
pub fn excerpt(log: &str) -> String {
    let excerpt = Excerpt::of(log.as_bytes());
    json!({ "lines": excerpt.lines, "log_lines": excerpt.log_lines }).to_string()
}

/// The findings of the deterministic checks in a unified diff, as JSON text.
#[wasm_bindgen(js_name = checkDiff)]
pub fn check_diff(diff: &str) -> Result<String, JsError> {
    let files = diff::parse(diff)?;
    let policy = Policy::default();
    let plan = Plan::new(files.iter().map(ChangedFile::of_diff).collect(), 0, &policy);
    let found = plan.hunks.iter().flat_map(|Planned { path, language, hunk, .. }| {
        certain::findings(path, *language, hunk).collect::<Vec<_>>()
    });
    Ok(json!(found.collect::<Vec<_>>()).to_string())
}

/// Whether `header` (`X-Hub-Signature-256`) signs `body` under `secret`; false for an empty secret.
#[wasm_bindgen(js_name = verifySignature)]
pub fn verify_signature(secret: &str, header: &str, body: &[u8]) -> bool {
    Secret::new(secret)
        .is_some_and(|secret| WebhookSecrets::new(secret, None).verify(Some(header.as_bytes()), body).is_ok())
}

fn text(log: &str) -> Result<Excerpt, JsError> {
    let excerpt = Excerpt::of(log.as_bytes());
    if excerpt.binary { Err(JsError::new("this is not text")) } else { Ok(excerpt) }
}
