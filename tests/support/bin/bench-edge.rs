//! `cargo xtask bench edge`: the worker under load, with storing. The number of requests is bounded, and everything
//! runs on loopback.

use anyhow::{Result, ensure};
use sentinel_tests::deliver::{self, Delivery};
use sentinel_tests::stack::{Programs, Server, work_folder};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const SECRET: &str = "bench";
const KEY: &str = "bench key";
const DATABASE_TOKEN: &str = "bench database";
/// The number of requests before measuring. After these, the runtime has compiled the hot code, so its compiler's time
/// is not counted.
const WARM_UP: u64 = 3000;
const REQUESTS: u64 = 3000;

fn main() -> Result<()> {
    let programs = Programs::from_env()?;
    let folder = work_folder("bench-edge")?;
    let database = programs.start_database(&folder.join("sentinel.db"), 0, DATABASE_TOKEN)?;
    let vars = vec![
        ("SENTINEL_WEBHOOK_SECRET", SECRET.to_owned()),
        ("SENTINEL_API_KEY", KEY.to_owned()),
        ("TURSO_DATABASE_URL", database.url.clone()),
        ("TURSO_AUTH_TOKEN", DATABASE_TOKEN.to_owned()),
    ];
    let starting = Instant::now();
    let worker = programs.start_workerd(&folder.join("worker"), &vars)?;
    cold_start(&worker, starting)?;
    let next = AtomicU64::new(1);
    load(&worker, &next, 1, WARM_UP)?;
    println!(
        "{:<14}{:>12}{:>10}{:>10}{:>22}{:>23}",
        "concurrency", "webhooks/s", "p50 ms", "p99 ms", "workerd CPU ms each", "database CPU ms each"
    );
    for concurrency in [1, 50] {
        let cpu = (worker.cpu_time()?, database.cpu_time()?);
        let started = Instant::now();
        let mut latencies = load(&worker, &next, concurrency, REQUESTS)?;
        let elapsed = started.elapsed();
        wait_until_stored(&worker, next.load(Ordering::Relaxed) - 1)?;
        let spent = |now: Duration, before: Duration| (now - before).as_secs_f64() * 1e3 / REQUESTS as f64;
        latencies.sort_unstable();
        let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        println!(
            "{concurrency:<14}{:>12.0}{:>10.1}{:>10.1}{:>22.2}{:>23.2}",
            REQUESTS as f64 / elapsed.as_secs_f64(),
            at(0.5),
            at(0.99),
            spent(worker.cpu_time()?, cpu.0),
            spent(database.cpu_time()?, cpu.1),
        );
    }
    Ok(())
}

/// Measures the first verdict of a fresh isolate: model loaded, patterns compiled, forest planned, row stored.
fn cold_start(worker: &Server, starting: Instant) -> Result<()> {
    let delivery = Delivery::signed("workflow_run", "cold", &failure(999_999_999), SECRET);
    let listening = Instant::now();
    let answer = delivery.post(&worker.url)?;
    ensure!(answer.status == 200, "{}", answer.body);
    println!(
        "first verdict: {:.0} ms after the request, {:.0} ms after the process was started\n",
        listening.elapsed().as_secs_f64() * 1e3,
        starting.elapsed().as_secs_f64() * 1e3
    );
    Ok(())
}

/// Sends `count` failed runs of as many repositories, `concurrency` at a time, and returns the latency of each 202.
fn load(worker: &Server, next: &AtomicU64, concurrency: usize, count: u64) -> Result<Vec<Duration>> {
    let left = AtomicU64::new(count);
    let take = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..concurrency)
            .map(|_| {
                scope.spawn(|| {
                    let client = deliver::Client::new(&worker.url);
                    let mut latencies = Vec::new();
                    while take() {
                        let id = next.fetch_add(1, Ordering::Relaxed);
                        let mut delivery =
                            Delivery::signed("workflow_run", &format!("bench-{id}"), &failure(id), SECRET);
                        delivery.wait = false;
                        let started = Instant::now();
                        let status = client.post(&delivery)?;
                        latencies.push(started.elapsed());
                        ensure!(status == 202, "a delivery was answered {status}");
                    }
                    Ok(latencies)
                })
            })
            .collect();
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().expect("a sender returns its errors")?);
        }
        Ok(all)
    })
}

/// The recorded delivery with another run's numbers.
fn failure(id: u64) -> Value {
    let text = include_str!("../../fixtures/sample/workflow_run.json");
    let mut payload: Value = serde_json::from_str(text).expect("the fixture is JSON");
    payload["workflow_run"]["id"] = json!(id);
    payload["repository"]["full_name"] = json!(format!("bench/project-{id}"));
    payload["installation"]["id"] = json!(id);
    payload
}

/// Waits until everything is stored, because the work continues after the 202.
fn wait_until_stored(worker: &Server, deliveries: u64) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let stored = deliver::get(&worker.url, "/api/dashboard", Some(KEY))?.body["inference_count"].as_u64();
        // One more than the load: the cold start's.
        if stored >= Some(deliveries + 1) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{stored:?} of {deliveries} deliveries are stored");
        std::thread::sleep(Duration::from_millis(100));
    }
}
