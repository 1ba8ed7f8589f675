//! A failure model with everything that it needs to run as it was trained, as one checked value.
//!
//! It has two forms: the sources under `models/failure/` (ONNX, fitted features, patterns, manifest), and the compiled
//! bundle that the worker embeds, which loads without parsing protobuf or TOML. [`signed`] is the form in which a
//! compiled bundle is sent.

#[cfg(feature = "tract")]
mod classify;
#[cfg(feature = "tract")]
mod jobs;
pub mod signed;

use crate::api::verdict::PublicVerdict;
#[cfg(feature = "tract")]
pub use jobs::JobVerdict;

use crate::classifier::{Calibration, Classifier, Forest, Verdict};
use crate::drift::Baseline;
use crate::failure::FailureClass;
use crate::features::{BLOCKS, Branch, Pattern, Patterns, Pipeline, WIDTH};
use crate::{Error, Result, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// First bytes of a compiled bundle; the last two are its version.
const MAGIC: &[u8; 8] = b"SNTLFB04";
const DIGEST_BYTES: usize = 32;

/// Describes a model: its parts, its training data and its figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The model's version, as in `lgbm_v3.2`.
    pub model_version: String,
    /// The learner and its size, for people.
    pub algorithm: String,
    /// The number of features in a row. It must be 884.
    pub feature_count: usize,
    /// `<block> <width>` in column order. It must equal [`crate::features::BLOCKS`].
    pub feature_order: Vec<String>,
    /// The class names in output order. They must equal [`crate::failure::FailureClass::ALL`].
    pub classes: Vec<String>,
    /// The number of trees in the forest.
    pub trees: usize,
    /// Temperature and thresholds that turn scores into a verdict.
    pub calibration: Calibration,
    /// What it was fitted on: the SHA-256 of each file of records, and how many there were.
    pub data: BTreeMap<String, serde_json::Value>,
    /// Figures on the validation split, as the training wrote them.
    pub metrics: serde_json::Value,
    /// SHA-256 of each other file of the bundle, in hexadecimal.
    pub files: BTreeMap<String, String>,
}

/// A model, ready to use.
pub struct ModelBundle {
    /// Version, calibration and figures of the model.
    pub manifest: Manifest,
    /// Turns telemetry into the model's features.
    pub pipeline: Pipeline,
    /// The known error messages that become features.
    pub patterns: Patterns,
    /// Turns features into a prediction.
    pub classifier: Classifier,
    /// The distribution of the features in training.
    pub baseline: Baseline,
}

/// The files of a model as the training writes them.
#[cfg(feature = "onnx")]
pub struct Sources<'a> {
    /// The bytes of `manifest.json`.
    pub manifest: &'a [u8],
    /// The bytes of `features.json`.
    pub features: &'a [u8],
    /// The text of `patterns.toml`.
    pub patterns: &'a str,
    /// The bytes of `drift.json`.
    pub drift: &'a [u8],
    /// The bytes of `model.onnx`.
    pub onnx: &'a [u8],
}

/// Every part of a compiled bundle except the forest.
#[derive(Serialize, Deserialize)]
struct Head {
    manifest: Manifest,
    pipeline: Pipeline,
    patterns: Vec<Pattern>,
    branches: Vec<Branch>,
    baseline: Baseline,
}

// === impl ModelBundle ===

impl ModelBundle {
    /// Reads the source form, checking each file against the manifest.
    ///
    /// # Errors
    /// [`Error::ModelInvalid`] naming the file that does not fit.
    #[cfg(feature = "onnx")]
    pub fn from_sources(sources: &Sources<'_>) -> Result<Self> {
        let manifest: Manifest = parse("manifest.json", sources.manifest)?;
        manifest.validate()?;
        for (name, bytes) in [
            ("features.json", sources.features),
            ("patterns.toml", sources.patterns.as_bytes()),
            ("drift.json", sources.drift),
            ("model.onnx", sources.onnx),
        ] {
            manifest.check_file(name, bytes)?;
        }
        let pipeline: Pipeline = parse("features.json", sources.features)?;
        let patterns = Patterns::parse_toml(sources.patterns)?;
        let baseline = parse("drift.json", sources.drift)?;
        let forest = crate::classifier::translate::translate(sources.onnx, WIDTH as u16)?;
        Self::assemble(manifest, pipeline, patterns, baseline, forest)
    }

    /// Reads the compiled form.
    ///
    /// # Errors
    /// [`Error::ModelInvalid`] for bytes that were cut, changed, or compiled for another build.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let invalid = |what: &str| Error::ModelInvalid(format!("compiled bundle: {what}"));
        let body = bytes.strip_prefix(MAGIC).ok_or_else(|| invalid("another format or version"))?;
        let (body, digest) = body.split_last_chunk::<DIGEST_BYTES>().ok_or_else(|| invalid("cut short"))?;
        if Sha256::digest(body).as_slice() != digest {
            return Err(invalid("its digest does not match"));
        }
        let (length, rest) = body.split_first_chunk::<4>().ok_or_else(|| invalid("cut short"))?;
        let (head, forest) = rest
            .split_at_checked(u32::from_le_bytes(*length) as usize)
            .ok_or_else(|| invalid("cut short"))?;
        let head: Head = parse("compiled bundle", head)?;
        head.manifest.validate()?;
        let patterns = Patterns::assemble(head.patterns, head.branches)?;
        Self::assemble(head.manifest, head.pipeline, patterns, head.baseline, Forest::from_bytes(forest)?)
    }

    /// The compiled form: magic, length of the JSON head, head, forest, SHA-256 of all between.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let head = Head {
            manifest: self.manifest.clone(),
            pipeline: self.pipeline.clone(),
            patterns: self.patterns.all().to_vec(),
            branches: self.patterns.branches().to_vec(),
            baseline: self.baseline.clone(),
        };
        let head = serde_json::to_vec(&head).expect("the head has string keys and finite numbers");
        let mut body = (head.len() as u32).to_le_bytes().to_vec();
        body.extend(head);
        body.extend(self.classifier.forest().to_bytes());
        let digest = Sha256::digest(&body);
        [MAGIC.as_slice(), &body, digest.as_slice()].concat()
    }

    fn assemble(
        manifest: Manifest,
        pipeline: Pipeline,
        patterns: Patterns,
        baseline: Baseline,
        forest: Forest,
    ) -> Result<Self> {
        pipeline.validate()?;
        if forest.trees() != manifest.trees || forest.classes() != FailureClass::ALL.len() {
            return Err(Error::ModelInvalid(format!(
                "the manifest says {} trees, the forest has {}",
                manifest.trees,
                forest.trees()
            )));
        }
        let classifier = Classifier::new(forest, manifest.calibration)?;
        Ok(Self { manifest, pipeline, patterns, classifier, baseline })
    }

    /// The `verdict` as programs see it.
    #[must_use]
    pub fn public<'a>(&'a self, verdict: &'a Verdict) -> PublicVerdict<'a> {
        PublicVerdict::of(verdict, &self.manifest.model_version)
    }

    /// The JSON of [`ModelBundle::public`].
    #[must_use]
    pub fn public_json(&self, verdict: &Verdict) -> serde_json::Value {
        serde_json::json!(self.public(verdict))
    }

    /// The cells of the drift histograms that `verdict` falls into.
    #[must_use]
    pub fn drift_cells(&self, verdict: &Verdict) -> Vec<(String, u32)> {
        self.baseline.cells(verdict, &self.pipeline.tfidf)
    }
}

// === impl Manifest ===

impl Manifest {
    fn validate(&self) -> Result<()> {
        if self.feature_count != WIDTH {
            return Err(Error::ModelInvalid(format!(
                "{} features, this build has {WIDTH}",
                self.feature_count
            )));
        }
        let blocks = BLOCKS.iter().map(|block| format!("{} {}", block.name, block.width));
        if !self.feature_order.iter().cloned().eq(blocks) {
            return Err(Error::ModelInvalid("its feature order is not the one of this build".into()));
        }
        if !self.classes.iter().map(String::as_str).eq(FailureClass::ALL.iter().map(|class| class.name())) {
            return Err(Error::ModelInvalid("its classes are not the ten of this build, in order".into()));
        }
        Ok(())
    }

    #[cfg(feature = "onnx")]
    fn check_file(&self, name: &str, bytes: &[u8]) -> Result<()> {
        match self.files.get(name) {
            Some(expected) if *expected == hex_digest(bytes) => Ok(()),
            Some(_) => Err(Error::ModelInvalid(format!("{name} is not the file the manifest lists"))),
            None => Err(Error::ModelInvalid(format!("the manifest does not list {name}"))),
        }
    }
}

/// SHA-256 in lower-case hexadecimal.
#[must_use]
pub fn hex_digest(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes))
}

fn parse<T: serde::de::DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| Error::ModelInvalid(format!("{name}: {error}")))
}
