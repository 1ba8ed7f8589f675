//! Fails with an instruction when the compiled model does not exist yet.

use std::path::PathBuf;

fn main() {
    // At run time, not at compile time: checkouts that share an output folder share this program.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let bundle = package.expect("cargo tells where the package is").join("../models/failure/compiled.bundle");
    println!("cargo:rerun-if-changed={}", bundle.display());
    assert!(
        bundle.exists(),
        "models/failure/compiled.bundle is made from model.onnx at build time: run `cargo xtask bundle`"
    );
}
