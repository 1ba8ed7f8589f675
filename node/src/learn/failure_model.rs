//! The failure model that is embedded in this binary, and loading another one in its place.

use anyhow::{Context, Result};
use sentinel_shared::artifact::{ModelBundle, Sources};
use sentinel_shared::classifier::translate;
use std::path::Path;

const MANIFEST: &[u8] = include_bytes!("../../../models/failure/manifest.json");
const FEATURES: &[u8] = include_bytes!("../../../models/failure/features.json");
const PATTERNS: &str = include_str!("../../../models/failure/patterns.toml");
const DRIFT: &[u8] = include_bytes!("../../../models/failure/drift.json");
const ONNX: &[u8] = include_bytes!("../../../models/failure/model.onnx");

/// Loads the bundle in `directory`, or the embedded one.
pub fn load(directory: Option<&Path>) -> Result<ModelBundle> {
    let Some(directory) = directory else {
        let embedded =
            Sources { manifest: MANIFEST, features: FEATURES, patterns: PATTERNS, drift: DRIFT, onnx: ONNX };
        return ModelBundle::from_sources(&embedded).context("the embedded model");
    };
    let read = |name: &str| {
        let path = directory.join(name);
        std::fs::read(&path).with_context(|| format!("reading {}", path.display()))
    };
    let patterns = String::from_utf8(read("patterns.toml")?).context("patterns.toml is not UTF-8")?;
    ModelBundle::from_sources(&Sources {
        manifest: &read("manifest.json")?,
        features: &read("features.json")?,
        patterns: &patterns,
        drift: &read("drift.json")?,
        onnx: &read("model.onnx")?,
    })
    .with_context(|| format!("the model in {}", directory.display()))
}

/// Compares the forest of `bundle`, loaded from `directory`, with tract's own run of the ONNX file.
pub fn check_translation(bundle: &ModelBundle, directory: Option<&Path>) -> Result<()> {
    let onnx = match directory {
        Some(directory) => std::fs::read(directory.join("model.onnx")).context("reading model.onnx")?,
        None => ONNX.to_vec(),
    };
    translate::check(bundle.classifier.forest(), &onnx)
        .context("the translated model differs from the ONNX file")
}
