//! The reviewing model this binary carries, and how another one is loaded in its place.

use crate::backend::Calibration;
use anyhow::{Context, Result, ensure};
use sentinel_shared::hex;
use sentinel_shared::review::Severity;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

const MANIFEST: &[u8] = include_bytes!("../../models/review/manifest.json");
const TOKENIZER: &[u8] = include_bytes!("../../models/review/tokenizer.json");
const ONNX: &[u8] = include_bytes!("../../models/review/model.onnx");

/// The longest sequence any model may ask for: what one batch can cost is bounded by it.
const TOKENS_MAX: usize = 2048;

/// What a model is and how its outputs are read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// `review_v<major>.<minor>`
    pub model_version: String,
    /// The longest sequence, in tokens.
    pub max_tokens: usize,
    /// Of the needs-comment logit.
    pub calibration: Calibration,
    /// From which probability on a finding of this severity is shown; a severity without one never is.
    pub thresholds: BTreeMap<Severity, f32>,
    /// Hexadecimal SHA-256 of each file.
    pub files: BTreeMap<String, String>,
}

/// A model whose files are those of its manifest.
pub struct ReviewModel {
    /// What it is.
    pub manifest: Manifest,
    /// `tokenizer.json`
    pub tokenizer: Cow<'static, [u8]>,
    /// `model.onnx`
    pub onnx: Cow<'static, [u8]>,
}

impl ReviewModel {
    /// The model in `directory`, or the embedded one.
    ///
    /// # Errors
    /// A missing file, or one that is not the manifest's.
    pub fn load(directory: Option<&Path>) -> Result<Self> {
        let Some(directory) = directory else { return Self::embedded() };
        let read = |name: &str| {
            let path = directory.join(name);
            std::fs::read(&path).with_context(|| format!("reading {}", path.display()))
        };
        Self::checked(&read("manifest.json")?, read("tokenizer.json")?.into(), read("model.onnx")?.into())
            .with_context(|| format!("the review model in {}", directory.display()))
    }

    /// The model this binary was built with.
    ///
    /// # Errors
    /// Files that are not the manifest's.
    pub fn embedded() -> Result<Self> {
        Self::checked(MANIFEST, TOKENIZER.into(), ONNX.into()).context("the embedded review model")
    }

    fn checked(manifest: &[u8], tokenizer: Cow<'static, [u8]>, onnx: Cow<'static, [u8]>) -> Result<Self> {
        let manifest: Manifest = serde_json::from_slice(manifest).context("its manifest.json")?;
        ensure!(
            (64..=TOKENS_MAX).contains(&manifest.max_tokens),
            "max_tokens must be from 64 to {TOKENS_MAX}"
        );
        for (name, bytes) in [("tokenizer.json", &tokenizer), ("model.onnx", &onnx)] {
            let digest = hex::encode(&Sha256::digest(bytes));
            ensure!(manifest.files.get(name) == Some(&digest), "{name} is not the file its manifest names");
        }
        Ok(Self { manifest, tokenizer, onnx })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_the_manifests_does_not_load() {
        let mut onnx = ONNX.to_vec();
        onnx[100] ^= 1;
        let error = ReviewModel::checked(MANIFEST, TOKENIZER.into(), onnx.into()).err().unwrap().to_string();
        assert!(error.contains("model.onnx is not the file"), "{error}");
    }
}
