//! Builds the native programs, the compiled model and the worker.

use crate::tools::{Tools, chromium, promtool};
use crate::{cargo, root, run, step, target};
use anyhow::{Context, Result, ensure};
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Cloudflare's free plan accepts 3 MB. The limit is lower, to leave room.
const BUNDLE_LIMIT_BYTES: usize = 2_500_000;
/// The options that worker-build gives wasm-opt.
const WASM_OPT: [&str; 1] = ["-O"];

/// The programs that the local stack and the tests start.
pub(crate) struct Programs {
    pub(crate) sentinel: PathBuf,
    pub(crate) demo: PathBuf,
    pub(crate) worker: PathBuf,
    pub(crate) tools: Tools,
}

#[derive(Clone, Copy, PartialEq)]
enum Size {
    /// A build without wasm-opt, which takes minutes.
    Quick,
    Optimised,
}

impl Programs {
    /// Builds everything that `dev` and `test` need.
    pub(crate) fn for_development() -> Result<Self> {
        Self::build(Size::Quick)
    }

    /// Builds the same with the worker as it is deployed, for measuring.
    pub(crate) fn for_measuring() -> Result<Self> {
        Self::build(Size::Optimised)
    }

    fn build(size: Size) -> Result<Self> {
        let tools = Tools::ensure()?;
        let target = native()?;
        let worker = worker(&tools, size)?;
        Ok(Self { sentinel: target.join("sentinel"), demo: target.join("demo"), worker, tools })
    }

    /// A command with the variables from which `tests/support/stack.rs` learns where everything is.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(root())
            .env("SENTINEL_BIN", &self.sentinel)
            .env("SENTINEL_TOOLS", &self.tools.node)
            .env("ORT_DYLIB_PATH", &self.tools.onnxruntime)
            .env("SENTINEL_TEST_PYTHON", &self.tools.test_python)
            .env("SENTINEL_WORKER", &self.worker)
            .env("SENTINEL_PACKAGE", package_folder());
        if let Ok(target) = target() {
            command.env("CARGO_TARGET_DIR", target);
        }
        if let Some(chromium) = chromium() {
            command.env("CHROMIUM", chromium);
        }
        if let Some(promtool) = promtool() {
            command.env("PROMTOOL", promtool);
        }
        command
    }
}

/// Builds the native programs and tests in one go, so that each dependency is compiled once.
fn native() -> Result<PathBuf> {
    step("building the native programs");
    run(cargo()?.args(["build", "--all-targets"]))?;
    Ok(target()?.join("debug"))
}

/// Translates the model natively and checks it, if a source is newer than the translation.
fn compiled_model(sentinel: &Path) -> Result<()> {
    let folder = root().join("models/failure");
    let bundle = folder.join("compiled.bundle");
    let modified = |path: &Path| path.metadata().and_then(|data| data.modified()).ok();
    let sources = ["manifest.json", "features.json", "patterns.toml", "drift.json", "model.onnx"]
        .map(|name| folder.join(name));
    let newest = sources.iter().map(|path| modified(path)).chain([modified(sentinel)]).max().flatten();
    if modified(&bundle) >= newest && bundle.exists() {
        return Ok(());
    }
    step("translating the ONNX model into its compiled form");
    run(Command::new(sentinel).args(["model", "compile", "--out"]).arg(&bundle))
}

/// Builds the worker and the npm package's wasm in one build, so that tract is compiled once.
fn worker(tools: &Tools, size: Size) -> Result<PathBuf> {
    let target = target()?;
    compiled_model(&target.join("debug/sentinel"))?;
    let name = if size == Size::Optimised { "build" } else { "build-quick" };
    let out = root().join("edge").join(name);
    step(if size == Size::Optimised {
        "building the worker (wasm-opt takes some minutes)"
    } else {
        "building the worker"
    });
    let compile = ["build", "--lib", "--profile", "wasm", "--target", "wasm32-unknown-unknown"];
    run(cargo()?.args(compile).args(["-p", "sentinel-edge", "-p", "sentinel-wasm"]))?;
    let wasm = target.join("wasm32-unknown-unknown/wasm/sentinel_edge.wasm");
    let stamp = out.join("stamp");
    let built_from = wasm.metadata().and_then(|data| data.modified()).context("the worker's wasm")?;
    if stamp.metadata().and_then(|data| data.modified()).is_ok_and(|stamped| stamped >= built_from) {
        return Ok(out);
    }
    let mut command = Command::new(&tools.worker_build);
    command
        .current_dir(root())
        .env("CARGO_TARGET_DIR", &target)
        .env("WASM_BINDGEN_BIN", &tools.wasm_bindgen)
        .env("WASM_OPT_BIN", tools.node_bin("wasm-opt"))
        .env("ESBUILD_BIN", tools.node_bin("esbuild"))
        .args(["--profile", "wasm", "--out-dir", name]);
    if size == Size::Quick {
        command.arg("--no-opt");
    }
    run(command.args(["edge", "-p", "sentinel-edge", "-p", "sentinel-wasm"]))?;
    if size == Size::Optimised {
        without_names(tools, &out.join("index_bg.wasm"))?;
    }
    package(tools, &target, size)?;
    std::fs::write(stamp, "")?;
    Ok(out)
}

/// Takes the names of functions out, which worker-build keeps: a tenth of what a cold isolate loads. A panic tells its file and
/// line without them.
fn without_names(tools: &Tools, wasm: &Path) -> Result<()> {
    run(Command::new(tools.node_bin("wasm-opt")).arg(wasm).args(["--strip-producers", "-o"]).arg(wasm))
}

/// The folder in which the npm package is put together.
fn package_folder() -> PathBuf {
    root().join("wasm-pkg/dist")
}

/// Puts the npm package together, and copies the playground's part to the folder that the worker serves files from.
fn package(tools: &Tools, target: &Path, size: Size) -> Result<()> {
    let (sources, out) = (root().join("wasm-pkg/npm"), package_folder());
    let mut bindgen = Command::new(&tools.wasm_bindgen);
    bindgen.arg(target.join("wasm32-unknown-unknown/wasm/sentinel_wasm.wasm"));
    run(bindgen.args(["--target", "web", "--no-typescript", "--out-dir"]).arg(&out))?;
    let wasm = out.join("sentinel_wasm_bg.wasm");
    if size == Size::Optimised {
        run(Command::new(tools.node_bin("wasm-opt")).arg(&wasm).args(WASM_OPT).arg("-o").arg(&wasm))?;
    }
    for file in [
        "package.json",
        "README.md",
        "index.d.ts",
        "archive.js",
        "browser.js",
        "classifier.js",
        "node.js",
        "worker.js",
    ] {
        std::fs::copy(sources.join(file), out.join(file)).with_context(|| format!("copying {file}"))?;
    }
    std::fs::copy(root().join("LICENSE"), out.join("LICENSE")).context("copying the licence")?;
    std::fs::copy(root().join("models/failure/compiled.bundle"), out.join("model.bin"))?;
    let public = root().join("edge/public/classifier");
    std::fs::create_dir_all(&public)?;
    for file in [
        "archive.js",
        "browser.js",
        "classifier.js",
        "sentinel_wasm.js",
        "sentinel_wasm_bg.wasm",
        "model.bin",
    ] {
        std::fs::copy(out.join(file), public.join(file)).with_context(|| format!("copying {file}"))?;
    }
    Ok(())
}

/// Builds the npm package as it is published, and packs it.
pub(crate) fn pack() -> Result<()> {
    let programs = Programs::for_measuring()?;
    // Whichever worker was built last, the package is the small one.
    package(&programs.tools, &target()?, Size::Optimised)?;
    let folder = package_folder();
    run(Command::new("npm").current_dir(&folder).args(["pack", "--pack-destination"]).arg(target()?))
}

/// Builds what `wrangler deploy` uploads, and checks its size.
pub(crate) fn bundle() -> Result<usize> {
    let programs = Programs::for_measuring()?;
    let mut total = 0;
    for entry in std::fs::read_dir(&programs.worker)? {
        let path = entry?.path();
        if !matches!(path.extension().and_then(OsStr::to_str), Some("js" | "wasm")) {
            continue;
        }
        let bytes = std::fs::read(&path)?;
        let gzipped = gzip_size(&bytes)?;
        total += gzipped;
        println!(
            "{:<20} {:>9} bytes, {gzipped:>9} gzip",
            path.file_name().unwrap_or_default().display(),
            bytes.len()
        );
    }
    let model = std::fs::read(root().join("models/failure/compiled.bundle"))?;
    println!("bundle {total} bytes gzip, model included ({} gzip)", gzip_size(&model)?);
    ensure!(total <= BUNDLE_LIMIT_BYTES, "the bundle is over its limit of {BUNDLE_LIMIT_BYTES} bytes gzip");
    Ok(total)
}

fn gzip_size(bytes: &[u8]) -> Result<usize> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len())
}
