//! Installs the Python of `training/` and runs its checks.

use crate::tools::{digest, python_environment};
use crate::{root, run, step};
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The extras that CI installs. They leave out torch, because PyPI has no small build; tests that need it are skipped
/// and say so.
const CHECKED: &str = "failure,hunks,card,check";

/// Runs ruff, mypy and the tests, of which one trains a small model with `sentinel`.
pub(crate) fn check(sentinel: &Path) -> Result<()> {
    let python = python(CHECKED)?;
    step("the training: ruff, mypy, tests");
    let called = |arguments: &[&str]| {
        let mut command = Command::new(&python);
        command.current_dir(root().join("training")).arg("-m").args(arguments);
        command
    };
    run(&mut called(&["ruff", "check", "."]))?;
    run(&mut called(&["mypy"]))?;
    let mut tests = called(&["unittest", "discover", "--verbose", "tests"]);
    tests
        .env("PYTHONPATH", root().join("training"))
        .env("SENTINEL_BINARY", sentinel)
        .env("OMP_NUM_THREADS", "1");
    run(&mut tests)
}

/// A Python environment with these extras of `training/pyproject.toml`. It is created again if that file changes.
pub(crate) fn python(extras: &str) -> Result<PathBuf> {
    let folder = root().join("training");
    let wanted = [std::fs::read(folder.join("pyproject.toml"))?, extras.as_bytes().to_vec()].concat();
    let name = format!("python-training-{}", digest(&wanted));
    let about = format!("installing the training's Python packages: {extras} (once)");
    python_environment(&name, &about, |pip| {
        pip.arg(format!("{}[{extras}]", folder.display()));
    })
}
