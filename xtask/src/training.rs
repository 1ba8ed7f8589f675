//! The Python of `training/`: its environment, and what must pass of it.

use crate::root;
use crate::tools::{digest, python_environment};
use anyhow::Result;
use std::path::PathBuf;

/// A Python with the packages of these extras of `training/pyproject.toml`; another one whenever that file changes.
pub(crate) fn python(extras: &str) -> Result<PathBuf> {
    let folder = root().join("training");
    let wanted = [std::fs::read(folder.join("pyproject.toml"))?, extras.as_bytes().to_vec()].concat();
    let name = format!("python-training-{}", digest(&wanted));
    let about = format!("installing the training's Python packages: {extras} (once)");
    python_environment(&name, &about, |pip| {
        pip.arg(format!("{}[{extras}]", folder.display()));
    })
}
