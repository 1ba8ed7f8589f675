//! A libSQL file served over Hrana HTTP: the embedded stand-in for a Turso database.
//!
//! Here: the routes, authentication and limits. [`stream`] runs requests on one connection, [`streams`] keeps
//! connections between requests. Not here: replication, several databases, WebSockets. Protocol:
//! <https://github.com/tursodatabase/libsql/blob/main/docs/HRANA_3_SPEC.md>.

mod stream;
mod streams;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use libsql_hrana::proto::{CursorReqBody, CursorRespBody, PipelineReqBody, PipelineRespBody};
use sentinel_shared::signature::Secret;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use streams::Streams;

/// Most bytes of a request; Turso's own limit for a pipeline is of this order.
const REQUEST_LIMIT_BYTES: usize = 8 * 1024 * 1024;
/// Most statements of one pipeline.
const REQUESTS_MAX: usize = 256;

/// One database and who may use it.
pub struct Server {
    streams: Streams,
    token: Option<Secret>,
}

/// What a request is refused with.
struct Refusal(StatusCode, String);

impl Server {
    /// Opens (or creates) the file and brings its schema up to date.
    ///
    /// # Errors
    /// When the file can't be opened or a migration fails.
    pub async fn open(path: &Path, token: Option<Secret>) -> anyhow::Result<Self> {
        let streams = Streams::open(path).await?;
        streams.migrate().await?;
        Ok(Self { streams, token })
    }

    /// The routes of Hrana 2 and 3 over HTTP, and `/health`.
    pub fn router(self) -> Router {
        Router::new()
            .route("/health", get(|| async { "ok" }))
            .route("/v2", get(|| async { StatusCode::OK }))
            .route("/v3", get(|| async { StatusCode::OK }))
            .route("/v2/pipeline", post(pipeline))
            .route("/v3/pipeline", post(pipeline))
            .route("/v3/cursor", post(cursor))
            .layer(DefaultBodyLimit::max(REQUEST_LIMIT_BYTES))
            .with_state(Arc::new(self))
    }

    fn authorize(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(token) = &self.token else { return Ok(()) };
        let bearer =
            headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        match bearer {
            Some(bearer) if token.matches(bearer) => Ok(()),
            _ => Err(Refusal(StatusCode::UNAUTHORIZED, "a valid bearer token is required".into())),
        }
    }
}

async fn pipeline(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<PipelineRespBody>, Refusal> {
    server.authorize(&headers)?;
    let request: PipelineReqBody = parse(&body)?;
    if request.requests.len() > REQUESTS_MAX {
        return Err(Refusal(StatusCode::BAD_REQUEST, format!("at most {REQUESTS_MAX} requests a pipeline")));
    }
    let stream = server.streams.take(request.baton.as_deref()).await?;
    let (stream, results) = streams::blocking(move || stream.pipeline(request.requests)).await;
    let baton = server.streams.put_back(stream);
    Ok(Json(PipelineRespBody { baton, base_url: None, results }))
}

async fn cursor(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    server.authorize(&headers)?;
    let request: CursorReqBody = parse(&body)?;
    let stream = server.streams.take(request.baton.as_deref()).await?;
    let (stream, entries) = streams::blocking(move || stream.cursor(request.batch)).await;
    let head = CursorRespBody { baton: server.streams.put_back(stream), base_url: None };
    let mut lines = json_line(&head);
    entries.iter().for_each(|entry| lines.push_str(&json_line(entry)));
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], lines).into_response())
}

fn parse<'a, T: serde::Deserialize<'a>>(body: &'a Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal(StatusCode::BAD_REQUEST, error.to_string()))
}

fn json_line(value: &impl serde::Serialize) -> String {
    let mut line = serde_json::to_string(value).expect("Hrana types have string keys");
    line.push('\n');
    line
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "message": self.1, "code": "HRANA_HTTP_ERROR" }))).into_response()
    }
}
