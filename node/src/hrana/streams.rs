//! Connections between requests: those a client holds by baton, and those that wait to be used again.

use super::Refusal;
use super::stream::Stream;
use anyhow::{Context, Result};
use axum::http::StatusCode;
use libsql::{Connection, Database};
use rand::distr::{Alphanumeric, SampleString};
use sentinel_shared::store::MIGRATIONS;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Streams clients may hold open at once: each is a connection with its own memory.
const OPEN_MAX: usize = 128;
/// How long a held stream may stay unused; Turso's is 10 s.
const IDLE: Duration = Duration::from_secs(10);
/// Connections kept for the next request that brings no baton.
const SPARE_MAX: usize = 8;
/// How long a writer waits for another.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Streams {
    database: Database,
    held: Mutex<HashMap<String, Held>>,
    spare: Mutex<Vec<Connection>>,
}

struct Held {
    stream: Stream,
    since: Instant,
}

impl Streams {
    pub(super) async fn open(path: &Path) -> Result<Self> {
        let database = libsql::Builder::new_local(path)
            .build()
            .await
            .with_context(|| format!("opening the database {}", path.display()))?;
        Ok(Self { database, held: Mutex::default(), spare: Mutex::default() })
    }

    /// Applies the migrations that this file has not seen.
    pub(super) async fn migrate(&self) -> Result<()> {
        let connection = self.connection().await?;
        for (version, sql) in MIGRATIONS {
            connection
                .execute_transactional_batch(sql)
                .await
                .with_context(|| format!("migration {version}"))?;
            let applied = "INSERT INTO schema_migrations VALUES (?1, unixepoch()) ON CONFLICT DO NOTHING";
            connection.execute(applied, [version]).await?;
        }
        Ok(())
    }

    /// The stream `baton` names, or a fresh one. A baton works once.
    pub(super) async fn take(&self, baton: Option<&str>) -> Result<Stream, Refusal> {
        let Some(baton) = baton else {
            let spare = self.spare().pop();
            let connection = match spare {
                Some(connection) => connection,
                None => self.connection().await.map_err(|_| unavailable())?,
            };
            return Ok(Stream::new(connection));
        };
        let held = self.held().remove(baton);
        match held {
            Some(held) if held.since.elapsed() < IDLE => Ok(held.stream),
            _ => Err(Refusal(StatusCode::BAD_REQUEST, "the baton is unknown, used or expired".into())),
        }
    }

    /// Keeps `stream` for its client and returns its next baton; a closed one is kept as spare.
    pub(super) fn put_back(&self, stream: Stream) -> Option<String> {
        let mut held = self.held();
        // Dropping an expired stream rolls back what it left open.
        held.retain(|_, held| held.since.elapsed() < IDLE);
        if stream.is_closed() || held.len() >= OPEN_MAX {
            drop(held);
            let mut spare = self.spare();
            if let Some(connection) = stream.into_clean_connection()
                && spare.len() < SPARE_MAX
            {
                spare.push(connection);
            }
            return None;
        }
        let baton = Alphanumeric.sample_string(&mut rand::rng(), 32);
        held.insert(baton.clone(), Held { stream, since: Instant::now() });
        Some(baton)
    }

    async fn connection(&self) -> libsql::Result<Connection> {
        let connection = self.database.connect()?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        // Safe against a crash of this process; a power cut may lose the last transactions, never corrupt.
        connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL").await?;
        Ok(connection)
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spare(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `work`, whose libSQL calls block the thread behind their `async`, off the runtime's own threads.
pub(super) async fn blocking<T: Send + 'static, F>(work: impl FnOnce() -> F + Send + 'static) -> T
where
    F: Future<Output = T>,
{
    let runtime = tokio::runtime::Handle::current();
    let task = tokio::task::spawn_blocking(move || runtime.block_on(work()));
    task.await.expect("a stream returns its errors")
}

fn unavailable() -> Refusal {
    Refusal(StatusCode::SERVICE_UNAVAILABLE, "the database can't be opened".into())
}
