//! Sentinel's decisions for JavaScript: classify job logs or a record, cut an excerpt, check a diff, check a webhook
//! signature.
//!
//! Every function is one call into `sentinel_shared`. Errors become strings and answers become JSON text. `npm/` makes
//! a package with types from it.

use sentinel_shared::artifact::ModelBundle;
use sentinel_shared::classifier;
use sentinel_shared::diff;
use sentinel_shared::excerpt::{Excerpt, JobLog, Jobs};
use sentinel_shared::features::{FeatureVector, Telemetry};
use sentinel_shared::log::archive;
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

    /// Classifies every job of the logs that were read. Returns the JSON of `sentinel classify --json` as text.
    #[wasm_bindgen(js_name = classifyLogs)]
    #[expect(clippy::needless_pass_by_value, reason = "wasm-bindgen hands values over")]
    pub fn classify_logs(
        &self,
        logs: Logs,
        step: Option<String>,
        job: Option<String>,
    ) -> Result<String, JsError> {
        let jobs = JobLog::select(logs.read()?, job.as_deref()).map_err(|error| JsError::new(&error))?;
        let verdict = |log| self.inner.classify_job(log, step.as_deref(), job.as_deref());
        let verdicts = jobs.into_iter().map(verdict).collect::<Result<Vec<_>, _>>()?;
        Ok(self.inner.jobs_json(&verdicts).to_string())
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

/// Logs that are being read, in pieces of any size.
#[wasm_bindgen]
#[derive(Default)]
pub struct Logs {
    jobs: Vec<JobLog>,
    reading: Jobs,
}

#[wasm_bindgen]
impl Logs {
    /// Nothing was read yet.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a file that holds one job or one step of it.
    #[expect(clippy::needless_pass_by_value, reason = "wasm-bindgen hands optional strings over by value")]
    pub fn begin(&mut self, job: Option<String>, step: Option<String>) {
        self.reading.begin(job.as_deref(), step.as_deref());
    }

    /// Reads the next piece.
    pub fn push(&mut self, bytes: &[u8]) {
        self.reading.push(bytes);
    }

    /// Ends a log; what is pushed next is another one.
    pub fn end(&mut self) {
        let jobs = std::mem::take(&mut self.reading).finish();
        self.jobs.extend(jobs.into_iter().filter(JobLog::says_something));
    }

    /// The lines of each job that matter, as JSON text.
    pub fn excerpts(self) -> Result<String, JsError> {
        let told = |job: JobLog| {
            let JobLog { name, step, excerpt: Excerpt { lines, log_lines, .. }, found, .. } = job;
            json!({ "job": name, "step": step, "found": found, "lines": lines, "log_lines": log_lines })
        };
        Ok(json!(self.read()?.into_iter().map(told).collect::<Vec<_>>()).to_string())
    }
}

impl Logs {
    fn read(mut self) -> Result<Vec<JobLog>, JsError> {
        if self.jobs.is_empty() {
            let jobs = self.reading.finish();
            return JobLog::problem(&jobs).map_or(Ok(jobs), |problem| Err(JsError::new(problem)));
        }
        self.end();
        Ok(self.jobs)
    }
}

/// Which files of an archive hold logs, by their names, given and returned as JSON text: `[{ job, parts: [{ at, step }] }]`.
#[wasm_bindgen(js_name = logsOfArchive)]
pub fn logs_of_archive(names: &str) -> Result<String, JsError> {
    let names: Vec<String> = serde_json::from_str(names)?;
    Ok(json!(archive::logs(&names)).to_string())
}

/// A term of a verdict as a person reads it; `text` holds the lines that it came from.
#[wasm_bindgen]
pub fn words(term: &str, text: &str) -> String {
    classifier::words(term, &Excerpt::of(text.as_bytes()))
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
