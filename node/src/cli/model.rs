//! `sentinel model`: what a model is, its compiled and signed forms, and which one a worker serves.

use crate::model;
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use sentinel_shared::artifact::signed::{PrivateKey, PublicKeys, SIGNED_LIMIT_BYTES};
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a worker may take to check and store a bundle.
const DEADLINE: Duration = Duration::from_secs(60);

/// Show, compile or sign a failure model, and choose which one a worker serves.
#[derive(Debug, Args)]
#[command(
    after_help = "A model from training to traffic:\n  sentinel model keygen --out model.key         # once; \
                  put the printed public key into SENTINEL_MODEL_PUBLIC_KEYS\n  sentinel model sign --model DIR \
                  --key model.key --out model.signed\n  sentinel model push model.signed --url https://sentinel.example.workers.dev\n  \
                  sentinel model promote lgbm_v3.3 --url https://sentinel.example.workers.dev"
)]
pub(super) struct Model {
    /// Directory of another model (manifest.json, features.json, patterns.toml, drift.json, model.onnx).
    #[arg(long, global = true)]
    model: Option<PathBuf>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print the manifest as JSON.
    Show,
    /// Translate the ONNX file once, natively, into the checked form the worker embeds.
    Compile {
        /// Where to write the bundle.
        #[arg(long)]
        out: PathBuf,
    },
    /// Make a key pair: the private key goes to a new file, the public one is printed.
    Keygen {
        /// The private key's file; must not exist.
        #[arg(long)]
        out: PathBuf,
    },
    /// Compile and sign the model, for `push`.
    Sign {
        /// The private key's file.
        #[arg(long)]
        key: PathBuf,
        /// Where to write the signed bundle.
        #[arg(long)]
        out: PathBuf,
    },
    /// Check a signed bundle as a worker does, and print its manifest.
    Verify {
        /// The signed bundle.
        file: PathBuf,
        /// Trusted keys, comma-separated.
        #[arg(long, env = "SENTINEL_MODEL_PUBLIC_KEYS")]
        public_keys: String,
    },
    /// Upload a signed bundle as a candidate.
    Push {
        /// The signed bundle.
        file: PathBuf,
        #[command(flatten)]
        worker: Worker,
    },
    /// Make an uploaded version serve, from the next request on.
    Promote {
        /// The version.
        version: String,
        #[command(flatten)]
        worker: Worker,
    },
    /// Make serve again what served before the last change.
    Rollback {
        #[command(flatten)]
        worker: Worker,
    },
    /// List what was uploaded, and every change of what serves.
    Registry {
        #[command(flatten)]
        worker: Worker,
    },
}

/// Where a worker is, and who asks.
#[derive(Debug, Args)]
struct Worker {
    /// The worker's address.
    #[arg(long, env = "SENTINEL_URL")]
    url: String,
    /// Its API key.
    #[arg(long, env = "SENTINEL_API_KEY", hide_env_values = true)]
    api_key: String,
    /// Your name, for the audit.
    #[arg(long, env = "USER", default_value = "cli")]
    author: String,
}

impl Model {
    pub(super) fn run(self) -> Result<()> {
        let directory = self.model.as_deref();
        match self.action {
            Action::Show => {
                println!("{}", serde_json::to_string_pretty(&model::load(directory)?.manifest)?);
                Ok(())
            }
            Action::Compile { out } => {
                let (version, bundle) = compiled(directory)?;
                std::fs::write(&out, &bundle).with_context(|| format!("writing {}", out.display()))?;
                eprintln!("{version}: {} bytes in {}", bundle.len(), out.display());
                Ok(())
            }
            Action::Keygen { out } => keygen(&out),
            Action::Sign { key, out } => {
                let text =
                    std::fs::read_to_string(&key).with_context(|| format!("reading {}", key.display()))?;
                let (version, bundle) = compiled(directory)?;
                let signed = PrivateKey::parse(&text)?.sign(&bundle);
                std::fs::write(&out, &signed).with_context(|| format!("writing {}", out.display()))?;
                eprintln!("{version}: signed, {} bytes in {}", signed.len(), out.display());
                Ok(())
            }
            Action::Verify { file, public_keys } => {
                let signed = read_signed(&file)?;
                let bundle = PublicKeys::parse(&public_keys)?.verify(&signed)?.load()?;
                println!("{}", serde_json::to_string_pretty(&bundle.manifest)?);
                Ok(())
            }
            Action::Push { file, worker } => worker.push(&read_signed(&file)?),
            Action::Promote { version, worker } => {
                let change = json!({ "version": version, "author": worker.author });
                worker.post("/api/models/promote", "application/json", change.to_string().as_bytes())
            }
            Action::Rollback { worker } => {
                let change = json!({ "author": worker.author });
                worker.post("/api/models/rollback", "application/json", change.to_string().as_bytes())
            }
            Action::Registry { worker } => worker.show("/api/registry"),
        }
    }
}

/// The version and compiled form of the model in `directory`, its forest compared with the ONNX file.
fn compiled(directory: Option<&Path>) -> Result<(String, Vec<u8>)> {
    let bundle = model::load(directory)?;
    model::check_translation(&bundle, directory)?;
    Ok((bundle.manifest.model_version.clone(), bundle.to_bytes()))
}

fn keygen(out: &Path) -> Result<()> {
    let seed: [u8; 32] = rand::random();
    let hexadecimal: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(out)
        .with_context(|| format!("creating {}", out.display()))?;
    writeln!(file, "{hexadecimal}")?;
    eprintln!("the private key is in {}; the public key:", out.display());
    println!("{}", PrivateKey::from_seed(&seed).public());
    Ok(())
}

fn read_signed(file: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    if bytes.len() > SIGNED_LIMIT_BYTES {
        bail!("{} is larger than a signed bundle may be ({SIGNED_LIMIT_BYTES} bytes)", file.display());
    }
    Ok(bytes)
}

// === impl Worker ===

impl Worker {
    fn push(&self, signed: &[u8]) -> Result<()> {
        let author: String = url_encoded(&self.author);
        self.post(&format!("/api/models?author={author}"), "application/octet-stream", signed)
    }

    fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Result<()> {
        let request = agent().post(self.address(path));
        let request = request.header("x-api-key", &self.api_key).header("content-type", content_type);
        print(request.send(body))
    }

    fn show(&self, path: &str) -> Result<()> {
        print(agent().get(self.address(path)).header("x-api-key", &self.api_key).call())
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.url.trim_end_matches('/'))
    }
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(DEADLINE));
    config.build().new_agent()
}

/// Prints the worker's JSON, or fails with what its problem document says.
fn print(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<()> {
    let mut answer = answer.context("asking the worker")?;
    let status = answer.status();
    let body: Value = answer.body_mut().read_json().context("the worker did not answer in JSON")?;
    if !status.is_success() {
        bail!("the worker answered {status}: {}", body["detail"].as_str().unwrap_or("no reason given"));
    }
    println!("{}", serde_json::to_string_pretty(&body)?);
    Ok(())
}

fn url_encoded(text: &str) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes()
        .map(|byte| if is_plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
