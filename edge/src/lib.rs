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
mod github;
mod guard;
mod known_keys;
mod limits;
mod models;
mod pages;
mod parameters;
mod refusals;
mod respond;
mod review_client;
mod reviews;
mod router;
mod session;
mod setup;
mod standing;
mod webhook;

use futures_util::future::join;
use worker::{Context, Env, Request, Response, Result, ScheduleContext, ScheduledEvent, event};

#[event(start)]
fn start() {
    sentinel_shared::wasm::construct_statics();
}

#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> Result<Response> {
    router::route(request, app::app(&env), context).await
}

/// Every minute: takes up deliveries that wait or whose worker went away before they were done, and tells the node of
/// reviews that nobody works on. Neither waits for the other. The first event of an isolate looks at the schema before.
#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    let app = app::app(&env);
    app.database.check_schema().await;
    join(webhook::sweep(app), reviews::resubmit(app)).await;
}
