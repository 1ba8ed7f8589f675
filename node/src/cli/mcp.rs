//! `sentinel mcp`: serves the tools for assistants, over standard input and output or over HTTP.

use super::stop::stopped;
use crate::learn::failure_model;
use crate::operate::hidden::Hidden;
use crate::operate::listener;
use crate::operate::mcp_tools::Tools;
use crate::operate::worker_api::Worker;
use crate::review::backend::ort::{BackendOptions, Provider};
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

/// The time that open calls have when the server stops.
const DRAIN: Duration = Duration::from_secs(5);

/// Offer Sentinel's tools to an assistant: analyze_log, review_diff, recent_failures, submit_ground_truth,
/// get_feedback_stats.
///
/// Speaks the Model Context Protocol over standard input and output, or with --http over streamable HTTP. The models
/// run in this process. Corrections and history need a worker: set SENTINEL_URL and SENTINEL_API_KEY.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  claude mcp add sentinel -- sentinel mcp\n  \
                  SENTINEL_MCP_TOKEN=… sentinel mcp --http 127.0.0.1:9090    # http://127.0.0.1:9090/mcp")]
pub(super) struct Mcp {
    /// Serve over HTTP at this address.
    #[arg(long, value_name = "ADDRESS", requires = "token")]
    http: Option<SocketAddr>,
    /// The bearer token that HTTP callers must send.
    #[arg(long, env = "SENTINEL_MCP_TOKEN", hide_env_values = true)]
    token: Option<Hidden>,
    /// Host names by which HTTP callers may call this server, in addition to localhost.
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    /// The worker that has the history and takes corrections.
    #[arg(long, env = "SENTINEL_URL", requires = "api_key")]
    url: Option<String>,
    /// The API key for the worker.
    #[arg(long, env = "SENTINEL_API_KEY", hide_env_values = true)]
    api_key: Option<Hidden>,
    /// The folder of another failure model.
    #[arg(long)]
    model: Option<PathBuf>,
    /// The folder of another review model.
    #[arg(long, env = "SENTINEL_REVIEW_MODEL")]
    review_model: Option<PathBuf>,
    /// The hardware that runs the review model.
    #[arg(long, value_enum, default_value_t = Provider::Cpu)]
    provider: Provider,
    /// The path of libonnxruntime, if it is not in one of the usual places.
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
        let backend = BackendOptions { provider: self.provider, sessions: None, library: self.onnxruntime };
        let tools =
            Tools::new(failure_model::load(self.model.as_deref())?, worker, backend, self.review_model);
        let stop = stopped()?;
        let Some(address) = self.http else {
            let service = tools.serve(stdio()).await.context("the client did not start the protocol")?;
            tokio::select! {
                ended = service.waiting() => drop(ended?),
                () = stop => {}
            }
            return Ok(());
        };
        let token = self.token.as_ref().and_then(Hidden::secret);
        let token = Arc::new(token.context("SENTINEL_MCP_TOKEN is empty: set it to a long random text")?);
        let mut config = StreamableHttpServerConfig::default();
        config.allowed_hosts.extend(self.allow_host);
        let cancel = config.cancellation_token.clone();
        let sessions = Arc::new(LocalSessionManager::default());
        let service = StreamableHttpService::new(move || Ok(tools.clone()), sessions, config);
        let router = Router::new().nest_service("/mcp", service).layer(from_fn_with_state(token, admit));
        let incoming = tokio::net::TcpListener::bind(address)
            .await
            .with_context(|| format!("listening on {address}"))?;
        super::print::announce(&format!("listening on http://{}/mcp", incoming.local_addr()?));
        let stopped = async move {
            stop.await;
            cancel.cancel();
        };
        let connections = listener::share(listener::open_files());
        let limits = listener::Limits { connections, stalled: None, unread: listener::UNREAD, drain: DRAIN };
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
