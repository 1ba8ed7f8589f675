//! `sentinel model`: what the embedded or a given model is, and its compiled form for the worker.

use crate::model;
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Show or compile a failure model.
#[derive(Debug, Args)]
pub(super) struct Model {
    /// Directory of another model (manifest.json, features.json, patterns.toml, model.onnx).
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
}

impl Model {
    pub(super) fn run(self) -> Result<()> {
        let bundle = model::load(self.model.as_deref())?;
        match self.action {
            Action::Show => println!("{}", serde_json::to_string_pretty(&bundle.manifest)?),
            Action::Compile { out } => {
                model::check_translation(&bundle, self.model.as_deref())?;
                let bytes = bundle.to_bytes();
                std::fs::write(&out, &bytes).with_context(|| format!("writing {}", out.display()))?;
                eprintln!("{}: {} bytes in {}", bundle.manifest.model_version, bytes.len(), out.display());
            }
        }
        Ok(())
    }
}
