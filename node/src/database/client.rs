//! The node's client for the database, Turso or `sentinel db`. It sends the statements of `sentinel_shared::store`.
//!
//! One transaction is one HTTP request. A lease therefore takes one round trip, and no connection stays open when the
//! node dies. `sentinel_shared::store::exchange` decides what an answer means and what is sent next.

use sentinel_shared::signature::Secret;
use sentinel_shared::store::exchange::{Exchange, Next};
use sentinel_shared::store::{Query, Rows, hrana};
use sentinel_shared::{Error, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing::{info, warn};

/// How long one request may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// A client of one database.
pub struct Store {
    http: reqwest::Client,
    url: String,
    token: Option<Secret>,
    /// Whether this process has seen the schema up to date.
    schema_is_checked: AtomicBool,
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
        Self { http, url: hrana::http_url(url), token, schema_is_checked: AtomicBool::new(false) }
    }

    /// Asks `query`, whole or not at all, in one round trip.
    ///
    /// # Errors
    /// [`Error::StoreUnavailable`] or [`Error::StoreRejected`], and what the answer means by itself.
    pub async fn ask<T: 'static>(&self, query: Query<T>) -> Result<T> {
        let exchange = Exchange::of(query.lock(), query.statements());
        query.read(self.carry(exchange).await?)
    }

    /// Carries the exchange to its end. The first of a process brings the schema up to date before.
    async fn carry(&self, mut exchange: Exchange) -> Result<Vec<Rows>> {
        if !self.schema_is_checked.load(Ordering::Relaxed) {
            exchange = exchange.after_schema();
        }
        loop {
            let (status, text) = self.post(exchange.body().to_owned()).await?;
            match exchange.answered(status, &text) {
                Next::Send => {}
                Next::Migrate(log) => info!("{log}"),
                Next::Wait(time) => tokio::time::sleep(time).await,
                Next::Done(rows) => {
                    self.schema_is_checked.store(true, Ordering::Relaxed);
                    return Ok(rows);
                }
                Next::Failed(failure) => {
                    warn!("{}", failure.cause);
                    return Err(failure.error);
                }
            }
        }
    }

    async fn post(&self, body: String) -> Result<(u16, String)> {
        let mut request = self
            .http
            .post(format!("{}{}", self.url, hrana::PATH))
            .timeout(DEADLINE)
            .header("content-type", "application/json")
            .body(body);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_text());
        }
        let unavailable = |cause: reqwest::Error| {
            // The URL may hold a host, never a secret; reqwest's own text has both host and cause.
            warn!("store.unavailable: {}", cause.without_url());
            Error::StoreUnavailable
        };
        let answer = request.send().await.map_err(unavailable)?;
        let status = answer.status().as_u16();
        Ok((status, answer.text().await.map_err(unavailable)?))
    }
}
