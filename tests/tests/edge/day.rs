//! A team's day of deliveries, and what people are told of it in the end.

use super::runs::log_of;
use super::{Outcome, SECRET, World, same};
use libtest_mimic::Failed;
use sentinel_shared::github::rfc3339;
use sentinel_tests::deliver::Delivery;
use sentinel_tests::github::{Log, Run};
use serde_json::{Value, json};
use std::collections::HashMap;

/// A job of a run: its name, how it ended, and the lines of its log that tell.
type Job<'a> = (&'a str, &'a str, &'a [&'a str]);

const COMPILE: &[&str] = &[
    "error[E0382]: borrow of moved value: `config`",
    "  --> src/main.rs:41:20",
    "error: could not compile `app` (bin \"app\") due to 1 previous error",
];
const UNIT: &[&str] = &[
    "FAILED tests/test_money.py::test_round - AssertionError: assert 3 == 4",
    "= 1 failed, 41 passed in 2.31s =",
];
const SLOW: &[&str] =
    &["FAILED tests/test_slow.py::test_eventually - TimeoutError", "= 1 failed, 41 passed in 60.31s ="];
const DISK: &[&str] = &["fatal: write error: No space left on device"];
const FETCH: &[&str] = &[
    "npm error code ENOTFOUND",
    "npm error network request to https://registry.npmjs.org/left-pad failed, reason: getaddrinfo ENOTFOUND registry.npmjs.org",
];
const GATE: &[&str] = &["one of the required jobs failed"];
const LIMIT: &str =
    "The job running on runner GitHub Actions 4 has exceeded the maximum execution time of 59 minutes.";

/// The repository and its day so far.
struct Day<'a> {
    world: &'a World,
    repository: String,
    installation: u64,
    /// Unix seconds of its beginning.
    begin: i64,
    sent: usize,
}

/// One run of the day.
#[derive(Clone, Copy)]
struct Told<'a> {
    id: u64,
    attempt: u32,
    branch: &'a str,
    conclusion: &'a str,
    /// The minute of the day at which it ended.
    minute: i64,
    jobs: &'a [Job<'a>],
}

impl Day<'_> {
    /// The commit that a run tests: attempts of a run share it.
    fn sha(id: u64) -> String {
        format!("{id:040x}")
    }

    fn at(&self, minute: i64) -> String {
        rfc3339(self.begin + minute * 60)
    }

    fn payload(&self, told: &Told<'_>, fork: bool) -> Value {
        let head = if fork { "mona/fork" } else { &self.repository };
        json!({
            "action": "completed",
            "repository": { "full_name": self.repository, "default_branch": "main" },
            "installation": { "id": self.installation },
            "sender": { "login": "octocat" },
            "workflow_run": {
                "id": told.id, "name": "CI", "run_attempt": told.attempt, "conclusion": told.conclusion,
                "head_sha": Self::sha(told.id), "head_branch": told.branch, "head_repository": { "full_name": head },
                "event": if fork { "pull_request" } else { "push" }, "html_url": "https://github.com/acme/run",
                "run_started_at": self.at(told.minute - 2), "updated_at": self.at(told.minute),
                "actor": { "login": if fork { "mona" } else { "ann" } },
            },
        })
    }

    /// Tells GitHub of the run's jobs. Each ends a second after the one before it.
    fn known(&self, told: &Told<'_>) {
        let first = told.id * 100 + u64::from(told.attempt) * 10;
        let end = |at: u64| rfc3339(self.begin + told.minute * 60 - 60 + at as i64);
        let jobs: Vec<Value> = (0..)
            .zip(told.jobs)
            .map(|(at, (name, conclusion, _))| {
                json!({ "id": first + at, "name": name, "conclusion": conclusion, "labels": ["ubuntu-latest"],
                "started_at": self.at(told.minute - 2), "completed_at": end(at),
                "steps": [{ "name": "Run", "conclusion": conclusion }] })
            })
            .collect();
        let logs: HashMap<u64, Log> =
            (first..).zip(told.jobs).filter_map(|(id, job)| Some((id, log_of("make", job.2)?))).collect();
        self.world.github.add(Run {
            repository: self.repository.clone(),
            run_id: told.id,
            attempt: told.attempt,
            jobs: json!({ "total_count": jobs.len(), "jobs": jobs }),
            logs,
        });
    }

    /// Delivers the end of a run, and returns the status of the answer.
    fn tell(&mut self, told: Told<'_>) -> Result<String, Failed> {
        self.known(&told);
        let payload = self.payload(&told, false);
        self.post("workflow_run", &payload)
    }

    /// Delivers the end of each failed job of a run that was told.
    fn tell_jobs(&mut self, told: &Told<'_>) -> Outcome {
        let first = told.id * 100 + u64::from(told.attempt) * 10;
        for (id, (name, _, _)) in (first..).zip(told.jobs).filter(|(_, job)| job.1 == "failure") {
            let payload = json!({
                "action": "completed",
                "repository": { "full_name": self.repository, "default_branch": "main" },
                "installation": { "id": self.installation },
                "sender": { "login": "octocat" },
                "workflow_job": { "id": id, "run_id": told.id, "run_attempt": told.attempt, "name": name, "workflow_name": "CI",
                    "conclusion": "failure", "head_sha": Self::sha(told.id), "head_branch": told.branch, "labels": [] },
            });
            self.post("workflow_job", &payload)?;
        }
        Ok(())
    }

    fn post(&mut self, event: &str, payload: &Value) -> Result<String, Failed> {
        self.sent += 1;
        let id = format!("day-{}-{}", self.installation, self.sent);
        let answer = self.world.post(&Delivery::signed(event, &id, payload, SECRET))?;
        same(&answer.status, &200, &answer.body)?;
        Ok(answer.body["status"].as_str().unwrap_or_default().to_owned())
    }

    /// The causes, each as class, counts, state and the tests or the line.
    fn causes(&self) -> Result<Vec<String>, Failed> {
        let answer = self.world.get(&format!("/api/causes?repository={}&limit=100", self.repository))?;
        same(&answer.status, &200, &answer.body)?;
        let told = |cause: &Value| {
            let text = |name: &str| cause[name].as_str().unwrap_or_default().to_owned();
            let name = cause["tests"][0].as_str().map_or_else(|| text("line"), str::to_owned);
            let flaky = if cause["flaky"] == json!(true) { " flaky" } else { "" };
            let name: String = name.chars().take(50).collect();
            format!(
                "{}: {} failed, {} passed again, {}{flaky}: {name}",
                text("class"),
                cause["times"],
                cause["passed"],
                text("state")
            )
        };
        let mut causes: Vec<String> =
            answer.body["causes"].as_array().into_iter().flatten().map(told).collect();
        causes.sort();
        Ok(causes)
    }

    /// A run's page.
    fn run(&self, id: u64, attempt: u32) -> Result<Value, Failed> {
        let answer =
            self.world.get(&format!("/api/run?repository={}&run={id}&attempt={attempt}", self.repository))?;
        same(&answer.status, &200, &answer.body)?;
        Ok(answer.body)
    }

    /// The kinds of sentences that a run is told by.
    fn standing(&self, id: u64, attempt: u32) -> Result<Vec<String>, Failed> {
        let run = self.run(id, attempt)?;
        let lines = run["standing"].clone();
        // The sentences that are read first say the most useful of them.
        let told = run["told"].as_str().unwrap_or_default();
        same(&told.contains(lines[0]["sentence"].as_str().unwrap_or_default()), &true, &run)?;
        let kind = |line: &Value| line["standing"].as_str().unwrap_or_default().to_owned();
        Ok(lines.as_array().into_iter().flatten().map(kind).collect())
    }
}

pub(super) fn of_a_team(world: &World) -> Outcome {
    let installation = world.id();
    let now = i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs())?;
    let mut day = Day {
        world,
        repository: format!("acme/day-{installation}"),
        installation,
        begin: now - 86_400,
        sent: 0,
    };
    let base = installation * 1_000_000;
    let run = |id: u64, branch: &'static str, conclusion: &'static str, minute: i64| Told {
        id: base + id,
        attempt: 1,
        branch,
        conclusion,
        minute,
        jobs: &[],
    };
    // Main is green, then a push breaks it: six failed jobs of five causes, told by the run and by each job.
    same(&day.tell(run(10, "main", "success", 0))?.as_str(), &"recorded", &"a green run")?;
    let matrix: &[Job<'_>] = &[
        ("linux", "failure", COMPILE),
        ("mac", "failure", COMPILE),
        ("unit", "failure", UNIT),
        ("image", "failure", DISK),
        ("web", "failure", FETCH),
        ("all checks passed", "failure", GATE),
        ("lint", "success", &[]),
    ];
    let red = Told { jobs: matrix, ..run(20, "main", "failure", 10) };
    same(&day.tell(red)?.as_str(), &"done", &"a red run")?;
    // Each comes again, under other ids: nothing new is stored.
    for _ in 0..4 {
        day.tell_jobs(&red)?;
        day.tell(red)?;
    }
    let page = day.run(red.id, 1)?;
    let jobs: Vec<_> =
        page["failures"].as_array().into_iter().flatten().map(|job| job["job"].clone()).collect();
    same(&(jobs.len(), &jobs[0]), &(6, &json!("linux")), &page)?;
    // Five branches that start from it have its error too, and a fork, whose branch is called main as well.
    let compile: &[Job<'_>] = &[("linux", "failure", COMPILE), ("lint", "success", &[])];
    for (at, branch) in [(0, "a"), (1, "b"), (2, "c"), (3, "d"), (4, "e")] {
        day.tell(Told { jobs: compile, ..run(30 + at, branch, "failure", 20 + at as i64) })?;
        same(&day.standing(base + 30 + at, 1)?[0].as_str(), &"failing_on_main", &branch)?;
    }
    let fork = Told { jobs: compile, ..run(40, "main", "failure", 40) };
    day.known(&fork);
    let payload = day.payload(&fork, true);
    day.post("workflow_run", &payload)?;
    same(&day.run(fork.id, 1)?["failures"][0]["branch"], &json!("mona:main"), &"a fork")?;
    // Main is mended, and so are three of the branches.
    for (at, branch) in [(0, "main"), (1, "a"), (2, "b"), (3, "c")] {
        day.tell(run(50 + at, branch, "success", 60 + at as i64))?;
    }
    same(&day.standing(base + 30, 1)?.contains(&"failing_on_main".to_owned()), &false, &"main is green")?;
    // A test that passes five of six times when it is tried again.
    let slow: &[Job<'_>] = &[("unit", "failure", SLOW), ("linux", "success", &[])];
    for at in 0..6 {
        let failed = Told { jobs: slow, ..run(60 + at, "flaky", "failure", 100 + 10 * at as i64) };
        day.tell(failed)?;
        if at < 5 {
            day.tell(Told {
                attempt: 2,
                jobs: &[],
                conclusion: "success",
                minute: failed.minute + 5,
                ..failed
            })?;
        }
    }
    same(&day.standing(base + 65, 1)?.contains(&"flaky".to_owned()), &true, &"the sixth")?;
    let tests = world.get(&format!("/api/tests?repository={}&flaky=true", day.repository))?.body;
    same(&tests["tests"].as_array().map(Vec::len), &Some(1), &tests)?;
    // Newer pushes, people and skipped runs change nothing; a limit does.
    for at in 0..12 {
        let conclusion = if at % 2 == 0 { "cancelled" } else { "skipped" };
        let jobs: &[Job<'_>] = &[("unit", "cancelled", &[])];
        let status = day.tell(Told { jobs, ..run(80 + at, "busy", conclusion, 200 + at as i64) })?;
        same(&status.as_str(), &"ignored", &conclusion)?;
    }
    let limit = Told {
        jobs: &[("unit", "cancelled", &["waiting for the server"])],
        ..run(95, "hung", "cancelled", 230)
    };
    world.github.annotate(limit.id * 100 + 10, "failure", LIMIT);
    same(&day.tell(limit)?.as_str(), &"done", &"a limit")?;
    // The run that mends a branch is heard of before the run that broke it.
    day.tell(run(97, "late", "success", 250))?;
    day.tell(Told { jobs: &[("image", "failure", DISK)], ..run(96, "late", "failure", 240) })?;
    same(&(day.sent >= 60), &true, &day.sent)?;
    let expected = [
        "Build Failure: 8 failed, 0 passed again, open: error[E0382]: borrow of moved value: `config`",
        "Network Error: 1 failed, 0 passed again, fixed: npm error",
        "Resource Exhaustion: 2 failed, 0 passed again, fixed: fatal: write error: No space left on device",
        "Test Failure: 1 failed, 0 passed again, fixed: tests/test_money.py::test_round",
        "Test Failure: 6 failed, 5 passed again, open flaky: tests/test_slow.py::test_eventually",
        "Timeout: 1 failed, 0 passed again, open: ",
    ];
    let causes = day.causes()?;
    for cause in expected {
        same(&causes.iter().any(|found| found.starts_with(cause)), &true, &(cause, &causes))?;
    }
    // The gate's failure follows from others; its cause is the seventh.
    same(&causes.len(), &7, &causes)
}
