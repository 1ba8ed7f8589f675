//! `sentinel mcp` with the official SDK's client, and with a worker behind it.

use super::{KEY, Outcome, PYTEST_LOG, World, deliver, same, text_log};
use rmcp::ServiceExt;
use rmcp::model::CallToolRequestParams;
use rmcp::service::{RoleClient, RunningService};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use sentinel_tests::stack::{Server, free_port};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const TOKEN: &str = "mcp token of the tests";
const DIFF: &str = "diff --git a/src/load.ts b/src/load.ts\n--- a/src/load.ts\n+++ b/src/load.ts\n@@ -1,2 +1,3 @@\n export function load() {\n+  debugger;\n }\n";

/// (is an error, structured content)
async fn call(
    client: &RunningService<RoleClient, ()>,
    tool: &'static str,
    arguments: Value,
) -> anyhow::Result<(bool, Value)> {
    let arguments = arguments.as_object().cloned().unwrap_or_default();
    let result = client.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await?;
    Ok((result.is_error.unwrap_or_default(), result.structured_content.unwrap_or_default()))
}

pub(super) fn over_stdio(world: &World) -> Outcome {
    let delivered = world.post(&world.delivery(&world.failed_run(text_log(PYTEST_LOG))))?.body;
    let stored = &delivered["inference"];
    Runtime::new()?.block_on(async {
        let mut program = tokio::process::Command::new(&world.programs.sentinel);
        program.arg("mcp").env("SENTINEL_URL", &world.worker.url).env("SENTINEL_API_KEY", KEY);
        // Whatever is printed there but the protocol would end the session.
        let client = ().serve(TokioChildProcess::new(program)?).await?;
        let tools = client.list_all_tools().await?;
        let mut names: Vec<&str> = tools.iter().map(|tool| tool.name.as_ref()).collect();
        names.sort_unstable();
        let expected = [
            "analyze_log",
            "explain_failure",
            "flaky_tests",
            "get_feedback_stats",
            "recent_failures",
            "review_diff",
            "submit_ground_truth",
        ];
        same(&names, &expected.to_vec(), &"tools")?;
        let undescribed = tools.iter().filter(|tool| tool.description.as_deref().is_none_or(str::is_empty));
        same(&undescribed.count(), &0, &"every tool says what it does")?;

        let (failed, verdict) = call(&client, "analyze_log", json!({ "log": PYTEST_LOG })).await?;
        same(&failed, &false, &verdict)?;
        same(&verdict["prediction"], &stored["prediction"], &verdict)?;
        let record = json!({ "features": { "error_message": PYTEST_LOG, "build_duration_sec": 100.0, "retry_count": 1 } });
        let (failed, of_record) = call(&client, "analyze_log", record).await?;
        same(&failed, &false, &of_record)?;
        same(&of_record["top_contributing_features"].is_array(), &true, &of_record)?;
        for nonsense in [json!({}), json!({ "log": "x", "features": {} }), json!({ "features": { "os": "Linux" } })] {
            let (failed, told) = call(&client, "analyze_log", nonsense).await?;
            same(&(failed, told["error"].is_string(), told["details"].is_string()), &(true, true, true), &told)?;
        }

        let (failed, review) = call(&client, "review_diff", json!({ "diff": DIFF })).await?;
        same(&failed, &false, &review)?;
        same(&review["findings"][0]["line"], &json!(2), &review)?;
        same(&call(&client, "review_diff", json!({ "diff": "hello" })).await?.0, &true, &"no diff")?;

        let repository = &stored["repository"];
        let asked = json!({ "repository": repository, "limit": 5 });
        let (_, recent) = call(&client, "recent_failures", asked).await?;
        same(&recent["failures"].as_array().map(Vec::len), &Some(1), &recent)?;
        same(&recent["failures"][0]["id"], &stored["id"], &recent)?;

        same(&recent["causes"].as_array().map(Vec::len), &Some(1), &recent)?;
        let cause = &recent["causes"][0];
        same(&cause["last"]["id"], &stored["id"], &recent)?;
        let line = cause["line"].as_str().unwrap_or("?");
        for asked in [json!({ "cause": cause["id"] }), json!({ "failure": stored["id"] })] {
            let (failed, told) = call(&client, "explain_failure", asked).await?;
            let explains = told["explanation"].as_str().is_some_and(|text| text.contains(line));
            same(&(failed, explains, &told["cause"]), &(false, true, &cause["id"]), &told)?;
        }
        for asked in [json!({}), json!({ "cause": 1, "failure": 1 }), json!({ "cause": -1 })] {
            let (failed, told) = call(&client, "explain_failure", asked).await?;
            same(&(failed, told["details"].is_string()), &(true, true), &told)?;
        }
        let (failed, flaky) = call(&client, "flaky_tests", json!({ "repository": repository })).await?;
        same(&(failed, &flaky["tests"]), &(false, &json!([])), &flaky)?;

        let (_, before) = call(&client, "get_feedback_stats", json!({})).await?;
        // An id may also be sent as text, as clients of the first API do.
        let correction = json!({ "log_id": stored["id"].to_string(), "original_pred": stored["prediction"],
            "corrected_label": "Network Error", "author_id": "an assistant" });
        let (failed, told) = call(&client, "submit_ground_truth", correction).await?;
        same(&(failed, told["status"].as_str()), &(false, Some("recorded")), &told)?;
        let (_, after) = call(&client, "get_feedback_stats", json!({})).await?;
        let records = |stats: &Value| stats["total_records"].as_u64();
        same(&records(&after), &records(&before).map(|count| count + 1), &after)?;
        let another = json!({ "log_id": stored["id"], "original_pred": "Timeout", "corrected_label": "Network Error", "author_id": "a" });
        let (failed, told) = call(&client, "submit_ground_truth", another).await?;
        let says_why = told["details"].as_str().is_some_and(|why| why.contains("not Timeout"));
        same(&(failed, says_why), &(true, true), &told)?;
        let wrong = json!({ "log_id": stored["id"], "corrected_label": "Gremlins", "author_id": "a" });
        let (failed, told) = call(&client, "submit_ground_truth", wrong).await?;
        same(&failed, &true, &told)?;
        same(&told["details"].as_str().is_some_and(|why| why.contains("ten classes")), &true, &told)?;
        client.cancel().await?;
        Ok(())
    })
}

/// `sentinel failures` asks the same worker.
pub(super) fn failures_command(world: &World) -> Outcome {
    let stored =
        world.post(&world.delivery(&world.failed_run(text_log(PYTEST_LOG))))?.body["inference"].clone();
    let repository = stored["repository"].as_str().unwrap_or_default();
    let run = |arguments: &[&str]| -> anyhow::Result<(bool, String, String)> {
        let output = std::process::Command::new(&world.programs.sentinel)
            .arg("failures")
            .args(arguments)
            .env("SENTINEL_URL", &world.worker.url)
            .env("SENTINEL_API_KEY", KEY)
            .output()?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok((output.status.success(), text(output.stdout), text(output.stderr)))
    };
    let (_, listed, said) = run(&["list", "--repository", repository, "--json"])?;
    let page: Value = serde_json::from_str(&listed).map_err(|error| format!("{error}: {listed}{said}"))?;
    let cause = page["causes"][0].clone();
    same(&page["causes"].as_array().map(Vec::len), &Some(1), &page)?;
    let (id, line) = (cause["id"].to_string(), cause["line"].as_str().unwrap_or("?"));
    let (_, listed, said) = run(&["list", "--repository", repository, "--class", "Test Failure"])?;
    same(&(listed.lines().count(), listed.contains(line)), &(1, true), &(&listed, &said))?;
    for arguments in [["--class", "Timeout"], ["--author", "nobody"], ["--search", "nosuchword"]] {
        let (_, listed, said) = run(&[&["list", "--repository", repository][..], &arguments].concat())?;
        same(&listed.as_str(), &"no causes\n", &(arguments, said))?;
    }
    let (_, shown, said) = run(&["show", &id])?;
    same(&(shown.contains(line), shown.contains(repository)), &(true, true), &(&shown, &said))?;
    let (_, shown, said) = run(&["show", &id, "--json"])?;
    let detail: Value = serde_json::from_str(&shown).map_err(|error| format!("{error}: {shown}{said}"))?;
    same(&detail["failures"][0]["id"], &stored["id"], &detail)?;
    let (worked, _, said) = run(&["show", "999999999"])?;
    same(&(worked, said.contains("404")), &(false, true), &said)
}

pub(super) fn over_http(world: &World) -> Outcome {
    let port = free_port()?;
    // Under a limit of open files that silent connections would use up.
    let mut program = std::process::Command::new("sh");
    program.args(["-c", "ulimit -n 128; exec \"$0\" \"$@\""]).arg(&world.programs.sentinel);
    program.args(["mcp", "--http", &format!("127.0.0.1:{port}")]).env("SENTINEL_MCP_TOKEN", TOKEN);
    let server = Server::listening(program, port, &world.folder.join("mcp.log"))?;
    let silent =
        (0..200).map(|_| std::net::TcpStream::connect(("127.0.0.1", port))).collect::<Result<Vec<_>, _>>()?;
    let started = std::time::Instant::now();
    same(&deliver::get(&server.url, "/mcp", None)?.status, &401, &"without the token")?;
    same(&(started.elapsed().as_secs() < 8), &true, &format!("{} silent connections", silent.len()))?;
    // It brings the cryptography that this client's HTTP asks for.
    drop(sentinel_node::operate::http::client());
    Runtime::new()?.block_on(async {
        let at = |token: &str| {
            let config = StreamableHttpClientTransportConfig::with_uri(format!("{}/mcp", server.url));
            StreamableHttpClientTransport::from_config(config.auth_header(token))
        };
        same(&().serve(at("another token")).await.is_err(), &true, &"with a wrong token")?;
        let client = ().serve(at(TOKEN)).await?;
        let (failed, verdict) = call(&client, "analyze_log", json!({ "log": PYTEST_LOG })).await?;
        same(&(failed, verdict["prediction"].is_string()), &(false, true), &verdict)?;
        let (failed, told) = call(&client, "recent_failures", json!({})).await?;
        let says_how = told["details"].as_str().is_some_and(|why| why.contains("SENTINEL_URL"));
        same(&(failed, says_how), &(true, true), &told)?;
        client.cancel().await?;
        Ok(())
    })
}
