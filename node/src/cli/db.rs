//! `sentinel db`: a libSQL file over Hrana HTTP, for development and single-machine deployments.

use super::stop::stopped;
use crate::hrana::Server;
use anyhow::{Context, Result};
use clap::Args;
use sentinel_shared::signature::Secret;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Serve a libSQL file over HTTP, as Turso would.
///
/// The file is created and its schema brought up to date. Speaks Hrana 2 and 3 (`/v2/pipeline`,
/// `/v3/pipeline`, `/v3/cursor`), so the worker, `@libsql/client` and the `libsql` crate all work against it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sentinel db --file sentinel.db --listen 127.0.0.1:8080")]
pub(super) struct Db {
    /// The database file.
    #[arg(long, env = "SENTINEL_DB_PATH", default_value = "sentinel.db")]
    file: PathBuf,
    /// Where to listen; port 0 picks a free one, which is printed.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Bearer token that clients must send; needed to listen on anything but loopback.
    #[arg(long, env = "TURSO_AUTH_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

impl Db {
    pub(super) fn run(self) -> Result<()> {
        let token = self.token.as_deref().and_then(Secret::new);
        anyhow::ensure!(
            token.is_some() || self.listen.ip().is_loopback(),
            "{} is reachable from other machines: give --token, or listen on 127.0.0.1",
            self.listen
        );
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async {
            let stop = stopped()?;
            let server = Server::open(&self.file, token).await?;
            let listener = tokio::net::TcpListener::bind(self.listen)
                .await
                .with_context(|| format!("listening on {}", self.listen))?;
            println!("listening on http://{}", listener.local_addr()?);
            axum::serve(listener, server.router()).with_graceful_shutdown(stop).await.context("serving")
        })
    }
}
