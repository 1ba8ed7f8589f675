//! ONNX Runtime: finds its library, chooses the execution provider, and keeps a pool of sessions.
//!
//! This is the only file that names `ort`. The library is loaded at run time, so one binary serves machines with and
//! without a GPU. Only a trial shows what a machine can do: `is_available` reports what the library was built with, not
//! what the machine has.

use super::{Backend, Batch, Logits, MakeSession, Sequence};
use crate::review::model::ReviewModel;
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use ort::environment::Environment;
use ort::ep::{CPU, CUDA, CoreML, ExecutionProvider};
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, PrepackedWeights, SessionBuilder};
use ort::value::TensorRef;
use std::borrow::Cow;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tracing::{info, warn};

/// The version that `cargo xtask` downloads, and the name of its folder in the cache.
pub const VERSION: &str = "1.31.1";

/// The hardware that may run the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Provider {
    /// The first of CUDA, CoreML and CPU that works on this machine.
    Auto,
    /// An NVIDIA GPU, with CUDA.
    Cuda,
    /// Apple's GPU and neural engine, with Core ML.
    Coreml,
    /// The CPU, on every machine.
    Cpu,
}

/// The options for making sessions.
#[derive(Debug, Clone)]
pub struct BackendOptions {
    /// The provider, or `Auto` to choose one.
    pub provider: Provider,
    /// The number of sessions; None for one per core on a CPU, two on a GPU.
    pub sessions: Option<usize>,
    /// The path of `libonnxruntime`; None to search for it.
    pub library: Option<PathBuf>,
}

/// Sessions that are loaded and warm.
pub struct Pool {
    /// The sessions. Each runs one batch at a time.
    pub sessions: Vec<Box<dyn Backend>>,
    /// Makes another session like them.
    pub another: MakeSession,
    /// The hardware that the sessions run on.
    pub provider: Provider,
}

/// The parts that every session is made from.
struct Recipe {
    environment: Environment,
    onnx: Cow<'static, [u8]>,
    provider: Provider,
    /// The weights, packed once for all sessions. A second session costs only its working memory.
    weights: PrepackedWeights,
}

struct OrtSession {
    session: Session,
    ids: Vec<i64>,
    mask: Vec<i64>,
}

// === impl Pool ===

impl Pool {
    /// Loads the model on the first provider that works, and runs each session once.
    ///
    /// # Errors
    /// No library, a provider that was asked for by name and does not work, or a model that does not load.
    pub fn load(model: &ReviewModel, options: &BackendOptions) -> Result<Self> {
        let library = library(options.library.as_deref())?;
        let environment = ort::init_from(&library)
            .with_context(|| format!("loading {}", library.display()))?
            .with_name("sentinel")
            .with_telemetry(false)
            .build()
            .context("starting ONNX Runtime")?;
        let providers: &[Provider] = match options.provider {
            Provider::Auto if cfg!(target_os = "macos") => &[Provider::Coreml, Provider::Cpu],
            Provider::Auto => &[Provider::Cuda, Provider::Cpu],
            Provider::Cuda => &[Provider::Cuda],
            Provider::Coreml => &[Provider::Coreml],
            Provider::Cpu => &[Provider::Cpu],
        };
        let mut reasons = Vec::new();
        for provider in providers {
            let count = options.sessions.unwrap_or_else(|| provider.sessions());
            let recipe = Recipe {
                environment: environment.clone(),
                onnx: model.onnx.clone(),
                provider: *provider,
                weights: PrepackedWeights::new(),
            };
            match recipe.sessions(count) {
                Ok(sessions) => {
                    info!(provider = provider.label(), sessions = count, library = %library.display(), "backend.ready");
                    let another = Arc::new(move || Ok(Box::new(recipe.session()?) as _));
                    return Ok(Self { sessions, another, provider: *provider });
                }
                Err(error) => {
                    warn!(provider = provider.label(), "backend.unavailable: {error:#}");
                    reasons.push(format!("{}: {error:#}", provider.label()));
                }
            }
        }
        bail!("the review model runs on no provider: {}", reasons.join("; "))
    }
}

impl Provider {
    /// The name in logs and on metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cuda => "cuda",
            Self::Coreml => "coreml",
            Self::Cpu => "cpu",
        }
    }

    fn sessions(self) -> usize {
        match self {
            // A second one copies its input while the first computes.
            Self::Cuda | Self::Coreml => 2,
            // One core each: two cores on one sequence of this size gain less than two sequences.
            Self::Auto | Self::Cpu => std::thread::available_parallelism().map_or(1, usize::from),
        }
    }

    fn register(self, builder: &mut SessionBuilder) -> ort::Result<()> {
        match self {
            Self::Cuda => CUDA::default().register(builder),
            Self::Coreml => CoreML::default().register(builder),
            Self::Auto | Self::Cpu => CPU::default().register(builder),
        }
    }
}

// === impl Recipe ===

impl Recipe {
    fn sessions(&self, count: usize) -> Result<Vec<Box<dyn Backend>>> {
        std::thread::scope(|scope| {
            let starting: Vec<_> = (0..count.max(1)).map(|_| scope.spawn(|| self.session())).collect();
            let joined = starting.into_iter().map(|session| session.join());
            joined
                .map(|session| Ok(Box::new(session.unwrap_or_else(|panic| resume_unwind(panic))?) as _))
                .collect()
        })
    }

    fn session(&self) -> Result<OrtSession> {
        let mut builder = Session::builder(&self.environment)?
            .with_optimization_level(GraphOptimizationLevel::Level3)
            .map_err(ort::Error::<()>::from)?
            .with_intra_threads(1)
            .map_err(ort::Error::<()>::from)?
            .with_prepacked_weights(&self.weights)
            .map_err(ort::Error::<()>::from)?;
        self.provider.register(&mut builder)?;
        let session = builder.commit_from_memory(&self.onnx).context("loading the review model")?;
        let mut session = OrtSession { session, ids: Vec::new(), mask: Vec::new() };
        // The first run allocates, and on a GPU chooses its kernels.
        session.warm_up().context("running the review model once")?;
        Ok(session)
    }
}

// === impl OrtSession ===

impl OrtSession {
    fn warm_up(&mut self) -> Result<()> {
        let row = Sequence { ids: vec![2; 64], added_at: vec![1] };
        self.run(&Batch { rows: vec![row.into()] }).map(drop)
    }
}

impl Backend for OrtSession {
    fn run(&mut self, batch: &Batch) -> Result<Vec<Logits>> {
        let (rows, length) = (batch.rows.len(), batch.length());
        self.ids.clear();
        self.mask.clear();
        for row in &batch.rows {
            let padding = length - row.ids.len();
            self.ids.extend(row.ids.iter().map(|id| i64::from(*id)).chain(std::iter::repeat_n(0, padding)));
            self.mask.extend(std::iter::repeat_n(1, row.ids.len()).chain(std::iter::repeat_n(0, padding)));
        }
        let shape = [rows, length];
        let outputs = self.session.run(ort::inputs![
            "input_ids" => TensorRef::from_array_view((shape, self.ids.as_slice()))?,
            "attention_mask" => TensorRef::from_array_view((shape, self.mask.as_slice()))?,
        ])?;
        let output = |name: &str| {
            let values = outputs.get(name).with_context(|| format!("the model has no output {name}"))?;
            Ok::<_, anyhow::Error>(values.try_extract_tensor::<f32>()?.1)
        };
        let (needs, severity, category) =
            (output("needs_comment")?, output("severity")?, output("category")?);
        let line = output("line")?;
        let logits = batch.rows.iter().enumerate().map(|(at, row)| {
            let of =
                |values: &[f32], width: usize| values.get(at * width..(at + 1) * width).map(<[f32]>::to_vec);
            Some(Logits {
                needs_comment: *needs.get(at)?,
                severity: of(severity, 4)?.try_into().ok()?,
                category: of(category, 12)?.try_into().ok()?,
                lines: row
                    .added_at
                    .iter()
                    .map(|mark| line.get(at * length + mark).copied())
                    .collect::<Option<_>>()?,
            })
        });
        logits.collect::<Option<_>>().context("the model's outputs have other shapes than its manifest says")
    }
}

/// Finds the library: as configured, in `ORT_DYLIB_PATH`, beside this program, or in the cache of `cargo xtask`.
fn library(configured: Option<&Path>) -> Result<PathBuf> {
    let name = if cfg!(target_os = "macos") { "libonnxruntime.dylib" } else { "libonnxruntime.so" };
    if let Some(path) = configured {
        return if path.exists() { Ok(path.to_owned()) } else { bail!("{} does not exist", path.display()) };
    }
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let beside = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.join(name)));
    let cache = variable("SENTINEL_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|cache| cache.join("sentinel")))
        .or_else(|| variable("HOME").map(|home| home.join(".cache/sentinel")))
        .map(|cache| cache.join(format!("onnxruntime-{VERSION}")).join(name));
    let places: Vec<PathBuf> = variable("ORT_DYLIB_PATH").into_iter().chain(beside).chain(cache).collect();
    places.iter().find(|path| path.exists()).cloned().with_context(|| {
        let places: Vec<String> = places.iter().map(|path| path.display().to_string()).collect();
        format!(
            "ONNX Runtime is not installed: looked for {}. `cargo xtask tools` fetches it, or set ORT_DYLIB_PATH",
            places.join(", ")
        )
    })
}
