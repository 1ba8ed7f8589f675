//! The node's client for the database, Turso or `sentinel db`. It sends the statements of `sentinel_shared::store`.
//!
//! One transaction is one HTTP request. A lease therefore takes one round trip, and no connection stays open when the
//! node dies.

use sentinel_shared::signature::Secret;
use sentinel_shared::store::hrana::{self, Refusal};
use sentinel_shared::store::{Query, Rows};
use sentinel_shared::{Error, Result};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing::{error, info, warn};

/// How long one request may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// How often another writer is waited for, beyond the database's own patience.
const BUSY_RETRIES: u32 = 3;

/// A client of one database.
pub struct Store {
    http: reqwest::Client,
    url: String,
    token: Option<Secret>,
}

/// The current time in Unix seconds.
#[must_use]
pub fn now() -> i64 {
    now_ms() / 1000
}

/// The current time in Unix milliseconds.
#[must_use]
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

impl Store {
    /// A client of the database at `url`: `libsql://…`, `https://…` or `http://…`.
    #[must_use]
    pub fn new(http: reqwest::Client, url: &str, token: Option<Secret>) -> Self {
        Self { http, url: hrana::http_url(url), token }
    }

    /// Asks `query`, whole or not at all, in one round trip.
    ///
    /// # Errors
    /// [`Error::StoreUnavailable`] or [`Error::StoreRejected`], and what the answer means by itself.
    pub async fn ask<T: 'static>(&self, query: Query<T>) -> Result<T> {
        let rows = self.run(hrana::batch(query.lock(), query.statements())).await?;
        query.read(rows)
    }

    async fn run(&self, body: String) -> Result<Vec<Rows>> {
        let mut busy = 0;
        loop {
            match hrana::answer(&self.post(body.clone()).await?) {
                Ok(rows) => return Ok(rows),
                Err(Refusal::NoSuchTable) => {
                    info!("store.migrate: the database is empty or old, bringing its schema up to date");
                    hrana::answer(&self.post(hrana::migrations(now())).await?)
                        .map_err(|refusal| fact(&refusal))?;
                    return hrana::answer(&self.post(body).await?).map_err(|refusal| fact(&refusal));
                }
                Err(Refusal::Busy) if busy < BUSY_RETRIES => {
                    busy += 1;
                    tokio::time::sleep(Duration::from_millis(100 << busy)).await;
                }
                Err(refusal) => return Err(fact(&refusal)),
            }
        }
    }

    async fn post(&self, body: String) -> Result<String> {
        let mut request = self
            .http
            .post(format!("{}{}", self.url, hrana::PATH))
            .timeout(DEADLINE)
            .header("content-type", "application/json")
            .body(body);
        if let Some(token) = &self.token {
            request = request.bearer_auth(String::from_utf8_lossy(token.expose()));
        }
        let unavailable = |cause: reqwest::Error| {
            // The URL may hold a host, never a secret; reqwest's own text has both host and cause.
            warn!("store.unavailable: {}", cause.without_url());
            Error::StoreUnavailable
        };
        let answer = request.send().await.map_err(unavailable)?;
        if answer.status() != 200 {
            warn!("store.unavailable: the database answered {}", answer.status());
            return Err(Error::StoreUnavailable);
        }
        answer.text().await.map_err(unavailable)
    }
}

fn fact(refusal: &Refusal) -> Error {
    match refusal {
        Refusal::Busy => Error::StoreUnavailable,
        Refusal::Misunderstood => Error::StoreShape("pipeline"),
        Refusal::NoSuchTable => Error::StoreRejected,
        Refusal::Rejected(message) => {
            error!("store.refused: {message}");
            Error::StoreRejected
        }
    }
}
