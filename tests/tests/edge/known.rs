//! A team's known issues, and runs that are tried again.

use super::{Outcome, World, same};
use sentinel_tests::github::{Log, Run};
use serde_json::{Value, json};

const POLICY: &str = ".github/sentinel.yml";
/// A log that ends with `line`.
fn log(line: &str) -> Log {
    Log::Bytes(
        format!(
            "2026-01-01T00:00:00.0000000Z ##[group]Run make\n2026-01-01T00:00:01.0000000Z ##[endgroup]\n\
             2026-01-01T00:00:02.0000000Z {line}\n\
             2026-01-01T00:00:02.0000000Z ##[error]Process completed with exit code 1.\n"
        )
        .into_bytes(),
    )
}

/// The first attempt of a run that failed with `line`.
pub(super) fn failed(world: &World, repository: &str, line: &str) -> (u64, Value) {
    let id = world.id();
    let job = id + 1_000_000;
    world.github.add(Run {
        repository: repository.to_owned(),
        run_id: id,
        attempt: 1,
        jobs: json!({ "total_count": 1, "jobs": [{ "id": job, "name": "unit", "conclusion": "failure",
            "labels": ["ubuntu-latest"], "steps": [{ "name": "Run make", "conclusion": "failure" }] }] }),
        logs: [(job, log(line))].into(),
    });
    let payload = json!({
        "action": "completed",
        "repository": { "full_name": repository, "default_branch": "main" },
        "installation": { "id": 1 },
        "sender": { "login": "octocat" },
        "workflow_run": { "id": id, "name": "CI", "run_attempt": 1, "conclusion": "failure", "event": "push",
            "head_branch": "main", "head_sha": format!("{id:040x}") },
    });
    (id, payload)
}

fn told(world: &World, key: &str, repository: &str, run: u64) -> anyhow::Result<Value> {
    let path = format!("/api/run?repository={repository}&run={run}&attempt=1");
    Ok(world.as_json("GET", &path, key, &Value::Null)?.1)
}

fn reruns(world: &World, run: u64) -> usize {
    world.github.calls().iter().filter(|call| **call == format!("rerun {run}")).count()
}

pub(super) fn matched(world: &World) -> Outcome {
    // Calls are limited for each key.
    let (key, _) = world.named_key("known", "admin", None)?;
    let repository = format!("acme/known-{}", world.id());
    world.github.put_file(
        &repository,
        POLICY,
        "failures:\n  known:\n    - {regex: 'registry\\.corp:\\d+', advice: The registry restarts at noon., link: 'https://wiki.corp/r'}\n    - {text: nothing, advise: x}\n",
    );
    let (run, payload) = failed(world, &repository, "error: dial tcp registry.corp:443: connection refused");
    let answer = world.post(&world.delivery(&payload))?;
    same(&answer.body["inference"]["evidence_notes"], &json!(["policy_invalid"]), &answer.body)?;
    let detail = told(world, &key, &repository, run)?;
    let failure = &detail["failures"][0];
    same(&failure["known"]["advice"], &json!("The registry restarts at noon."), failure)?;
    same(&failure["known"]["entry"], &json!("failures.known[0]"), failure)?;
    let remark = failure["remarks"][0].as_str().unwrap_or_default();
    same(&remark.starts_with("failures.known[1]: unknown field `advise`"), &true, failure)?;
    same(&detail["retry"], &Value::Null, &"nothing is tried again unless a team wants it")?;
    // Nine other failures, and an entry that claims all of them.
    for (at, line) in ["error[E0382]: borrow of moved value", "fatal: No space left on device"]
        .iter()
        .cycle()
        .take(9)
        .enumerate()
    {
        let (_, payload) = failed(
            world,
            &repository,
            &format!("{line} in part-{}", ["a", "b", "c", "d", "e", "f", "g", "h", "i"][at]),
        );
        world.post(&world.delivery(&payload))?;
    }
    let wide = json!({ "repository": repository, "dry_run": true, "issue": { "regex": "(error|fatal)", "advice": "wait" } });
    let (status, tried) = world.as_json("POST", "/api/known", &key, &wide)?;
    same(&(status, tried["known"].is_null()), &(200, true), &tried)?;
    same(&tried["too_wide"].is_string(), &true, &tried)?;
    let mut kept = wide;
    kept["dry_run"] = json!(false);
    let (status, refused) = world.as_json("POST", "/api/known", &key, &kept)?;
    same(&status, &422, &refused)?;
    world.github.put_file(
        &repository,
        POLICY,
        "failures:\n  known:\n    - {regex: '(error|fatal)', advice: wait}\n",
    );
    let (run, payload) = failed(world, &repository, "fatal: No space left on device in part-z");
    world.post(&world.delivery(&payload))?;
    let detail = told(world, &key, &repository, run)?;
    let failure = &detail["failures"][0];
    same(&failure["known"], &Value::Null, failure)?;
    let remark = failure["remarks"][0].as_str().unwrap_or_default();
    same(&remark.starts_with("failures.known[0] is too wide"), &true, failure)?;
    // One that is made from a cause's page meets the next failure, until it is removed.
    let narrow =
        json!({ "repository": repository, "issue": { "text": "in part-z", "advice": "Clean the disk." } });
    let (status, made) = world.as_json("POST", "/api/known", &key, &narrow)?;
    same(&status, &201, &made)?;
    let (run, payload) = failed(world, &repository, "fatal: No space left on device in part-z");
    world.post(&world.delivery(&payload))?;
    let detail = told(world, &key, &repository, run)?;
    same(&detail["failures"][0]["known"]["id"], &made["known"]["id"], &detail)?;
    let (_, listed) =
        world.as_json("GET", &format!("/api/known?repository={repository}"), &key, &Value::Null)?;
    same(&listed["known"].as_array().map(Vec::len), &Some(1), &listed)?;
    let (status, _) =
        world.as_json("DELETE", &format!("/api/known?id={}", made["known"]["id"]), &key, &Value::Null)?;
    same(&status, &200, &"removed")
}

pub(super) fn tried_again(world: &World) -> Outcome {
    let (key, _) = world.named_key("retries", "admin", None)?;
    let repository = format!("acme/retry-{}", world.id());
    world.github.put_file(
        &repository,
        POLICY,
        "failures:\n  known:\n    - {text: could not reach registry.corp, advice: Run again., retry: true}\n",
    );
    let line = "error: could not reach registry.corp";
    let (run, payload) = failed(world, &repository, line);
    for _ in 0..5 {
        world.post(&world.delivery(&payload))?;
    }
    same(&reruns(world, run), &1, &world.github.calls())?;
    let detail = told(world, &key, &repository, run)?;
    same(
        &(&detail["retry"]["state"], &detail["retry"]["reason"]),
        &(&json!("asked"), &json!("known")),
        &detail,
    )?;
    world.github.refuse_reruns(true);
    let (run, payload) = failed(world, &repository, line);
    let answers = [world.post(&world.delivery(&payload)), world.post(&world.delivery(&payload))];
    world.github.refuse_reruns(false);
    for answer in answers {
        same(&answer?.status, &200, &"a refusal stops no verdict")?;
    }
    same(&reruns(world, run), &1, &world.github.calls())?;
    let detail = told(world, &key, &repository, run)?;
    same(&detail["retry"]["state"], &json!("refused"), &detail)?;
    same(&detail["retry"]["answer"], &json!("403: Resource not accessible by integration"), &detail)?;
    let (run, payload) = failed(world, &repository, "error[E0382]: borrow of moved value");
    world.post(&world.delivery(&payload))?;
    same(&reruns(world, run), &0, &"nobody wants this tried again")
}
