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
        let expected =
            ["analyze_log", "get_feedback_stats", "recent_failures", "review_diff", "submit_ground_truth"];
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
