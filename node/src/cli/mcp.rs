//! `sentinel mcp`: the tools for assistants, over standard input and output or HTTP.

use super::stop::stopped;
use crate::backend::ort::{Options, Provider};
use crate::listener;
use crate::mcp::Tools;
use crate::model;
use crate::worker_api::Worker;
use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use clap::Args;
use rmcp::ServiceExt;
use rmcp::transport::stdio;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use sentinel_shared::signature::Secret;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long open calls are given when the server stops.
const DRAIN: Duration = Duration::from_secs(5);

/// Give an assistant Sentinel's tools: analyze_log, review_diff, recent_failures, submit_ground_truth,
/// get_feedback_stats.
///
/// Speaks the Model Context Protocol over standard input and output, or with --http over streamable HTTP. The models
/// run here; corrections and history are a worker's, named by SENTINEL_URL and SENTINEL_API_KEY.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  claude mcp add sentinel -- sentinel mcp\n  \
                  SENTINEL_MCP_TOKEN=… sentinel mcp --http 127.0.0.1:9090    # http://127.0.0.1:9090/mcp")]
pub(super) struct Mcp {
    /// Serve over HTTP at this address instead.
    #[arg(long, value_name = "ADDRESS", requires = "token")]
    http: Option<SocketAddr>,
    /// What HTTP callers must send as a bearer token.
    #[arg(long, env = "SENTINEL_MCP_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Hosts by which HTTP callers may name this server, beside localhost.
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    /// The worker whose history and corrections are asked.
    #[arg(long, env = "SENTINEL_URL", requires = "api_key")]
    url: Option<String>,
    /// Its API key.
    #[arg(long, env = "SENTINEL_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// Directory of another failure model.
    #[arg(long)]
    model: Option<PathBuf>,
    /// A folder with another review model.
    #[arg(long, env = "SENTINEL_REVIEW_MODEL")]
    review_model: Option<PathBuf>,
    /// What runs the review model.
    #[arg(long, value_enum, default_value_t = Provider::Cpu)]
    provider: Provider,
    /// Where libonnxruntime is, if not where it is looked for.
    #[arg(long, env = "ORT_DYLIB_PATH")]
    onnxruntime: Option<PathBuf>,
}

impl Mcp {
    pub(super) fn run(self) -> Result<()> {
        // Standard output is the protocol's.
        super::log_to_stderr();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(self.serve())
    }

    async fn serve(self) -> Result<()> {
        let worker = self.url.zip(self.api_key).map(|(url, api_key)| Worker { url, api_key });
        let backend = Options { provider: self.provider, sessions: None, library: self.onnxruntime };
        let tools = Tools::new(model::load(self.model.as_deref())?, worker, backend, self.review_model);
        let stop = stopped()?;
        let Some(address) = self.http else {
            let service = tools.serve(stdio()).await.context("the client did not begin as a client does")?;
            tokio::select! {
                ended = service.waiting() => drop(ended?),
                () = stop => {}
            }
            return Ok(());
        };
        let token = self.token.as_deref().and_then(Secret::new);
        let token = Arc::new(token.context("SENTINEL_MCP_TOKEN is empty: any long random text")?);
        let mut config = StreamableHttpServerConfig::default();
        config.allowed_hosts.extend(self.allow_host);
        let cancel = config.cancellation_token.clone();
        let sessions = Arc::new(LocalSessionManager::default());
        let service = StreamableHttpService::new(move || Ok(tools.clone()), sessions, config);
        let router = Router::new().nest_service("/mcp", service).layer(from_fn_with_state(token, admit));
        let incoming = tokio::net::TcpListener::bind(address)
            .await
            .with_context(|| format!("listening on {address}"))?;
        println!("listening on http://{}/mcp", incoming.local_addr()?);
        let stopped = async move {
            stop.await;
            cancel.cancel();
        };
        let connections = listener::share(listener::open_files());
        let limits = listener::Limits { connections, stalled: None, drain: DRAIN };
        listener::serve(incoming, (router, None), limits, stopped).await;
        Ok(())
    }
}

async fn admit(State(token): State<Arc<Secret>>, request: Request, next: Next) -> Response {
    let header = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let presented = header.and_then(|value| value.strip_prefix("Bearer "));
    if presented.is_some_and(|presented| token.matches(presented.as_bytes())) {
        next.run(request).await
    } else {
        (StatusCode::UNAUTHORIZED, [("www-authenticate", "Bearer")], "a bearer token is needed\n")
            .into_response()
    }
}
