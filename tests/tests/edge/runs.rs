//! Runs with several failed jobs, and runs that were cancelled.

use super::evidence::CALLS_MAX;
use super::{Outcome, PYTEST_LOG, World, same};
use sentinel_tests::github::{Log, Run};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The runs's times are minutes of this hour.
const HOUR: &str = "2026-01-01T00";

/// One job of a run.
struct Job {
    name: &'static str,
    conclusion: &'static str,
    /// The minutes at which it started and ended.
    minutes: (u32, u32),
    log: Option<Log>,
}

/// A run that GitHub knows, with the payload of its delivery and the id of its first job; the others follow.
struct Known {
    payload: Value,
    first_job: u64,
}

fn job(name: &'static str, conclusion: &'static str, minutes: (u32, u32), log: Option<Log>) -> Job {
    Job { name, conclusion, minutes, log }
}

/// A run of these jobs that ended with `conclusion`.
fn run(world: &World, conclusion: &str, jobs: Vec<Job>) -> Known {
    let mut payload = world.failed_run(None);
    let id = world.id();
    let first_job = id * 1000;
    payload["workflow_run"]["id"] = json!(id);
    payload["workflow_run"]["conclusion"] = json!(conclusion);
    payload["workflow_run"]["head_branch"] = json!("topic");
    let at = |minute: u32| format!("{HOUR}:{minute:02}:00Z");
    let listed: Vec<Value> = (first_job..)
        .zip(&jobs)
        .map(|(id, job)| {
            json!({ "id": id, "name": job.name, "conclusion": job.conclusion, "labels": ["ubuntu-latest"],
                "started_at": at(job.minutes.0), "completed_at": at(job.minutes.1),
                "html_url": format!("https://github.com/acme/job/{id}"),
                "steps": [{ "name": "Run tests", "conclusion": job.conclusion }] })
        })
        .collect();
    world.github.add(Run {
        repository: payload["repository"]["full_name"].as_str().unwrap_or_default().to_owned(),
        run_id: id,
        attempt: 2,
        jobs: json!({ "total_count": listed.len(), "jobs": listed }),
        logs: (first_job..).zip(jobs).filter_map(|(id, job)| Some((id, job.log?))).collect(),
    });
    Known { payload, first_job }
}

pub(super) fn twenty_logs(world: &World) -> Outcome {
    const FAILED: usize = 26;
    // 1 MiB each, whose last lines tell.
    let mut log = b"2026-01-01T00:00:00.0000000Z compiling\n".repeat((1 << 20) / 39);
    log.extend_from_slice(PYTEST_LOG.as_bytes());
    let jobs =
        (0..FAILED).map(|at| job("unit", "failure", (0, at as u32), Some(Log::Bytes(log.clone())))).collect();
    let Known { payload, first_job } = run(world, "failure", jobs);
    world.github.delay_logs(Duration::from_millis(300));
    let (before, started) = (world.github.calls().len(), Instant::now());
    let answer = world.post(&world.delivery(&payload));
    let (took, most) = (started.elapsed(), world.github.most_open_logs());
    world.github.delay_logs(Duration::ZERO);
    let inference = answer?.body["inference"].clone();
    let calls = world.github.calls()[before..].to_vec();
    same(&(took < Duration::from_secs(20)), &true, &took)?;
    // A page, and two calls for each of twenty logs: no call more, though each log is as long as what is read of one.
    same(&(calls.len(), calls.len() <= CALLS_MAX), &(1 + 20 * 2, true), &calls)?;
    same(&(2..=5).contains(&most), &true, &("logs at once", most))?;
    let read: Vec<String> = (first_job..first_job + 20).map(|job| format!("blob {job}")).collect();
    same(&read.iter().all(|call| calls.contains(call)), &true, &"the jobs that ended first are read")?;
    same(&inference["evidence_notes"], &json!(["jobs_unread"]), &inference)?;
    same(
        &(&inference["evidence"], &inference["prediction"]),
        &(&json!("log"), &json!("Test Failure")),
        &inference,
    )?;
    // One more than twenty calls would do for: a repository that was renamed costs one call more, and not one for each.
    let name = payload["repository"]["full_name"].as_str().unwrap_or_default().to_owned();
    let mut renamed = payload.clone();
    renamed["repository"]["full_name"] = json!(format!("{name}-as-it-was"));
    world.github.rename(&format!("{name}-as-it-was"), &name);
    let inference = world.post(&world.delivery(&renamed))?.body["inference"].clone();
    same(&inference["evidence"], &json!("log"), &inference)
}
