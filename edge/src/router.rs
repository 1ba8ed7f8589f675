//! Finds the handler of a request, and turns an error into an answer. The routes are listed in `routes.rs`.

use crate::api::{
    deliveries, failures, feedback, health, keys, known, metrics, models, overview, reports, reviews,
    session, verdicts,
};
use crate::app::App;
use crate::guard::{Call, Needs, Visit};
use crate::{pages, respond, setup, webhook};
use futures_util::future::LocalBoxFuture;
use sentinel_shared::{Error, Result};
use worker::{Context, Method, Request, Response};

type Answer = LocalBoxFuture<'static, Result<Response>>;

struct Route {
    method: Method,
    path: &'static str,
    handler: Handler,
}

#[derive(Clone, Copy)]
enum Handler {
    /// The handler of a route that is open to all.
    Open(fn(Visit) -> Answer),
    /// The handler of a route that needs a key.
    Guarded(Needs, fn(Call) -> Answer),
}

macro_rules! handler {
    (Nothing, $handler:path) => {
        Handler::Open(|visit| Box::pin($handler(visit)))
    };
    ($needs:ident, $handler:path) => {
        Handler::Guarded(Needs::$needs, |call| Box::pin($handler(call)))
    };
}

macro_rules! routes {
    ($($method:ident $path:literal $needs:ident $handler:path;)*) => {
        const ROUTES: &[Route] =
            &[$(Route { method: Method::$method, path: $path, handler: handler!($needs, $handler) }),*];
    };
}

include!("routes.rs");

pub(crate) async fn route(request: Request, app: &'static App, context: Context) -> worker::Result<Response> {
    let (method, path) = (request.method(), request.path());
    let route = ROUTES.iter().find(|route| route.method == method && route.path == path);
    let answer = match route.map(|route| route.handler) {
        Some(Handler::Open(handle)) => handle(Visit { request, app, context }).await,
        Some(Handler::Guarded(needs, handle)) => match Call::admit(request, app, needs).await {
            Ok(call) => handle(call).await,
            Err(error) => Err(error),
        },
        None if method == Method::Get && pages::has(&path) => pages::serve(&path),
        // A stranger does not learn which addresses exist.
        None if path.starts_with("/api/") => {
            Call::admit(request, app, Needs::Key).await.and(Err(Error::NotFound))
        }
        None => Err(Error::NotFound),
    };
    answer.or_else(|error| respond::problem(&error))
}
