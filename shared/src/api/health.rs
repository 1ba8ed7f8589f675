//! Whether the worker works, and whether GitHub gives it what it asks for.

use crate::evidence::GithubStanding;
use crate::store::evidence::GithubTrouble;
use crate::store::inferences::EvidenceKind;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The answer of `GET /health`. It is open to all, so it names settings and never shows their values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Whether the worker works as it is meant to.
    pub status: HealthStatus,
    /// Always `sentinel-dashboard`.
    pub service: Cow<'static, str>,
    /// The version of the model that serves; None if no model loads.
    pub model_version: Option<String>,
    /// The source of that model.
    pub model_source: Option<ModelSource>,
    /// The model that should serve and does not check out.
    pub model_refused: Option<RefusedModel>,
    /// The settings without which something stays closed.
    pub missing: Vec<Cow<'static, str>>,
    /// The settings whose values can't be followed.
    #[serde(default)]
    pub wrong: Vec<WrongSetting>,
    /// The rate limiters that the deployment lacks.
    pub unlimited: Vec<Cow<'static, str>>,
    /// `log` if the worker has a token to read logs with, else `payload`.
    pub evidence: EvidenceKind,
    /// Whether GitHub gives the worker what it asks for.
    pub github: GithubState,
}

/// Whether the worker works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// Everything works.
    Healthy,
    /// The worker serves, but lacks something that the answer names.
    Degraded,
    /// No model loads.
    Unhealthy,
}

/// The source of the model that serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelSource {
    /// The model was uploaded and promoted.
    Registry,
    /// The model is part of the worker.
    BuiltIn,
}

/// A model that should serve and was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedModel {
    /// The version of the model.
    pub version: String,
    /// Why it was refused.
    pub reason: String,
}

/// A setting with a value that can't be followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrongSetting {
    /// The name of the setting.
    pub setting: Cow<'static, str>,
    /// What is wrong with the value, and what the worker does instead; never the value.
    pub problem: Cow<'static, str>,
}

/// Whether GitHub gives the worker what it asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GithubState {
    /// How the last calls ended.
    pub state: GithubStanding,
    /// Since when GitHub gives nothing, as RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

/// The answer of `GET /api/github`: what the worker met when it tried to read a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GithubCheck {
    /// How the last calls ended, with this one.
    pub state: GithubStanding,
    /// Since when GitHub gives nothing, as RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// How this call ended.
    pub check: GithubStanding,
    /// The repository of the last failed run, whose log was asked for; None if there is no run yet.
    pub repository: Option<String>,
}

impl From<GithubStanding> for GithubState {
    fn from(state: GithubStanding) -> Self {
        Self { state, since: None }
    }
}

impl From<GithubTrouble> for GithubState {
    fn from(GithubTrouble { state, since }: GithubTrouble) -> Self {
        Self { state, since: Some(since) }
    }
}
