//! Says what to do when the compiled model is not there yet.

fn main() {
    let bundle = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/failure/compiled.bundle");
    println!("cargo:rerun-if-changed={bundle}");
    assert!(
        std::path::Path::new(bundle).exists(),
        "models/failure/compiled.bundle is made from model.onnx at build time: run `cargo xtask bundle`"
    );
}
