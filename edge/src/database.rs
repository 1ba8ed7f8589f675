//! The database behind the worker: Hrana over fetch, as Turso and `sentinel db` both speak it.
//!
//! One pipeline is one round trip. It is sent with the runtime's own fetch, as `web_sys` has it: `worker::Fetch`
//! makes a second request object and reads answers as streams, which together cost half as much CPU again.
//!
//! The `libsql` crate is not used here: its worker support pulls a second version of the `worker` crate. What an answer
//! means, and what is sent next, is decided by `sentinel_shared::store::exchange`.

use crate::config::Config;
use futures_util::future::{Either, select};
use sentinel_shared::signature::Secret;
use sentinel_shared::store::exchange::{Exchange, Next};
use sentinel_shared::store::{Query, Rows, hrana};
use sentinel_shared::{Error, Result};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::{Delay, console_error, console_log, js_sys, web_sys};

/// How long the store may take, with every wait for another writer. GitHub waits 10 s for the whole answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long the scheduled event may take to bring the schema up to date: as long as `sentinel db` lets one request run.
const SCHEMA_DEADLINE: Duration = Duration::from_secs(30);

/// The database's address and the isolate's right to use it.
pub(crate) struct Database {
    /// None where the setting is missing or wrong.
    url: Option<String>,
    /// The `Authorization` header.
    authorization: Option<String>,
    is_schema_checked: AtomicBool,
}

impl Database {
    pub(crate) fn of(config: &Config) -> Self {
        let bearer = |token: &Secret| format!("Bearer {}", token.expose_text());
        Self {
            url: config.database_url().ok().map(|url| format!("{url}{}", hrana::PATH)),
            authorization: config.database_token.as_ref().map(bearer),
            is_schema_checked: AtomicBool::new(false),
        }
    }

    /// Asks `query`, whole or not at all, in one round trip. A database that has never been used gets its schema first.
    pub(crate) async fn ask<T: 'static>(&self, query: Query<T>) -> Result<T> {
        let exchange = Exchange::of(query.lock(), query.statements());
        query.read(self.carry(exchange, DEADLINE).await?)
    }

    /// Brings the schema up to date, once an isolate. What an old schema lacks is not always named by a statement, and a
    /// webhook has no time for one more request; so the scheduled event does it.
    pub(crate) async fn check_schema(&self) {
        // What went wrong is in the log, and the next event tries again.
        let is_checked = &self.is_schema_checked;
        if !is_checked.load(Ordering::Relaxed)
            && self.carry(Exchange::schema(), SCHEMA_DEADLINE).await.is_ok()
        {
            is_checked.store(true, Ordering::Relaxed);
        }
    }

    /// Carries the exchange to its end, within the deadline.
    async fn carry(&self, exchange: Exchange, deadline: Duration) -> Result<Vec<Rows>> {
        match select(pin!(self.carry_on(exchange)), Delay::from(deadline)).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => {
                console_error!("store.unavailable: no answer in {} s", deadline.as_secs());
                Err(Error::StoreUnavailable)
            }
        }
    }

    async fn carry_on(&self, mut exchange: Exchange) -> Result<Vec<Rows>> {
        loop {
            let (status, text) = self.post(exchange.body()).await?;
            match exchange.answered(status, &text) {
                Next::Send => {}
                Next::Migrate(log) => console_log!("{log}"),
                Next::Wait(time) => Delay::from(time).await,
                Next::Done(rows) => return Ok(rows),
                Next::Failed(failure) => {
                    console_error!("{}", failure.cause);
                    return Err(failure.error);
                }
            }
        }
    }

    /// Sends one pipeline and reads the status and text of its answer.
    async fn post(&self, body: &str) -> Result<(u16, String)> {
        let url = self.url.as_deref().ok_or(Error::NotConfigured("TURSO_DATABASE_URL"))?;
        let send = async {
            let headers = web_sys::Headers::new()?;
            headers.set("content-type", "application/json")?;
            if let Some(authorization) = &self.authorization {
                headers.set("authorization", authorization)?;
            }
            let init = web_sys::RequestInit::new();
            init.set_method("POST");
            init.set_headers(&headers);
            init.set_body(&body.into());
            let runtime: web_sys::WorkerGlobalScope = js_sys::global().unchecked_into();
            let answer = runtime.fetch_with_str_and_init(url, &init);
            let response: web_sys::Response = JsFuture::from(answer).await?.unchecked_into();
            let text = JsFuture::from(response.text()?).await?.as_string().unwrap_or_default();
            Ok::<_, JsValue>((response.status(), text))
        };
        send.await.map_err(|error| {
            console_error!("store.unavailable: {error:?}");
            Error::StoreUnavailable
        })
    }
}
