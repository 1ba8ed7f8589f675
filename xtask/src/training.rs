//! The Python of `training/`: its environment, and what must pass of it.

use crate::tools::{digest, python_environment};
use crate::{root, run, step};
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Without torch, of which PyPI has no build small enough: what needs it is skipped, and says so.
const CHECKED: &str = "failure,hunks,card,check";

/// Ruff, mypy, and the tests; of these one re-trains a small model with `sentinel`.
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
