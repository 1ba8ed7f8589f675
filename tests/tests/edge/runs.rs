//! Runs with several failed jobs, and runs that were cancelled.

use super::evidence::CALLS_MAX;
use super::{Outcome, PYTEST_LOG, SECRET, World, same};
use libtest_mimic::Failed;
use sentinel_tests::deliver::Delivery;
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
    same(
        &inference["evidence_notes"],
        &json!(["change_unread", "jobs_unread", "policy_unread"]),
        &inference,
    )?;
    same(
        &(&inference["evidence"], &inference["prediction"]),
        &(&json!("log"), &json!("Test Failure")),
        &inference,
    )?;
    // One more than twenty calls would do for: a repository that was renamed costs one call more, and not one for each.
    let name = payload["repository"]["full_name"].as_str().unwrap_or_default().to_owned();
    let mut renamed = payload;
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
    same(&calls.len(), &(3 + 5 + 1), &calls)
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

/// The log of a step that ran `command` and ended with these lines.
pub(super) fn log_of(command: &str, lines: &[&str]) -> Option<Log> {
    let step = [format!("##[group]Run {command}"), "##[endgroup]".to_owned()];
    let all = step.into_iter().chain(lines.iter().map(|line| (*line).to_owned()));
    let end = "##[error]Process completed with exit code 1.".to_owned();
    let stamped = all.chain([end]).map(|line| format!("2026-01-01T00:00:01.0000000Z {line}\n"));
    Some(Log::Bytes(stamped.collect::<String>().into_bytes()))
}

/// The verdict on one subject of a run's repository.
fn verdict(world: &World, payload: &Value, subject: &str) -> Result<Value, Failed> {
    let repository = payload["repository"]["full_name"].as_str().unwrap_or_default();
    let answer = world.get(&format!("/api/inference?repository={repository}&subject={subject}"))?;
    same(&answer.status, &200, &(subject, &answer.body))?;
    Ok(answer.body)
}

/// How many rows of a table there are of a run's repository.
fn rows(world: &World, payload: &Value, table: &str) -> Result<i64, Failed> {
    world.value(&format!("SELECT COUNT(*) FROM {table} WHERE repository = {}", quoted(payload)))
}

fn quoted(payload: &Value) -> String {
    format!("'{}'", payload["repository"]["full_name"].as_str().unwrap_or_default())
}

pub(super) fn matrix(world: &World) -> Outcome {
    let compile = || {
        log_of(
            "cargo build",
            &[
                "error[E0382]: borrow of moved value: `config`",
                "  --> src/main.rs:14:5",
                "error: could not compile `app`",
            ],
        )
    };
    let disk = log_of("make image", &["fatal: write error: No space left on device"]);
    let lock = log_of(
        "npm ci",
        &[
            "npm error code EUSAGE",
            "npm error `npm ci` can only install packages when your package.json and package-lock.json are in sync.",
        ],
    );
    let dns = log_of("curl", &["curl: (6) Could not resolve host: registry.example.com"]);
    let pytest = Some(Log::Bytes(PYTEST_LOG.as_bytes().to_vec()));
    let jobs = vec![
        job("lint", "success", (0, 2), None),
        job("image", "failure", (0, 9), disk),
        job("linux", "failure", (0, 4), compile()),
        job("mac", "failure", (0, 7), compile()),
        job("web", "failure", (0, 5), lock),
        job("unit", "failure", (0, 6), pytest),
        job("download", "failure", (0, 8), dns),
        job("slow", "cancelled", (0, 10), stopped()),
        job("deploy", "skipped", (10, 10), None),
    ];
    let Known { payload, first_job } = run(world, "failure", jobs);
    let answer = world.post(&world.delivery(&payload))?;
    let headline = answer.body["inference"].clone();
    // What ended first tells the run; its page is the run's.
    same(
        &(&headline["job"], &headline["prediction"]),
        &(&json!("linux"), &json!("Build Failure")),
        &headline,
    )?;
    same(&headline["html_url"], &json!("https://github.com/acme/run"), &headline)?;
    same(&rows(world, &payload, "inferences")?, &6, &"six failed jobs have six verdicts")?;
    same(&rows(world, &payload, "causes")?, &5, &"of five causes")?;
    for (at, name) in [(1, "image"), (3, "mac"), (4, "web"), (5, "unit"), (6, "download")] {
        let other = verdict(world, &payload, &format!("job:{}", first_job + at))?;
        same(&(&other["job"], &other["evidence"]), &(&json!(name), &json!("log")), &other)?;
        let page = format!("https://github.com/acme/job/{}", first_job + at);
        same(&other["html_url"], &json!(page), &other)?;
    }
    // The headline's job has the run's row.
    same(&verdict(world, &payload, &format!("job:{}", first_job + 2))?["id"], &headline["id"], &headline)?;
    let of_headline = format!("repository = {} AND headline_id = {}", quoted(&payload), headline["id"]);
    same(&world.value(&format!("SELECT COUNT(*) FROM failures WHERE {of_headline}"))?, &5, &"the others")?;
    let lines =
        format!("SELECT COUNT(*) FROM failures WHERE repository = {} AND around <> '[]'", quoted(&payload));
    same(&world.value(&lines)?, &6, &"each has its lines")?;
    let run = format!(
        "SELECT COUNT(*) FROM runs WHERE repository = {} AND jobs_failed = 6 AND jobs_unread = 0 AND passed_jobs = '[\"lint\"]'",
        quoted(&payload)
    );
    same(&world.value(&run)?, &1, &"the run")?;
    // Told again, nothing is added.
    world.post(&world.delivery(&payload))?;
    same(&(rows(world, &payload, "inferences")?, rows(world, &payload, "failures")?), &(6, 6), &"told twice")
}

/// The delivery of one job of a run.
fn of_job(world: &World, known: &Known, at: u64, name: &str) -> Delivery {
    let run = &known.payload["workflow_run"];
    let payload = json!({
        "action": "completed",
        "repository": known.payload["repository"], "installation": known.payload["installation"],
        "sender": { "login": "octocat" },
        "workflow_job": {
            "id": known.first_job + at, "run_id": run["id"], "run_attempt": run["run_attempt"], "name": name,
            "workflow_name": run["name"], "conclusion": "failure", "head_sha": run["head_sha"],
            "head_branch": run["head_branch"], "labels": [],
        },
    });
    Delivery::signed("workflow_job", &format!("job-{}", world.id()), &payload, SECRET)
}

pub(super) fn one_row(world: &World) -> Outcome {
    for job_first in [true, false] {
        let disk = log_of("make image", &["fatal: write error: No space left on device"]);
        let pytest = Some(Log::Bytes(PYTEST_LOG.as_bytes().to_vec()));
        let jobs = vec![job("unit", "failure", (0, 2), pytest), job("image", "failure", (0, 4), disk)];
        let known = run(world, "failure", jobs);
        let payload = &known.payload;
        let mut deliveries = vec![
            of_job(world, &known, 0, "unit"),
            of_job(world, &known, 1, "image"),
            world.delivery(payload),
        ];
        if !job_first {
            deliveries.reverse();
        }
        let mut told = Vec::new();
        for delivery in &deliveries {
            let answer = world.post(delivery)?;
            same(&(answer.status, &answer.body["status"]), &(200, &json!("done")), &answer.body)?;
            told.push(answer.body["inference"].clone());
        }
        same(
            &(rows(world, payload, "inferences")?, rows(world, payload, "failures")?),
            &(2, 2),
            &(job_first, &told),
        )?;
        // The run is told by its first job, under the id that the job's delivery was told.
        let subject = format!("run:{}:2", payload["workflow_run"]["id"]);
        let headline = verdict(world, payload, &subject)?;
        same(&(&headline["job"], &headline["subject"]), &(&json!("unit"), &json!(subject)), &headline)?;
        for (at, job) in [(0, "unit"), (1, "image")] {
            let of_job = verdict(world, payload, &format!("job:{}", known.first_job + at))?;
            same(&of_job["job"], &json!(job), &of_job)?;
            same(&told.iter().any(|told| told["id"] == of_job["id"]), &true, &(&told, &of_job))?;
        }
        let of_headline = format!("repository = {} AND headline_id = {}", quoted(payload), headline["id"]);
        same(&world.value(&format!("SELECT COUNT(*) FROM failures WHERE {of_headline}"))?, &1, &job_first)?;
    }
    Ok(())
}

pub(super) fn passed(world: &World) -> Outcome {
    let pytest = Some(Log::Bytes(PYTEST_LOG.as_bytes().to_vec()));
    let mut payload = run(world, "failure", vec![job("unit", "failure", (0, 2), pytest)]).payload;
    let stored = world.inferences()?;
    world.post(&world.delivery(&payload))?;
    let open =
        format!("SELECT COUNT(*) FROM causes WHERE repository = {} AND open_branches > 0", quoted(&payload));
    same(&world.value(&open)?, &1, &"a cause is open")?;
    payload["workflow_run"]["conclusion"] = json!("success");
    payload["workflow_run"]["run_attempt"] = json!(3);
    let calls = world.github.calls().len();
    for _ in 0..2 {
        let answer = world.post(&world.delivery(&payload))?;
        let recorded = json!({ "status": "recorded", "repository": payload["repository"]["full_name"] });
        same(&(answer.status, &answer.body), &(200, &recorded), &answer.body)?;
    }
    same(&world.github.calls().len(), &calls, &"GitHub is asked nothing")?;
    same(
        &(rows(world, &payload, "runs")?, world.value(&open)?),
        &(2, 0),
        &"the run that passed ended the cause",
    )?;
    let on_retry = format!(
        "SELECT COUNT(*) FROM failures WHERE repository = {} AND passed_attempt = 3",
        quoted(&payload)
    );
    same(&world.value(&on_retry)?, &1, &"it passed on retry")?;
    same(&world.inferences()?, &(stored + 1), &"inferences")
}
