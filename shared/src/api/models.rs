//! The registry of models.

use crate::artifact::Manifest;
use crate::store::models::{Activation, ModelRow};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The answer of `GET /api/registry`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Registry {
    /// The version of the model that serves.
    pub latest: String,
    /// Whether the verdicts of late ask for another model.
    pub retrain_suggested: bool,
    /// The manifest of the model that serves.
    pub serving: Manifest,
    /// The uploaded models, newest first.
    pub models: Vec<ModelRow>,
    /// Every change of the serving model, newest first.
    pub activations: Vec<Activation>,
}

/// The answer of `POST /api/models`. Its request is the signed bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uploaded {
    /// The version of the model.
    pub model_version: String,
    /// SHA-256 of the signed bundle, in hexadecimal.
    pub digest: String,
    /// Always `registered`.
    pub status: Cow<'static, str>,
}

/// The body of `POST /api/models/promote`. Who asks is the holder of the key: a name in the body would prove nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromoteRequest {
    /// The version that is to serve.
    pub version: Option<String>,
}

/// The answer of `POST /api/models/promote` and `POST /api/models/rollback`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    /// The version of the model that serves now.
    pub model_version: String,
    /// Whether the registry has changed.
    pub changed: bool,
}

/// The answer of `GET /api/models/diff`: a registered model beside the one in use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelDiff {
    /// The version of the model in use.
    pub active: String,
    /// The version of the registered model.
    pub candidate: String,
    /// The number of failures that both were asked about.
    pub compared: usize,
    /// The failures on which they disagree.
    pub changed: Vec<ChangedVerdict>,
}

/// A failure on which two models disagree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangedVerdict {
    /// The id of the inference.
    pub id: i64,
    /// The repository as `owner/name`.
    pub repository: String,
    /// The subject as `run:<id>:<attempt>` or `job:<id>`.
    pub subject: String,
    /// The class that a person named last, if one did.
    pub corrected: Option<String>,
    /// The verdict of the model in use.
    pub active: Cow<'static, str>,
    /// The verdict of the registered model.
    pub candidate: Cow<'static, str>,
    /// The confidence of the registered model, from 0 to 1.
    pub confidence: f32,
}
