//! The database behind the worker: Hrana over fetch, as Turso and `sentinel db` both speak it.
//!
//! One pipeline is one round trip. It is sent with the runtime's own fetch, as `web_sys` has it: `worker::Fetch`
//! makes a second request object and reads answers as streams, which together cost half as much CPU again.
//!
//! The `libsql` crate is not used here: its worker support pulls a second version of the `worker` crate. What an answer
//! means, and what is sent next, is decided by `sentinel_shared::store::exchange`.

use crate::app::App;
use futures_util::future::{Either, select};
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

/// Asks `query`, whole or not at all, in one round trip. A database that has never been used gets its schema first.
pub(crate) async fn ask<T: 'static>(app: &App, query: Query<T>) -> Result<T> {
    let exchange = Exchange::of(query.lock(), query.statements());
    query.read(carry(app, exchange, DEADLINE).await?)
}

/// Brings the schema up to date, once an isolate. What an old schema lacks is not always named by a statement, and a
/// webhook has no time for one more request; so the scheduled event does it.
pub(crate) async fn check_schema(app: &App) {
    static IS_CHECKED: AtomicBool = AtomicBool::new(false);
    // What went wrong is in the log, and the next event tries again.
    if !IS_CHECKED.load(Ordering::Relaxed) && carry(app, Exchange::schema(), SCHEMA_DEADLINE).await.is_ok() {
        IS_CHECKED.store(true, Ordering::Relaxed);
    }
}

/// Carries the exchange to its end, within the deadline.
async fn carry(app: &App, exchange: Exchange, deadline: Duration) -> Result<Vec<Rows>> {
    match select(pin!(carry_on(app, exchange)), Delay::from(deadline)).await {
        Either::Left((answer, _)) => answer,
        Either::Right(_) => {
            console_error!("store.unavailable: no answer in {} s", deadline.as_secs());
            Err(Error::StoreUnavailable)
        }
    }
}

async fn carry_on(app: &App, mut exchange: Exchange) -> Result<Vec<Rows>> {
    loop {
        let (status, text) = post(app, exchange.body()).await?;
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
async fn post(app: &App, body: &str) -> Result<(u16, String)> {
    let url = app.config.database_url()?;
    let send = async {
        let headers = web_sys::Headers::new()?;
        headers.set("content-type", "application/json")?;
        if let Some(token) = &app.config.database_token {
            headers.set("authorization", &format!("Bearer {}", token.expose_text()))?;
        }
        let init = web_sys::RequestInit::new();
        init.set_method("POST");
        init.set_headers(&headers);
        init.set_body(&body.into());
        let runtime: web_sys::WorkerGlobalScope = js_sys::global().unchecked_into();
        let answer = runtime.fetch_with_str_and_init(&format!("{url}{}", hrana::PATH), &init);
        let response: web_sys::Response = JsFuture::from(answer).await?.unchecked_into();
        let text = JsFuture::from(response.text()?).await?.as_string().unwrap_or_default();
        Ok::<_, JsValue>((response.status(), text))
    };
    send.await.map_err(|error| {
        console_error!("store.unavailable: {error:?}");
        Error::StoreUnavailable
    })
}
