//! The database behind the worker: Hrana over fetch, as Turso and `sentinel db` both speak it.
//!
//! One pipeline is one round trip. It is sent with the runtime's own fetch, as `web_sys` has it: `worker::Fetch`
//! makes a second request object and reads answers as streams, which together cost half as much CPU again.
//!
//! The `libsql` crate is not used here: its worker support pulls a second version of the `worker` crate. What a
//! pipeline looks like is `sentinel_shared::store::hrana`'s.

use crate::app::{App, now};
use futures_util::future::{Either, select};
use sentinel_shared::store::hrana::{self, Refusal};
use sentinel_shared::store::{Query, Rows};
use sentinel_shared::{Error, Result};
use std::pin::pin;
use std::time::Duration;
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::{Delay, console_error, console_log, js_sys, web_sys};

/// How long the store may take. GitHub waits 10 s for the whole answer.
const DEADLINE: Duration = Duration::from_secs(5);

/// Asks `query`, whole or not at all, in one round trip. A database that has never been used gets its schema first.
pub(crate) async fn ask<T: 'static>(app: &App, query: Query<T>) -> Result<T> {
    let rows = with_schema(app, hrana::batch(query.lock(), query.statements())).await?;
    query.read(rows)
}

async fn with_schema(app: &App, body: String) -> Result<Vec<Rows>> {
    match hrana::answer(&post(app, &body).await?) {
        Err(Refusal::NoSuchTable) => {
            console_log!("store.migrate: the database is empty or old, bringing its schema up to date");
            hrana::answer(&post(app, &hrana::migrations(now())).await?).map_err(fact)?;
            hrana::answer(&post(app, &body).await?).map_err(fact)
        }
        answer => answer.map_err(fact),
    }
}

fn fact(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Busy => Error::StoreUnavailable,
        Refusal::Misunderstood => Error::StoreShape("pipeline"),
        Refusal::NoSuchTable => Error::StoreRejected,
        Refusal::Rejected(message) => {
            console_error!("store.refused: {message}");
            Error::StoreRejected
        }
    }
}

/// Sends one pipeline and reads its answer within the deadline.
async fn post(app: &App, body: &str) -> Result<String> {
    let url = app.config.database_url()?;
    let send = async {
        let headers = web_sys::Headers::new()?;
        headers.set("content-type", "application/json")?;
        if let Some(token) = &app.config.database_token {
            headers.set("authorization", &format!("Bearer {token}"))?;
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
    match select(pin!(send), Delay::from(DEADLINE)).await {
        Either::Left((Ok((200, text)), _)) => Ok(text),
        Either::Left((Ok((status, _)), _)) => {
            console_error!("store.unavailable: the database answered {status}");
            Err(Error::StoreUnavailable)
        }
        Either::Left((Err(error), _)) => {
            console_error!("store.unavailable: {error:?}");
            Err(Error::StoreUnavailable)
        }
        Either::Right(_) => {
            console_error!("store.unavailable: no answer in {} s", DEADLINE.as_secs());
            Err(Error::StoreUnavailable)
        }
    }
}
