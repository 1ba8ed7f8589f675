//! The Cloudflare Worker: takes webhooks, classifies failed runs, queues reviews, serves the dashboard.
//!
//! This file has only the entry points of events. `sentinel_shared` makes the decisions. This crate carries bytes in,
//! performs the decided action, and carries an answer out.

mod api;
mod app;
mod body;
mod clock;
mod config;
mod database;
mod evidence;
mod failed_run;
mod github;
mod guard;
mod known_keys;
mod limits;
mod memory;
mod models;
mod pages;
mod parameters;
mod refusals;
mod respond;
mod retry;
mod review_client;
mod reviews;
mod router;
mod session;
mod setup;
mod standing;
mod sweep;
mod webhook;

use worker::{Context, Env, Request, Response, Result, ScheduleContext, ScheduledEvent, event};

#[event(start)]
fn start() {
    sentinel_shared::wasm::construct_statics();
}

#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> Result<Response> {
    router::route(request, app::app(&env), context).await
}

/// The calls that the first event of an isolate may need to look at the schema and to bring it up to date.
const SCHEMA_CALLS: usize = 3;

/// The calls that remembering verdicts from before takes: one looks, one writes.
const REMEMBER_CALLS: usize = 2;

/// Every minute: tells the node of reviews that nobody works on, then takes up deliveries that wait or whose worker went
/// away before they were done, with the calls that are left, and at last gives some verdicts from before their place in the
/// memory of failures. The first event of an isolate looks at the schema before.
#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    let app = app::app(&env);
    app.database.check_schema().await;
    let calls = reviews::resubmit(app).await;
    sweep::sweep(app, evidence::EVENT_CALLS.saturating_sub(SCHEMA_CALLS + REMEMBER_CALLS + calls)).await;
    memory::remember(app).await;
}
