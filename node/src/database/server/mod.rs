//! Serves a libSQL file over Hrana HTTP, as a local replacement for a Turso database.
//!
//! This file has the routes and the checks before the database is asked. [`streams`] decides who runs and keeps streams
//! between requests, [`stream`] runs requests on one connection, [`connection`] opens it and restricts it, and
//! [`limits`] holds every bound. There is no replication, there are no several databases and no WebSockets. Protocol:
//! <https://github.com/tursodatabase/libsql/blob/main/docs/HRANA_3_SPEC.md>.

mod connection;
mod limits;
mod stream;
mod streams;
mod tokens;
mod wire;

pub use limits::Limits;
pub use tokens::Tokens;

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use connection::Access;
use futures_util::StreamExt;
use libsql_hrana::proto::{CursorReqBody, CursorRespBody, PipelineReqBody, PipelineRespBody, StreamRequest};
use limits::{BODIES_BYTES, BODY_TIME, REQUEST_BYTES, REQUESTS_MAX, RETRY_AFTER_SECONDS};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use streams::{Begin, Streams};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One database and the tokens for it.
pub struct Server {
    streams: Arc<Streams>,
    tokens: Tokens,
    /// The number of bytes that request bodies may still take.
    bodies: Arc<Semaphore>,
}

/// Ends everything that a server runs.
pub struct Stopper(Arc<Streams>);

/// The answer to a refused request.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    message: String,
    code: &'static str,
}

// === impl Server ===

impl Server {
    /// Opens (or creates) the file and updates its schema.
    ///
    /// # Errors
    /// The file cannot be opened, or a migration fails.
    pub async fn open(path: &Path, tokens: impl Into<Tokens>) -> anyhow::Result<Self> {
        Self::open_within(path, tokens, Limits::default()).await
    }

    /// As [`Self::open`], with other limits.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_within(path: &Path, tokens: impl Into<Tokens>, limits: Limits) -> anyhow::Result<Self> {
        let path = path.to_owned();
        let streams = tokio::task::spawn_blocking(move || Streams::open(&path, limits)).await??;
        let bodies = Arc::new(Semaphore::new(BODIES_BYTES));
        Ok(Self { streams: Arc::new(streams), tokens: tokens.into(), bodies })
    }

    /// A handle that ends everything that runs, for when the server is told to stop.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.streams))
    }

    /// The routes of Hrana 2 and 3 over HTTP, and `/health`.
    pub fn router(self) -> Router {
        let server = Arc::new(self);
        Router::new()
            .route("/v2/pipeline", post(pipeline))
            .route("/v3/pipeline", post(pipeline))
            .route("/v3/cursor", post(cursor))
            .route_layer(from_fn_with_state(Arc::clone(&server), admit))
            .route("/health", get(|| async { "ok" }))
            .route("/v2", get(|| async { StatusCode::OK }))
            .route("/v3", get(|| async { StatusCode::OK }))
            .with_state(server)
    }

    /// Reads the whole body within its time, its size and the size of all bodies together. The permit must live as long
    /// as what was parsed from the body.
    async fn read(&self, body: Body) -> Result<(Vec<u8>, OwnedSemaphorePermit), Refusal> {
        let read = async {
            let mut chunks = body.into_data_stream();
            let mut bytes = Vec::new();
            let mut room = self.room(0)?;
            while let Some(chunk) = chunks.next().await {
                let chunk = chunk.map_err(|_| Refusal::bad("the body could not be read"))?;
                if bytes.len() + chunk.len() > REQUEST_BYTES {
                    return Err(Refusal::too_large());
                }
                room.merge(self.room(chunk.len())?);
                bytes.extend_from_slice(&chunk);
            }
            Ok((bytes, room))
        };
        tokio::time::timeout(BODY_TIME, read).await.unwrap_or_else(|_| Err(Refusal::slow()))
    }

    fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
        let bytes = u32::try_from(bytes).map_err(|_| Refusal::too_large())?;
        let room = Arc::clone(&self.bodies).try_acquire_many_owned(bytes);
        room.map_err(|_| Refusal::busy("too many large requests at once"))
    }
}

// === impl Stopper ===

impl Stopper {
    /// Interrupts every statement, closes every stream, and refuses new ones.
    pub fn stop(&self) {
        self.0.stop();
    }
}

// === routes ===

/// Checks the token of a request before its body is read.
async fn admit(State(server): State<Arc<Server>>, mut request: Request, next: Next) -> Response {
    let Some(access) = server.tokens.access(request.headers()) else {
        return Refusal::unauthorized().into_response();
    };
    request.extensions_mut().insert(access);
    next.run(request).await
}

async fn pipeline(
    State(server): State<Arc<Server>>,
    Extension(access): Extension<Access>,
    body: Body,
) -> Result<Response, Refusal> {
    let (bytes, room) = server.read(body).await?;
    let request: PipelineReqBody = parse(&bytes)?;
    drop(bytes);
    if request.requests.len() > REQUESTS_MAX {
        return Err(Refusal::bad(&format!("at most {REQUESTS_MAX} requests a pipeline")));
    }
    let begin = match request.baton {
        Some(baton) => Begin::Held(baton),
        None if matches!(request.requests.last(), Some(StreamRequest::Close(_))) => Begin::Once,
        None => Begin::New,
    };
    let work = move |stream: &mut stream::Stream| {
        let results = stream.pipeline(request.requests);
        drop(room);
        results
    };
    let finish = |results, baton| json_line(&PipelineRespBody { baton, base_url: None, results });
    let answer = server.streams.run((begin, access), work, finish).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], answer).into_response())
}

async fn cursor(
    State(server): State<Arc<Server>>,
    Extension(access): Extension<Access>,
    body: Body,
) -> Result<Response, Refusal> {
    let (bytes, room) = server.read(body).await?;
    let request: CursorReqBody = parse(&bytes)?;
    drop(bytes);
    let begin = request.baton.map_or(Begin::New, Begin::Held);
    let work = move |stream: &mut stream::Stream| {
        let entries = stream.cursor(request.batch);
        drop(room);
        entries
    };
    let finish = |entries: Vec<_>, baton| {
        let mut lines = json_line(&CursorRespBody { baton, base_url: None });
        entries.into_iter().for_each(|entry| lines.push_str(&json_line(&entry)));
        lines
    };
    let answer = server.streams.run((begin, access), work, finish).await?;
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], answer).into_response())
}

fn parse<'a, T: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::bad(&error.to_string()))
}

fn json_line(value: &impl serde::Serialize) -> String {
    let mut line = serde_json::to_string(value).expect("Hrana types have string keys");
    line.push('\n');
    line
}

// === impl Refusal ===

impl Refusal {
    fn new(status: StatusCode, message: &str) -> Self {
        Self { status, message: message.to_owned(), code: "HRANA_HTTP_ERROR" }
    }

    fn bad(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "a valid bearer token is required")
    }

    fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, &format!("a request has at most {REQUEST_BYTES} bytes"))
    }

    fn slow() -> Self {
        let message = format!("the body took over {} s", BODY_TIME.as_secs());
        Self::new(StatusCode::REQUEST_TIMEOUT, &message)
    }

    /// Refuses a request of which nothing was run.
    fn busy(message: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, &format!("{message}; nothing was run, try again"))
    }

    fn no_stream() -> Self {
        Self {
            code: "STREAM_EXPIRED",
            ..Self::bad("the baton is unknown, used or expired; its transaction was rolled back")
        }
    }

    fn broken() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the request failed")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Json(json!({ "message": self.message, "code": self.code }));
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE => {
                (self.status, [(header::RETRY_AFTER, RETRY_AFTER_SECONDS)], body).into_response()
            }
            StatusCode::UNAUTHORIZED => {
                (self.status, [(header::WWW_AUTHENTICATE, "Bearer")], body).into_response()
            }
            _ => (self.status, body).into_response(),
        }
    }
}
