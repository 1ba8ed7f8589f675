//! `sentinel db`: serves a libSQL file over Hrana HTTP, for development and single-machine deployments.

use super::stop::stopped;
use crate::database::server::{Limits, Server, Tokens};
use crate::operate::heap;
use crate::operate::hidden::Hidden;
use crate::operate::listener;
use anyhow::{Context, Result};
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How long open requests have to tell their clients that the server stops. Running statements are interrupted first.
const DRAIN: Duration = Duration::from_secs(2);
/// After that, statements that still wait for another process's lock or for the disk are abandoned.
const LAST_WAIT: Duration = Duration::from_secs(1);
/// The time that a client has to fetch an answer.
const STALLED: Duration = Duration::from_secs(90);

/// Serve a libSQL file over HTTP, as Turso does.
///
/// Creates the file if it is missing and updates its schema. Speaks Hrana 2 and 3 (`/v2/pipeline`, `/v3/pipeline`,
/// `/v3/cursor`), so the worker, `@libsql/client` and the `libsql` crate can use it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sentinel db --file sentinel.db --listen 127.0.0.1:8080")]
pub(super) struct Db {
    /// The path of the database file.
    #[arg(long, env = "SENTINEL_DB_PATH", default_value = "sentinel.db")]
    file: PathBuf,
    /// The address to listen on. Port 0 picks a free port, which is printed.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The bearer token that clients must send. Required on any address but loopback. Several tokens are allowed,
    /// separated by commas or by repeating the flag, to rotate them.
    #[arg(long, env = "TURSO_AUTH_TOKEN", hide_env_values = true, value_delimiter = ',')]
    token: Vec<Hidden>,
    /// A bearer token that allows reading only. Several tokens are allowed.
    #[arg(long, env = "SENTINEL_DB_READ_TOKEN", hide_env_values = true, value_delimiter = ',')]
    read_only_token: Vec<Hidden>,
    /// The seconds that one statement may run. A whole request may run three times as long.
    #[arg(long, env = "SENTINEL_DB_STATEMENT_SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    statement_seconds: u64,
    /// The TLS certificate as PEM. Together with --tls-key it makes the port speak TLS.
    #[arg(long, env = "SENTINEL_DB_TLS_CERT", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of the TLS certificate as PEM.
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
        heap::give_large_blocks_back();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let served = runtime.block_on(async {
            let stop = stopped()?;
            let server = Server::open_within(&self.file, tokens, limits).await?;
            let listener = tokio::net::TcpListener::bind(self.listen)
                .await
                .with_context(|| format!("listening on {}", self.listen))?;
            let scheme = if tls.is_some() { "https" } else { "http" };
            super::print::announce(&format!("listening on {scheme}://{}", listener.local_addr()?));
            let stopper = server.stopper();
            let stop = async move {
                stop.await;
                stopper.stop();
            };
            let limits = listener::Limits {
                connections,
                stalled: Some(STALLED),
                unread: listener::UNREAD,
                drain: DRAIN,
            };
            listener::serve(listener, (server.router(), tls), limits, stop).await;
            Ok(())
        });
        runtime.shutdown_timeout(LAST_WAIT);
        served
    }
}
