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
const TOKENIZER: (&str, &[u8]) = ("tokenizer.json", include_bytes!("../../models/review/tokenizer.json"));
const ONNX: (&str, &[u8]) = ("model.onnx", include_bytes!("../../models/review/model.onnx"));
const CONTROLS: (&str, &[u8]) = ("controls.json", include_bytes!("../../models/review/controls.json"));

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
    /// `controls.json`: what the model is compared with.
    pub controls: Cow<'static, [u8]>,
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
            std::fs::read(&path).map(Cow::from).with_context(|| format!("reading {}", path.display()))
        };
        Self::checked(&read("manifest.json")?, [read(TOKENIZER.0)?, read(ONNX.0)?, read(CONTROLS.0)?])
            .with_context(|| format!("the review model in {}", directory.display()))
    }

    /// The model this binary was built with.
    ///
    /// # Errors
    /// Files that are not the manifest's.
    pub fn embedded() -> Result<Self> {
        Self::checked(MANIFEST, [TOKENIZER.1, ONNX.1, CONTROLS.1].map(Cow::from))
            .context("the embedded review model")
    }

    fn checked(manifest: &[u8], files: [Cow<'static, [u8]>; 3]) -> Result<Self> {
        let manifest: Manifest = serde_json::from_slice(manifest).context("its manifest.json")?;
        ensure!(
            (64..=TOKENS_MAX).contains(&manifest.max_tokens),
            "max_tokens must be from 64 to {TOKENS_MAX}"
        );
        for (name, bytes) in [TOKENIZER.0, ONNX.0, CONTROLS.0].iter().zip(&files) {
            let digest = hex::encode(&Sha256::digest(bytes));
            ensure!(manifest.files.get(*name) == Some(&digest), "{name} is not the file its manifest names");
        }
        let [tokenizer, onnx, controls] = files;
        Ok(Self { manifest, tokenizer, onnx, controls })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_the_manifests_does_not_load() {
        let mut onnx = ONNX.1.to_vec();
        onnx[100] ^= 1;
        let files = [TOKENIZER.1.into(), onnx.into(), CONTROLS.1.into()];
        let error = ReviewModel::checked(MANIFEST, files).err().unwrap().to_string();
        assert!(error.contains("model.onnx is not the file"), "{error}");
    }
}
