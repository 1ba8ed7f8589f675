//! How a failed run is related to the change of its pull request, and who owns its files.

use super::{Outcome, World, known, same};
use sentinel_tests::github::Pull;
use serde_json::{Value, json};

const OWNERS: &str = "* @acme/all\n/src/ @acme/loaders ann@example.com\n";
/// Adds the lines 41 and 42 of the file.
const PATCH: &str = "@@ -40,1 +40,3 @@\n context\n+    let a = 1;\n+    assert!(a == 2);\n";

/// A failed run of `event` whose log names the lines of `places`, and the commit that it tested.
fn failed(world: &World, repository: &str, event: &str, places: &[&str]) -> (u64, String, Value) {
    let lines: Vec<String> = places.iter().map(|place| format!("{place}:5: error: it broke")).collect();
    let (run, mut payload) = known::failed(world, repository, &lines.join("\n"));
    let of_run = &mut payload["workflow_run"];
    of_run["event"] = json!(event);
    of_run["head_branch"] = json!("topic");
    of_run["pull_requests"] = json!([]);
    let sha = of_run["head_sha"].as_str().unwrap_or_default().to_owned();
    (run, sha, payload)
}

fn of_run(world: &World, repository: &str, run: u64) -> anyhow::Result<Value> {
    let (key, _) = world.named_key("change", "read", None)?;
    let path = format!("/api/run?repository={repository}&run={run}&attempt=1");
    Ok(world.as_json("GET", &path, &key, &Value::Null)?.1)
}

pub(super) fn related(world: &World) -> Outcome {
    let repository = format!("acme/change-{}", world.id());
    world.github.put_file(&repository, ".github/CODEOWNERS", OWNERS);
    let number = world.id();

    // A pull request of the repository's own: its delivery names it.
    let (run, sha, mut payload) =
        failed(world, &repository, "pull_request", &["src/other.c:7", "src/load.c:42"]);
    world.github.open(Pull::new(&repository, number, &sha, &[("src/load.c", PATCH), ("docs/a.md", PATCH)]));
    payload["workflow_run"]["pull_requests"] = json!([{ "number": number, "base": { "ref": "main" } }]);
    let answer = world.post(&world.delivery(&payload))?;
    same(&answer.body["inference"]["evidence_notes"], &json!([]), &answer.body)?;
    let detail = of_run(world, &repository, run)?;
    let failure = &detail["failures"][0];
    same(&failure["change"]["relation"], &json!("added_line"), failure)?;
    same(&failure["change"]["line"], &json!(42), failure)?;
    same(&failure["owners"], &json!(["@acme/loaders"]), failure)?;
    let told = detail["told"].as_str().unwrap_or_default();
    same(&told.contains("`src/load.c:42` is a line this change adds."), &true, &detail)?;

    // A fork's: it is found by its head.
    let (run, sha, payload) = failed(world, &repository, "pull_request", &["src/load.c:9"]);
    world.github.open(Pull::new(&repository, number + 1, &sha, &[("src/load.c", PATCH)]));
    world.post(&world.delivery(&payload))?;
    let failure = of_run(world, &repository, run)?["failures"][0].clone();
    same(&failure["change"]["relation"], &json!("touched_file"), &failure)?;
    same(&failure["pull"], &json!(number + 1), &failure)?;

    // Somewhere else.
    let (run, sha, payload) = failed(world, &repository, "pull_request", &["lib/b.c:9"]);
    world.github.open(Pull::new(&repository, number + 2, &sha, &[("src/load.c", PATCH)]));
    world.post(&world.delivery(&payload))?;
    let failure = of_run(world, &repository, run)?["failures"][0].clone();
    same(&failure["change"]["relation"], &json!("elsewhere"), &failure)?;
    same(&failure["owners"], &json!(["@acme/all"]), &failure)?;

    // A token that may not read pull requests costs the relation, and not the verdict.
    let (run, sha, payload) = failed(world, &repository, "pull_request", &["src/load.c:42"]);
    world.github.open(Pull::new(&repository, number + 3, &sha, &[("src/load.c", PATCH)]));
    world.github.refuse_pulls(true);
    let answer = world.post(&world.delivery(&payload));
    world.github.refuse_pulls(false);
    let inference = answer?.body["inference"].clone();
    same(&inference["evidence"], &json!("log"), &inference)?;
    same(&inference["evidence_notes"], &json!(["change_unread"]), &inference)?;
    let failure = of_run(world, &repository, run)?["failures"][0].clone();
    same(&failure["change"], &Value::Null, &failure)?;
    same(&failure["owners"], &json!(["@acme/loaders"]), &failure)?;

    // A push asks for no pull request.
    let (run, _, payload) = failed(world, &repository, "push", &["src/load.c:42"]);
    let before = world.github.calls().len();
    world.post(&world.delivery(&payload))?;
    let asked = world.github.calls()[before..].iter().any(|call| call.starts_with("files "));
    let failure = of_run(world, &repository, run)?["failures"][0].clone();
    same(&(asked, &failure["change"]), &(false, &Value::Null), &failure)
}
