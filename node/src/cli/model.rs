//! `sentinel model`: shows, compiles, signs and uploads failure models, and chooses the one that a worker serves.

use crate::learn::failure_model;
use crate::operate::worker_api::Worker;
use crate::review::model::ReviewModel;
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use sentinel_shared::api::models::{PromoteRequest, Registry, Serving};
use sentinel_shared::artifact::signed::{PrivateKey, PublicKeys, SIGNED_LIMIT_BYTES};
use sentinel_shared::hex;
use sentinel_shared::text::{printed, printed_json};
use serde::Serialize;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Show, compile or sign a failure model, and choose the one that a worker serves.
#[derive(Debug, Args)]
#[command(
    after_help = "A model from training to traffic:\n  sentinel model keygen --out model.key         # once; \
                  put the printed public key into SENTINEL_MODEL_PUBLIC_KEYS\n  sentinel model sign --model DIR \
                  --key model.key --out model.signed\n  sentinel model push model.signed --url https://sentinel.example.workers.dev\n  \
                  sentinel model promote lgbm_v3.3 --url https://sentinel.example.workers.dev"
)]
pub(super) struct Model {
    /// The folder of another model (manifest.json, features.json, patterns.toml, drift.json, model.onnx).
    #[arg(long, global = true)]
    model: Option<PathBuf>,
    #[command(subcommand)]
    action: ModelAction,
}

#[derive(Debug, Subcommand)]
enum ModelAction {
    /// Print the manifest as JSON.
    Show,
    /// Translate the ONNX file into the checked form that the worker embeds.
    Compile {
        /// The file to write the bundle to.
        #[arg(long)]
        out: PathBuf,
    },
    /// Create a key pair. The private key goes to a new file; the public key is printed.
    Keygen {
        /// The file for the private key. It must not exist yet.
        #[arg(long)]
        out: PathBuf,
    },
    /// Sign a model: compile and sign a failure model for `push`, or put manifest.sig into the folder of a review model
    /// for `sentinel serve --model`.
    Sign {
        /// The file with the private key.
        #[arg(long)]
        key: PathBuf,
        /// The file to write the signed bundle of a failure model to.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Check a signed bundle as a worker does, and print its manifest.
    Verify {
        /// The file with the signed bundle.
        file: PathBuf,
        /// The public keys that may sign models, comma-separated.
        #[arg(long, env = "SENTINEL_MODEL_PUBLIC_KEYS")]
        public_keys: String,
    },
    /// Upload a signed bundle as a candidate.
    Push {
        /// The file with the signed bundle.
        file: PathBuf,
        #[command(flatten)]
        worker: Worker,
    },
    /// Make an uploaded version serve, from the next request on.
    Promote {
        /// The version to promote, as `sentinel model registry` shows it.
        version: String,
        #[command(flatten)]
        worker: Worker,
    },
    /// Serve the model again that served before the last change.
    Rollback {
        #[command(flatten)]
        worker: Worker,
    },
    /// List the uploaded models and every change of the serving one.
    Registry {
        #[command(flatten)]
        worker: Worker,
    },
}

impl Model {
    pub(super) fn run(self) -> Result<()> {
        let directory = self.model.as_deref();
        match self.action {
            ModelAction::Show => {
                stdout!(
                    "{}",
                    printed_json(&serde_json::to_string_pretty(&failure_model::load(directory)?.manifest)?)
                );
                Ok(())
            }
            ModelAction::Compile { out } => {
                let (version, bundle) = compiled(directory)?;
                std::fs::write(&out, &bundle).with_context(|| format!("writing {}", out.display()))?;
                stderr!("{}: {} bytes in {}", printed(&version), bundle.len(), out.display());
                Ok(())
            }
            ModelAction::Keygen { out } => keygen(&out),
            ModelAction::Sign { key, out } => {
                let text =
                    std::fs::read_to_string(&key).with_context(|| format!("reading {}", key.display()))?;
                sign(directory, &PrivateKey::parse(&text)?, out.as_deref())
            }
            ModelAction::Verify { file, public_keys } => {
                let signed = read_signed(&file)?;
                let bundle = PublicKeys::parse(&public_keys)?.verify(&signed)?.load()?;
                stdout!("{}", printed_json(&serde_json::to_string_pretty(&bundle.manifest)?));
                Ok(())
            }
            ModelAction::Push { file, worker } => print(&worker.push(&read_signed(&file)?)?),
            ModelAction::Promote { version, worker } => {
                let change = PromoteRequest { version: Some(version) };
                print(&worker.post::<Serving>("/api/models/promote", &change)?)
            }
            ModelAction::Rollback { worker } => print(&worker.post::<Serving>("/api/models/rollback", &())?),
            ModelAction::Registry { worker } => print(&worker.get::<Registry>("/api/registry")?),
        }
    }
}

/// The version and compiled form of the model in `directory`, its forest compared with the ONNX file.
fn compiled(directory: Option<&Path>) -> Result<(String, Vec<u8>)> {
    let bundle = failure_model::load(directory)?;
    failure_model::check_translation(&bundle, directory)?;
    Ok((bundle.manifest.model_version.clone(), bundle.to_bytes()))
}

fn sign(directory: Option<&Path>, key: &PrivateKey, out: Option<&Path>) -> Result<()> {
    if let Some(directory) = directory.filter(|directory| ReviewModel::is_in(directory)) {
        let version = ReviewModel::sign(directory, key)?;
        stderr!("{}: signed, manifest.sig in {}", printed(&version), directory.display());
        return Ok(());
    }
    let out = out.context("--out must name the file for the signed bundle of a failure model")?;
    let (version, bundle) = compiled(directory)?;
    let signed = key.sign(&bundle);
    std::fs::write(out, &signed).with_context(|| format!("writing {}", out.display()))?;
    stderr!("{}: signed, {} bytes in {}", printed(&version), signed.len(), out.display());
    Ok(())
}

fn keygen(out: &Path) -> Result<()> {
    let seed: [u8; 32] = rand::random();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    // Elsewhere the folder's own rights decide who may read it.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(out).with_context(|| format!("creating {}", out.display()))?;
    writeln!(file, "{}", hex::encode(&seed))?;
    stderr!("the private key is in {}; the public key:", out.display());
    stdout!("{}", PrivateKey::from_seed(&seed).public());
    Ok(())
}

fn read_signed(file: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    if bytes.len() > SIGNED_LIMIT_BYTES {
        bail!("{} is larger than a signed bundle may be ({SIGNED_LIMIT_BYTES} bytes)", file.display());
    }
    Ok(bytes)
}

fn print(answer: &impl Serialize) -> Result<()> {
    stdout!("{}", printed_json(&serde_json::to_string_pretty(answer)?));
    Ok(())
}
