//! Sentinel's decisions for JavaScript: classify a job log, cut its excerpt, check a webhook signature.
//!
//! A wrapper and nothing else: every function is one call into `sentinel_shared` with its errors as strings.

use sentinel_shared::artifact::ModelBundle;
use sentinel_shared::excerpt::Excerpt;
use sentinel_shared::features::FeatureVector;
use sentinel_shared::signature::{Secret, WebhookSecrets};
use serde_json::json;
use wasm_bindgen::prelude::*;

/// Called by the module itself when it is loaded.
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
    /// Loads a compiled bundle. Throws when it was cut, changed or made for another version.
    #[wasm_bindgen(constructor)]
    pub fn new(bundle: &[u8]) -> Result<FailureClassifier, JsError> {
        Ok(Self { inner: ModelBundle::from_bytes(bundle)? })
    }

    /// The model's version.
    #[wasm_bindgen(getter, js_name = modelVersion)]
    pub fn model_version(&self) -> String {
        self.inner.manifest.model_version.clone()
    }

    /// Classifies a job log; answers a JSON text with verdict, confidence, top three, terms and line.
    #[wasm_bindgen(js_name = classifyLog)]
    pub fn classify_log(&self, log: &str) -> Result<String, JsError> {
        let excerpt = Excerpt::of(log.as_bytes());
        let verdict = self.inner.classify_log(&excerpt, None, None)?;
        Ok(self.inner.told(&verdict).to_string())
    }

    /// The ten probabilities of an 884-number feature vector, in class order.
    pub fn predict(&self, features: Vec<f32>) -> Result<Vec<f32>, JsError> {
        let features = FeatureVector::new(features)?;
        Ok(self.inner.classifier.predict(&features)?.probabilities.to_vec())
    }
}

/// The lines of a job log that matter, as a JSON text.
#[wasm_bindgen]
pub fn excerpt(log: &str) -> String {
    let excerpt = Excerpt::of(log.as_bytes());
    json!({ "lines": excerpt.lines, "log_lines": excerpt.log_lines }).to_string()
}

/// Whether `header` (`X-Hub-Signature-256`) signs `body` under `secret`; false for an empty secret.
#[wasm_bindgen(js_name = verifySignature)]
pub fn verify_signature(secret: &str, header: &str, body: &[u8]) -> bool {
    Secret::new(secret)
        .is_some_and(|secret| WebhookSecrets::new(secret, None).verify(Some(header.as_bytes()), body).is_ok())
}
