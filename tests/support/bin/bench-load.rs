//! `cargo xtask bench load`: worker, node and database together at half the rate that they sustain, for minutes.
//!
//! Nothing may be refused or lost, and memory must not grow. Everything runs on loopback and is bounded in time and
//! rate.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use sentinel_tests::deliver::{self, Client, Delivery};
use sentinel_tests::github::{FakeGithub, Pull, TOKEN};
use sentinel_tests::stack::{Programs, Server, free_port, work_folder};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const SECRET: &str = "load";
const KEY: &str = "load key";
const TOKEN_OF_NODE: &str = "load node";
const DATABASE_TOKEN: &str = "load database";
const SENDERS: usize = 16;
/// The time in which the sustainable rate is measured.
const LOOK: Duration = Duration::from_secs(20);
/// The time between two pull requests. GitHub lets an account write once a second.
const PULL_EVERY: Duration = Duration::from_secs(4);
const SAMPLE_EVERY: Duration = Duration::from_secs(5);
const PATCH: &str = "@@ -1,2 +1,3 @@\n export function load() {\n+  debugger;\n }\n";

/// Load the whole stack.
#[derive(Parser)]
struct Arguments {
    /// How many minutes the load lasts.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
}

/// A watched process, and its resident memory in MB over time.
struct Watched<'a> {
    name: &'static str,
    server: &'a Server,
    megabytes: Mutex<Vec<f64>>,
}

fn main() -> Result<()> {
    let length = Duration::from_secs_f64(Arguments::parse().minutes * 60.0);
    let programs = Programs::from_env()?;
    let folder = work_folder("bench-load")?;
    let github = FakeGithub::start();
    let file = folder.join("sentinel.db");
    let database = programs.start_database(&file, 0, DATABASE_TOKEN)?;
    let node_port = free_port()?;
    let node_vars = [
        ("SENTINEL_NODE_TOKEN", TOKEN_OF_NODE.to_owned()),
        ("TURSO_DATABASE_URL", database.url.clone()),
        ("TURSO_AUTH_TOKEN", DATABASE_TOKEN.to_owned()),
        ("GITHUB_TOKEN", TOKEN.to_owned()),
        ("GITHUB_API_URL", github.api_url()),
    ];
    let node = programs.start_node(&folder.join("node"), node_port, &node_vars)?;
    let vars = vec![
        ("SENTINEL_WEBHOOK_SECRET", SECRET.to_owned()),
        ("SENTINEL_API_KEY", KEY.to_owned()),
        ("TURSO_DATABASE_URL", database.url.clone()),
        ("TURSO_AUTH_TOKEN", DATABASE_TOKEN.to_owned()),
        ("SENTINEL_NODE_URL", format!("http://127.0.0.1:{node_port}")),
        ("SENTINEL_NODE_TOKEN", TOKEN_OF_NODE.to_owned()),
    ];
    let worker = programs.start_workerd(&folder.join("worker"), &vars)?;
    let next = AtomicU64::new(1);
    // Once to warm up, once to measure.
    let _ = flat_out(&worker, &next)?;
    let sustained = flat_out(&worker, &next)?;
    let rate = sustained / 2.0;
    let (before, bytes_before) = (stored(&worker)?, file_bytes(&file)?);
    let watched = [("worker (workerd)", &worker), ("node", &node), ("database", &database)]
        .map(|(name, server)| Watched { name, server, megabytes: Mutex::new(Vec::new()) });
    let first = next.load(Ordering::Relaxed);
    let (latencies, refused, pulls) = steady(&worker, &next, &github, rate, length, &watched)?;
    let sent = next.load(Ordering::Relaxed) - first;
    until(&worker, before + sent, pulls)?;
    let mut sorted = latencies;
    sorted.sort_unstable();
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "sustained {sustained:.0} webhooks/s; {:.0} minutes at {rate:.0}/s and a pull request every {} s",
        length.as_secs_f64() / 60.0,
        PULL_EVERY.as_secs()
    );
    println!("webhooks {sent}, pull requests {pulls}; refused or failed {refused}; lost 0");
    println!("202 after p50 {:.1} ms, p99 {:.1} ms, worst {:.0} ms", at(0.5), at(0.99), at(1.0));
    println!(
        "database grew by {:.2} KB a webhook\n",
        (file_bytes(&file)? - bytes_before) as f64 / 1e3 / sent as f64
    );
    println!("{:<18}{:>14}{:>14}{:>10}", "resident, MB", "first fifth", "last fifth", "most");
    for each in &watched {
        let samples = each.megabytes.lock().expect("no sampler panics");
        let fifth = (samples.len() / 5).max(1);
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        let most = samples.iter().copied().fold(0.0, f64::max);
        println!(
            "{:<18}{:>14.0}{:>14.0}{:>10.0}",
            each.name,
            mean(&samples[..fifth]),
            mean(&samples[samples.len() - fifth..]),
            most
        );
    }
    ensure!(refused == 0, "{refused} deliveries were not accepted");
    Ok(())
}

/// Measures how many webhooks per second are accepted and stored, with all senders at once.
fn flat_out(worker: &Server, next: &AtomicU64) -> Result<f64> {
    let (before, first, started) = (stored(worker)?, next.load(Ordering::Relaxed), Instant::now());
    std::thread::scope(|scope| {
        let send = || -> Result<()> {
            let client = Client::new(&worker.url);
            while started.elapsed() < LOOK {
                let status = client.post(&failure(next.fetch_add(1, Ordering::Relaxed)))?;
                ensure!(status == 202, "a delivery was answered {status}");
            }
            Ok(())
        };
        let senders: Vec<_> = (0..SENDERS).map(|_| scope.spawn(send)).collect();
        senders.into_iter().try_for_each(|sender| sender.join().expect("a sender returns its errors"))
    })?;
    let sent = next.load(Ordering::Relaxed) - first;
    until(worker, before + sent, 0)?;
    Ok(sent as f64 / started.elapsed().as_secs_f64())
}

/// Sends `rate` webhooks per second, whether or not the last one was answered, and pull requests beside them; samples
/// memory.
fn steady(
    worker: &Server,
    next: &AtomicU64,
    github: &FakeGithub,
    rate: f64,
    length: Duration,
    watched: &[Watched<'_>],
) -> Result<(Vec<Duration>, u64, u64)> {
    let (latencies, refused, pulls) = (Mutex::new(Vec::new()), AtomicU64::new(0), AtomicU64::new(0));
    let (started, over, ticket) = (Instant::now(), AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| -> Result<()> {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                let client = Client::new(&worker.url);
                loop {
                    // Each ticket has its moment: a slow answer delays no other sender's.
                    let due = started
                        + Duration::from_secs_f64(ticket.fetch_add(1, Ordering::Relaxed) as f64 / rate);
                    if due > started + length {
                        return;
                    }
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    let delivery = failure(next.fetch_add(1, Ordering::Relaxed));
                    let sent = Instant::now();
                    match client.post(&delivery) {
                        Ok(202) => latencies.lock().expect("no sender panics").push(sent.elapsed()),
                        _ => {
                            refused.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
        let watching = scope.spawn(|| -> Result<()> {
            while !over.load(Ordering::Relaxed) {
                for each in watched {
                    each.megabytes.lock().expect("no sampler panics").push(resident(each.server)?);
                }
                std::thread::sleep(SAMPLE_EVERY);
            }
            Ok(())
        });
        while started.elapsed() + PULL_EVERY < length {
            let number = pulls.fetch_add(1, Ordering::Relaxed) + 1;
            let repository = format!("load/pulls-{number}");
            github.open(Pull::new(&repository, 7, "head", &[("src/load.ts", PATCH)]));
            let payload = json!({
                "action": "opened", "number": 7, "repository": { "full_name": repository },
                "sender": { "login": "octocat", "type": "User" },
                "pull_request": { "number": 7, "state": "open", "draft": false, "head": { "sha": "head" }, "base": { "sha": "base" } },
            });
            let answer = Delivery::signed("pull_request", &format!("pull-{number}"), &payload, SECRET)
                .post(&worker.url)?;
            if answer.status != 202 {
                refused.fetch_add(1, Ordering::Relaxed);
            }
            std::thread::sleep(PULL_EVERY);
        }
        while started.elapsed() < length {
            std::thread::sleep(Duration::from_millis(100));
        }
        over.store(true, Ordering::Relaxed);
        watching.join().expect("the sampler returns its errors")
    })?;
    let latencies = latencies.into_inner().expect("no sender panics");
    Ok((latencies, refused.into_inner(), pulls.into_inner()))
}

/// The recorded delivery with another run's numbers.
fn failure(id: u64) -> Delivery {
    let text = include_str!("../../fixtures/sample/workflow_run.json");
    let mut payload: Value = serde_json::from_str(text).expect("the fixture is JSON");
    payload["workflow_run"]["id"] = json!(id);
    payload["repository"]["full_name"] = json!(format!("load/project-{id}"));
    payload["installation"]["id"] = json!(id);
    let mut delivery = Delivery::signed("workflow_run", &format!("load-{id}"), &payload, SECRET);
    delivery.wait = false;
    delivery
}

fn stored(worker: &Server) -> Result<u64> {
    let overview = deliver::get(&worker.url, "/api/dashboard", Some(KEY))?.body;
    overview["inference_count"].as_u64().context("the dashboard counts inferences")
}

/// Waits until this many verdicts are stored and each pull request has its review.
fn until(worker: &Server, verdicts: u64, pulls: u64) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let metrics = deliver::get(&worker.url, "/metrics", Some(KEY))?.body;
        let done = metrics.as_str().unwrap_or_default().lines().find_map(|line| {
            line.strip_prefix("sentinel_review_jobs_total{status=\"done\"} ")?.parse::<u64>().ok()
        });
        let found = (stored(worker)?, done.unwrap_or(0));
        if found.0 >= verdicts && found.1 >= pulls {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{found:?} of {verdicts} verdicts and {pulls} reviews are there");
        std::thread::sleep(Duration::from_millis(250));
    }
}

/// The resident memory in MB, from proc(5).
fn resident(server: &Server) -> Result<f64> {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", server.group())).context("reading /proc")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1024.0 / 1e6)
}

/// The size of the database with its write-ahead log.
fn file_bytes(file: &std::path::Path) -> Result<u64> {
    let log = file.with_extension("db-wal").metadata().map_or(0, |data| data.len());
    Ok(file.metadata().context("the database's file")?.len() + log)
}
