//! The review model that is embedded in this binary, and loading another one in its place.

use anyhow::{Context, Result, ensure};
use sentinel_shared::artifact::signed::{PrivateKey, PublicKeys};
use sentinel_shared::hex;
use sentinel_shared::review::Severity;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

const MANIFEST: &[u8] = include_bytes!("../../../models/review/manifest.json");
const TOKENIZER: (&str, &[u8]) = ("tokenizer.json", include_bytes!("../../../models/review/tokenizer.json"));
const ONNX: (&str, &[u8]) = ("model.onnx", include_bytes!("../../../models/review/model.onnx"));
/// The file beside the manifest that holds the signature of a signed model.
const SIGNATURE: &str = "manifest.sig";
const CONTROLS: (&str, &[u8]) = ("controls.json", include_bytes!("../../../models/review/controls.json"));

/// The longest sequence that a model may have. It bounds the cost of one batch.
const TOKENS_MAX: usize = 2048;

/// Describes a model and how its outputs are read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReviewManifest {
    /// The version, as `review_v<major>.<minor>`.
    pub model_version: String,
    /// The longest sequence, in tokens.
    pub max_tokens: usize,
    /// The calibration of the needs-comment logit.
    pub calibration: ReviewCalibration,
    /// The probability from which a finding of each severity is shown. A severity without a threshold is never shown.
    pub thresholds: BTreeMap<Severity, f32>,
    /// The SHA-256 of each file, in hexadecimal.
    pub files: BTreeMap<String, String>,
}

/// Turns a logit into a probability that is right on unseen data: `1 / (1 + exp(-(a·x + b)))` (Platt scaling).
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct ReviewCalibration {
    /// The slope of the logistic curve.
    pub a: f32,
    /// The intercept of the logistic curve.
    pub b: f32,
}

/// A model whose files match its manifest.
pub struct ReviewModel {
    /// Version, calibration and thresholds of the model.
    pub manifest: ReviewManifest,
    /// The bytes of `tokenizer.json`.
    pub tokenizer: Cow<'static, [u8]>,
    /// The bytes of `model.onnx`.
    pub onnx: Cow<'static, [u8]>,
    /// The bytes of `controls.json`, which the model is compared with.
    pub controls: Cow<'static, [u8]>,
}

impl ReviewModel {
    /// Loads the model in `directory`, or the embedded one.
    ///
    /// # Errors
    /// A file is missing, or it is not the one in the manifest.
    pub fn load(directory: Option<&Path>) -> Result<Self> {
        Self::load_trusted(directory, &PublicKeys::default())
    }

    /// Loads the model in `directory`, or the embedded one. If there are `keys`, one of them must have signed the
    /// manifest.
    ///
    /// # Errors
    /// As [`Self::load`], and a signature that is missing or was not made with these keys.
    pub fn load_trusted(directory: Option<&Path>, keys: &PublicKeys) -> Result<Self> {
        let Some(directory) = directory else { return Self::embedded() };
        let read = |name: &str| {
            let path = directory.join(name);
            std::fs::read(&path).map(Cow::from).with_context(|| format!("reading {}", path.display()))
        };
        let manifest = read("manifest.json")?;
        if !keys.is_empty() {
            keys.verify_manifest(&manifest, &read(SIGNATURE).context("`sentinel model sign` makes it")?)?;
        }
        Self::checked(&manifest, [read(TOKENIZER.0)?, read(ONNX.0)?, read(CONTROLS.0)?])
            .with_context(|| format!("the review model in {}", directory.display()))
    }

    /// Checks the files in `directory`, puts the signature of the manifest beside them, and returns the version.
    ///
    /// # Errors
    /// As [`Self::load`], and a folder that cannot be written.
    pub fn sign(directory: &Path, key: &PrivateKey) -> Result<String> {
        let model = Self::load(Some(directory))?;
        let manifest = std::fs::read(directory.join("manifest.json"))?;
        let path = directory.join(SIGNATURE);
        std::fs::write(&path, key.sign_manifest(&manifest))
            .with_context(|| format!("writing {}", path.display()))?;
        Ok(model.manifest.model_version)
    }

    /// Whether `directory` holds a review model, not a failure model.
    #[must_use]
    pub fn is_in(directory: &Path) -> bool {
        directory.join(TOKENIZER.0).exists()
    }

    /// The model that is embedded in this binary.
    ///
    /// # Errors
    /// The files do not match the manifest.
    pub fn embedded() -> Result<Self> {
        Self::checked(MANIFEST, [TOKENIZER.1, ONNX.1, CONTROLS.1].map(Cow::from))
            .context("the embedded review model")
    }

    fn checked(manifest: &[u8], files: [Cow<'static, [u8]>; 3]) -> Result<Self> {
        let manifest: ReviewManifest = serde_json::from_slice(manifest).context("its manifest.json")?;
        ensure!(
            (64..=TOKENS_MAX).contains(&manifest.max_tokens),
            "max_tokens must be from 64 to {TOKENS_MAX}"
        );
        for (severity, threshold) in &manifest.thresholds {
            let fits = (0.0..=1.0).contains(threshold);
            ensure!(fits, "the threshold of {} must be from 0 to 1, not {threshold}", severity.label());
        }
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

    #[test]
    fn a_manifest_with_a_number_that_is_none_does_not_load() {
        let files = || [TOKENIZER.1.into(), ONNX.1.into(), CONTROLS.1.into()];
        let refused = |wrong: &[(&str, &str)]| {
            // JSON has no infinity, but 1e39 is beyond what 32 bits hold: reading it is refused.
            let mut manifest: serde_json::Value = serde_json::from_slice(MANIFEST).unwrap();
            for (pointer, number) in wrong {
                *manifest.pointer_mut(pointer).unwrap() = serde_json::from_str(number).unwrap();
            }
            let loaded = ReviewModel::checked(manifest.to_string().as_bytes(), files());
            loaded.err().map(|error| format!("{error:#}")).unwrap_or_default()
        };
        assert_eq!(refused(&[]), "");
        for wrong in ["1e39", "null"] {
            assert!(!refused(&[("/calibration/a", wrong)]).is_empty(), "{wrong}");
        }
        let severity = {
            let manifest: serde_json::Value = serde_json::from_slice(MANIFEST).unwrap();
            let thresholds = manifest["thresholds"].as_object().unwrap();
            format!("/thresholds/{}", thresholds.keys().next().unwrap())
        };
        assert!(!refused(&[(&severity, "1e39")]).is_empty());
        for wrong in ["-0.1", "2"] {
            assert!(refused(&[(&severity, wrong)]).contains("from 0 to 1"), "{wrong}");
        }
    }

    #[test]
    fn with_keys_only_a_model_that_one_of_them_signed_is_loaded() {
        let directory = std::env::temp_dir().join(format!("sentinel-signed-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let write = |(name, bytes): (&str, &[u8])| std::fs::write(directory.join(name), bytes).unwrap();
        for file in [("manifest.json", MANIFEST), TOKENIZER, ONNX, CONTROLS] {
            write(file);
        }
        let key = PrivateKey::from_seed(&[1; 32]);
        let keys = PublicKeys::parse(&key.public()).unwrap();
        let load = || ReviewModel::load_trusted(Some(&directory), &keys).map(drop);
        assert!(format!("{:#}", load().unwrap_err()).contains("sentinel model sign"));
        ReviewModel::sign(&directory, &PrivateKey::from_seed(&[2; 32])).unwrap();
        assert!(load().unwrap_err().to_string().contains("not trusted"));
        ReviewModel::sign(&directory, &key).unwrap();
        load().unwrap();
        write(("manifest.json", &[MANIFEST, b" "].concat()));
        assert!(load().unwrap_err().to_string().contains("does not fit"));
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
