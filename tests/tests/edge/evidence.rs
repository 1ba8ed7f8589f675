//! The worker while GitHub gives no log: it waits, stores a verdict meanwhile, and makes the verdict again.

use super::{KEY, Outcome, PYTEST_LOG, World, database_call, deliver, same, text_log};
use libtest_mimic::Failed;
use sentinel_tests::deliver::Delivery;
use sentinel_tests::github::{Fault, Log, Run};
use serde_json::{Value, json};
use std::io::Write;
use std::time::{Duration, Instant};

const HOUR: i64 = 3600;
/// The largest number of calls to GitHub about one delivery.
pub(super) const CALLS_MAX: usize = 43;

/// A delivery whose evidence can't be had yet, and where its verdict will be.
struct Waiting {
    delivery: Delivery,
    location: String,
}

impl World {
    fn wait_of(&self, delivery: Delivery) -> Result<Waiting, Failed> {
        let answer = self.post(&delivery)?;
        same(&answer.status, &202, &answer.body)?;
        Ok(Waiting { delivery, location: answer.location.ok_or("a 202 says where the verdict will be")? })
    }

    fn wait_for_log(&self) -> Result<Waiting, Failed> {
        self.wait_of(self.delivery(&self.failed_run(text_log(PYTEST_LOG))))
    }

    /// As if this had become of the delivery.
    fn set(&self, waiting: &Waiting, change: &str) -> Outcome {
        let sql = format!("UPDATE deliveries SET {change} WHERE id = '{}'", waiting.delivery.id);
        same(&database_call(self, &sql)?["affected_row_count"], &json!(1), &sql)
    }

    /// One value of the database.
    pub(super) fn value(&self, sql: &str) -> Result<i64, Failed> {
        let found = database_call(self, sql)?;
        let value = &found["rows"][0][0]["value"];
        Ok(value.as_str().and_then(|value| value.parse().ok()).ok_or(format!("{sql}: {found}"))?)
    }

    fn row(&self, waiting: &Waiting, column: &str) -> Result<i64, Failed> {
        self.value(&format!("SELECT {column} FROM deliveries WHERE id = '{}'", waiting.delivery.id))
    }

    /// Lets the minute pass until the verdict is as `is_so` wants it.
    fn sweep_until(&self, waiting: &Waiting, is_so: impl Fn(&Value) -> bool) -> Result<Value, Failed> {
        let deadline = Instant::now() + Duration::from_secs(40);
        loop {
            deliver::get(&self.worker.url, "/__scheduled", None)?;
            let verdict = self.get(&waiting.location)?;
            if verdict.status == 200 && is_so(&verdict.body) {
                return Ok(verdict.body);
            }
            same(&(Instant::now() < deadline), &true, &verdict.body)?;
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn health(&self) -> anyhow::Result<(u16, Value)> {
        let health = deliver::get(&self.worker.url, "/health", None)?;
        Ok((health.status, health.body))
    }
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs().cast_signed())
}

fn has_log(verdict: &Value) -> bool {
    verdict["evidence"] == json!("log")
}

pub(super) fn limits_are_waited_for(world: &World) -> Outcome {
    let ways: [(Option<Fault>, Option<u16>, std::ops::RangeInclusive<i64>); 9] = [
        (Some(Fault::OutOfCalls(1800)), None, 1700..=1800),
        (Some(Fault::Limited(900)), None, 800..=900),
        (Some(Fault::LimitedWordlessly), None, 40..=60),
        (Some(Fault::Status(429)), None, 40..=60),
        (Some(Fault::Status(401)), None, 0..=60),
        (Some(Fault::Status(500)), None, 0..=60),
        (Some(Fault::Html), None, 0..=60),
        (None, Some(500), 0..=60),
        (None, Some(503), 0..=60),
    ];
    for (weather, storage, wait) in ways {
        let about = format!("{weather:?} {storage:?}");
        world.github.set_weather(weather);
        world.github.set_storage(storage);
        let asked = now();
        let waiting = world.wait_for_log();
        world.github.set_weather(None);
        world.github.set_storage(None);
        let waiting = waiting?;
        let until = world.row(&waiting, "lease_until")?;
        same(&wait.contains(&(until - asked - 2).max(0)), &true, &(&about, until - asked))?;
        same(&world.row(&waiting, "attempts")?, &0, &(&about, "a wait is not a try"))?;
        world.set(&waiting, "lease_until = 0")?;
        world.sweep_until(&waiting, has_log)?;
    }
    Ok(())
}

pub(super) fn outages_use_up_no_try(world: &World) -> Outcome {
    world.github.set_down(true);
    let swept = world.wait_for_log().and_then(|waiting| {
        for _ in 0..5 {
            world.set(&waiting, "lease_until = 0")?;
            deliver::get(&world.worker.url, "/__scheduled", None)?;
        }
        Ok(waiting)
    });
    world.github.set_down(false);
    let waiting = swept?;
    same(&world.row(&waiting, "attempts")?, &0, &"tries after five sweeps while GitHub is down")?;
    world.set(&waiting, "lease_until = 0")?;
    world.sweep_until(&waiting, has_log)?;
    Ok(())
}

pub(super) fn refused_token_is_told(world: &World) -> Outcome {
    let doctor = || -> Result<(Option<i32>, Value), Failed> {
        let mut sentinel = std::process::Command::new(&world.programs.sentinel);
        sentinel
            .args(["doctor", "--json"])
            .env("SENTINEL_URL", &world.worker.url)
            .env("SENTINEL_API_KEY", KEY);
        let output = sentinel.output()?;
        let found: Value = serde_json::from_slice(&output.stdout)?;
        Ok((output.status.code(), found["checks"][0].clone()))
    };
    let gauge = || -> Result<bool, Failed> {
        let text = world.get("/metrics")?.body;
        Ok(text.as_str().unwrap_or_default().contains("\nsentinel_github_token_refused 1\n"))
    };
    // The run that doctor will try.
    world.post(&world.delivery(&world.failed_run(text_log(PYTEST_LOG))))?;
    same(&world.health()?.1["github"]["state"], &json!("works"), &"before")?;
    same(&gauge()?, &false, &"before")?;
    world.github.set_weather(Some(Fault::Status(401)));
    let refused = || -> Result<Waiting, Failed> {
        let (_, line) = doctor()?;
        same(&line["state"], &json!("broken"), &line)?;
        let waiting = world.wait_for_log()?;
        let (status, health) = world.health()?;
        same(&(status, &health["status"]), &(200, &json!("degraded")), &health)?;
        same(&health["github"]["state"], &json!("token_refused"), &health)?;
        let since = health["github"]["since"].as_str().unwrap_or_default().to_owned();
        same(&since.starts_with("20"), &true, &health)?;
        same(&gauge()?, &true, &"the gauge")?;
        let (code, line) = doctor()?;
        let said = line["says"].as_str().unwrap_or_default();
        same(
            &(code, said.contains(&since) && said.contains("wrangler secret put GITHUB_TOKEN")),
            &(Some(1), true),
            &line,
        )?;
        Ok(waiting)
    };
    let waiting = refused();
    world.github.set_weather(None);
    let waiting = waiting?;
    world.set(&waiting, &format!("lease_until = {}", now() + 1000))?;
    // Whoever put a new token asks doctor, and what waited is due at once.
    let (_, line) = doctor()?;
    same(&line["says"].as_str().is_some_and(|says| says.ends_with("serves and reads logs")), &true, &line)?;
    same(&world.health()?.1["github"], &json!({ "state": "works" }), &"after")?;
    same(&gauge()?, &false, &"after")?;
    same(&(world.row(&waiting, "lease_until")? <= now()), &true, &"what waited is due")?;
    world.sweep_until(&waiting, has_log)?;
    Ok(())
}

pub(super) fn told_meanwhile_and_made_again(world: &World) -> Outcome {
    let drifted =
        || world.value("SELECT COALESCE(SUM(count), 0) FROM drift_cells WHERE feature = 'prediction'");
    let (counted, cells) = (world.inferences()?, drifted()?);
    world.github.set_down(true);
    let told = || -> Result<[(Waiting, Value); 2], Failed> {
        let both = [world.wait_for_log()?, world.wait_for_log()?];
        let mut told = Vec::new();
        for waiting in both {
            world.set(&waiting, &format!("received_at = {}, lease_until = 0", now() - 400))?;
            let verdict = world.sweep_until(&waiting, |_| true)?;
            same(&verdict["evidence"], &json!("payload"), &verdict)?;
            same(&verdict["evidence_notes"], &json!(["log_awaited"]), &verdict)?;
            told.push((waiting, verdict));
        }
        told.try_into().map_err(|_| "two were told".into())
    };
    let told = told();
    world.github.set_down(false);
    let [(waiting, first), (corrected, other)] = told?;
    same(&(world.inferences()?, drifted()?), &(counted, cells), &"nothing is counted yet")?;
    let correction = json!({ "inference_id": other["id"], "corrected_class": "Timeout", "author": "mona" });
    deliver::post(
        &world.worker.url,
        "/api/feedback",
        KEY,
        "application/json",
        correction.to_string().as_bytes(),
    )?;
    for each in [&waiting, &corrected] {
        world.set(each, "lease_until = 0")?;
    }
    let again = world.sweep_until(&waiting, has_log)?;
    same(&(&again["id"], &again["prediction"]), &(&first["id"], &json!("Test Failure")), &again)?;
    same(&again["evidence_notes"], &json!([]), &again)?;
    let again = world.sweep_until(&corrected, has_log)?;
    same(&again["corrected"], &json!("Timeout"), &again)?;
    same(&again["prediction"], &other["prediction"], &"what a person corrected stays as it was corrected")?;
    same(&(world.inferences()?, drifted()?), &(counted + 2, cells + 2), &"each is counted once")?;
    same(&world.post(&waiting.delivery)?.body["status"], &json!("duplicate"), &"done")
}

pub(super) fn given_up_after_three_days(world: &World) -> Outcome {
    world.github.set_down(true);
    let verdict = world.wait_for_log().and_then(|waiting| {
        world.set(&waiting, &format!("received_at = {}, lease_until = 0", now() - 72 * HOUR - 60))?;
        let verdict = world.sweep_until(&waiting, |_| true)?;
        same(&world.post(&waiting.delivery)?.body["status"], &json!("duplicate"), &"it is done")?;
        Ok(verdict)
    });
    world.github.set_down(false);
    let verdict = verdict?;
    same(&verdict["evidence_notes"], &json!(["log_given_up"]), &verdict)
}

pub(super) fn redelivered(world: &World) -> Outcome {
    world.github.set_down(true);
    let waiting = world.wait_for_log();
    world.github.set_down(false);
    let waiting = waiting?;
    world.set(&waiting, "status = 'failed', attempts = 3, lease_until = 0")?;
    let answer = world.post(&waiting.delivery)?;
    same(&(answer.status, &answer.body["status"]), &(200, &json!("done")), &answer.body)?;
    same(&has_log(&answer.body["inference"]), &true, &answer.body)?;
    same(&world.post(&waiting.delivery)?.body["status"], &json!("duplicate"), &"once more")
}

/// A run of these jobs, each failed one with its log, and its payload.
fn run_of(world: &World, jobs: Vec<(Option<Log>, bool)>) -> Value {
    let mut payload = world.failed_run(None);
    let id = world.id();
    payload["workflow_run"]["id"] = json!(id);
    let first = id * 1000;
    let listed: Vec<Value> = (first..)
        .zip(&jobs)
        .map(|(job, (_, failed))| {
            let conclusion = if *failed { "failure" } else { "success" };
            json!({ "id": job, "name": format!("job {}", job - first), "conclusion": conclusion, "labels": [],
                    "steps": [{ "name": "Run tests", "conclusion": conclusion }] })
        })
        .collect();
    world.github.add(Run {
        repository: payload["repository"]["full_name"].as_str().unwrap_or_default().to_owned(),
        run_id: id,
        attempt: 2,
        jobs: json!({ "total_count": listed.len(), "jobs": listed }),
        logs: (first..).zip(jobs).filter_map(|(job, (log, _))| Some((job, log?))).collect(),
    });
    payload
}

pub(super) fn next_failed_job(world: &World) -> Outcome {
    let elsewhere = Log::RedirectTo("https://evil.example/logs/1".into());
    let jobs = vec![
        (None, false),
        (Some(Log::Missing), true),
        (Some(elsewhere), true),
        (text_log(PYTEST_LOG), true),
    ];
    let inference = world.post(&world.delivery(&run_of(world, jobs)))?.body["inference"].clone();
    same(&(has_log(&inference), &inference["job"]), &(true, &json!("job 3")), &inference)?;
    same(&inference["prediction"], &json!("Test Failure"), &inference)?;
    same(&inference["evidence_notes"], &json!(["later_job"]), &inference)?;
    // Without any log, the first failed job tells its steps.
    let jobs = (0..20).map(|_| (Some(Log::Missing), true)).collect();
    let before = world.github.calls().len();
    let inference = world.post(&world.delivery(&run_of(world, jobs)))?.body["inference"].clone();
    same(&(&inference["evidence"], &inference["job"]), &(&json!("job"), &json!("job 0")), &inference)?;
    let calls = world.github.calls()[before..].to_vec();
    same(&(calls.len() <= CALLS_MAX), &true, &calls)
}

pub(super) fn many_jobs(world: &World) -> Outcome {
    let jobs = |failed: usize| (0..350).map(|at| (text_log(PYTEST_LOG), at == failed)).collect();
    let beyond = world.post(&world.delivery(&run_of(world, jobs(340))))?.body["inference"].clone();
    same(
        &(&beyond["evidence"], &beyond["evidence_notes"]),
        &(&json!("payload"), &json!(["jobs_cut"])),
        &beyond,
    )?;
    let within = world.post(&world.delivery(&run_of(world, jobs(250))))?.body["inference"].clone();
    same(&(&within["job"], &within["evidence"]), &(&json!("job 250"), &json!("log")), &within)
}

pub(super) fn ends_of_logs(world: &World) -> Outcome {
    let log = |bytes: usize| {
        let mut log = b"2026-01-01T00:00:00.0000000Z compiling\n".repeat(bytes / 39);
        log.extend_from_slice(
            b"fatal: no space left on device\n##[error]Process completed with exit code 1.\n",
        );
        log
    };
    let gzip = |bytes: Vec<u8>| -> anyhow::Result<Log> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&bytes)?;
        Ok(Log::Gzip(encoder.finish()?))
    };
    let cases = [
        ("without a length or ranges", Log::Chunked(log(3 << 20)), json!([])),
        ("without ranges", Log::Rangeless(log(3 << 20)), json!([])),
        ("compressed", gzip(log(3 << 20))?, json!([])),
        ("short and compressed", gzip(log(4000))?, json!([])),
        ("longer than is read", Log::Chunked(log(70 << 20)), json!(["log_beginning"])),
    ];
    for (name, log, notes) in cases {
        let answer = world.post(&world.delivery(&world.failed_run(Some(log))))?;
        same(&answer.status, &200, &(name, &answer.body))?;
        let inference = &answer.body["inference"];
        same(&has_log(inference), &true, &(name, inference))?;
        same(&inference["evidence_notes"], &notes, &(name, inference))?;
        if notes == json!([]) {
            same(&inference["prediction"], &json!("Resource Exhaustion"), &(name, inference))?;
            let line = &inference["log_line"];
            let number = if name.starts_with("short") { 103 } else { 0 };
            same(&line["number"], &json!(number), &(name, line))?;
        }
    }
    Ok(())
}

pub(super) fn address_that_is_over(world: &World) -> Outcome {
    // What the storage answers to an address that is over; the second is good.
    world.github.set_storage(Some(403));
    let before = world.github.calls().len();
    let answer = world.post(&world.delivery(&world.failed_run(text_log(PYTEST_LOG))));
    world.github.set_storage(None);
    let answer = answer?;
    same(&answer.body["inference"]["evidence"], &json!("job"), &answer.body)?;
    let calls = world.github.calls()[before..].to_vec();
    let asked = calls.iter().filter(|call| call.starts_with("logs")).count();
    same(&asked, &2, &calls)
}

pub(super) fn sweep_is_bounded(world: &World) -> Outcome {
    const COUNT: usize = 12;
    world.github.set_down(true);
    let waiting: Result<Vec<_>, _> = (0..COUNT).map(|_| world.wait_for_log()).collect();
    world.github.set_down(false);
    let waiting = waiting?;
    let due = || waiting.iter().try_for_each(|each| world.set(each, "lease_until = 1"));
    let count = |what: &str| -> Result<i64, Failed> {
        let ids: Vec<_> = waiting.iter().map(|each| format!("'{}'", each.delivery.id)).collect();
        world.value(&format!("SELECT COUNT(*) FROM deliveries WHERE id IN ({}) AND {what}", ids.join(",")))
    };
    // GitHub takes longer than it is waited for: one asks, and the others are put back without a call.
    due()?;
    world.github.set_weather(Some(Fault::Silence(Duration::from_secs(25))));
    let started = Instant::now();
    let swept = deliver::get(&world.worker.url, "/__scheduled", None);
    world.github.set_weather(None);
    swept?;
    same(&(started.elapsed() < Duration::from_secs(40)), &true, &started.elapsed())?;
    same(
        &count("status = 'queued' AND attempts = 0")?,
        &(COUNT as i64),
        &"none is given up, none was tried",
    )?;
    // What is not worked on is not leased.
    due()?;
    let before = world.github.calls().len();
    deliver::get(&world.worker.url, "/__scheduled", None)?;
    let calls = world.github.calls().len() - before;
    let done = count("status = 'done'")?;
    same(&(done >= 4, calls <= 40), &(true, true), &(done, calls))?;
    same(&(count("status = 'queued' AND lease_until = 1")? + done), &(COUNT as i64), &"done or untouched")?;
    for each in &waiting {
        world.sweep_until(each, has_log)?;
    }
    Ok(())
}

pub(super) fn renamed(world: &World) -> Outcome {
    let mut payload = world.failed_run(text_log(PYTEST_LOG));
    let name = payload["repository"]["full_name"].as_str().unwrap_or_default().to_owned();
    let before = format!("{name}-as-it-was");
    world.github.rename(&before, &name);
    payload["repository"]["full_name"] = json!(before);
    let answer = world.post(&world.delivery(&payload))?;
    same(&answer.body["inference"]["evidence"], &json!("log"), &answer.body)
}

pub(super) fn locations(world: &World) -> Outcome {
    // GitHub allows no name like this.
    let elsewhere = world.failed_run_in("acme/a&b=c#d e%20+", text_log(PYTEST_LOG));
    let refused = world.post(&world.delivery(&elsewhere))?;
    same(&refused.status, &400, &refused.body)?;
    let payload = world.failed_run_in("acme/.a_b-c.d", text_log(PYTEST_LOG));
    let mut delivery = world.delivery(&payload);
    delivery.wait = false;
    let answer = world.post(&delivery)?;
    same(&answer.status, &202, &answer.body)?;
    let waiting =
        Waiting { delivery, location: answer.location.ok_or("a 202 says where the verdict will be")? };
    let verdict = world.sweep_until(&waiting, |_| true)?;
    same(&verdict["repository"], &payload["repository"]["full_name"], &verdict)
}
