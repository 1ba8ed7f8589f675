//! `cargo xtask dev`: starts database, fake GitHub, worker and node on loopback, delivers a failed run and prints its
//! verdict.
//!
//! With `--review` it also delivers a pull request and prints its review.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use sentinel_tests::deliver::{self, Delivery};
use sentinel_tests::github::{FakeGithub, Log, Pull, Run, TOKEN};
use sentinel_tests::stack::{Programs, Settings, free_port, work_folder};
use serde_json::Value;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const WEBHOOK_SECRET: &str = "development-webhook-secret";
const API_KEY: &str = "development-api-key";
const DATABASE_TOKEN: &str = "development-database-token";
const NODE_TOKEN: &str = "development-node-token";
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/sample");

/// Start the local stack and deliver the recorded run.
#[derive(Parser)]
struct Demo {
    /// Stop after the verdict. The exit code is 0 only if the dashboard's JSON contains it.
    #[arg(long)]
    once: bool,
    /// Also start a node and deliver a pull request.
    #[arg(long)]
    review: bool,
    /// Keep the database in this folder instead of a temporary one.
    #[arg(long)]
    data: Option<PathBuf>,
    /// The port of the worker; 0 picks a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
}

fn main() -> Result<()> {
    let demo = Demo::parse();
    let started = Instant::now();
    let programs = Programs::from_env()?;
    let folder = match &demo.data {
        Some(folder) => folder.clone(),
        None => work_folder("dev")?,
    };
    std::fs::create_dir_all(&folder)?;
    let github = sample_github()?;
    let database = programs.start_database(&folder.join("sentinel.db"), 0, DATABASE_TOKEN)?;
    println!("database  {}  ({})", database.url, folder.join("sentinel.db").display());
    let node_port = free_port()?;
    let mut vars = vec![
        ("SENTINEL_WEBHOOK_SECRET", WEBHOOK_SECRET.to_owned()),
        ("SENTINEL_API_KEY", API_KEY.to_owned()),
        ("TURSO_DATABASE_URL", database.url.clone()),
        ("TURSO_AUTH_TOKEN", DATABASE_TOKEN.to_owned()),
        ("GITHUB_TOKEN", TOKEN.to_owned()),
        ("GITHUB_API_URL", github.api_url()),
        ("GITHUB_LOG_HOSTS", github.log_host()),
    ];
    let node = if demo.review {
        let node_vars = [
            ("SENTINEL_NODE_TOKEN", NODE_TOKEN.to_owned()),
            ("TURSO_DATABASE_URL", database.url.clone()),
            ("TURSO_AUTH_TOKEN", DATABASE_TOKEN.to_owned()),
            ("GITHUB_TOKEN", TOKEN.to_owned()),
            ("GITHUB_API_URL", github.api_url()),
        ];
        vars.push(("SENTINEL_NODE_URL", format!("http://127.0.0.1:{node_port}")));
        vars.push(("SENTINEL_NODE_TOKEN", NODE_TOKEN.to_owned()));
        let node = programs.start_node(&folder, node_port, &node_vars)?;
        println!(
            "node      {}",
            node.log().lines().find(|line| line.starts_with("listening")).unwrap_or_default()
        );
        Some(node)
    } else {
        None
    };
    let settings = Settings { vars, port: demo.port, ..Settings::default() };
    let worker = programs.start_worker(&folder.join("worker"), &settings)?;
    println!("worker    {}  (after {:.1} s)", worker.url, started.elapsed().as_secs_f32());

    let id = format!("sample-{}", std::process::id());
    replay(&worker.url, &id)?;
    if node.is_some() {
        review(&worker.url, &format!("pull-{id}"), &github)?;
    }
    if demo.once {
        let totals = deliver::get(&worker.url, "/api/dashboard", Some(API_KEY))?;
        ensure!(
            totals.body["inference_count"].as_u64() >= Some(1),
            "the dashboard counts nothing: {}",
            totals.body
        );
        println!("the dashboard counts {} inference(s)", totals.body["inference_count"]);
        return Ok(());
    }
    println!("\nOpen      {}/#key={API_KEY}\nStop      Ctrl-C", worker.url);
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

/// Delivers the recorded run and prints what the dashboard's API says about it.
fn replay(url: &str, id: &str) -> Result<()> {
    let payload = sample("workflow_run.json")?;
    let mut delivery = Delivery::signed("workflow_run", id, &payload, WEBHOOK_SECRET);
    delivery.wait = false;
    let answer = delivery.post(url)?;
    ensure!(answer.status == 202, "the delivery was answered {}: {}", answer.status, answer.body);
    println!(
        "delivery  {} of {} accepted",
        payload["workflow_run"]["id"], payload["repository"]["full_name"]
    );
    let deadline = Instant::now() + Duration::from_secs(30);
    let row = loop {
        let history = deliver::get(url, "/api/history?limit=1", Some(API_KEY))?;
        if let Some(row) = history.body.as_array().and_then(|rows| rows.first()) {
            break row.clone();
        }
        ensure!(Instant::now() < deadline, "no verdict in 30 s: {}", history.body);
        std::thread::sleep(Duration::from_millis(100));
    };
    let line = &row["log_line"];
    println!(
        "verdict   {} ({:.0} %)\n  line {}: {}",
        row["prediction"].as_str().unwrap_or_default(),
        row["confidence"].as_f64().unwrap_or_default() * 100.0,
        line["number"],
        line["text"].as_str().unwrap_or_default()
    );
    for term in row["top_features"].as_array().into_iter().flatten() {
        println!(
            "  {:<24} −{:.2} without it",
            term["term"].as_str().unwrap_or_default(),
            term["drop"].as_f64().unwrap_or_default()
        );
    }
    ensure!(row["evidence"] == "log", "the verdict was made without the log: {row}");
    Ok(())
}

/// Delivers the recorded pull request, and prints its review and what the dashboard says about it.
fn review(url: &str, id: &str, github: &FakeGithub) -> Result<()> {
    let payload = sample("pull_request.json")?;
    let pull = &payload["pull_request"];
    let repository =
        payload["repository"]["full_name"].as_str().context("the sample names its repository")?;
    let (number, head) =
        (pull["number"].as_u64().unwrap_or(0), pull["head"]["sha"].as_str().unwrap_or_default());
    github.open(Pull::new(repository, number, head, &[("src/load.ts", PATCH)]));
    let mut delivery = Delivery::signed("pull_request", id, &payload, WEBHOOK_SECRET);
    delivery.wait = false;
    let started = Instant::now();
    let answer = delivery.post(url)?;
    ensure!(answer.status == 202, "the pull request was answered {}: {}", answer.status, answer.body);
    let location = answer.location.context("a 202 says where the job is")?;
    println!("delivery  pull request {repository}#{number} accepted");
    let deadline = Instant::now() + Duration::from_secs(30);
    let job = loop {
        let job = deliver::get(url, &location, Some(API_KEY))?.body;
        if job["status"] == "done" {
            break job;
        }
        ensure!(Instant::now() < deadline, "no review in 30 s: {job}");
        std::thread::sleep(Duration::from_millis(50));
    };
    let held = github.pull(repository, number);
    println!(
        "review    posted after {} ms, {} comment(s)",
        started.elapsed().as_millis(),
        held.comments.len()
    );
    for comment in &held.comments {
        let line = comment.line.unwrap_or_default();
        println!("  {}:{line}  {}", comment.path, comment.body.lines().next().unwrap_or_default());
    }
    ensure!(held.reviews.len() == 1, "GitHub holds {} reviews", held.reviews.len());
    let lines: Vec<_> = held.comments.iter().map(|comment| comment.line).collect();
    ensure!(lines == [Some(2)], "the comment is on the line of the debugger statement, not on {lines:?}");
    ensure!(job["result"]["findings"][0]["line"] == 2, "the dashboard's JSON has other findings: {job}");
    Ok(())
}

/// Adds a debugger statement to the pull request.
const PATCH: &str = "@@ -1,3 +1,5 @@ export class Loader {\n   load(rows: Row[]) {\n+    debugger;\n\
    -    return rows.map(r => r.id)\n+    const ids = rows.map((row) => row.id);\n+    return ids;\n   }\n";

fn sample_github() -> Result<FakeGithub> {
    let github = FakeGithub::start();
    let payload = sample("workflow_run.json")?;
    let log = std::fs::read(format!("{SAMPLE}/job.log")).context("reading the sample log")?;
    github.add(Run {
        repository: payload["repository"]["full_name"]
            .as_str()
            .context("the sample names its repository")?
            .to_owned(),
        run_id: payload["workflow_run"]["id"].as_u64().context("the sample has a run id")?,
        attempt: 1,
        jobs: sample("jobs.json")?,
        logs: HashMap::from([(9002, Log::Bytes(log))]),
    });
    Ok(github)
}

fn sample(name: &str) -> Result<Value> {
    let text =
        std::fs::read_to_string(format!("{SAMPLE}/{name}")).with_context(|| format!("reading {name}"))?;
    Ok(serde_json::from_str(&text)?)
}
