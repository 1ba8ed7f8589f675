//! Causes in a real browser: failures that have one cause are one row, which leads to their runs.

use super::{KEY, Outcome, World, database_call, same};
use sentinel_tests::github::{Log, Run};
use serde_json::json;
use std::path::PathBuf;
use std::process::Command;

/// What ended the job `unit`: one test, with its place.
const UNIT_LOG: &str = "##[group]Run pytest\n##[endgroup]\n\
    =================================== FAILURES ===================================\n\
    __________________________________ test_round __________________________________\n\
    \n    def test_round():\n>       assert round_up(3.2) == 4\nE       assert 3 == 4\n\n\
    tests/test_money.py:12: AssertionError\n\
    =========================== short test summary info ============================\n\
    FAILED tests/test_money.py::test_round - AssertionError: assert 3 == 4\n\
    ========================= 1 failed, 41 passed in 2.31s =========================\n\
    ##[error]Process completed with exit code 1.\n";
/// What ended the job `image`, later.
const IMAGE_LOG: &str = "##[group]Run make image\n##[endgroup]\nfatal: write error: No space left on device\n\
    ##[error]Process completed with exit code 1.\n";

pub(super) fn in_a_browser(world: &World) -> Outcome {
    let repository = format!("acme/causes-{}", world.id());
    told(world, &repository, "success", '0', 60)?;
    told(world, &repository, "failure", '1', 40)?;
    told(world, &repository, "failure", '2', 20)?;
    browse(world, &repository, "open")?;
    told(world, &repository, "success", '3', 0)?;
    browse(world, &repository, "fixed")
}

/// A run on the default branch that ended so many minutes ago. If it failed, two jobs did.
fn told(world: &World, repository: &str, conclusion: &str, sha: char, minutes: u32) -> Outcome {
    let id = world.id();
    let jobs = id * 1000;
    let at = |seconds: u32| time(world, minutes * 60 + seconds);
    let (began, first, last) = (at(300)?, at(120)?, at(60)?);
    let job = |id: u64, name: &str, ended: &str| {
        json!({ "id": id, "name": name, "conclusion": "failure", "labels": ["ubuntu-latest"],
            "started_at": began, "completed_at": ended, "html_url": format!("https://github.com/{repository}/job/{id}"),
            "steps": [{ "name": "Run tests", "conclusion": "failure" }] })
    };
    if conclusion == "failure" {
        world.github.add(Run {
            repository: repository.to_owned(),
            run_id: id,
            attempt: 2,
            jobs: json!({ "total_count": 2, "jobs": [job(jobs, "unit", &first), job(jobs + 1, "image", &last)] }),
            logs: [(jobs, stamped(UNIT_LOG)), (jobs + 1, stamped(IMAGE_LOG))].into(),
        });
    }
    let payload = json!({
        "action": "completed",
        "repository": { "full_name": repository, "default_branch": "main" },
        "installation": { "id": 1 },
        "sender": { "login": "octocat" },
        "workflow_run": {
            "id": id, "name": "CI", "run_attempt": 2, "conclusion": conclusion, "event": "push", "head_branch": "main",
            "head_sha": sha.to_string().repeat(40), "run_started_at": began, "updated_at": last,
            "html_url": format!("https://github.com/{repository}/actions/runs/{id}"), "actor": { "login": "octocat" },
        },
    });
    let answer = world.post(&world.delivery(&payload))?;
    same(&answer.status, &200, &answer.body)
}

/// The time so many seconds ago, which a database knows how to write.
fn time(world: &World, seconds: u32) -> anyhow::Result<String> {
    let answer =
        database_call(world, &format!("SELECT strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-{seconds} seconds')"))?;
    Ok(answer["rows"][0][0]["value"].as_str().unwrap_or_default().to_owned())
}

fn stamped(log: &str) -> Log {
    let lines = log.lines().map(|line| format!("2026-01-01T00:00:02.0000000Z {line}\n"));
    Log::Bytes(lines.collect::<String>().into_bytes())
}

fn browse(world: &World, repository: &str, state: &str) -> Outcome {
    let Ok(chromium) = std::env::var("CHROMIUM") else {
        return Err("no Chromium found: install one, or set CHROMIUM to its path".into());
    };
    let pictures =
        std::env::var_os("SENTINEL_SCREENSHOTS").map_or_else(|| world.folder.clone(), PathBuf::from);
    let output = Command::new("node")
        .arg(format!("{}/js/causes.mjs", env!("CARGO_MANIFEST_DIR")))
        .args([&world.worker.url, KEY, &chromium])
        .arg(&world.programs.tools)
        .arg(pictures)
        .args([repository, state])
        .output()?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    same(&output.status.success(), &true, &said)
}
