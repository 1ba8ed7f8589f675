//! `sentinel db`: a libSQL file over Hrana HTTP, for development and single-machine deployments.

use super::stop::stopped;
use crate::hrana::{Limits, Server, Tokens};
use crate::listener;
use anyhow::{Context, Result};
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How long open requests are given to tell their clients that the server stops: what runs is interrupted first.
const DRAIN: Duration = Duration::from_secs(2);
/// What may be left then waits for another process's lock or the disk, and is let go.
const LAST_WAIT: Duration = Duration::from_secs(1);
/// How long a client may take to fetch an answer.
const STALLED: Duration = Duration::from_secs(90);

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
    /// Bearer token that clients must send; needed to listen on anything but loopback. Several, by commas or by
    /// repeating it, so that one can follow the other.
    #[arg(long, env = "TURSO_AUTH_TOKEN", hide_env_values = true, value_delimiter = ',')]
    token: Vec<String>,
    /// Bearer token that is good for reading alone; also several.
    #[arg(long, env = "SENTINEL_DB_READ_TOKEN", hide_env_values = true, value_delimiter = ',')]
    read_only_token: Vec<String>,
    /// Seconds one statement may run; three times that a whole request.
    #[arg(long, env = "SENTINEL_DB_STATEMENT_SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    statement_seconds: u64,
    /// The certificate, PEM; with --tls-key makes the port speak TLS.
    #[arg(long, env = "SENTINEL_DB_TLS_CERT", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, env = "SENTINEL_DB_TLS_KEY", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

impl Db {
    pub(super) fn run(self) -> Result<()> {
        let tokens = Tokens::new(&self.token, &self.read_only_token);
        anyhow::ensure!(
            !tokens.write.is_empty() || self.listen.ip().is_loopback(),
            "{} is reachable from other machines: give --token, or listen on 127.0.0.1",
            self.listen
        );
        anyhow::ensure!(
            !tokens.write.is_empty() || tokens.read.is_empty(),
            "--read-only-token needs --token beside it: without one, everybody here may write"
        );
        let tls = self.tls_cert.as_ref().zip(self.tls_key.as_ref()).map(|(certificate, key)| {
            let read =
                |path: &PathBuf| std::fs::read(path).with_context(|| format!("reading {}", path.display()));
            listener::tls(&read(certificate)?, &read(key)?)
        });
        let tls = tls.transpose()?;
        let connections = listener::share(listener::open_files());
        let statement = Duration::from_secs(self.statement_seconds);
        // A connection may be one stream; SQLite has as many files as the listener.
        let limits = Limits { statement, request: statement * 3, ..Limits::default() }.within(connections);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let served = runtime.block_on(async {
            let stop = stopped()?;
            let server = Server::open_within(&self.file, tokens, limits).await?;
            let listener = tokio::net::TcpListener::bind(self.listen)
                .await
                .with_context(|| format!("listening on {}", self.listen))?;
            let scheme = if tls.is_some() { "https" } else { "http" };
            println!("listening on {scheme}://{}", listener.local_addr()?);
            let stopper = server.stopper();
            let stop = async move {
                stop.await;
                stopper.stop();
            };
            let limits = listener::Limits { connections, stalled: Some(STALLED), drain: DRAIN };
            listener::serve(listener, (server.router(), tls), limits, stop).await;
            Ok(())
        });
        runtime.shutdown_timeout(LAST_WAIT);
        served
    }
}
