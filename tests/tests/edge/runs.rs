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

/// What the runner writes into the log of a job that is stopped, whoever stops it.
const STOPPED_LOG: &str = "2026-01-01T00:00:00.0000000Z ##[group]Run make test\n2026-01-01T00:00:00.0000000Z ##[endgroup]\n\
    2026-01-01T00:00:02.0000000Z waiting for the server\n\
    2026-01-01T00:59:00.0000000Z ##[error]The operation was canceled.\n\
    2026-01-01T00:59:01.0000000Z Cleaning up orphan processes\n";
const LIMIT: &str =
    "The job running on runner GitHub Actions 4 has exceeded the maximum execution time of 59 minutes.";
const LOST: &str = "The hosted runner: GitHub Actions 7 lost communication with the server. Anything in your workflow that \
    terminates the runner process, starves it for CPU/Memory, or blocks its network access can cause this error.";

fn stopped() -> Option<Log> {
    Some(Log::Bytes(STOPPED_LOG.as_bytes().to_vec()))
}

pub(super) fn cancelled(world: &World) -> Outcome {
    let stored = world.inferences()?;
    // Nothing to say: a newer push, a person, a failed sibling's matrix; and where the annotations may not be read.
    for (text, refuses) in [
        ("Canceling since a higher priority waiting request for 'ci-topic' exists", false),
        ("The run was canceled by @mona.", false),
        ("The operation was canceled.", false),
        (LIMIT, true),
    ] {
        let Known { payload, first_job } = run(
            world,
            "cancelled",
            vec![job("lint", "success", (0, 1), None), job("unit", "cancelled", (0, 5), stopped())],
        );
        world.github.annotate(first_job + 1, "failure", text);
        world.github.refuse_checks(refuses);
        let delivery = world.delivery(&payload);
        let answers = [world.post(&delivery), world.post(&delivery)];
        world.github.refuse_checks(false);
        let [first, second] = answers;
        same(&first?.body, &json!({ "status": "ignored", "reason": "cancelled" }), &text)?;
        same(&second?.body["status"], &json!("duplicate"), &"it is closed")?;
    }
    same(&world.inferences()?, &stored, &"inferences")?;
    // A limit and a lost runner, with a log and without one.
    for (text, log, class, evidence) in [
        (LIMIT, stopped(), "Timeout", "log"),
        (LIMIT, None, "Timeout", "job"),
        (LOST, stopped(), "Resource Exhaustion", "log"),
        (LOST, None, "Resource Exhaustion", "job"),
    ] {
        let Known { payload, first_job } = run(
            world,
            "cancelled",
            vec![job("lint", "cancelled", (0, 1), stopped()), job("unit", "cancelled", (0, 59), log)],
        );
        world.github.annotate(first_job + 1, "failure", text);
        let inference = world.post(&world.delivery(&payload))?.body["inference"].clone();
        same(
            &(&inference["prediction"], &inference["evidence"]),
            &(&json!(class), &json!(evidence)),
            &inference,
        )?;
        same(&(&inference["job"], &inference["step"]), &(&json!("unit"), &json!("Run tests")), &inference)?;
        let line = inference["log_line"]["text"].as_str().unwrap_or_default();
        same(&line.contains(&text[..40]), &true, &inference)?;
        // The sentence is in no log, so it has no number there.
        same(&inference["log_line"]["number"], &json!(0), &inference)?;
    }
    // A job inside had really failed before somebody cancelled the rest.
    let log = Some(Log::Bytes(PYTEST_LOG.as_bytes().to_vec()));
    let jobs = vec![job("slow", "cancelled", (0, 9), stopped()), job("unit", "failure", (0, 3), log)];
    let inference =
        world.post(&world.delivery(&run(world, "cancelled", jobs).payload))?.body["inference"].clone();
    same(
        &(&inference["job"], &inference["prediction"]),
        &(&json!("unit"), &json!("Test Failure")),
        &inference,
    )?;
    // Of a run of hundreds of jobs, a few are asked about.
    let many = (0..300).map(|_| job("unit", "cancelled", (0, 5), None)).collect();
    let before = world.github.calls().len();
    world.post(&world.delivery(&run(world, "cancelled", many).payload))?;
    let calls = world.github.calls()[before..].to_vec();
    same(&calls.len(), &(3 + 5), &calls)
}

pub(super) fn limit_before_gate(world: &World) -> Outcome {
    const GATE: &str = "2026-01-01T00:59:30.0000000Z ##[group]Run ./all-green\n2026-01-01T00:59:30.0000000Z ##[endgroup]\n\
        2026-01-01T00:59:31.0000000Z unit: cancelled\n2026-01-01T00:59:31.0000000Z ##[error]Process completed with exit code 1.\n";
    let gate = Some(Log::Bytes(GATE.as_bytes().to_vec()));
    let jobs =
        vec![job("all green", "failure", (57, 58), gate), job("unit", "cancelled", (0, 56), stopped())];
    let Known { payload, first_job } = run(world, "failure", jobs);
    world.github.annotate(first_job + 1, "failure", LIMIT);
    let inference = world.post(&world.delivery(&payload))?.body["inference"].clone();
    same(&(&inference["job"], &inference["prediction"]), &(&json!("unit"), &json!("Timeout")), &inference)
}

pub(super) fn startup_failure(world: &World) -> Outcome {
    let inference =
        world.post(&world.delivery(&run(world, "startup_failure", Vec::new()).payload))?.body["inference"]
            .clone();
    same(&(&inference["evidence"], &inference["job"]), &(&json!("payload"), &Value::Null), &inference)?;
    same(&inference["evidence_notes"], &json!([]), &inference)
}
