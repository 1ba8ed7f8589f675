//! Workflow jobs and their logs, and the second host that logs are redirected to.

use super::{Shared, World, message, not_found, page, some_of};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// What a job's log is.
#[derive(Clone)]
pub enum Log {
    /// A log of exactly these bytes.
    Bytes(Vec<u8>),
    /// So many bytes of chatter, with an error at the very end.
    Huge(usize),
    /// These bytes, sent in pieces without a length, from a host that ignores ranges.
    Chunked(Vec<u8>),
    /// These bytes, of known length, from a host that ignores ranges.
    Rangeless(Vec<u8>),
    /// These bytes, which are a gzip stream and are called one.
    Gzip(Vec<u8>),
    /// Gone, as logs are after their retention.
    Missing,
    /// Redirected to a host nobody put on the list.
    RedirectTo(String),
}

/// One failed run, by its number.
#[derive(Clone)]
pub struct Run {
    /// The repository as `owner/name`.
    pub repository: String,
    /// GitHub's `workflow_run.id`.
    pub run_id: u64,
    /// The attempt, GitHub's `workflow_run.run_attempt`.
    pub attempt: u32,
    /// The jobs API's answer.
    pub jobs: Value,
    /// Each failed job's log.
    pub logs: HashMap<u64, Log>,
}

pub(super) fn routes() -> Router<Arc<Mutex<World>>> {
    Router::new()
        // Costs nothing, and tells who has a token whether it is accepted.
        .route("/rate_limit", get(|| async { axum::Json(json!({ "rate": { "remaining": 4999 } })) }))
        .route("/repos/{owner}/{repo}/actions/runs/{run}/attempts/{attempt}/jobs", get(jobs))
        .route("/repos/{owner}/{repo}/actions/jobs/{job}", get(job))
        .route("/repos/{owner}/{repo}/actions/jobs/{job}/logs", get(logs))
        .route("/repos/{owner}/{repo}/check-runs/{id}/annotations", get(annotations))
        .route("/repos/{owner}/{repo}/actions/runs/{run}/rerun-failed-jobs", post(rerun))
}

pub(super) fn storage_routes(world: Arc<Mutex<World>>) -> Router {
    Router::new().route("/logs/{job}", get(blob)).with_state(world)
}

async fn jobs(
    State(world): Shared,
    Path((owner, repo, run, attempt)): Path<(String, String, u64, u32)>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let mut world = world.lock().expect("no handler panics");
    world.calls.push(format!("jobs {run} {attempt}"));
    let repository = format!("{owner}/{repo}");
    let found =
        world.runs.iter().find(|r| r.repository == repository && r.run_id == run && r.attempt == attempt);
    let Some(run) = found else { return not_found() };
    let jobs = run.jobs["jobs"].as_array().map_or(&[][..], Vec::as_slice);
    let (total, some) = (run.jobs["total_count"].clone(), some_of(jobs, &query));
    axum::Json(json!({ "total_count": total, "jobs": some })).into_response()
}

async fn job(State(world): Shared, Path((_, _, id)): Path<(String, String, u64)>) -> Response {
    let mut world = world.lock().expect("no handler panics");
    world.calls.push(format!("job {id}"));
    let jobs = world.runs.iter().flat_map(|run| run.jobs["jobs"].as_array().cloned().unwrap_or_default());
    jobs.into_iter().find(|job| job["id"] == id).map_or_else(not_found, |job| axum::Json(job).into_response())
}

async fn logs(State(world): Shared, Path((_, _, job)): Path<(String, String, u64)>) -> Response {
    let mut world = world.lock().expect("no handler panics");
    world.calls.push(format!("logs {job}"));
    let location = match world.runs.iter().find_map(|run| run.logs.get(&job)) {
        None | Some(Log::Missing) => return not_found(),
        Some(Log::RedirectTo(url)) => url.clone(),
        Some(_) => format!("{}/logs/{job}?sig=short-lived", world.storage),
    };
    (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
}

/// <https://docs.github.com/rest/actions/workflow-runs#re-run-failed-jobs-from-a-workflow-run>: needs the permission
/// `actions: write`, and a run that has ended.
async fn rerun(State(world): Shared, Path((owner, repo, run)): Path<(String, String, u64)>) -> Response {
    let mut world = world.lock().expect("no handler panics");
    world.calls.push(format!("rerun {run}"));
    if world.refuses_reruns {
        return message(StatusCode::FORBIDDEN, "Resource not accessible by integration");
    }
    let repository = format!("{owner}/{repo}");
    let attempts = world.runs.iter().filter(|r| r.repository == repository && r.run_id == run);
    let Some(last) = attempts.map(|run| run.attempt).max() else { return not_found() };
    if world.reruns.contains(&run) {
        return message(StatusCode::FORBIDDEN, "The workflow run is already running");
    }
    let mut next =
        world.runs.iter().find(|r| r.run_id == run && r.attempt == last).expect("found above").clone();
    next.attempt = last + 1;
    next.jobs = json!({ "total_count": 0, "jobs": [] });
    world.runs.push(next);
    world.reruns.insert(run);
    (StatusCode::CREATED, axum::Json(json!({}))).into_response()
}

/// <https://docs.github.com/rest/checks/runs#list-check-run-annotations>: needs the permission `checks: read`.
async fn annotations(
    State(world): Shared,
    Path((owner, repo, id)): Path<(String, String, u64)>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let mut world = world.lock().expect("no handler panics");
    world.calls.push(format!("annotations {id}"));
    if world.refuses_checks {
        return message(StatusCode::FORBIDDEN, "Resource not accessible by integration");
    }
    let repository = format!("{owner}/{repo}");
    let jobs =
        |run: &Run| run.jobs["jobs"].as_array().is_some_and(|jobs| jobs.iter().any(|job| job["id"] == id));
    if !world.runs.iter().any(|run| run.repository == repository && jobs(run)) {
        return not_found();
    }
    page(world.annotations.get(&id).map_or(&[], Vec::as_slice), &query)
}

async fn blob(
    State(world): Shared,
    Path(job): Path<u64>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let delay = {
        let mut world = world.lock().expect("no handler panics");
        world.open_logs.0 += 1;
        world.open_logs.1 = world.open_logs.1.max(world.open_logs.0);
        world.storage_delay
    };
    tokio::time::sleep(delay).await;
    let mut world = world.lock().expect("no handler panics");
    world.open_logs.0 = world.open_logs.0.saturating_sub(1);
    world.calls.push(format!("blob {job}"));
    if headers.contains_key(header::AUTHORIZATION) {
        return (StatusCode::BAD_REQUEST, "only one authentication mechanism is allowed").into_response();
    }
    if query.get("sig").map(String::as_str) != Some("short-lived") {
        return StatusCode::FORBIDDEN.into_response();
    }
    if let Some(status) = world.storage_status {
        return StatusCode::from_u16(status).expect("a status").into_response();
    }
    let start = headers.get(header::RANGE).and_then(|range| {
        range.to_str().ok()?.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok()
    });
    match world.runs.iter().find_map(|run| run.logs.get(&job)) {
        Some(Log::Bytes(bytes)) => ranged(bytes.len(), start, |from| Body::from(bytes[from..].to_vec())),
        Some(Log::Chunked(bytes)) => Body::from_stream(pieces(bytes)).into_response(),
        Some(Log::Rangeless(bytes)) => bytes.clone().into_response(),
        Some(Log::Gzip(bytes)) => {
            ([(header::CONTENT_ENCODING, "gzip"), (header::CONTENT_TYPE, "text/plain")], bytes.clone())
                .into_response()
        }
        Some(Log::Huge(size)) => ranged(*size, start, |from| chatter(size - from)),
        _ => not_found(),
    }
}

fn ranged(size: usize, start: Option<usize>, body: impl Fn(usize) -> Body) -> Response {
    let from = start.unwrap_or(0).min(size);
    let status = if start.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    (status, [(header::CONTENT_LENGTH, (size - from).to_string())], body(from)).into_response()
}

/// A body without a length.
fn pieces(bytes: &[u8]) -> impl futures_util::Stream<Item = Result<Bytes, std::convert::Infallible>> + use<> {
    let pieces: Vec<_> = bytes.chunks(64 * 1024).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    futures_util::stream::iter(pieces)
}

/// `size` bytes, made while they are sent, whose last line is an error.
fn chatter(size: usize) -> Body {
    const END: &[u8] = b"\nfatal: no space left on device\n##[error]Process completed with exit code 1.\n";
    Body::new(Pieces { left: size - END.len(), end: Some(END) })
}

struct Pieces {
    left: usize,
    end: Option<&'static [u8]>,
}

impl axum::body::HttpBody for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        let bytes = if self.left > 0 {
            let size = self.left.min(64 * 1024);
            self.left -= size;
            let mut piece = b"2026-01-01T00:00:00.0000000Z compiling\n".repeat(size / 39 + 1);
            piece.truncate(size);
            Bytes::from(piece)
        } else {
            match self.end.take() {
                Some(end) => Bytes::from_static(end),
                None => return std::task::Poll::Ready(None),
            }
        };
        std::task::Poll::Ready(Some(Ok(http_body::Frame::data(bytes))))
    }
}
