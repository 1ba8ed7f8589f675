//! `cargo xtask bench node`: `ReviewChunk` under load, next to a TorchScript fp32 model of the same shape behind a
//! Python gRPC server; or next to another build of the node, which needs no Python.
//!
//! All are measured in one run. Requests are bounded in count and time, and everything runs on loopback.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use sentinel_node::review::model::ReviewModel;
use sentinel_node::review::tokenizer::Encoder;
use sentinel_proto::v1::ChunkRequest;
use sentinel_proto::v1::review_service_client::ReviewServiceClient;
use sentinel_shared::diff::parse_patch;
use sentinel_shared::review::language::Language;
use sentinel_tests::stack::{Programs, Server, free_port, work_folder};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tonic::transport::Channel;

const TOKEN: &str = "bench";
/// The model that ships, which has another shape.
const SHIPPED: &str = "node as shipped";
const SHIPPED_MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/review");
const LENGTHS: [usize; 2] = [128, 512];
const CONCURRENCIES: [usize; 3] = [1, 8, 32];
/// The limits of one measurement; the first one that is reached ends it.
const REQUESTS: u64 = 400;
const TIME: Duration = Duration::from_secs(8);
/// The multiplications and additions for one sequence in 6 layers of 512: the layers' weights, then attention.
const WEIGHTS: f64 = 6.0 * 12.0 * 512.0 * 512.0;

/// How often each of two builds is measured, in turns.
const ROUNDS: usize = 4;

/// Measure the node next to the reference, or next to another build of it.
#[derive(Parser)]
#[command(group = clap::ArgGroup::new("beside").required(true))]
struct Bench {
    /// A Python with torch, onnx, onnxruntime, tokenizers, grpcio and grpcio-tools.
    #[arg(long, group = "beside")]
    python: Option<PathBuf>,
    /// Another build of the program `sentinel`.
    #[arg(long, group = "beside")]
    against: Option<PathBuf>,
    /// The folder that keeps exported models between runs.
    #[arg(long)]
    models: Option<PathBuf>,
}

struct Contender {
    name: &'static str,
    server: Server,
    ready_after: Duration,
    authorized: bool,
}

struct Measured {
    per_second: f64,
    p50: f64,
    p99: f64,
    cpu: f64,
}

fn main() -> Result<()> {
    let bench = Bench::parse();
    let programs = Programs::from_env()?;
    let folder = work_folder("bench-node")?;
    match (&bench.python, bench.against) {
        (Some(python), _) => {
            let models = bench.models.unwrap_or_else(|| folder.join("models"));
            beside_reference(&programs, python, &models, &folder)
        }
        (None, Some(sentinel)) => beside_build(&programs, sentinel, &folder),
        (None, None) => anyhow::bail!("name a --python or a build --against which to measure"),
    }
}

/// Measures this build and another one in turns, both with the model that ships.
fn beside_build(programs: &Programs, sentinel: PathBuf, folder: &Path) -> Result<()> {
    let other = Programs { sentinel, ..programs.clone() };
    let model = Path::new(SHIPPED_MODEL);
    let start = |programs: &Programs, name| {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder)?;
        let database = programs.start_database(&folder.join("sentinel.db"), 0, TOKEN)?;
        let node = node(programs, name, model, &folder, &database.url)?;
        anyhow::Ok((node, database))
    };
    let contenders = [start(&other, "the other build")?, start(programs, "this build")?];
    let runtime = runtime()?;
    println!(
        "{:<18}{:>7}{:>6}{:>11}{:>10}{:>10}{:>14}{:>10}{:>9}",
        "", "tokens", "conc.", "chunks/s", "p50 ms", "p99 ms", "CPU s/chunk", "spread", "of other"
    );
    for length in LENGTHS {
        let request = Arc::new(chunk_of(length, model)?);
        for concurrency in CONCURRENCIES {
            let mut rounds = contenders.each_ref().map(|_| Vec::new());
            for _ in 0..ROUNDS {
                for ((contender, _), rounds) in contenders.iter().zip(&mut rounds) {
                    rounds.push(runtime.block_on(measure(contender, &request, concurrency))?);
                }
            }
            let other = mean(&rounds[0], |round| round.cpu);
            for ((contender, _), rounds) in contenders.iter().zip(&rounds) {
                let cpu = mean(rounds, |round| round.cpu);
                let spread = mean(rounds, |round| (round.cpu - cpu).abs()) / cpu;
                println!(
                    "{:<18}{length:>7}{concurrency:>6}{:>11.1}{:>10.1}{:>10.1}{cpu:>14.4}{:>9.0}%{:>9.2}",
                    contender.name,
                    mean(rounds, |round| round.per_second),
                    mean(rounds, |round| round.p50),
                    mean(rounds, |round| round.p99),
                    spread * 100.0,
                    cpu / other
                );
            }
        }
    }
    print_starts(contenders.iter().map(|(contender, _)| contender))
}

fn mean(rounds: &[Measured], of: impl Fn(&Measured) -> f64) -> f64 {
    rounds.iter().map(of).sum::<f64>() / rounds.len() as f64
}

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_multi_thread().worker_threads(1).enable_all().build()?)
}

fn beside_reference(programs: &Programs, python: &Path, models: &Path, folder: &Path) -> Result<()> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/reference.py");
    if !models.join("model.pt").exists() {
        eprintln!("exporting the model in three forms");
        let tokenizer = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/review/tokenizer.json");
        let status = Command::new(python)
            .args([script, "export", "--tokenizer", tokenizer, "--out"])
            .arg(models)
            .stdout(std::process::Stdio::null())
            .status()?;
        ensure!(status.success(), "the export failed");
    }
    let gemm = Command::new(python).args([script, "gemm", "--model"]).arg(models).output()?;
    let gemm: Value = serde_json::from_slice(&gemm.stdout).context("the GEMM rates")?;
    let database = programs.start_database(&folder.join("sentinel.db"), 0, TOKEN)?;
    let contenders = [
        reference(python, script, models, folder)?,
        node(programs, "node fp32", &models.join("fp32"), folder, &database.url)?,
        node(programs, "node int8", &models.join("int8"), folder, &database.url)?,
        node(programs, SHIPPED, Path::new(SHIPPED_MODEL), folder, &database.url)?,
    ];
    let runtime = runtime()?;
    println!(
        "{:<18}{:>7}{:>6}{:>11}{:>10}{:>10}{:>14}{:>9}{:>9}",
        "", "tokens", "conc.", "chunks/s", "p50 ms", "p99 ms", "CPU s/chunk", "of ref.", "of GEMM"
    );
    for length in LENGTHS {
        let request = Arc::new(chunk_of(length, &models.join("int8"))?);
        for concurrency in CONCURRENCIES {
            let mut reference = None;
            for contender in &contenders {
                let measured = runtime.block_on(measure(contender, &request, concurrency))?;
                let reference = reference.get_or_insert(measured.cpu);
                let kind = if contender.name.ends_with("int8") { "int8" } else { "fp32" };
                let flops = 2.0 * (WEIGHTS * length as f64 + 6.0 * 2.0 * (length * length) as f64 * 512.0);
                let share = flops / measured.cpu / 1e9 / gemm[kind].as_f64().unwrap_or(f64::NAN) * 100.0;
                let share = if contender.name == SHIPPED { "–".to_owned() } else { format!("{share:.0}%") };
                println!(
                    "{:<18}{length:>7}{concurrency:>6}{:>11.1}{:>10.1}{:>10.1}{:>14.4}{:>9.2}{share:>9}",
                    contender.name,
                    measured.per_second,
                    measured.p50,
                    measured.p99,
                    measured.cpu,
                    measured.cpu / *reference
                );
            }
        }
    }
    print_starts(&contenders)?;
    println!(
        "\nGEMM of one core, 512 x 512 x 2048: {:.0} GFLOP/s fp32, {:.0} GOP/s int8",
        gemm["fp32"].as_f64().unwrap_or_default(),
        gemm["int8"].as_f64().unwrap_or_default()
    );
    Ok(())
}

fn print_starts<'a>(contenders: impl IntoIterator<Item = &'a Contender>) -> Result<()> {
    println!("\n{:<18}{:>16}{:>16}{:>16}", "", "ready after ms", "resident MB", "peak MB");
    for contender in contenders {
        let (resident, peak) = memory(contender.server.group())?;
        println!("{:<18}{:>16}{resident:>16}{peak:>16}", contender.name, contender.ready_after.as_millis());
    }
    Ok(())
}

fn reference(python: &Path, script: &str, models: &Path, folder: &Path) -> Result<Contender> {
    let port = free_port()?;
    let mut command = Command::new(python);
    command.args([script, "serve", "--port", &port.to_string(), "--model"]).arg(models);
    let starting = Instant::now();
    let server = Server::listening(command, port, &folder.join("reference.log"))?;
    Ok(Contender { name: "reference fp32", server, ready_after: starting.elapsed(), authorized: false })
}

fn node(
    programs: &Programs,
    name: &'static str,
    model: &Path,
    folder: &Path,
    database: &str,
) -> Result<Contender> {
    let vars = [
        ("SENTINEL_NODE_TOKEN", TOKEN.to_owned()),
        ("TURSO_DATABASE_URL", database.to_owned()),
        ("TURSO_AUTH_TOKEN", TOKEN.to_owned()),
        ("GITHUB_TOKEN", "unused".to_owned()),
        ("SENTINEL_REVIEW_MODEL", model.display().to_string()),
        ("SENTINEL_PROVIDER", "cpu".to_owned()),
        ("SENTINEL_LOG", "warn".to_owned()),
    ];
    let starting = Instant::now();
    let server = programs.start_node(&folder.join(name.replace(' ', "-")), 0, &vars)?;
    Ok(Contender { name, server, ready_after: starting.elapsed(), authorized: true })
}

/// A patch of plausible lines that the model reads as about `length` tokens in one piece.
fn chunk_of(length: usize, model: &Path) -> Result<ChunkRequest> {
    let encoder = Encoder::new(&ReviewModel::load(Some(model))?)?;
    let lines = [
        "let mut total = 0;",
        "for (index, value) in values.iter().enumerate() {",
        "    if value.is_empty() { continue; }",
        "    total += weights[index] * value.len();",
        "}",
        "Ok(total)",
    ];
    let patch = |count: usize| {
        let body: String = (0..count).map(|at| format!("+    {}\n", lines[at % lines.len()])).collect();
        format!("@@ -0,0 +1,{count} @@\n{body}")
    };
    let tokens = |count: usize| {
        let text = patch(count);
        let hunks = parse_patch(&text).map_err(anyhow::Error::from)?;
        let pieces: Vec<_> = encoder.pieces("src/sum.rs", Language::Rust, &hunks[0]).collect();
        anyhow::Ok(if pieces.len() == 1 { pieces[0].1.ids.len() } else { usize::MAX })
    };
    let mut count = 1;
    while tokens(count + 1)? <= length {
        count += 1;
    }
    Ok(ChunkRequest {
        repo: "bench/bench".into(),
        // The reference runs exactly as many as the node.
        commit: tokens(count)?.to_string(),
        filename: "src/sum.rs".into(),
        patch: patch(count),
        ..ChunkRequest::default()
    })
}

async fn measure(contender: &Contender, request: &Arc<ChunkRequest>, concurrency: usize) -> Result<Measured> {
    let channel = Channel::from_shared(contender.server.url.clone())?.connect().await?;
    let call = |channel: Channel, request: ChunkRequest| async move {
        let mut request = tonic::Request::new(request);
        request.set_timeout(Duration::from_secs(60));
        if contender.authorized {
            request.metadata_mut().insert("authorization", format!("Bearer {TOKEN}").parse()?);
        }
        ReviewServiceClient::new(channel).review_chunk(request).await?;
        anyhow::Ok(())
    };
    for _ in 0..4 {
        call(channel.clone(), ChunkRequest::clone(request)).await?;
    }
    let left = AtomicU64::new(REQUESTS);
    let cpu = contender.server.cpu_time()?;
    let started = Instant::now();
    let lane = || async {
        let mut latencies = Vec::new();
        while started.elapsed() < TIME
            && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
        {
            let asked = Instant::now();
            call(channel.clone(), ChunkRequest::clone(request)).await?;
            latencies.push(asked.elapsed());
        }
        anyhow::Ok(latencies)
    };
    let lanes = futures_util::future::try_join_all((0..concurrency).map(|_| lane())).await?;
    let elapsed = started.elapsed();
    let spent = contender.server.cpu_time()? - cpu;
    let mut latencies: Vec<Duration> = lanes.into_iter().flatten().collect();
    latencies.sort_unstable();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    Ok(Measured {
        per_second: latencies.len() as f64 / elapsed.as_secs_f64(),
        p50: at(0.5),
        p99: at(0.99),
        cpu: spent.as_secs_f64() / latencies.len() as f64,
    })
}

/// The memory in MB, as (now, peak).
fn memory(process: u32) -> Result<(u64, u64)> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    Ok((field("VmRSS:").unwrap_or(0) / 1024, field("VmHWM:").unwrap_or(0) / 1024))
}
